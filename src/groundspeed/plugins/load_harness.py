"""Load tests in pytest: one object that runs load, judges it, prints it and keeps it.

Where pytest-benchmark is there, a test's first run is timed by its `benchmark` fixture, and every
run's record goes into `extra_info`: what --benchmark-json and --benchmark-save write and
--benchmark-compare reads carries it.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO, TypeAlias

from groundspeed.errors import UsageError
from groundspeed.load import (
    Cache,
    Call,
    Closed,
    Http,
    LoadResult,
    Model,
    Open,
    Operation,
    Scenario,
    Sql,
    Steady,
    run,
)
from groundspeed.load.compare import WORSE_RATIO, LoadComparison, compare
from groundspeed.load.figures import Figure, check_metric, latency
from groundspeed.load.saturation import Saturation, saturation
from groundspeed.load.scaling import ScalingReport, scaling
from groundspeed.load.selfchecking import Selfcheck, selfcheck
from groundspeed.load.service_levels import (
    LevelReport,
    ServiceLevel,
    Standing,
    Standings,
    judge,
    parse_level,
)
from groundspeed.measure.machine import CpuPlan, describe_machine
from groundspeed.report.load import load_report
from groundspeed.report.load_record import LoadRecord, record_load
from groundspeed.stats import QuantileEstimate

__all__ = ["LoadRun", "LoadTarget", "LoadTestHarness", "ServiceLevelError"]

Function: TypeAlias = Callable[..., Any] | Callable[..., Awaitable[Any]]
LoadTarget: TypeAlias = Function | Http | Sql | Cache | Call
Level: TypeAlias = ServiceLevel | str

_DEFAULT_MODEL = Closed(users=50)
_DURATION_S = 10.0


class ServiceLevelError(AssertionError):
    """A run does not keep what a test asks of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """One run of a load test.

    Attributes:
        result: Everything it found, raw samples among it.
        report: The metrics block and what follows it.
    """

    result: LoadResult
    report: str

    @property
    def throughput_per_s(self) -> float:
        """Good answers a second."""
        return self.result.throughput_per_s

    @property
    def error_rate(self) -> float:
        """Share of the arrivals that failed."""
        return self.result.error_rate

    def latency(self, percentile: float) -> QuantileEstimate:
        """A percentile of the response time in seconds with its interval; 95 for p95.

        Raises:
            TooFewSamplesError: If there are too few samples for its interval.
            ValueError: If it is not above 0 and below 100.
        """
        return latency(self.result, percentile / 100.0)

    def require(
        self, *levels: Level, beside: Iterable[Figure] = (), strict: bool = False
    ) -> Standings:
        """Fail the test unless the run keeps these levels.

        A missed target is let pass unless `strict`, a critical value is not, nor is what is
        undecided: a test passes by what was shown, not by luck.

        Args:
            levels: `ServiceLevel`, or typed as `latency_s_p95 < 0.020 / 0.050`.
            beside: Figures the run does not hold, such as a cache's hit rate.
            strict: Whether a missed target fails.

        Raises:
            ServiceLevelError: If one is not kept; the message says what was found.
            UsageError: If a level is written wrongly or cannot be judged.
        """
        standings = judge(self.result, _levels(levels), beside=beside)
        failing = {Standing.CRITICAL, Standing.UNDECIDED} | ({Standing.MISSED} if strict else set())
        broken = [report for report in standings.reports if report.standing in failing]
        if broken:
            why = [f"INVALID: {reason}" for reason in self.result.invalid]
            raise ServiceLevelError("; ".join([*why, *(_told(report) for report in broken)]))
        return standings


