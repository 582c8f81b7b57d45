"""Whether the machine slept: what was measured around a suspension says nothing.

Linux keeps two clocks that differ by just that: CLOCK_MONOTONIC stands still while the machine is
suspended, CLOCK_BOOTTIME goes on. As Python's own monotonic clock is the former, a budget counted
on it has the sleep taken out already. Elsewhere nothing is known and no sleep is ever found.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ClockReading", "read_clocks", "slept_s"]

_ATTEMPTS = 3
_SURE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """Both clocks at one moment.

    Attributes:
        awake_s: Seconds on the clock that stands still in sleep.
        elapsed_s: Seconds on the clock that goes on; None where there is none.
        apart_s: How far apart the two readings may be at most.
    """

    awake_s: float
    elapsed_s: float | None
    apart_s: float


def _elapsed_clock() -> Callable[[], float] | None:
    number = getattr(time, "CLOCK_BOOTTIME", None)
    return None if number is None else lambda: time.clock_gettime(number)


_ELAPSED = _elapsed_clock()


def read_clocks(
    awake: Callable[[], float] = time.monotonic,
    elapsed: Callable[[], float] | None = _ELAPSED,
) -> ClockReading:
    """Read both clocks as nearly at once as the system lets it: the best of a few attempts."""
    if elapsed is None:
        return ClockReading(awake_s=awake(), elapsed_s=None, apart_s=0.0)
    readings = [_read_once(awake, elapsed) for _ in range(_ATTEMPTS)]
    return min(readings, key=lambda reading: reading.apart_s)


def _read_once(awake: Callable[[], float], elapsed: Callable[[], float]) -> ClockReading:
    before_s = awake()
    elapsed_s = elapsed()
    apart_s = (awake() - before_s) / 2
    return ClockReading(awake_s=before_s + apart_s, elapsed_s=elapsed_s, apart_s=apart_s)


def slept_s(before: ClockReading, after: ClockReading) -> float:
    """Seconds the machine was suspended between two readings; 0 if it was not, or none can tell.

    What reading the clocks one after the other explains, and a tenth of a second more, is no sleep:
    a suspension takes longer than that.
    """
    if before.elapsed_s is None or after.elapsed_s is None:
        return 0.0
    asleep_s = (after.elapsed_s - before.elapsed_s) - (after.awake_s - before.awake_s)
    doubt_s = before.apart_s + after.apart_s + _SURE_S
    return asleep_s if asleep_s > doubt_s else 0.0
