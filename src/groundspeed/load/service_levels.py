"""Service levels as data, and what a run says about each.

A level has a target, which should be kept, and a critical value, which must be. A figure has an
interval, and it is decided only where the whole interval lies on one side: a run is not failed by
luck, nor passed by it.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from groundspeed.errors import TooFewSamplesError, UsageError
from groundspeed.load._result import LoadResult
from groundspeed.load.figures import Figure, figure_of
from groundspeed.stats.quantile import CONFIDENCE
from groundspeed.units import format_bytes, format_percent, format_seconds

__all__ = [
    "SERVICE_LEVELS",
    "LevelReport",
    "ServiceLevel",
    "Standing",
    "Standings",
    "Unit",
    "format_figure",
    "judge",
    "judge_level",
    "parse_level",
    "run_until_decided",
    "unit_of",
]

Unit = Literal["s", "bytes", "share", "per s", "count", "ratio"]
_SUFFIXES = {"per s": " /s", "count": "", "ratio": "x"}
# The first that fits: a rate per second ends like seconds, too.
_ENDINGS: dict[str, Unit] = {
    "_per_s": "per s",
    "_s": "s",
    "_bytes": "bytes",
    "_ratio": "ratio",
    "_count": "count",
}
_PERCENTILE = re.compile(r"_p\d+(\.\d+)?$")
_SIGNS: dict[str, Literal["lower", "higher"]] = {"<": "lower", ">": "higher"}


class Standing(StrEnum):
    """Where a figure stands."""

    MET = "met"
    MISSED = "missed"
    CRITICAL = "critical"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """What a metric should, and must, be.

    Attributes:
        metric: `latency_s_p95`, `throughput_per_s`, `error_rate`, `rss_bytes`, or one that is
            given beside the run, such as `cache_hit_rate`.
        target: It should be strictly better than this; in seconds, bytes, per second or a share.
        critical: It must be strictly better than this; no better than the target.
        better: Which way is better.
        unit: Of both.
        title: What people call it; the metric where empty.
        in_turn: It compares things that were done in turn, all of which other programs slow.

    Raises:
        UsageError: If a value is not finite, or the critical one is better than the target.
    """

    metric: str
    target: float
    critical: float
    better: Literal["lower", "higher"] = "lower"
    unit: Unit = "s"
    title: str = ""
    in_turn: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and math.isfinite(self.critical)):
            raise UsageError(
                f"{self.metric}: got target {self.target} and critical {self.critical}, needed "
                "finite numbers"
            )
        if self._worse(self.target, self.critical):
            raise UsageError(
                f"{self.metric}: got a critical value of {self.critical:g} that is better than the "
                f"target of {self.target:g}; exchange them"
            )

    @property
    def name(self) -> str:
        """The title, or the metric."""
        return self.title or self.metric

    def standing(self, low: float, high: float) -> Standing:
        """Where an interval stands: undecided as long as a limit lies within it."""
        best, worst = (low, high) if self.better == "lower" else (high, low)
        if self._keeps(worst, self.target):
            return Standing.MET
        if not self._keeps(best, self.critical):
            return Standing.CRITICAL
        if not self._keeps(best, self.target) and self._keeps(worst, self.critical):
            return Standing.MISSED
        return Standing.UNDECIDED

    def _keeps(self, value: float, limit: float) -> bool:
        return value < limit if self.better == "lower" else value > limit

    def _worse(self, value: float, limit: float) -> bool:
        return value > limit if self.better == "lower" else value < limit


def _level(title: str, metric: str, limits: tuple[float, float], unit: Unit) -> ServiceLevel:
    target, critical = limits
    better: Literal["lower", "higher"] = "lower" if target <= critical else "higher"
    return ServiceLevel(
        metric=metric, target=target, critical=critical, better=better, unit=unit, title=title
    )


SERVICE_LEVELS: tuple[ServiceLevel, ...] = (
    _level("API P95 Latency", "latency_s_p95", (0.020, 0.050), "s"),
    _level("API P99 Latency", "latency_s_p99", (0.050, 0.100), "s"),
    _level("DB Query P95", "db_latency_s_p95", (0.010, 0.030), "s"),
    _level("Cache Hit Rate", "cache_hit_rate", (0.80, 0.60), "share"),
    _level("Throughput", "throughput_per_s", (100.0, 50.0), "per s"),
    _level("Error Rate", "error_rate", (0.01, 0.05), "share"),
    _level("Memory @ 1K accounts", "rss_bytes", (500e6, 1e9), "bytes"),
    _level("Scaling Efficiency", "scaling_efficiency", (0.70, 0.50), "share"),
)
"""The levels sergas is held to; the one place where they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelReport:
    """One level and where it stands.

    Attributes:
        level: The level.
        standing: Met, missed, critical or undecided.
        figure: What was found; None where it could not be.
        reason: Why it is undecided; empty otherwise.
    """

    level: ServiceLevel
    standing: Standing
    figure: Figure | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """All levels of a run.

    Attributes:
        reports: One a level, in their order.
        looks: How many runs were judged until it was decided.
    """

    reports: tuple[LevelReport, ...]
    looks: int = 1

    def having(self, standing: Standing) -> tuple[LevelReport, ...]:
        """The levels that stand so."""
        return tuple(report for report in self.reports if report.standing is standing)

    @property
    def decided(self) -> bool:
        """Whether none is undecided."""
        return not self.having(Standing.UNDECIDED)

    @property
    def exit_code(self) -> int:
        """1 where one is critical, 3 where one is undecided, else 0: a missed target warns."""
        if self.having(Standing.CRITICAL):
            return 1
        return 0 if self.decided else 3


