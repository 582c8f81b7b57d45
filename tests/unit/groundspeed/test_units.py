import math
import re

import pytest

from groundspeed.units import (
    format_bytes,
    format_duration,
    format_percent,
    format_ratio,
    format_seconds,
    format_value,
    parse_share,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00 ns"),
        (1e-10, "0.10 ns"),
        (61.4e-9, "61.4 ns"),
        (12.8e-6, "12.8 µs"),
        (9.996e-6, "10.0 µs"),
        (99.96e-6, "100 µs"),
        (999.6e-6, "1.00 ms"),
        (0.0125, "12.5 ms"),
        (59.99, "60.0 s"),
        (-3e-3, "-3.00 ms"),
    ],
)
def test_a_time_has_three_digits_and_the_unit_they_need(seconds: float, text: str) -> None:
    """Rounding comes before the unit, so 999.6 µs is a millisecond and never 1000 µs."""
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125.0, "2 min 05 s"),
        (3599.6, "1 h 00 min"),
        (90_061.0, "25 h 01 min"),
    ],
)
def test_a_waiting_time_carries_into_the_next_unit(seconds: float, text: str) -> None:
    """There is no `60 s` and no `60 min`."""
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"),
        (1e-5, "0.001 %"),
        (0.005, "0.5 %"),
        (0.01, "1 %"),
        (0.0375, "3.8 %"),
        (0.0999, "10 %"),
        (0.1, "10 %"),
        (0.98, "98 %"),
        (0.995, "100 %"),
        (1.5, "150 %"),
        (-0.02, "-2 %"),
    ],
)
def test_a_percentage_is_never_in_scientific_notation(share: float, text: str) -> None:
    """Two digits below 10 %, whole percent from there on."""
    assert format_percent(share) == text


def test_a_ratio_has_three_decimals() -> None:
    """A thousandth is a tenth of the smallest change reported."""
    assert format_ratio(1.0531) == "1.053x"


@pytest.mark.parametrize(
    ("text", "share"), [("1%", 0.01), ("0.5 %", 0.005), (" 0.01 ", 0.01), ("2e-2", 0.02)]
)
def test_a_share_is_read_with_or_without_percent(text: str, share: float) -> None:
    """What users type is taken as they mean it."""
    assert math.isclose(parse_share(text), share)


@pytest.mark.parametrize(
    "text", ["", "%", "5", "0", "0%", "100%", "-1%", "nan", "inf%", "1%%", "a"]
)
def test_a_share_out_of_range_is_refused_with_an_example(text: str) -> None:
    """The message says what was got and what is needed."""
    with pytest.raises(ValueError, match=re.escape(f"got {text!r}, needed a share above 0")):
        parse_share(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0.0, "0 bytes"),
        (1.0, "1 byte"),
        (512.0, "512 bytes"),
        (999.6, "1.00 kB"),
        (48.12e6, "48.1 MB"),
        (999.6e6, "1.00 GB"),
        (3.2e15, "3200 TB"),
        (-2048.0, "-2.05 kB"),
    ],
)
def test_a_size_has_three_digits_and_the_unit_they_need(size: float, text: str) -> None:
    """Decimal units, whole bytes; a size that rounds up takes the next unit."""
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (12.8e-6, "s", "12.8 µs"),
        (48.1e6, "bytes", "48.1 MB"),
        (1_284_110.0, "instructions", "1,284,110 instructions"),
        (900.0, "per s", "900 /s"),
        (0.8754321, "unit", "0.8754"),
        (3.0, "retries", "3 retries"),
        (0.0, "unit", "0"),
        (1e18, "unit", "1e+18"),
    ],
)
def test_a_value_is_told_in_its_unit(value: float, unit: str, text: str) -> None:
    """Large counts whole, for two of them may differ in their last digits only."""
    assert format_value(value, unit) == text
