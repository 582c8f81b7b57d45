"""Units for people: seconds, bytes, ratios and shares as short text.

Numbers are kept in seconds, bytes and plain ratios everywhere else.
"""

__all__ = [
    "format_bytes",
    "format_duration",
    "format_percent",
    "format_ratio",
    "format_seconds",
    "format_value",
    "parse_share",
]

_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_MINUTE_S = 60
_HOUR_MIN = 60
_ROUNDING = 1e-9  # what dividing by a scale may lose


def format_seconds(seconds: float) -> str:
    """A time per call with three significant digits and its unit: `12.8 µs`."""
    rounded = float(f"{seconds:.2e}")  # before the unit is chosen, or 999.9 µs were 1000 µs
    scale, unit = next(((s, u) for s, u in _SCALES if abs(rounded) >= s), _SCALES[-1])
    return f"{_three_digits(rounded / scale)} {unit}"


def format_bytes(size: float) -> str:
    """A size with three significant digits and its decimal unit: `48.1 MB`, `512 bytes`."""
    rounded = float(f"{size:.2e}")
    for scale, unit in _SIZES:
        if abs(rounded) >= scale:
            return f"{_three_digits(rounded / scale)} {unit}"
    return f"{round(size)} {'byte' if round(size) == 1 else 'bytes'}"


def format_value(value: float, unit: str) -> str:
    """A value in its unit: `12.8 µs`, `48.1 MB`, `1,284,110 instructions`, `900 /s`, `0.87`.

    Args:
        value: In that unit.
        unit: `s` and `bytes` are scaled, `per s` is written `/s`, `unit` stands for none.
    """
    match unit:
        case "s":
            return format_seconds(value)
        case "bytes":
            return format_bytes(value)
        case "unit":
            return _number(value)
        case _:
            per = unit.removeprefix("per ")
            return f"{_number(value)} {unit if per == unit else f'/{per}'}"


def _number(value: float) -> str:
    """Four digits, or all before the point of what is larger, for counts differ in their last."""
    if 1e3 <= abs(value) < 1e15:  # noqa: PLR2004 - below it a float is a whole number exactly
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _three_digits(value: float) -> str:
    digits = max(0, 3 - len(str(int(abs(value) + _ROUNDING))))
    return f"{value:.{digits}f}"


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
