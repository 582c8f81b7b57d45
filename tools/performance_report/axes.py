"""Where values lie on an axis, from 0 to 1, and which of them are named."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tools.performance_report.amounts import digits, scale_of
from tools.performance_report.blocks import Axis

__all__ = ["Span", "span_of"]

_NINES = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)
_STEPS = (1.0, 2.0, 5.0, 10.0)
_TICKS_MAX = 7
_MARGIN = 0.04
# No axis is shorter, or noise fills the chart.
_LEAST_FACTOR = 1.5
_LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An axis with its ends, which are of the transformed values."""

    axis: Axis
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies; what is beyond an end lies on it."""
        moved = _moved(self.axis, value)
        return min(1.0, max(0.0, (moved - self.start) / (self.end - self.start)))

    def ticks(self) -> list[tuple[float, str]]:
        """Places and names, in ascending order."""
        values = [v for v in self._values() if self.start <= _moved(self.axis, v) <= self.end]
        most = max(map(abs, values), default=1.0)
        return [(self.place(value), self._name(value, most)) for value in values]

    def _values(self) -> list[float]:
        match self.axis.kind:
            case "nines":
                return list(_NINES)
            case "log":
                return _log_ticks(self.start, self.end)
            case "linear":
                return _linear_ticks(self.start, self.end, self._factor())

    def _factor(self) -> float:
        """What shown steps are round in: milliseconds, not seconds."""
        return scale_of(self.axis.unit, max(abs(self.start), abs(self.end))).factor

    def _name(self, value: float, most: float) -> str:
        if self.axis.kind == "nines":
            return f"P{100.0 * value:.10g}"
        scale = scale_of(self.axis.unit, value if self.axis.kind == "log" else most)
        gap = "" if scale.name == "x" else " "
        return f"{_short(value / scale.factor)}{gap}{scale.name}".strip()


def _short(number: float) -> str:
    return digits(number).rstrip("0").rstrip(".") if "." in digits(number) else digits(number)


def span_of(axis: Axis, values: Iterable[float], *, height: bool = False) -> Span:
    """The axis on which these values can be shown; on a log axis those above 0.

    Args:
        axis: Of what.
        values: All that is to be shown.
        height: Whether it is the one that goes up.
    """
    usable = [v for v in values if math.isfinite(v) and (axis.kind != "log" or v > 0.0)]
    moved = [_moved(axis, value) for value in usable] or [0.0, 1.0]
    start, end = min(moved), max(moved)
    if axis.kind == "nines":
        return Span(axis=axis, start=0.0, end=max(end, 1.0))
    if axis.kind == "log":
        lack = max(0.0, math.log10(_LEAST_FACTOR) - (end - start)) / 2.0
        margin = _MARGIN * (end - start) + lack + 0.02
        return Span(axis=axis, start=start - margin, end=end + margin)
    if not height:
        return Span(axis=axis, start=start, end=end if end > start else start + 1.0)
    # A height is read as an amount, from zero; only where little changes its change is shown.
    if start > 0.5 * end:
        lack = max(0.0, _LEAST_SHARE * (start + end) - (end - start)) / 2.0
        return Span(axis=axis, start=start - lack, end=end + lack)
    start, end = min(0.0, start), max(0.0, end)
    reach = (end - start) or 1.0
    return Span(axis=axis, start=start, end=end + _MARGIN * reach)


def _moved(axis: Axis, value: float) -> float:
    match axis.kind:
        case "log":
            return math.log10(value) if value > 0.0 else -math.inf
        case "nines":
            return -math.log10(max(1.0 - value, 1e-9))
        case "linear":
            return value


def _log_ticks(start: float, end: float) -> list[float]:
    decades = range(math.floor(start), math.ceil(end) + 1)
    inside: list[float] = []
    for steps in (_STEPS[:3], (1.0, 3.0), (1.0,)):
        found = [step * 10.0**decade for decade in decades for step in steps]
        inside = [value for value in found if start <= math.log10(value) <= end]
        if len(inside) <= _TICKS_MAX + 1:
            break
    return inside[:: max(1, math.ceil(len(inside) / (_TICKS_MAX + 1)))]


def _linear_ticks(start: float, end: float, factor: float) -> list[float]:
    low, high = start / factor, end / factor
    rough = (high - low) / (_TICKS_MAX - 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(s * size for s in _STEPS if s * size >= rough * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [number * step * factor for number in range(first, last + 1)]
