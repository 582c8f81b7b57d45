"""One generator's share of a run: what it is given, and what it gives back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from groundspeed.load._result import OK, Overflow, Samples
from groundspeed.load.agenda import Agenda
from groundspeed.load.recorder import Outcomes, Recorder

__all__ = ["Beat", "Part", "PartResult", "choices"]

T = TypeVar("T")

_DRAWN = 4096
_BEAT_NS = 500_000_000
_RECENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A sign of life.

    Attributes:
        count: Samples until now.
        failures: Of the recent ones, how many failed.
        recent: How many samples the last two are of.
        response_s_p95: 95th percentile of the recent good answers; 0 without one.
    """

    count: int
    failures: int
    recent: int
    response_s_p95: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartResult:
    """What one generator has found.

    Attributes:
        samples: In order, in nanoseconds since the run's start.
        overflow: What was only counted.
        outcomes: Names of the outcomes' numbers.
        offered: Arrivals it took up.
        busy_share: Share of the time neither asleep nor waiting.
        in_flight_ns: The number in flight, integrated over the run: L times its length.
    """

    samples: Samples
    overflow: Overflow | None
    outcomes: tuple[str, ...]
    offered: int
    busy_share: float
    in_flight_ns: int


@dataclass(slots=True, kw_only=True)
class Part:
    """What one generator is given, and tells while it runs.

    Attributes:
        agenda: What is due.
        recorder: Where samples go.
        outcomes: Numbers of the classes of failure.
        start_ns: When the run starts, on the clock.
        clock: The monotonic clock, in nanoseconds.
        timeout_ns: After which a request has failed.
        say: Told a sign of life twice a second.
        stopping: Set from outside to end the run early.
        offered: Arrivals taken up.
        idle_ns: Time asleep or waiting.
        in_flight_ns: Integral of the number in flight, complete when none is.
    """

    agenda: Agenda
    recorder: Recorder
    outcomes: Outcomes
    start_ns: int
    clock: Callable[[], int]
    timeout_ns: int
    say: Callable[[Beat], None]
    stopping: bool = False
    offered: int = 0
    idle_ns: int = 0
    in_flight_ns: int = 0
    _next_beat_ns: int = field(default=_BEAT_NS)

    def chores(self, now_ns: int) -> None:
        """Settle the samples and give a sign of life when it is time; called between requests."""
        recorder = self.recorder
        if now_ns >= self._next_beat_ns:
            self._next_beat_ns = now_ns + _BEAT_NS
            self.say(_beat(recorder))
        if recorder.is_full:
            recorder.settle()

    def result(self, wall_ns: int) -> PartResult:
        """All that was found, after `wall_ns` nanoseconds of running."""
        samples, overflow = self.recorder.result()
        return PartResult(
            samples=samples,
            overflow=overflow,
            outcomes=self.outcomes.names,
            offered=self.offered,
            busy_share=max(0.0, 1.0 - self.idle_ns / wall_ns) if wall_ns > 0 else 0.0,
            in_flight_ns=self.in_flight_ns,
        )


def _beat(recorder: Recorder) -> Beat:
    size = min(_RECENT, len(recorder.outcome))
    recent = range(-size, 0)
    times = [recorder.end[n] - recorder.begun[n][0] for n in recent if recorder.outcome[n] == OK]
    # Sorted by hand: a quantile of numpy's takes ten times as long, and a request may be due.
    p95 = sorted(times)[len(times) * 95 // 100] * 1e-9 if times else 0.0
    return Beat(count=recorder.count, failures=size - len(times), recent=size, response_s_p95=p95)


def choices(
    variants: Sequence[Sequence[T]], weights: Sequence[float], seed: Sequence[int]
) -> Iterator[tuple[int, T]]:
    """Draw operations by weight, each with one of its variants, for ever."""
    rng = np.random.default_rng(seed)
    shares = np.array(weights) / np.sum(weights)
    single = [(0, variants[0][0])] if len(variants) == 1 == len(variants[0]) else None
    while True:
        if single is not None:
            yield from single * _DRAWN
            continue
        operations = rng.choice(len(variants), size=_DRAWN, p=shares)
        sizes = np.array([len(own) for own in variants])[operations]
        numbers = (rng.random(_DRAWN) * sizes).astype(np.int64)
        for operation, number in zip(operations.tolist(), numbers.tolist(), strict=True):
            yield operation, variants[operation][number]
