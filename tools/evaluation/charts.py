"""Two charts as SVG text: lines with intervals in panels, and bars with intervals. Pure.

Colours are variables that follow the reader's light or dark setting, and the ground is painted, so
that a chart is readable on any page. Lines differ in their dashes too, not by colour alone.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Bar", "BarGroup", "Line", "Panel", "Point", "Style", "bar_chart", "line_chart"]

_STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --faint: #d1d9e0;
  --blue: #0a5fd1; --teal: #007f73; --orange: #b35900; --purple: #8a3fc0; }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1;
  --faint: #30363d; --blue: #58a6ff; --teal: #3fc9b5; --orange: #f0953f; --purple: #c297ff; } }
text { font: 12px system-ui, sans-serif; fill: var(--ink); }
text.soft { fill: var(--soft); }
text.title { font-weight: 600; }
line.axis { stroke: var(--faint); }
"""
_GAP = 16
_ROW = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one rule is drawn everywhere.

    Attributes:
        colour: One of blue, teal, orange and purple.
        dashes: As SVG takes them; empty for a whole line.
    """

    colour: str
    dashes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A share with its interval, all from 0 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: a point per place on the x axis; None where nothing was measured."""

    name: str
    style: Style
    points: tuple[Point | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One set of axes."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar from 0 to `value`, with a whisker from `low` to `high` and `text` at its end."""

    name: str
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarGroup:
    """The bars of one rule; the first one is drawn full, the others lighter."""

    name: str
    style: Style
    bars: tuple[Bar, ...]


def line_chart(title: str, places: Sequence[str], panels: Sequence[Panel]) -> str:
    """Shares by place, a panel beside the other, from 0 to 100 %."""
    width, height, left, top = 300, 220, 54, 52
    legend = {line.name: line.style for panel in panels for line in panel.lines}
    total = left + len(panels) * (width + left)
    bottom = top + height + 40
    svg = _svg(title, total, bottom + _ROW * ((len(legend) + 2) // 3) + _GAP)
    for index, panel in enumerate(panels):
        x0 = left + index * (width + left)
        _text(svg, x0, top - 10, panel.title, role="title")
        for percent in (0, 25, 50, 75, 100):
            y = top + height * (1 - percent / 100)
            _line(svg, (x0, y), (x0 + width, y), role="axis")
            _text(svg, x0 - 6, y + 4, f"{percent} %", role="soft", anchor="end")
        step = width / len(places)
        for place, name in enumerate(places):
            _text(svg, x0 + (place + 0.5) * step, top + height + 18, name, anchor="middle")
        for number, line in enumerate(panel.lines):
            # Beside each other, so that no interval hides another.
            aside = (number - (len(panel.lines) - 1) / 2) * min(5.0, step / 12)
            centres = [x0 + (place + 0.5) * step + aside for place in range(len(places))]
            _draw(svg, line, centres, top=top, height=height)
    _legend(svg, legend, left=left, top=bottom, width=total - left)
    return _written(svg)


def _draw(
    svg: ET.Element, line: Line, centres: Sequence[float], *, top: float, height: float
) -> None:
    def y(share: float) -> float:
        return top + height * (1 - share)

    measured = [(x, p) for x, p in zip(centres, line.points, strict=True) if p is not None]
    colour = f"var(--{line.style.colour})"
    path = " ".join(f"{x:.1f},{y(point.value):.1f}" for x, point in measured)
    _add(
        svg,
        "polyline",
        {"points": path, "fill": "none", "stroke": colour, "stroke-width": "2"}
        | _dashed(line.style),
    )
    for x, point in measured:
        _whisker(svg, (x, y(point.low)), (x, y(point.high)), colour)
        _add(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y(point.value):.1f}", "r": "3"}, colour)


def _legend(
    svg: ET.Element, legend: Mapping[str, Style], *, left: float, top: float, width: float
) -> None:
    for index, (name, style) in enumerate(legend.items()):
        x, y = left + index % 3 * width / 3, top + index // 3 * _ROW
        sample = _line(svg, (x, y), (x + 30, y))
        sample.attrib |= {"stroke": f"var(--{style.colour})", "stroke-width": "2"}
        sample.attrib |= _dashed(style)
        _text(svg, x + 36, y + 4, name)


def bar_chart(
    title: str, groups: Sequence[BarGroup], *, most: float, ticks: Sequence[tuple[float, str]]
) -> str:
    """Bars from 0 to `most`, a group below the other, with ticks as value and text."""
    left, width, right, top = 285, 420, 80, 40
    bars = sum(len(group.bars) for group in groups)
    height = bars * _ROW + len(groups) * _GAP
    svg = _svg(title, left + width + right, top + height + 34)
    for value, text in ticks:
        x = left + width * value / most
        _line(svg, (x, top), (x, top + height), role="axis")
        _text(svg, x, top + height + 18, text, role="soft", anchor="middle")
    y = float(top)
    for group in groups:
        y += _GAP / 2
        _text(svg, 8, y + 13, group.name)
        for place, bar in enumerate(group.bars):
            _bar(svg, group.style, bar, full=place == 0, at=(left, y), scale=width / most)
            y += _ROW
        y += _GAP / 2
    return _written(svg)


def _bar(
    svg: ET.Element,
    style: Style,
    bar: Bar,
    *,
    full: bool,
    at: tuple[float, float],
    scale: float,
) -> None:
    x, y = at
    colour = f"var(--{style.colour})"
    box = {
        "x": f"{x:.1f}",
        "y": f"{y + 3:.1f}",
        "width": f"{max(1.0, bar.value * scale):.1f}",
        "height": f"{_ROW - 6}",
        "stroke": colour,
        "fill-opacity": "0.85" if full else "0.3",
    }
    _add(svg, "rect", box, colour)
    middle = y + _ROW / 2
    _whisker(svg, (x + bar.low * scale, middle), (x + bar.high * scale, middle), "var(--ink)")
    _text(svg, x - 8, y + 13, bar.name, role="soft", anchor="end")
    _text(svg, x + max(bar.value, bar.high) * scale + 8, y + 13, bar.text)


def _svg(title: str, width: float, height: float) -> ET.Element:
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width:.0f} {height:.0f}",
            "width": f"{width:.0f}",
            "height": f"{height:.0f}",
            "role": "img",
            "aria-label": title,
        },
    )
    ET.SubElement(svg, "title").text = title
    ET.SubElement(svg, "style").text = _STYLE
    _add(svg, "rect", {"width": "100%", "height": "100%"}, "var(--paper)")
    _text(svg, 8, 20, title, role="title")
    return svg


def _add(
    svg: ET.Element, tag: str, attributes: dict[str, str], fill: str | None = None
) -> ET.Element:
    return ET.SubElement(svg, tag, attributes if fill is None else attributes | {"fill": fill})


def _text(
    svg: ET.Element, x: float, y: float, text: str, *, role: str = "", anchor: str = "start"
) -> None:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    _add(svg, "text", place | ({"class": role} if role else {})).text = text


def _line(
    svg: ET.Element, start: tuple[float, float], end: tuple[float, float], *, role: str = ""
) -> ET.Element:
    (x1, y1), (x2, y2) = start, end
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    return _add(svg, "line", ends | ({"class": role} if role else {}))


def _whisker(
    svg: ET.Element, start: tuple[float, float], end: tuple[float, float], colour: str
) -> None:
    drawn = _line(svg, start, end)
    drawn.attrib |= {"stroke": colour, "stroke-width": "1.2", "stroke-opacity": "0.7"}


def _dashed(style: Style) -> dict[str, str]:
    return {"stroke-dasharray": style.dashes} if style.dashes else {}


def _written(svg: ET.Element) -> str:
    ET.indent(svg, space=" ")
    return ET.tostring(svg, encoding="unicode") + "\n"
