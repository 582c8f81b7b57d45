"""The fake clock keeps the one promise of a monotonic clock."""

import pytest

from sergas.clock import FakeClock, SystemClock


def test_fake_clock_moves_only_when_told() -> None:
    """Two readings without an advance are equal, and an advance adds exactly."""
    clock = FakeClock(5.0)
    assert clock.monotonic_s() == clock.monotonic_s() == 5.0
    clock.advance(2.5)
    assert clock.monotonic_s() == 7.5


def test_fake_clock_never_goes_back() -> None:
    """A negative advance is refused with the value that was seen."""
    with pytest.raises(ValueError, match="-1"):
        FakeClock().advance(-1)


def test_system_clock_does_not_go_back() -> None:
    """Later readings are never smaller."""
    clock = SystemClock()
    first = clock.monotonic_s()
    assert clock.monotonic_s() >= first
