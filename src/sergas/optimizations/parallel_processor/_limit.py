"""How many chunks may be out at a time: fixed, or learnt from how the far side takes them.

More concurrency than the far side can take only makes its queue longer. A limiter watches how long
items take and whether they fail, and moves the limit between 1 and a bound.

References:
    Chiu and Jain (1989), Analysis of the increase and decrease algorithms for congestion avoidance
    in computer networks, Computer Networks and ISDN Systems 17: AIMD converges to a fair and
    efficient limit.
    Netflix (2018), concurrency-limits, `GradientLimit`: the latency without a queue over the
    present one as a gradient, measured anew now and then.
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


_STEP = 0.2
_TOLERANCE = 1.5
_QUEUE = 1.0
_SHORT_WINDOW, _BASE_WINDOW = 20, 100
_BASE_FROM = 30
_PROBE_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientLimit:
    """Grow while latency is near what it is without a queue, shrink as it rises above.

    After each chunk the limit moves a fifth of the way to

        limit * clamp(1.5 * base / short, 0.5, 1) + 1

    `short` is an exponential mean of the latency over 20 chunks, `base` the lowest mean over 100
    that was seen: a single latency says little, one that is exponential is above 1.5 times its
    mean in 22 % of cases. The added 1 is the queue that is let build up to find out whether there
    is room. While less than half of the limit is used it stays, for then nothing is known about
    more.

    A base that is never forgotten would be wrong once the far side has changed, and one that
    follows the latency would follow the queue upwards, as Gradient2's long-term mean does in a
    saturated queue. So every 1,000 chunks the limit is halved and the base is measured anew.

    Attributes:
        limit_max: Upper bound, >= 1.
        level: The limit as a real number, 1 to `limit_max`.
        base_s: Latency without a queue in seconds; 0 until it is known.
        recent_s: Mean latency over 100 chunks.
        short_s: Mean latency over 20 chunks.
        seen: Chunks seen since the base was last measured anew.
    """

    limit_max: int
    level: float = 1.0
    base_s: float = 0.0
    recent_s: float = 0.0
    short_s: float = 0.0
    seen: int = 0

    @property
    def limit(self) -> int:
        """Chunks that may be out, 1 to `limit_max`."""
        return int(self.level)

    def after(self, sample: Sample) -> "GradientLimit":
        """Move towards what the gradient says; a drop halves at once."""
        if self.seen >= _PROBE_EVERY:
            return GradientLimit(limit_max=self.limit_max, level=max(1.0, self.level / 2.0))
        seen = self.seen + 1
        recent_s = _followed(self.recent_s, sample.latency_s, seen, _BASE_WINDOW)
        base_s = self.base_s
        if seen >= _BASE_FROM:
            base_s = recent_s if base_s == 0.0 else min(base_s, recent_s)
        short_s = _followed(self.short_s, sample.latency_s, seen, _SHORT_WINDOW)
        level = self.level
        if sample.is_dropped:
            level /= 2.0
        elif base_s > 0.0 and sample.in_flight * 2 > self.limit:
            gradient = min(1.0, max(0.5, _TOLERANCE * base_s / short_s))
            level += _STEP * (level * gradient + _QUEUE - level)
        return GradientLimit(
            limit_max=self.limit_max,
            level=min(float(self.limit_max), max(1.0, level)),
            base_s=base_s,
            recent_s=recent_s,
            short_s=short_s,
            seen=seen,
        )


def _followed(mean: float, value: float, seen: int, window: int) -> float:
    """An exponential mean over so many values, plain until there are as many."""
    return mean + max(1.0 / seen, 2.0 / (window + 1)) * (value - mean)


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
