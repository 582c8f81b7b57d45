import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.wakefulness import ClockReading, read_clocks, slept_s


def reading(awake_s: float, asleep_s: float, apart_s: float = 0.0) -> ClockReading:
    """Both clocks when the machine has been awake and asleep for so long."""
    return ClockReading(awake_s=awake_s, elapsed_s=awake_s + asleep_s, apart_s=apart_s)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e5), st.floats(0.2, 1e5))
def test_sleep_is_told_from_being_awake(
    start_s: float, earlier_s: float, awake_s: float, asleep_s: float
) -> None:
    """Only what was slept between the readings counts, however long the machine was awake."""
    before = reading(start_s, earlier_s)
    assert slept_s(before, reading(start_s + awake_s, earlier_s)) == 0.0
    after = reading(start_s + awake_s, earlier_s + asleep_s)
    assert slept_s(before, after) == pytest.approx(asleep_s, abs=1e-6)


@given(st.floats(0, 10), st.floats(0, 10))
def test_clocks_read_apart_are_no_sleep(before_s: float, after_s: float) -> None:
    """A process that is halted between reading one and the other has not slept."""
    before, after = reading(10, 0, apart_s=before_s), reading(20, before_s + after_s, after_s)
    assert slept_s(before, after) == 0.0


def test_without_a_second_clock_no_sleep_is_found() -> None:
    """Nothing is known on such a system."""
    before = read_clocks(elapsed=None)
    assert before.elapsed_s is None
    assert slept_s(before, reading(before.awake_s, 1e6)) == 0.0
    assert slept_s(reading(before.awake_s, 1e6), before) == 0.0


def test_the_best_of_several_readings_is_taken() -> None:
    """One between whose two clocks the least time went by, its middle beside the other clock."""
    times = iter([0.0, 8.0, 10.0, 10.5, 20.0, 24.0])
    elapsed = iter([104.0, 110.25, 122.0])
    best = read_clocks(lambda: next(times), lambda: next(elapsed))
    assert best == ClockReading(awake_s=10.25, elapsed_s=110.25, apart_s=0.25)


@pytest.mark.skipif(sys.platform != "linux", reason="the second clock is Linux's")
def test_this_machine_has_both_clocks() -> None:
    """The clock that goes on is never behind, and the one that rests is that of the budgets."""
    earliest_s = time.monotonic()
    now = read_clocks()
    assert now.elapsed_s is not None
    assert now.elapsed_s >= now.awake_s - now.apart_s
    assert earliest_s <= now.awake_s <= time.monotonic()
    assert slept_s(now, now) == 0.0
