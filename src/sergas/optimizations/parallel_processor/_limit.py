"""How many chunks may be out at a time: fixed, or learnt from how the far side takes them.

More concurrency than the far side can take only makes its queue longer. A limiter watches how long
items take and whether they fail, and moves the limit between 1 and a bound.

References:
    Chiu and Jain (1989), Analysis of the increase and decrease algorithms for congestion avoidance
    in computer networks, Computer Networks and ISDN Systems 17: AIMD converges to a fair and
    efficient limit.
    Netflix (2018), concurrency-limits, `Gradient2Limit`: the ratio of the long-term and the present
    latency as a gradient.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from sergas.errors import ProcessorValueError

__all__ = [
    "LIMITERS",
    "AimdLimit",
    "FixedLimit",
    "GradientLimit",
    "Limiter",
    "Sample",
    "latency_of",
    "limiter",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one chunk has shown.

    Attributes:
        latency_s: Seconds an item took, > 0.
        in_flight: Chunks that were out when it came back, itself included, >= 1.
        is_dropped: Whether an item in it ran out of time or was refused.
    """

    latency_s: float
    in_flight: int
    is_dropped: bool = False


class Limiter(Protocol):
    """A limit that follows what chunks have shown; immutable."""

    @property
    def limit(self) -> int:
        """Chunks that may be out, >= 1."""
        ...

    def after(self, sample: Sample) -> "Limiter":
        """The limiter that has seen one more chunk."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLimit:
    """As many as were asked for, whatever is seen."""

    limit: int

    def after(self, sample: Sample) -> "FixedLimit":  # noqa: ARG002 - it learns nothing
        """Itself."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class AimdLimit:
    """One more a round while nothing is dropped, a tenth less at each drop.

    Attributes:
        limit_max: Upper bound, >= 1.
        level: The limit as a real number, 1 to `limit_max`.
        backoff: Factor at a drop, in (0, 1).
    """

    limit_max: int
    level: float = 1.0
    backoff: float = 0.9

    @property
    def limit(self) -> int:
        """Chunks that may be out, 1 to `limit_max`."""
        return int(self.level)

    def after(self, sample: Sample) -> "AimdLimit":
        """Grow by 1 / limit a chunk, one a round; shrink at once; hold when it is not used."""
        level = self.level
        if sample.is_dropped:
            level *= self.backoff
        elif sample.in_flight * 2 > self.limit:
            level += 1.0 / level
        return AimdLimit(
            limit_max=self.limit_max,
            level=min(float(self.limit_max), max(1.0, level)),
            backoff=self.backoff,
        )


_SHORT_SMOOTHING = 0.2
_LONG_WINDOW = 600
_LONG_WARM_UP = 10
_TOLERANCE = 1.5
_DRIFT_MAX = 2.0
_DRIFT_RETURN = 0.95
_QUEUE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientLimit:
    """Gradient2: grow while latency is near its long-term mean, shrink as it rises above.

    After each chunk the limit moves a fifth of the way to

        limit * clamp(1.5 * long / latency, 0.5, 1) + 1

    where `long` is an exponential mean over 600 chunks (a plain mean over the first ten). While
    less than half of the limit is used it stays, for then nothing is known about more. A `long`
    above twice the latency is drawn down by a twentieth, so that an overload that is over is soon
    forgotten. The added 1 is the queue that is let build up to find out whether there is room;
    Gradient2's own 4 is meant for servers with limits of 20 and more.

    Attributes:
        limit_max: Upper bound, >= 1.
        level: The limit as a real number, 1 to `limit_max`.
        long_s: Long-term mean of the latency in seconds; 0 before the first chunk.
        seen: Chunks seen.
    """

    limit_max: int
    level: float = 1.0
    long_s: float = 0.0
    seen: int = 0

    @property
    def limit(self) -> int:
        """Chunks that may be out, 1 to `limit_max`."""
        return int(self.level)

    def after(self, sample: Sample) -> "GradientLimit":
        """Move towards what the gradient says; a drop halves at once."""
        seen = self.seen + 1
        weight = 1.0 / seen if seen <= _LONG_WARM_UP else 2.0 / (_LONG_WINDOW + 1)
        long_s = self.long_s + weight * (sample.latency_s - self.long_s)
        level = self.level
        if sample.is_dropped:
            level /= 2.0
        elif sample.in_flight * 2 > self.limit:
            gradient = min(1.0, max(0.5, _TOLERANCE * long_s / sample.latency_s))
            target = level * gradient + _QUEUE
            level += _SHORT_SMOOTHING * (target - level)
        if long_s > _DRIFT_MAX * sample.latency_s:
            long_s *= _DRIFT_RETURN
        return GradientLimit(
            limit_max=self.limit_max,
            level=min(float(self.limit_max), max(1.0, level)),
            long_s=long_s,
            seen=seen,
        )


LIMITERS = ("fixed", "aimd", "gradient")


def limiter(name: str, *, limit_max: int) -> Limiter:
    """The limiter of a name.

    Raises:
        ProcessorValueError: If there is none of that name.
    """
    if name == "fixed":
        return FixedLimit(limit=limit_max)
    if name == "aimd":
        return AimdLimit(limit_max=limit_max)
    if name == "gradient":
        return GradientLimit(limit_max=limit_max)
    known = ", ".join(f'"{known}"' for known in LIMITERS)
    raise ProcessorValueError(f"limit: got {name!r}, needed one of {known}")


def latency_of(busy_s: float, count: int) -> float:
    """Seconds an item of a chunk took, above 0 even where the clock saw none."""
    return max(busy_s / max(1, count), math.ulp(1.0))