class LoadTestHarness:
    """Runs load against a target, prints the metrics block, and keeps the results.

    Args:
        make: Makes a run and gives its result; the fixture gives one that lets pytest-benchmark
            time it.
        record: Takes each run's record, see `groundspeed.report.load_record`.
        stream: Where the report is printed; standard output without one.
    """

    def __init__(
        self,
        make: Callable[[Callable[[], LoadResult]], LoadResult] | None = None,
        *,
        record: Callable[[LoadRecord], None] | None = None,
        stream: TextIO | None = None,
    ) -> None:
        self._make = make or (lambda measure: measure())
        self._record = record or (lambda _: None)
        self._stream = stream

    def run(
        self,
        target: LoadTarget | Mapping[str, LoadTarget] | Scenario,
        *,
        name: str = "",
        model: Model = _DEFAULT_MODEL,
        duration: float = _DURATION_S,
        accounts: int | None = None,
        levels: Sequence[Level] = (),
        **options: Any,
    ) -> LoadRun:
        """Run load to its end.

        Args:
            target: A function or coroutine function, an `Http`, `Sql` or `Cache` target, a mix of
                them by name, or a whole scenario, which then says all that follows.
            name: For the report; the function's name without one.
            model: Who asks.
            duration: Seconds of one steady stage, unless `stages` are given.
            accounts: For the report; the number of keys without one.
            levels: What the report says where the run stands; `LoadRun.require` fails a test.
            options: Any other field of `Scenario`, such as `seed`, `timeout` or `warm_up`.

        Raises:
            UsageError: If the scenario cannot be run.
            BrokenError: If the target is not there.
        """
        scenario = _scenario(
            target, {"name": name, "model": model, "duration": duration, **options}
        )
        judged = _levels(levels)
        for level in judged:
            check_metric(level.metric)
        result = self._make(lambda: run(scenario))
        return self._kept(scenario, result, judged, accounts)

    async def arun(
        self, target: LoadTarget | Mapping[str, LoadTarget] | Scenario, **options: Any
    ) -> LoadRun:
        """`run` for a test that is a coroutine: the test's own event loop stays free meanwhile.

        Coroutine functions are awaited on the load's own loop, so what they use must not belong to
        the test's: make pools and clients inside them, or by a function.
        """
        return await asyncio.to_thread(self.run, target, **options)

    def saturation(
        self,
        target: LoadTarget,
        level: Level,
        *,
        first_per_s: float,
        most_per_s: float,
        duration: float = _DURATION_S,
        **options: Any,
    ) -> Saturation:
        """The highest rate of open arrivals that keeps a level; see `groundspeed.load.saturation`.

        Args:
            target: As in `run`.
            level: What is to be held; its target counts.
            first_per_s: Where to begin.
            most_per_s: No rate above it is tried.
            duration: Seconds of each run.
            options: Any other field of `Scenario`.
        """

        def measure(rate_per_s: float) -> LoadResult:
            fields = {"model": Open(rate=rate_per_s), "duration": duration, **options}
            return run(_scenario(target, fields))

        return saturation(
            measure, _levels([level])[0], first_per_s=first_per_s, most_per_s=most_per_s
        )

    def scaling(
        self, measure: Callable[[int], float], *, levels: Sequence[int] = (1, 2, 4, 8), **more: Any
    ) -> ScalingReport:
        """How throughput grows with workers on this machine; see `groundspeed.load.scaling`."""
        cpus = describe_machine(CpuPlan()).cpus
        return scaling(measure, levels=levels, **{"cpus": cpus, **more})

    def compare(
        self,
        base: LoadRun | Sequence[LoadRun],
        candidate: LoadRun | Sequence[LoadRun],
        *,
        worse_ratio: float = WORSE_RATIO,
    ) -> LoadComparison:
        """Compare runs of two sides; see `groundspeed.load.compare`."""
        sides = [
            [one.result for one in ([side] if isinstance(side, LoadRun) else side)]
            for side in (base, candidate)
        ]
        return compare(*sides, worse_ratio=worse_ratio)

    def selfcheck(self, *, fresh: bool = False) -> Selfcheck:
        """Whether the generator tells the truth on this machine; a minute, then remembered.

        Args:
            fresh: Check again also where this machine has been checked.
        """
        return selfcheck(fresh=fresh)

    def _kept(
        self,
        scenario: Scenario,
        result: LoadResult,
        levels: Sequence[ServiceLevel],
        accounts: int | None,
    ) -> LoadRun:
        standings = judge(result, levels)
        keys = max(_keys(operation) for operation in scenario.operations)
        users = scenario.model.users if isinstance(scenario.model, Closed) else None
        told = load_report(
            result, standings, accounts=keys if accounts is None else accounts, users=users
        )
        (self._stream or sys.stdout).write(f"\n{told}")
        self._record(record_load(result, standings))
        return LoadRun(result=result, report=told)


def _scenario(
    target: LoadTarget | Mapping[str, LoadTarget] | Scenario, fields: dict[str, Any]
) -> Scenario:
    if isinstance(target, Scenario):
        return target
    mix: Mapping[str, Any] = target if isinstance(target, Mapping) else {_called(target): target}
    duration = fields.pop("duration")
    fields["name"] = fields.get("name") or " and ".join(mix)
    targets = {name: _as_target(one) for name, one in mix.items()}
    here = any(isinstance(one, Call) and callable(one.function) for one in targets.values())
    defaults = {
        "stages": (Steady(duration=duration),),
        # A function of this process is the target: its memory and CPU are this process's.
        "watch": (os.getpid(),) if here else (),
    }
    operations = tuple(Operation(name=name, target=one) for name, one in targets.items())
    return Scenario(operations=operations, **{**defaults, **fields})


def _as_target(target: Any) -> Http | Sql | Cache | Call:
    if isinstance(target, Http | Sql | Cache | Call):
        return target
    if callable(target):
        return Call(function=target)
    raise UsageError(
        f"target: got {type(target).__name__}, needed a function, a coroutine function, Http, Sql, "
        "Cache, a mix of them by name, or a Scenario"
    )


def _called(target: Any) -> str:
    return getattr(target, "__name__", type(target).__name__.lower())


def _keys(operation: Operation) -> int:
    return operation.target.keys


def _levels(levels: Sequence[Level]) -> list[ServiceLevel]:
    return [parse_level(level) if isinstance(level, str) else level for level in levels]


def _told(report: LevelReport) -> str:
    figure, level = report.figure, report.level
    seen = "" if figure is None else f" {figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"
    why = f": {report.reason}" if report.reason else ""
    return (
        f"{level.name} is {report.standing}{seen}, needed target {level.target:g} and critical "
        f"{level.critical:g}{why}"
    )
