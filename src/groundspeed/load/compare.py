"""Two sides under the same load: which percentile is worse, by what factor, and how sure that is.

With one run a side the interval is that of the samples within the runs, and what differs from run
to run is not in it. With several it is that of the runs, which is the one to gate on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from groundspeed.errors import TooFewSamplesError, UsageError
from groundspeed.load._result import LoadResult
from groundspeed.load.figures import Figure, figure_of
from groundspeed.stats import FloatArray, student_t_ppf
from groundspeed.stats.quantile import CONFIDENCE

__all__ = ["COMPARED", "WORSE_RATIO", "Change", "LoadComparison", "MetricChange", "compare"]

COMPARED = ("latency_s_p50", "latency_s_p95", "latency_s_p99", "throughput_per_s")
"""What is compared unless other metrics are asked for."""

WORSE_RATIO = 1.20
"""More than this factor worse is a regression: P95 more than 20 % worse."""

_MORE_IS_BETTER = frozenset({"throughput_per_s"})
_RUNS_MIN = 2


class Change(StrEnum):
    """What is known of one metric."""

    WORSE = "worse"
    NOT_WORSE = "not worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """One metric on both sides.

    Attributes:
        metric: Its name, `latency_s_p95`.
        base: What base gave; of several runs their geometric mean.
        candidate: What the candidate gave.
        ratio: How many times worse the candidate is: candidate / base, or base / candidate where
            more is better; NaN where nothing could be said.
        low: Lower end of the ratio's interval.
        high: Upper end.
        change: Worse where the whole interval lies above the allowed ratio, not worse where none of
            it does.
        reason: Why it is undecided; empty otherwise.
    """

    metric: str
    base: float
    candidate: float
    ratio: float
    low: float
    high: float
    change: Change
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadComparison:
    """Two sides under the same load.

    Attributes:
        changes: One a metric, in their order.
        worse_ratio: What is allowed.
        runs: Runs of base and of the candidate.
        between_runs: Whether the intervals hold what differs from run to run.
    """

    changes: tuple[MetricChange, ...]
    worse_ratio: float
    runs: tuple[int, int]
    between_runs: bool

    @property
    def exit_code(self) -> int:
        """1 where a metric is worse, 3 where one is undecided, else 0."""
        found = {change.change for change in self.changes}
        if Change.WORSE in found:
            return 1
        return 3 if Change.UNDECIDED in found else 0


def compare(
    base: Sequence[LoadResult],
    candidate: Sequence[LoadResult],
    *,
    metrics: Sequence[str] = COMPARED,
    worse_ratio: float = WORSE_RATIO,
) -> LoadComparison:
    """Compare runs of two sides, by ratios with 95 % intervals.

    Args:
        base: One run or several, best taken in turns with the candidate's.
        candidate: As many, or another number.
        metrics: Those that `figure_of` knows.
        worse_ratio: How many times worse is a regression, at least 1.

    Raises:
        UsageError: If a side has no run, the models differ, or a number is out of range.

    References:
        Zou & Donner (2008), Construction of confidence limits about effect measures: a general
        approach, Statistics in Medicine 27 (of single runs). Welch (1947), Biometrika 34 (of
        several).
    """
    _check_sides(base, candidate, worse_ratio)
    between = min(len(base), len(candidate)) >= _RUNS_MIN
    invalid = [run.invalid[0] for run in (*base, *candidate) if not run.valid]
    return LoadComparison(
        changes=tuple(
            _change(metric, base, candidate, worse_ratio=worse_ratio, invalid=invalid)
            for metric in metrics
        ),
        worse_ratio=worse_ratio,
        runs=(len(base), len(candidate)),
        between_runs=between,
    )


def _check_sides(
    base: Sequence[LoadResult], candidate: Sequence[LoadResult], worse_ratio: float
) -> None:
    if not base or not candidate:
        raise UsageError(
            f"compare: got {len(base)} runs of base and {len(candidate)} of the candidate, needed "
            "at least one of each"
        )
    models = sorted({run.model for run in (*base, *candidate)})
    if len(models) > 1:
        raise UsageError(
            f"compare: got runs of {' and '.join(models)}, needed one model and rate: their "
            "percentiles have no meaning beside each other"
        )
    if not 1.0 <= worse_ratio < math.inf:
        raise UsageError(f"worse_ratio: got {worse_ratio:g}, needed 1 or more, such as 1.2")


def _change(
    metric: str,
    base: Sequence[LoadResult],
    candidate: Sequence[LoadResult],
    *,
    worse_ratio: float,
    invalid: Sequence[str],
) -> MetricChange:
    try:
        before = [figure_of(run, metric) for run in base]
        after = [figure_of(run, metric) for run in candidate]
    except TooFewSamplesError as error:
        return _unknown(metric, str(error))
    sides = (after, before) if metric in _MORE_IS_BETTER else (before, after)
    several = min(len(before), len(after)) >= _RUNS_MIN
    low, middle, high = (_between_runs if several else _within_runs)(*sides)
    reason = f"a run is invalid: {invalid[0]}" if invalid else ""
    change = Change.UNDECIDED
    if not reason:
        change, reason = _concluded(low, high, worse_ratio)
    return MetricChange(
        metric=metric,
        base=_middle(before),
        candidate=_middle(after),
        ratio=middle,
        low=low,
        high=high,
        change=change,
        reason=reason,
    )


def _concluded(low: float, high: float, worse_ratio: float) -> tuple[Change, str]:
    if low > worse_ratio:
        return Change.WORSE, ""
    if high <= worse_ratio:
        return Change.NOT_WORSE, ""
    return (
        Change.UNDECIDED,
        f"{worse_ratio:g}x lies within {low:.3g}x to {high:.3g}x; measure longer or more runs",
    )


def _unknown(metric: str, reason: str) -> MetricChange:
    nothing = math.nan
    return MetricChange(
        metric=metric,
        base=nothing,
        candidate=nothing,
        ratio=nothing,
        low=0.0,
        high=math.inf,
        change=Change.UNDECIDED,
        reason=reason,
    )


def _within_runs(good: list[Figure], bad: list[Figure]) -> tuple[float, float, float]:
    """The ratio's interval from those of both sides, each as far off on its own side as it may be.

    Where a side has several runs and the other one, the first is as good as any.
    """
    lows, values, highs = (
        _logs([getattr(good[0], end), getattr(bad[0], end)]) for end in ("low", "value", "high")
    )
    if not np.isfinite([*lows, *values]).all():
        return _of_infinite(good[0], bad[0])
    middle = values[1] - values[0]
    below = math.hypot(values[1] - lows[1], highs[0] - values[0])
    above = math.hypot(highs[1] - values[1], values[0] - lows[0])
    return _ratio(middle - below), _ratio(middle), _ratio(middle + above)


def _between_runs(good: list[Figure], bad: list[Figure]) -> tuple[float, float, float]:
    """Welch's interval of the difference of the runs' mean logarithms."""
    sides = [_logs([figure.value for figure in side]) for side in (good, bad)]
    if not all(np.isfinite(side).all() for side in sides):
        return 0.0, math.nan, math.inf
    parts = [float(side.var(ddof=1)) / side.size for side in sides]
    middle = float(sides[1].mean() - sides[0].mean())
    variance = sum(parts)
    if variance == 0.0:
        return _ratio(middle), _ratio(middle), _ratio(middle)
    df = variance**2 / sum(
        part**2 / (side.size - 1) for part, side in zip(parts, sides, strict=True)
    )
    reach = -float(student_t_ppf((1.0 - CONFIDENCE) / 2.0, df)) * math.sqrt(variance)
    return _ratio(middle - reach), _ratio(middle), _ratio(middle + reach)


def _of_infinite(good: Figure, bad: Figure) -> tuple[float, float, float]:
    """Where failures reach into a percentile there is at most a bound."""
    low = bad.low / good.high if 0.0 < good.high < math.inf else 0.0
    return low, bad.value / good.value if math.isfinite(good.value) else math.nan, math.inf


def _logs(values: Sequence[float]) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, dtype=np.float64))


def _middle(figures: list[Figure]) -> float:
    return float(np.exp(_logs([figure.value for figure in figures]).mean()))


def _ratio(log: float) -> float:
    # An infinite end is one, and no overflow.
    return math.exp(log) if log < 700.0 else math.inf  # noqa: PLR2004 - e^709 is the largest float
