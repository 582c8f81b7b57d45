"""What one performance test measures: kept in pytest-benchmark's record, held to service levels.

Each figure has an interval, and a level is decided only where the whole interval lies on one side
of its limits, and where other programs had not taken the machine. What cannot be told is undecided.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Protocol

import numpy as np

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import Figure, LoadResult, ServiceLevel, Standing
from groundspeed.load.figures import figure_of, parse_latency_metric
from groundspeed.load.service_levels import LevelReport, format_figure, judge_level, unit_of
from groundspeed.load.validity import MACHINE_FULL, OTHERS_MAX
from groundspeed.measure.occupancy import Occupancy, occupancy
from groundspeed.plugins.load_harness import ServiceLevelError
from groundspeed.stats import FloatArray, OrderedSamples
from groundspeed.stats.quantile import percentile_name
from groundspeed.units import format_percent

__all__ = ["Measured", "Mode", "Verdict"]

Mode = Literal["report", "target", "critical"]

_QUANTILES = (0.5, 0.95, 0.99)
_LOAD_METRICS = (
    *("latency_s_p50", "latency_s_p95", "latency_s_p99", "throughput_per_s"),
    *("error_rate", "rss_bytes"),
)
# What other programs on the machine change; counts, bytes and hit rates are what they are.
_TIMED_UNITS = frozenset({"s", "per s", "ratio"})


class Verdict(StrEnum):
    """What came of a test, beside passed and failed."""

    PASSED = "passed"
    WARNED = "warned"
    UNDECIDED = "undecided"
    FAILED = "failed"


class Benchmark(Protocol):
    """What is used of pytest-benchmark's fixture."""

    extra_info: dict[str, Any]
    stats: Any

    def pedantic(self, target: Callable[..., Any], **options: Any) -> Any:
        """Call so many rounds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A figure, or why there is none."""

    figure: Figure | None
    unit: str
    reason: str = ""


