"""Charts as SVG, for the HTML page: colours are the page's variables, text stays text.

The evaluation's charts are files of their own that bring their style and draw shares only; these
live in a page, in its colours, and need other axes, limits and shapes. So they are written here.
"""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence

from tools.performance_report.amounts import cut
from tools.performance_report.axes import Span, span_of
from tools.performance_report.blocks import Chart, Curve, Limit, Lines, Range, Ranges, State
from tools.performance_report.marks import TONES

__all__ = ["svg_chart"]

_WIDTH = 1000.0
_RIGHT = 24.0
_ROW = 24.0
_NAME, _VALUE, _CHARACTER = 300.0, 210.0, 6.4
_NAME_MAX = int(_NAME / _CHARACTER)
_HEIGHT, _LEFT, _TOP = 300.0, 86.0, 18.0
_DASHES = ("", "8 4", "2 3", "10 3 2 3")
_DOTS_MAX = 40  # more points than these are a line without dots

Attributes = Mapping[str, str]
Point = tuple[float, float]


def svg_chart(chart: Chart) -> str:
    """The chart as one `<svg>` element."""
    return _ranges(chart) if isinstance(chart, Ranges) else _lines(chart)


def _ranges(chart: Ranges) -> str:
    values = [
        value
        for row in chart.rows
        for value in (row.value, row.low, row.high, row.target, row.critical)
        if value is not None
    ]
    span = span_of(chart.axis, values)
    left, right = _NAME + 16.0, _WIDTH - _VALUE
    bottom = _TOP + _ROW * len(chart.rows)
    limits = any(row.target is not None for row in chart.rows)
    svg = _svg(chart.title, bottom + (72.0 if limits else 48.0))
    for place, name in span.ticks():
        x = left + (right - left) * place
        _add(svg, "path", {"d": f"M{x:.1f} {_TOP:.1f}V{bottom:.1f}", "class": "grid"})
        _text(svg, (x, bottom + 18.0), name, "soft middle")
    _text(svg, ((left + right) / 2.0, bottom + 38.0), chart.axis.title, "soft middle")
    for index, row in enumerate(chart.rows):
        _range(svg, row, span, (left, right), _TOP + _ROW * (index + 0.5))
    if limits:
        _limit_legend(svg, left, bottom + 60.0)
    return _written(svg)


def _range(
    svg: ET.Element, row: Range, span: Span, ends: tuple[float, float], middle: float
) -> None:
    def x(value: float) -> float:
        return ends[0] + (ends[1] - ends[0]) * span.place(value)

    group = ET.SubElement(svg, "g", {"class": _tone(row.state)})
    ET.SubElement(group, "title").text = f"{row.name}: {row.text}"
    _text(group, (_NAME, middle + 4.0), cut(row.name, _NAME_MAX), "end")
    for limit, kind in ((row.target, "target"), (row.critical, "critical")):
        if limit is not None:
            line = f"M{x(limit):.1f} {middle - 10.0:.1f}v20"
            _add(group, "path", {"d": line, "class": f"limit {kind}"})
    if row.low != row.high:
        whisker = f"M{x(row.low):.1f} {middle:.1f}H{x(row.high):.1f}"
        _add(group, "path", {"d": whisker, "class": "whisker"})
    _shape(group, row.state, (x(row.value), middle))
    _text(group, (ends[1] + 14.0, middle + 4.0), row.text, "")


def _tone(state: State | None) -> str:
    return "plain" if state is None else TONES[state]


def _shape(group: ET.Element, state: State | None, at: Point) -> None:
    """Circle, triangle, square, ring or diamond, as in the tables."""
    x, y = at
    match _tone(state):
        case "doubt":
            path = f"M{x:.1f} {y - 6.0:.1f}l6 11h-12z"
        case "bad":
            path = f"M{x - 5.0:.1f} {y - 5.0:.1f}h10v10h-10z"
        case "better":
            path = f"M{x:.1f} {y - 6.5:.1f}l6 6.5l-6 6.5l-6 -6.5z"
        case tone:
            kind = "ring" if tone == "open" else "mark"
            _add(group, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "5", "class": kind})
            return
    _add(group, "path", {"d": path, "class": "mark"})


def _limit_legend(svg: ET.Element, x: float, y: float) -> None:
    for offset, kind, name in ((0.0, "target", "target"), (110.0, "critical", "critical value")):
        line = f"M{x + offset:.1f} {y - 9.0:.1f}v14"
        _add(svg, "path", {"d": line, "class": f"limit {kind}"})
        _text(svg, (x + offset + 10.0, y + 2.0), name, "soft")