def judge_level(level: ServiceLevel, figure: Figure) -> LevelReport:
    """Where one figure stands."""
    standing = level.standing(figure.low, figure.high)
    reason = ""
    if standing is Standing.UNDECIDED:
        limits = {"target": level.target, "critical value": level.critical}
        within = [name for name, limit in limits.items() if figure.low <= limit <= figure.high]
        reason = f"the {' and the '.join(within)} lies within the interval; measure longer"
    return LevelReport(level=level, standing=standing, figure=figure, reason=reason)


def judge(
    result: LoadResult,
    levels: Iterable[ServiceLevel],
    *,
    beside: Iterable[Figure] = (),
    confidence: float = CONFIDENCE,
) -> Standings:
    """Where a run stands.

    A run whose generator or machine was the limit says nothing about its target: every level it was
    to decide is undecided.

    Args:
        result: The run.
        levels: What it is held to.
        beside: Figures that the run does not hold, such as a cache's hit rate.
        confidence: Of the intervals, in (0, 1).

    Raises:
        UsageError: If the run does not hold a level's metric and it is not given beside.
    """
    given: Mapping[str, Figure] = {figure.metric: figure for figure in beside}
    return Standings(
        reports=tuple(
            judge_level(level, given[level.metric])
            if level.metric in given
            else _judge_run(result, level, confidence)
            for level in levels
        )
    )


def run_until_decided(
    measure: Callable[[float], LoadResult],
    levels: Sequence[ServiceLevel],
    *,
    first_s: float,
    budget_s: float,
    beside: Iterable[Figure] = (),
) -> tuple[LoadResult, Standings]:
    """Measure, and as long as a level is undecided measure anew for twice as long.

    Every look could err by chance, so all share what one may: with k looks possible each is at
    1 - 0.05 / k. A run that is invalid or was interrupted is the last.

    Args:
        measure: Runs for so many seconds.
        levels: What it is held to.
        first_s: How long the first run is, above 0.
        budget_s: How long all together may be, at least `first_s`.
        beside: Figures that the run does not hold.

    Returns:
        The last run and where it stands.

    Raises:
        UsageError: If a time is out of range, or a level cannot be judged by a run.
    """
    if not 0.0 < first_s <= budget_s < math.inf:
        raise UsageError(
            f"budget: got {first_s:g} s of {budget_s:g} s, needed a first run above 0 that fits"
        )
    looks = int(math.log2(budget_s / first_s + 1.0) + 1e-9)  # first (2^k - 1) seconds are k runs
    given = tuple(beside)
    look, length_s = 1, first_s
    while True:
        result = measure(length_s)
        standings = judge(result, levels, beside=given, confidence=1.0 - (1.0 - CONFIDENCE) / looks)
        if standings.decided or not result.valid or result.partial or look == looks:
            return result, Standings(reports=standings.reports, looks=look)
        look, length_s = look + 1, 2.0 * length_s


def parse_level(text: str) -> ServiceLevel:
    """Read a level typed by a user: `latency_s_p95 < 0.020 / 0.050`, target then critical.

    Without a critical value the target is critical.

    Raises:
        UsageError: If it is written another way.
    """
    for sign, better in _SIGNS.items():
        metric, found, limits = (part.strip() for part in text.partition(sign))
        if not found:
            continue
        numbers = [number.strip() for number in limits.split("/")]
        try:
            target, critical = float(numbers[0]), float(numbers[-1])
        except ValueError:
            break
        if metric and len(numbers) <= 2:  # noqa: PLR2004 - a target and a critical value
            return ServiceLevel(
                metric=metric,
                target=target,
                critical=critical,
                better=better,
                unit=unit_of(metric),
            )
    raise UsageError(
        f"service level: got {text!r}, needed METRIC < TARGET / CRITICAL or METRIC > TARGET / "
        "CRITICAL, such as 'latency_s_p95 < 0.020 / 0.050'"
    )


def unit_of(metric: str) -> Unit:
    """The unit that a metric's name ends in, before a percentile; a share where it tells none."""
    name = _PERCENTILE.sub("", metric)
    return next((unit for ending, unit in _ENDINGS.items() if name.endswith(ending)), "share")


def format_figure(value: float, unit: Unit) -> str:
    """A figure in its unit, for a person: `16.3 ms`, `191 /s`, `2 %`, `1.2x`, `never`."""
    match unit:
        case _ if math.isinf(value):
            return "never"
        case "s":
            return format_seconds(value)
        case "bytes":
            return format_bytes(value)
        case "share":
            return format_percent(value)
        case "per s" | "count" | "ratio":
            return f"{value:,.4g}{_SUFFIXES[unit]}"


def _judge_run(result: LoadResult, level: ServiceLevel, confidence: float) -> LevelReport:
    try:
        figure = figure_of(result, level.metric, confidence=confidence)
    except TooFewSamplesError as error:
        return LevelReport(level=level, standing=Standing.UNDECIDED, reason=str(error))
    if not result.valid:
        reason = "the run is invalid"
        return LevelReport(level=level, standing=Standing.UNDECIDED, figure=figure, reason=reason)
    return judge_level(level, figure)
