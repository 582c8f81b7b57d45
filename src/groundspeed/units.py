"""Units for people: seconds, ratios and shares as short text.

Numbers are kept in seconds and plain ratios everywhere else.
"""

__all__ = ["format_duration", "format_percent", "format_ratio", "format_seconds", "parse_share"]

_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_MINUTE_S = 60
_HOUR_MIN = 60
_ROUNDING = 1e-9  # what dividing by a scale may lose


def format_seconds(seconds: float) -> str:
    """A time per call with three significant digits and its unit: `12.8 µs`."""
    rounded = float(f"{seconds:.2e}")  # before the unit is chosen, or 999.9 µs were 1000 µs
    scale, unit = next(((s, u) for s, u in _SCALES if abs(rounded) >= s), _SCALES[-1])
    value = rounded / scale
    digits = max(0, 3 - len(str(int(abs(value) + _ROUNDING))))
    return f"{value:.{digits}f} {unit}"


def format_duration(seconds: float) -> str:
    """A waiting time for a person: `4.7 s`, `48 s`, `2 min 05 s`, `1 h 02 min`."""
    if round(seconds, 1) < 10:  # noqa: PLR2004 - below it tenths matter
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE_S)
    if minutes == 0:
        return f"{rest} s"
    if minutes < _HOUR_MIN:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // _HOUR_MIN} h {minutes % _HOUR_MIN:02d} min"


def format_ratio(ratio: float) -> str:
    """Candidate / base: `1.053x`."""
    return f"{ratio:.3f}x"


def format_percent(share: float) -> str:
    """A share as a percentage, of two digits or whole: 0.005 is `0.5 %`, 0.0123 is `1.2 %`."""
    if abs(share) >= 0.1:  # noqa: PLR2004 - from 10 % on two digits are whole
        return f"{share * 100:.0f} %"
    return f"{float(f'{share * 100:.1e}'):.6f}".rstrip("0").rstrip(".") + " %"


def parse_share(text: str) -> float:
    """A share typed by a user: `1%`, `0.5 %` or `0.01`.

    Raises:
        ValueError: If it is not a number, or not above 0 and below 1.
    """
    stripped = text.strip()
    number = stripped.removesuffix("%").strip()
    try:
        share = float(number) / (100 if stripped.endswith("%") else 1)
    except ValueError:
        share = float("nan")
    if not 0 < share < 1:
        raise ValueError(f"got {text!r}, needed a share above 0 and below 1 such as 1% or 0.01")
    return share
