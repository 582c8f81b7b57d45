from hypothesis import given
from hypothesis import strategies as st

from groundspeed.units import format_duration, format_percent, format_seconds, parse_share

SCALES = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
MEASURED_S = st.floats(1e-9, 1e5)


@given(MEASURED_S)
def test_what_is_shown_is_what_was_measured(seconds: float) -> None:
    """A shown time is within half a unit of its third digit."""
    number, unit = format_seconds(seconds).split(" ")
    shown_s = float(number) * SCALES[unit]
    assert abs(shown_s - seconds) <= 0.00501 * seconds


@given(MEASURED_S)
def test_a_number_below_a_thousand_seconds_has_three_digits(seconds: float) -> None:
    """One to 999 of a unit, with three digits, until the seconds run out of larger units."""
    number, unit = format_seconds(seconds).split(" ")
    if unit != "s" or float(number) < 1000:
        assert 1 <= float(number) < 1000
        assert len(number.replace(".", "")) == 3


@given(st.floats(0, 1e7), st.floats(0, 1e7))
def test_a_longer_wait_never_reads_shorter(one_s: float, other_s: float) -> None:
    """Waiting times keep their order when they are read back."""
    shorter, longer = sorted((one_s, other_s))
    assert seconds_read(format_duration(shorter)) <= seconds_read(format_duration(longer))


def seconds_read(text: str) -> float:
    """A waiting time as a person reads it."""
    words = text.split(" ")
    units = {"s": 1, "min": 60, "h": 3600}
    return sum(
        float(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True)
    )


@given(st.floats(1e-6, 0.98))
def test_a_share_shown_can_be_typed_again(share: float) -> None:
    """The percentage shown is read back within its two digits."""
    assert abs(parse_share(format_percent(share)) - share) <= 0.0501 * share