class Measured:
    """What a test measures.

    Attributes:
        levels: What the test is held to.
        verdict: What came of it; None until that is known.
        reason: Why; empty where it passed.

    Args:
        benchmark: pytest-benchmark's fixture; what is kept goes into its `extra_info`.
        levels: What the test is held to.
        mode: `report`: no level fails or skips the test; `critical`: a critical value that is not
            kept fails it; `target`: a missed target does, too.
        is_detailed: Whether intervals, levels and series are kept beside the plain numbers.
        skip: Called with the reason where a test is undecided; it may raise.
        read: Gives how busy the machine is.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        levels: Sequence[ServiceLevel] = (),
        *,
        mode: Mode = "critical",
        is_detailed: bool = True,
        skip: Callable[[str], object] = lambda _reason: None,
        read: Callable[[], Occupancy] = occupancy,
    ) -> None:
        self.levels = tuple(levels)
        self.verdict: Verdict | None = None
        self.reason = ""
        self._benchmark = benchmark
        self._mode = mode
        self._is_detailed = is_detailed
        self._skip = skip
        self._read = read
        self._began = read()
        self._kept: dict[str, _Kept] = {}

    def setting(self, **values: object) -> None:
        """Say what is measured: how many accounts and users, on which database."""
        self._detail("setting", values)

    def keep(self, *figures: Figure, unit: str = "") -> None:
        """Keep figures; a later one of the same metric takes its place.

        Args:
            figures: Each with its interval.
            unit: `s`, `bytes`, `share`, `per s`, `count`, `ratio`; read off the metric without.
        """
        for figure in figures:
            known = unit or unit_of(figure.metric)
            self._note(figure, known)
            if np.isnan((figure.value, figure.low, figure.high)).any():
                self.missing(figure.metric, "it is not a number")
            else:
                self._kept[figure.metric] = _Kept(figure=figure, unit=known)

    def count(self, metric: str, value: float, *, unit: str = "count") -> None:
        """Keep a number that was read and not estimated."""
        self.keep(
            Figure(metric=metric, value=value, low=value, high=value, confidence=1.0), unit=unit
        )

    def missing(self, metric: str, reason: str) -> None:
        """Say why a figure could not be had: its levels are undecided."""
        self._kept[metric] = _Kept(figure=None, unit=unit_of(metric), reason=reason)

    def series(self, name: str, **axes: tuple[str, Sequence[float]]) -> None:
        """Keep points for a chart.

        Args:
            name: What it shows.
            axes: `x` and `y`, each its unit and its values.
        """
        (x_unit, x), (y_unit, y) = axes["x"], axes["y"]
        points = {"x": list(x), "y": list(y), "x_unit": x_unit, "y_unit": y_unit}
        self._detail("series", {name: points})

    def times(
        self,
        function: Callable[[], object],
        *,
        rounds: int,
        warm_up: int = 0,
        before: Callable[[], object] | None = None,
    ) -> FloatArray | None:
        """Time a function with pytest-benchmark, each call a round; once a test.

        Args:
            function: What is timed.
            rounds: How many calls, >= 1.
            warm_up: How many come before.
            before: Called before each call, untimed.

        Returns:
            Seconds of each call; None where timing is turned off.
        """

        def prepare() -> None:  # what pytest-benchmark's setup returns would be arguments
            if before is not None:
                before()

        self._benchmark.pedantic(
            function, setup=prepare, rounds=rounds, iterations=1, warmup_rounds=warm_up
        )
        stats = self._benchmark.stats
        return None if stats is None else np.asarray(stats.stats.data, dtype=np.float64)

    def percentiles(
        self,
        metric: str,
        samples_s: FloatArray | None,
        *,
        quantiles: Sequence[float] = _QUANTILES,
    ) -> None:
        """Keep percentiles of independent times, `METRIC_p95` and the like, each with its interval.

        Args:
            metric: `latency_s`.
            samples_s: Shape (n,), seconds; None where nothing was timed.
            quantiles: In (0, 1).
        """
        for q in quantiles:
            name = f"{metric}_{percentile_name(q)}"
            if samples_s is None:
                self.missing(name, "timing is turned off; run without --benchmark-disable")
                continue
            try:
                found = OrderedSamples(samples_s).estimate(q)
            except TooFewSamplesError as error:
                self.missing(name, str(error))
                continue
            self.keep(Figure(metric=name, value=found.value, low=found.low, high=found.high))

    def load(self, result: LoadResult, *, prefix: str = "") -> None:
        """Keep the figures of a load run; those of an invalid one fail no level.

        Args:
            result: The run.
            prefix: Before each metric: `100_users.` makes `100_users.latency_s_p95`.
        """
        wanted = [level.metric.removeprefix(prefix) for level in self.levels]
        latencies = [name for name in wanted if parse_latency_metric(name) is not None]
        for metric in dict.fromkeys((*_LOAD_METRICS, *latencies)):
            try:
                figure = figure_of(result, metric)
            except TooFewSamplesError as error:
                self.missing(f"{prefix}{metric}", str(error))
                continue
            named = replace(figure, metric=f"{prefix}{metric}")
            self.keep(named)
            if not result.valid:
                reason = f"the run is invalid: {'; '.join(result.invalid)}"
                self._kept[named.metric] = replace(self._kept[named.metric], reason=reason)
        gap = f"{prefix}littles_law_gap"
        self.count(gap, result.littles_law_gap, unit="share")
        # It says whether the run can be believed, not how fast anything is: nothing to compare.
        self._benchmark.extra_info.pop(gap, None)

    def stands(self) -> tuple[LevelReport, ...]:
        """Where each level of the test stands by now."""
        crowd = _crowd(self._read().since(self._began))
        return tuple(self._report(level, crowd) for level in self.levels)

    def judge(self) -> Verdict:
        """Hold what was measured to the test's levels; the last line of a test.

        Returns:
            Passed, warned or undecided.

        Raises:
            ServiceLevelError: If a level fails the test; the message says what was found.
        """
        reports = self.stands()
        self._detail("levels", [self._record(report) for report in reports])
        verdict, decisive = _verdict(reports, self._mode)
        reason = told(decisive)
        self.conclude(verdict, reason)
        if verdict is Verdict.FAILED:
            raise ServiceLevelError(reason)
        if verdict is Verdict.UNDECIDED and self._mode != "report":
            self._skip(f"undecided: {reason}")
        return verdict

    def conclude(self, verdict: Verdict, reason: str) -> None:
        """Keep what came of the test, and why; for a test that ends otherwise than by `judge`."""
        self.verdict, self.reason = verdict, reason
        if self._is_detailed:
            self._benchmark.extra_info |= {"verdict": str(verdict), "reason": reason}

    def _report(self, level: ServiceLevel, crowd: str) -> LevelReport:
        kept = self._kept.get(level.metric)
        if kept is None or kept.figure is None:
            reason = kept.reason if kept else "it was not measured"
            return LevelReport(level=level, standing=Standing.UNDECIDED, reason=reason)
        report = judge_level(level, kept.figure)
        doubt = kept.reason or (crowd if _is_timed(level) else "")
        # Whatever took the machine made it slower: a level that is met is met in spite of it.
        if doubt and report.standing is not Standing.MET:
            return replace(report, standing=Standing.UNDECIDED, reason=doubt)
        return report

    def _note(self, figure: Figure, unit: str) -> None:
        info = self._benchmark.extra_info
        if np.isfinite(figure.value):
            info[figure.metric] = figure.value
        values = {name: _finite(getattr(figure, name)) for name in ("value", "low", "high")}
        self._detail("figures", {figure.metric: {**values, "unit": unit}})

    def _record(self, report: LevelReport) -> dict[str, Any]:
        level, figure = report.level, report.figure
        return {
            "title": level.name,
            "metric": level.metric,
            "unit": level.unit,
            "better": level.better,
            "target": level.target,
            "critical": level.critical,
            "standing": str(report.standing),
            "value": _finite(figure.value) if figure else None,
            "low": _finite(figure.low) if figure else None,
            "high": _finite(figure.high) if figure else None,
            "reason": report.reason,
        }

    def _detail(self, name: str, value: Any) -> None:
        if not self._is_detailed:
            return
        info = self._benchmark.extra_info
        info[name] = {**info.get(name, {}), **value} if isinstance(value, Mapping) else value


def told(reports: Sequence[LevelReport]) -> str:
    """Where levels stand, for a person; a reason that several have is said once."""
    by_reason: dict[str, list[str]] = {}
    for report in reports:
        by_reason.setdefault(report.reason, []).append(_stands(report))
    return "; ".join(
        f"{'; '.join(found)}{': ' if reason else ''}{reason}" for reason, found in by_reason.items()
    )


def _stands(report: LevelReport) -> str:
    level, figure = report.level, report.figure
    sign = "<" if level.better == "lower" else ">"
    target, critical = (format_figure(x, level.unit) for x in (level.target, level.critical))
    seen = ""
    if figure is not None:
        value, low, high = (
            format_figure(x, level.unit) for x in (figure.value, figure.low, figure.high)
        )
        seen = f" at {value}" + ("" if figure.low == figure.high else f" ({low} to {high})")
    needed = f"{sign} {target}" if target == critical else f"{sign} {target}, at worst {critical}"
    return f"{level.name} is {report.standing}{seen}, needed {needed}"


def _verdict(reports: Sequence[LevelReport], mode: Mode) -> tuple[Verdict, list[LevelReport]]:
    """The gravest standing, and the levels that stand so."""
    fails = {"report": set(), "critical": {Standing.CRITICAL}}.get(
        mode, {Standing.CRITICAL, Standing.MISSED}
    )
    for verdict, standings in (
        (Verdict.FAILED, fails),
        (Verdict.UNDECIDED, {Standing.UNDECIDED}),
        (Verdict.WARNED, {Standing.MISSED, Standing.CRITICAL}),
    ):
        found = [report for report in reports if report.standing in standings]
        if found:
            return verdict, found
    return Verdict.PASSED, []


def _crowd(used: Occupancy) -> str:
    if used.others_share <= OTHERS_MAX or used.busy_share < MACHINE_FULL:
        return ""
    return (
        f"other programs used {format_percent(used.others_share)} of a machine that was full; stop"
        " them and run again"
    )


def _is_timed(level: ServiceLevel) -> bool:
    if level.in_turn:
        return False
    return level.unit in _TIMED_UNITS or level.metric.endswith("efficiency")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