def _lines(chart: Lines) -> str:
    points = [point for curve in chart.curves for point in curve.points]
    x = span_of(chart.x, (a for a, _ in points))
    heights = [b for _, b in points] + [limit.y for limit in chart.limits]
    y = span_of(chart.y, heights, height=True)
    legend_rows = (len(chart.curves) + 1) // 2
    limits_row = 1 if chart.limits else 0
    svg = _svg(chart.title, _TOP + _HEIGHT + 56.0 + 20.0 * (legend_rows + limits_row))
    right, bottom = _WIDTH - _RIGHT, _TOP + _HEIGHT

    def at(point: Point) -> Point:
        across = _LEFT + (right - _LEFT) * x.place(point[0])
        return across, bottom - _HEIGHT * y.place(point[1])

    for place, name in y.ticks():
        height = bottom - _HEIGHT * place
        _add(svg, "path", {"d": f"M{_LEFT:.1f} {height:.1f}H{right:.1f}", "class": "grid"})
        _text(svg, (_LEFT - 8.0, height + 4.0), name, "soft end")
    for place, name in x.ticks():
        across = _LEFT + (right - _LEFT) * place
        _add(svg, "path", {"d": f"M{across:.1f} {bottom:.1f}v5", "class": "grid"})
        _text(svg, (across, bottom + 20.0), name, "soft middle")
    _text(svg, ((_LEFT + right) / 2.0, bottom + 40.0), chart.x.title, "soft middle")
    _text(svg, (_LEFT, _TOP - 6.0), chart.y.title, "soft")
    for limit in chart.limits:
        _limit(svg, limit, at, (_LEFT, right))
    for index, curve in enumerate(chart.curves):
        _curve(svg, curve, index, [at(point) for point in curve.points])
    _legend(svg, chart.curves, bottom + 62.0)
    if chart.limits:
        _limit_legend(svg, _LEFT + 16.0, bottom + 62.0 + 20.0 * legend_rows)
    return _written(svg)


def _limit(
    svg: ET.Element,
    limit: Limit,
    at: Callable[[Point], Point],
    ends: tuple[float, float],
) -> None:
    across, height = at((limit.x or 0.0, limit.y))
    start, end = ends if limit.x is None else (across - 16.0, across + 16.0)
    line = {"d": f"M{start:.1f} {height:.1f}H{end:.1f}", "class": f"limit {limit.kind}"}
    drawn = _add(svg, "path", line)
    ET.SubElement(drawn, "title").text = f"{limit.kind} of {limit.name}"


def _curve(svg: ET.Element, curve: Curve, index: int, placed: Sequence[Point]) -> None:
    colour = f"c{index % len(_DASHES)}"
    group = ET.SubElement(svg, "g", {"class": colour})
    ET.SubElement(group, "title").text = curve.name
    if curve.shown != "dots" and len(placed) > 1:
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in placed)
        _add(group, "path", {"d": path, "class": "curve"} | _dashed(curve, index))
    if curve.shown == "dots" or _dotted(curve):
        radius = "5" if curve.shown == "dots" else "2.5"
        for x, y in placed:
            dot = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": radius, "class": "dot"}
            _add(group, "circle", dot)


def _dotted(curve: Curve) -> bool:
    return curve.shown == "line" and 0 < len(curve.points) <= _DOTS_MAX


def _dashed(curve: Curve, index: int) -> dict[str, str]:
    dashes = "6 5" if curve.shown == "dashed" else _DASHES[index % len(_DASHES)]
    return {"stroke-dasharray": dashes} if dashes else {}


def _legend(svg: ET.Element, curves: Sequence[Curve], top: float) -> None:
    """Two names a row, each with a sample of its line."""
    for index, curve in enumerate(curves):
        x = _LEFT + (index % 2) * (_WIDTH - _LEFT) / 2.0
        y = top + 20.0 * (index // 2)
        sample = Curve(name=curve.name, points=(), shown=curve.shown)
        middle = (
            ((x + 16.0, y - 4.0),) if curve.shown == "dots" else ((x, y - 4.0), (x + 32.0, y - 4.0))
        )
        _curve(svg, sample, index, middle)
        _text(svg, (x + 42.0, y), curve.name, "")


def _svg(title: str, height: float) -> ET.Element:
    box = f"0 0 {_WIDTH:.0f} {height:.0f}"
    return ET.Element("svg", {"viewBox": box, "role": "img", "aria-label": title})


def _add(parent: ET.Element, tag: str, attributes: Attributes) -> ET.Element:
    return ET.SubElement(parent, tag, dict(attributes))


def _text(parent: ET.Element, at: Point, text: str, role: str) -> None:
    place = {"x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}"}
    _add(parent, "text", place | ({"class": role} if role else {})).text = text


def _written(svg: ET.Element) -> str:
    return ET.tostring(svg, encoding="unicode")
