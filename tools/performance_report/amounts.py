"""Numbers for people: a value, its interval and one unit for all three.

Three significant digits; counts keep all of theirs. Values are in seconds, bytes, shares and per
second everywhere else.
"""

import math
import re
from dataclasses import dataclass

from tools.performance_report.stored import Figure

__all__ = ["Amount", "Scale", "amount_of", "cut", "digits", "scale_of", "words"]

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))
_UNKNOWN = "unknown"
# A unit at the end of a name, or before what of the distribution it is.
_UNIT = re.compile(
    r"_(per_s|s|bytes|share|count|ratio)(?=_(p\d|mean|median|min|max|least|most|sd|peak)|$)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A unit as it is shown: a value is divided by `factor` and followed by `name`."""

    factor: float
    name: str

    def number(self, value: float) -> str:
        """The number alone."""
        return digits(value / self.factor)

    def text(self, value: float) -> str:
        """Number and unit."""
        gap = "" if self.name == "x" else " "
        return f"{self.number(value)}{gap}{self.name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A value with its unit, and its interval in the same one; empty where there is none."""

    value: str
    interval: str = ""

    @property
    def text(self) -> str:
        """Both, in a line."""
        return f"{self.value} {self.interval}".strip()


_SCALED = {"s": _TIMES, "bytes": _SIZES}
_NAMED = {
    "share": Scale(factor=0.01, name="%"),
    "count": Scale(factor=1.0, name=""),
    "ratio": Scale(factor=1.0, name="x"),
    "times": Scale(factor=1.0, name="x"),
}


def digits(value: float) -> str:
    """Three significant digits, all before the point, no exponent between 1e-6 and 1e15."""
    if not math.isfinite(value):
        return "infinite" if math.isinf(value) else _UNKNOWN
    if value == 0.0:
        return "0"
    # Rounded before the place of the last digit is chosen, or 9.999 were 10.00.
    rounded = float(f"{value:.2e}")
    size = math.floor(math.log10(abs(rounded)))
    if not -6 <= size < 15:  # noqa: PLR2004 - beyond, the digits before or after are noise
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - size)}f}"


def scale_of(unit: str, value: float) -> Scale:
    """How a unit is shown of a value of this size.

    Args:
        unit: As in `Figure`.
        value: The largest that is to be shown.
    """
    if unit in _SCALED:
        return _fitting(_SCALED[unit], value)
    if unit.startswith("per "):
        return Scale(factor=1.0, name=f"/{unit.removeprefix('per ')}")
    return _NAMED.get(unit, Scale(factor=1.0, name=unit))


def _fitting(scales: tuple[tuple[float, str], ...], value: float) -> Scale:
    size = abs(float(f"{value:.2e}")) if math.isfinite(value) else 1.0
    if size == 0.0:
        return Scale(factor=1.0, name=scales[-1][1] if scales is _SIZES else "s")
    factor, name = next(((f, n) for f, n in scales if size >= f), scales[-1])
    return Scale(factor=factor, name=name)


def amount_of(figure: Figure) -> Amount:
    """A figure as it is shown; what was read and not estimated has no interval to show."""
    if figure.value is None or not math.isfinite(figure.value):
        return Amount(value=_UNKNOWN)
    if figure.unit in {"count", ""} and float(figure.value).is_integer():
        value = f"{figure.value:,.0f}"
    else:
        value = scale_of(figure.unit, figure.value).text(figure.value)
    return Amount(value=value, interval=_interval(figure))


def _interval(figure: Figure) -> str:
    low, high = figure.low, figure.high
    if figure.value is None or low is None or low == high == figure.value:
        return ""
    scale = scale_of(figure.unit, figure.value)
    upper = "no upper end" if high is None else scale.number(high)
    return f"({scale.number(low)} to {upper})"


def cut(name: str, length: int) -> str:
    """A name of at most so many characters; the middle goes, for names differ at their ends."""
    if len(name) <= length:
        return name
    end = length // 3
    return f"{name[: length - end - 1]}…{name[-end:]}"


def words(name: str) -> str:
    """A metric's name for people: `db_latency_s_p95` is `db latency p95`."""
    # A dot stands after the name of one of several runs; that of a number is left.
    return re.sub(r"_|\.(?=\D)", " ", _UNIT.sub("", name)).strip()
