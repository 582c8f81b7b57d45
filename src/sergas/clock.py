"""Time as a parameter: the one place that reads a clock, and the fake that tests advance."""

import time
from typing import Protocol

__all__ = ["Clock", "FakeClock", "SystemClock", "WallClock"]


class Clock(Protocol):
    """A monotonic clock."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        ...


class WallClock(Protocol):
    """The time of day, which processes share; it may be set forward or back."""

    def unix_s(self) -> float:
        """Seconds since 1970 began in UTC."""
        ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    # The function itself: a method that only calls it costs more than the call.
    monotonic_s = staticmethod(time.monotonic)

    def unix_s(self) -> float:
        """Seconds since 1970 began in UTC; may go back when the clock is set."""
        return time.time()  # noqa: TID251 this is the clock that is passed in


class FakeClock:
    """A clock that moves only when told to, for tests."""

    __slots__ = ("_now_s",)

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def monotonic_s(self) -> float:
        """The time last set."""
        return self._now_s

    def unix_s(self) -> float:
        """The same time: of the two clocks this one only moves forward."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds` (>= 0).

        Raises:
            ValueError: If `seconds` is negative; a monotonic clock cannot go back.
        """
        if seconds < 0:
            raise ValueError(f"FakeClock.advance: got {seconds} s, needed 0 or more")
        self._now_s += seconds
