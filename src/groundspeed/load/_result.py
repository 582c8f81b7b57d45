"""What a load run has found: raw samples, and the facts that say whether they can be believed.

Times of samples are nanoseconds since the run's start on the monotonic clock that all generator
processes share; everything else is in seconds and bytes.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from groundspeed.stats import BoolArray, FloatArray, IntArray

__all__ = [
    "OK",
    "GeneratorFacts",
    "LoadResult",
    "Overflow",
    "Resources",
    "Samples",
    "StageSpan",
]

OK = 0
"""The outcome of a good answer; every other outcome is a failure."""

SmallIntArray: TypeAlias = npt.NDArray[np.int16]
_NS = 1e-9


def _seconds(nanoseconds: IntArray) -> FloatArray:
    return nanoseconds.astype(np.float64) * _NS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """One entry per arrival, in the order in which they were to start; all of shape (n,).

    Attributes:
        intended_ns: When it was to start.
        taken_ns: When the generator took it up: later than intended is the generator's own lag.
        sent_ns: When it was sent, or called; later than taken where no connection was free.
        end_ns: When its answer was complete, or when it was given up.
        operation: Index into `LoadResult.operations`.
        outcome: Index into `LoadResult.outcomes`; 0 is a good answer.
    """

    intended_ns: IntArray
    taken_ns: IntArray
    sent_ns: IntArray
    end_ns: IntArray
    operation: SmallIntArray
    outcome: SmallIntArray

    def __len__(self) -> int:
        """How many arrivals."""
        return len(self.intended_ns)

    def where(self, chosen: BoolArray) -> "Samples":
        """Those for which `chosen`, shape (n,), is true."""
        return Samples(
            intended_ns=self.intended_ns[chosen],
            taken_ns=self.taken_ns[chosen],
            sent_ns=self.sent_ns[chosen],
            end_ns=self.end_ns[chosen],
            operation=self.operation[chosen],
            outcome=self.outcome[chosen],
        )

    def between(self, start_s: float, end_s: float) -> "Samples":
        """Those that were to start at `start_s` or later and before `end_s`."""
        intended_s = _seconds(self.intended_ns)
        return self.where((intended_s >= start_s) & (intended_s < end_s))

    @property
    def failed(self) -> BoolArray:
        """Which of them failed, shape (n,)."""
        return np.asarray(self.outcome != OK)

    @property
    def response_s(self) -> FloatArray:
        """Seconds from the intended start to the answer, shape (n,); infinite for a failure."""
        return np.where(self.failed, np.inf, _seconds(self.end_ns - self.intended_ns))

    @property
    def service_s(self) -> FloatArray:
        """Seconds from sending to the answer, of good answers only, shape (<= n,)."""
        good = ~self.failed
        return _seconds(self.end_ns[good] - self.sent_ns[good])

    @property
    def lag_s(self) -> FloatArray:
        """Seconds by which the generator itself was late, shape (n,)."""
        return _seconds(self.taken_ns - self.intended_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpan:
    """When a stage was: its name, such as `ramp 0 to 200`, and its seconds of the run."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overflow:
    """Samples beyond the cap, as HDR counts; response and service of good answers.

    Attributes:
        response_counts: Response times in nanoseconds in the buckets of `HistogramLayout()`.
        service_counts: The same of service times.
        outcomes: How many of each outcome, in the order of `LoadResult.outcomes`.
        lag_ns_max: The generator's largest lag among them.
    """

    response_counts: IntArray
    service_counts: IntArray
    outcomes: tuple[int, ...]
    lag_ns_max: int

    @property
    def count(self) -> int:
        """How many samples it stands for."""
        return sum(self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resources:
    """What the target's process tree used, read again and again during the run; shapes (k,).

    Attributes:
        at_s: When, in seconds of the run.
        cpu_s: CPU seconds used by the tree since the first reading.
        rss_bytes: Resident memory of the tree.
        threads: Threads of the tree.
        descriptors: Open file descriptors of the tree.
        switches: Context switches of the tree since the first reading.
        rss_slope_bytes_per_s: Growth of the memory after the warm-up; None of too few readings.
    """

    at_s: FloatArray
    cpu_s: FloatArray
    rss_bytes: FloatArray
    threads: IntArray
    descriptors: IntArray
    switches: IntArray
    rss_slope_bytes_per_s: float | None

    @property
    def cpu_share(self) -> float:
        """CPU seconds per second: 1.0 is one CPU busy all the time."""
        span = float(self.at_s[-1] - self.at_s[0]) if len(self.at_s) > 1 else 0.0
        return float(self.cpu_s[-1] - self.cpu_s[0]) / span if span > 0.0 else 0.0

    @property
    def rss_bytes_peak(self) -> float:
        """The most memory seen."""
        return float(self.rss_bytes.max()) if len(self.rss_bytes) else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorFacts:
    """How the generator fared.

    Attributes:
        processes: How many generator processes.
        busy_share_max: Of the busiest one's time, spent neither asleep nor waiting for an arrival.
        cpu_s: CPU seconds of all of them.
        queued_s: Seconds they were ready to run and had no CPU; None where nothing counts it.
        lag_s_p99: 99th percentile of the generator's lag after the warm-up.
        slept_s: Seconds the machine was suspended.
        others_cpu_share: Share of the machine's CPU time that neither they nor the target used.
        machine_busy_share: Share of the machine's CPU time that was used at all.
    """

    processes: int
    busy_share_max: float
    cpu_s: float
    queued_s: float | None
    lag_s_p99: float
    slept_s: float
    others_cpu_share: float
    machine_busy_share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadResult:
    """A whole load run.

    Attributes:
        name: The scenario's.
        model: The model and its numbers, for a reader: `open, 100/s, poisson`.
        seed: Of every random choice.
        duration_s: From the first arrival to the end of the schedule.
        drained_s: From the first arrival to the last answer.
        warm_up_s: Samples that were to start earlier are not judged; found unless it was given.
        steady: Whether a settled part was found; False means that nothing was cut off.
        offered: Arrivals that were to be made, the warm-up included.
        samples: Every arrival, the warm-up included, up to the cap.
        overflow: What came after the cap; None where nothing did.
        operations: Names of the operations.
        outcomes: Names of the outcomes: `ok`, then the classes of failure.
        stages: The stages as they were run.
        resources: Of the target; None where it was not watched.
        generator: How the generator fared.
        littles_law_gap: |L - X R| / L, L being the mean number in flight; see `littles_law`.
        partial: Whether it was interrupted.
        invalid: Why the run says nothing about the target, a sentence each; empty when valid.
        notes: What a reader should know beside it, a sentence each.
        started_ns: When it began, on the machine's monotonic clock (`time.perf_counter_ns`).
    """

    name: str
    model: str
    seed: int
    duration_s: float
    drained_s: float
    warm_up_s: float
    steady: bool
    offered: int
    samples: Samples
    overflow: Overflow | None = None
    operations: tuple[str, ...]
    outcomes: tuple[str, ...]
    stages: tuple[StageSpan, ...]
    resources: Resources | None = None
    generator: GeneratorFacts
    littles_law_gap: float
    partial: bool = False
    invalid: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    started_ns: int = 0

    @property
    def valid(self) -> bool:
        """Whether the run says anything about the target."""
        return not self.invalid

    @property
    def measured(self) -> Samples:
        """The raw samples after the warm-up: what percentiles are of."""
        return self.samples.between(self.warm_up_s, np.inf)

    @property
    def response_s(self) -> FloatArray:
        """Response times after the warm-up from the intended start; a failure is infinite."""
        return self.measured.response_s

    @property
    def service_s(self) -> FloatArray:
        """Service times after the warm-up, of good answers."""
        return self.measured.service_s

    @property
    def lag_s(self) -> FloatArray:
        """The generator's lags after the warm-up."""
        return self.measured.lag_s

    @property
    def recorded(self) -> int:
        """Arrivals that have a sample or a count, good or failed: all that were offered."""
        return len(self.samples) + (self.overflow.count if self.overflow else 0)

    @property
    def errors(self) -> dict[str, int]:
        """Failures by class, in the whole run, only those seen."""
        counts = np.bincount(self.samples.outcome, minlength=len(self.outcomes))
        if self.overflow is not None:
            counts = counts + np.array(self.overflow.outcomes)
        named = zip(self.outcomes, counts.tolist(), strict=True)
        return {name: count for index, (name, count) in enumerate(named) if index != OK and count}

    @property
    def failures(self) -> int:
        """How many arrivals of the whole run failed."""
        return sum(self.errors.values())

    @property
    def error_rate(self) -> float:
        """Share of the arrivals of the whole run that failed; 0 where there were none."""
        return self.failures / self.recorded if self.recorded else 0.0

    @property
    def offered_per_s(self) -> float:
        """Arrivals a second by the schedule."""
        return self.offered / self.duration_s if self.duration_s > 0.0 else 0.0

    @property
    def throughput_per_s(self) -> float:
        """Good answers a second, until the last one."""
        good = self.recorded - self.failures
        return good / self.drained_s if self.drained_s > 0.0 else 0.0

    def only(self, operation: str) -> "LoadResult":
        """The same run with the samples of one operation.

        Raises:
            KeyError: If the run has no such operation.
        """
        if operation not in self.operations:
            raise KeyError(f"got {operation!r}, needed one of {', '.join(self.operations)}")
        chosen = self.samples.where(self.samples.operation == self.operations.index(operation))
        return replace(self, samples=chosen, offered=len(chosen), overflow=None)
