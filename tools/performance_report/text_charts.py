"""Charts as lines of text, for Markdown: repository hosts show no picture that is not a file."""

from collections.abc import Sequence

from tools.performance_report.amounts import amount_of, cut
from tools.performance_report.axes import Span, span_of
from tools.performance_report.blocks import Axis, Chart, Curve, Lines, Range, Ranges
from tools.performance_report.stored import Figure

__all__ = ["text_chart"]

_WIDTH = 40
_BLOCKS = "▁▂▃▄▅▆▇█"
_NAME_MAX = 48


def text_chart(chart: Chart) -> list[str]:
    """The lines of a chart, its title first."""
    return _ranges(chart) if isinstance(chart, Ranges) else _lines(chart)


def _ranges(chart: Ranges) -> list[str]:
    span = span_of(chart.axis, _values(chart.rows))
    names = [cut(row.name, _NAME_MAX) for row in chart.rows]
    width = max(map(len, names))
    first, last = span.ticks()[0], span.ticks()[-1]
    drawn = [
        f"{name:<{width}} {_strip(row, span)} {row.text}"
        for name, row in zip(names, chart.rows, strict=True)
    ]
    scale = f"{'':<{width}} axis: {chart.axis.title}, from about {first[1]} to {last[1]}"
    legend = f"{'':<{width}} ● value  ─ interval  │ target  ┃ critical value"
    return [chart.title, *drawn, scale, legend]


def _values(rows: Sequence[Range]) -> list[float]:
    every = [(row.value, row.low, row.high, row.target, row.critical) for row in rows]
    return [value for row in every for value in row if value is not None]


def _strip(row: Range, span: Span) -> str:
    cells = ["·"] * _WIDTH

    def at(value: float) -> int:
        return min(_WIDTH - 1, int(span.place(value) * _WIDTH))

    for cell in range(at(row.low), at(row.high) + 1):
        cells[cell] = "─"
    for limit, shape in ((row.target, "│"), (row.critical, "┃")):
        if limit is not None:
            cells[at(limit)] = shape
    cells[at(row.value)] = "●"
    return "".join(cells)


def _lines(chart: Lines) -> list[str]:
    curves = [curve for curve in chart.curves if curve.points]
    if not curves:
        return [chart.title, "no point to show"]
    every = [point for curve in curves for point in curve.points]
    spans = (
        span_of(chart.x, (x for x, _ in every)),
        span_of(chart.y, (y for _, y in every), height=True),
    )
    names = [cut(curve.name, _NAME_MAX) for curve in curves]
    width = max(map(len, names))
    drawn = [
        f"{name:<{width}} {_spark(curve, spans)} {_reach(curve, chart.y)}"
        for name, curve in zip(names, curves, strict=True)
    ]
    ticks = spans[0].ticks()
    across = f"from {ticks[0][1]} to {ticks[-1][1]}" if ticks else ""
    axes = f"across: {chart.x.title} {across}; up: {chart.y.title}"
    limits = [
        f"{limit.kind} of {limit.name}: {amount_of(Figure(value=limit.y, unit=chart.y.unit)).value}"
        for limit in chart.limits
    ]
    return [chart.title, *drawn, axes, *limits]


def _spark(curve: Curve, spans: tuple[Span, Span]) -> str:
    """The mean height of the points in each column; between points the height goes straight."""
    x, y = spans
    placed = sorted((x.place(a), y.place(b)) for a, b in curve.points)
    return "".join(_block(_height(placed, (column + 0.5) / _WIDTH)) for column in range(_WIDTH))


def _block(height: float | None) -> str:
    if height is None:
        return " "
    return _BLOCKS[min(len(_BLOCKS) - 1, int(height * len(_BLOCKS)))]


def _height(placed: Sequence[tuple[float, float]], x: float) -> float | None:
    half = 0.5 / _WIDTH
    inside = [y for at, y in placed if x - half <= at <= x + half]
    if inside:
        return sum(inside) / len(inside)
    before = [point for point in placed if point[0] < x]
    after = [point for point in placed if point[0] > x]
    if not before or not after:
        return None
    (x0, y0), (x1, y1) = before[-1], after[0]
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _reach(curve: Curve, axis: Axis) -> str:
    heights = [y for _, y in curve.points]
    least, most = (
        amount_of(Figure(value=end, unit=axis.unit)).value for end in (min(heights), max(heights))
    )
    return f"{least} to {most}"
