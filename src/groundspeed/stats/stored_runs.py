"""One run of a suite against runs that were stored earlier, at other times.

Rounds of one run say little of the next: whatever a machine does beside, it does to all of them.
So four things are added up in the variance of log(now / base):

- how a run differs from the next. The stored runs of one commit show it, two or three of them
  badly; so it is drawn towards what is known beforehand (`RunNoise`) and what the suite's middle
  test shows. A test that was seen to differ more than that keeps its own variance.
- what the rounds of this run leave open.
- what those of the stored ones do. However many rounds there are, they count as a few independent
  ones: a run that was disturbed shows in how its rounds differ, and then is worth little.
- how much faster or slower the machine itself was, as a piece of work shows that was timed around
  the test on both sides.

Everything is relative: values are logarithms, so that a factor is a difference.

References:
    Smyth (2004), Linear models and empirical Bayes methods for assessing differential expression
    in microarray experiments, Statistical Applications in Genetics and Molecular Biology 3(1) 3.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.distributions import student_t_ppf

__all__ = [
    "FIGURE_NOISE",
    "TIME_NOISE",
    "Reading",
    "RunComparison",
    "RunNoise",
    "RunVerdict",
    "compare_with_stored",
    "interval_reading",
    "machine_change",
    "rounds_reading",
    "suite_noise",
]

# Rounds beyond these add nothing: they share what the machine did meanwhile.
_ROUNDS_MOST = 4
# Of so few rounds the quartiles say nothing; one of them is taken to be this uncertain.
_ROUNDS_LEAST = 4
_ROUND_DEVIATION = 0.10
_QUARTILES = 1.349  # the interquartile range of a normal distribution in standard deviations
_MEDIAN = math.pi / 2.0  # the variance of a median over that of a mean
_NORMAL_95 = 1.96
_NOT_SLOWER_LEVEL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNoise:
    """How much a figure of one run is expected to differ from that of another run.

    Attributes:
        deviation: Standard deviation of its logarithm, > 0; 0.05 is about 5 %.
        df: How many degrees of freedom that knowledge is worth, > 0.
    """

    deviation: float
    df: float


TIME_NOISE = RunNoise(deviation=0.05, df=10.0)
"""Of the median time of a test, from one run to another on a shared machine."""

FIGURE_NOISE = RunNoise(deviation=0.08, df=10.0)
"""Of a percentile, a throughput or another figure of a whole scenario."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One figure of one run.

    Attributes:
        value: > 0, in its own unit.
        variance: Of its logarithm by what is seen within the run, >= 0.
    """

    value: float
    variance: float


class RunVerdict(StrEnum):
    """What a run says beside the stored ones."""

    SLOWER = "slower"
    FASTER = "faster"
    NOT_SLOWER = "not slower"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunComparison:
    """How much worse a figure is than it was.

    Attributes:
        verdict: What follows.
        ratio: Now / base, or base / now where more is better: above 1 is worse.
        low: Lower end of its interval, which holds for all comparisons of the suite at once.
        high: Upper end.
        allowed: 1 + the smallest effect worth a verdict.
        visible: The smallest ratio that would have been called slower.
        base: Geometric mean of the stored runs, in the figure's unit.
        now: The value of this run.
    """

    verdict: RunVerdict
    ratio: float
    low: float
    high: float
    allowed: float
    visible: float
    base: float
    now: float


def rounds_reading(median: float, *, iqr: float, rounds: int) -> Reading:
    """The middle of some rounds, as one number for the run.

    Args:
        median: > 0, finite.
        iqr: Their interquartile range, >= 0, in the unit of the median.
        rounds: How many, >= 1.

    Raises:
        TooFewSamplesError: If there is no round.
        ValueError: If the median is not above 0 or a number is not finite.
    """
    if rounds < 1:
        raise TooFewSamplesError(f"rounds: got {rounds}, needed at least 1")
    _check_positive(median, "median")
    if not (math.isfinite(iqr) and iqr >= 0.0):
        raise ValueError(f"interquartile range: got {iqr}, needed a number of 0 or more")
    few = rounds < _ROUNDS_LEAST
    deviation = _ROUND_DEVIATION if few else iqr / _QUARTILES / median
    return Reading(value=median, variance=_MEDIAN * deviation**2 / min(rounds, _ROUNDS_MOST))


def interval_reading(value: float, low: float | None = None, high: float | None = None) -> Reading:
    """A figure with its 95 % interval, or without one.

    Args:
        value: > 0, finite.
        low: Lower end; None, or not above 0, where it is not known.
        high: Upper end; None where it is not known. An end that is not finite counts as none.

    Raises:
        ValueError: If the value is not above 0 or not finite.
    """
    _check_positive(value, "value")
    ends = [end for end in (low, high) if end is not None and math.isfinite(end) and end > 0.0]
    reach = max((abs(math.log(end / value)) for end in ends), default=0.0)
    return Reading(value=value, variance=(reach / _NORMAL_95) ** 2)


def machine_change(stored: Sequence[tuple[float, float]], now: tuple[float, float]) -> float:
    """How much the machine itself differed between two sides, as a logarithm >= 0.

    Args:
        stored: What the same work took before and after the test, > 0, of each stored run.
        now: The same of this run.

    Raises:
        TooFewSamplesError: If there is no stored run.
    """
    if not stored:
        raise TooFewSamplesError("stored runs: got none, needed at least 1")
    sides = [*stored, now]
    paces = [(math.log(before) + math.log(after)) / 2.0 for before, after in sides]
    within = [abs(math.log(before / after)) / 2.0 for before, after in sides]
    change = paces[-1] - sum(paces[:-1]) / len(stored)
    return math.hypot(change, within[-1], max(within[:-1]))


def suite_noise(histories: Sequence[Sequence[Reading]], known: RunNoise) -> RunNoise:
    """What is known of a run's noise after the stored runs of a suite have been heard.

    All tests share the runs, and with them most of what differs from run to run. So the suite's
    middle variance counts like that of a single test: with one degree of freedom less than runs.

    Args:
        histories: For each figure its readings in the stored runs, one or more.
        known: What is known beforehand.
    """
    repeated = [history for history in histories if len(history) > 1]
    if not repeated:
        return known
    seen = float(np.median([_variance(h) / _middle_of_chi_square(len(h) - 1) for h in repeated]))
    df = max(len(history) for history in repeated) - 1
    total = known.df + df
    return RunNoise(
        deviation=math.sqrt((known.df * known.deviation**2 + df * seen) / total), df=known.df
    )


def compare_with_stored(  # noqa: PLR0913 - by name only
    stored: Sequence[Reading],
    now: Reading,
    *,
    noise: RunNoise,
    level: float,
    min_effect: float,
    machine: float = 0.0,
    more_is_better: bool = False,
) -> RunComparison:
    """Judge one figure of a run by the same figure of stored runs of one commit.

    It is slower only if its whole interval lies above 1 + `min_effect`, and faster if it lies below
    the inverse. It is not slower where 1 + `min_effect` lies above the 95 % bound of this figure
    alone: that claim fails nothing, so it needs no correction for many.

    Args:
        stored: One reading a run, at least one.
        now: That of this run.
        noise: What is expected from run to run; see `suite_noise`.
        level: One-sided, in (0, 1/2): for a suite of m comparisons, the suite's / m.
        min_effect: The smallest change worth a verdict, > 0; 0.1 is 10 %.
        machine: How much the machine itself differed, see `machine_change`; >= 0.
        more_is_better: For a throughput and its like.

    Raises:
        TooFewSamplesError: If there is no stored reading.
        ValueError: If the level or the effect is out of range.
    """
    if not stored:
        raise TooFewSamplesError("stored runs: got none, needed at least 1")
    if not 0.0 < level < 0.5 or not 0.0 < min_effect < math.inf:  # noqa: PLR2004 - half tests nothing
        raise ValueError(f"got level {level} and effect {min_effect}, needed (0, 1/2) and above 0")
    base = sum(math.log(reading.value) for reading in stored) / len(stored)
    worse = (math.log(now.value) - base) * (-1.0 if more_is_better else 1.0)
    df = noise.df + len(stored) - 1
    error = math.sqrt(
        _between(stored, noise) * (1.0 + 1.0 / len(stored))
        + machine**2
        + now.variance
        + sum(reading.variance for reading in stored) / len(stored) ** 2
    )
    reach = _reach(level, df) * error
    allowed = math.log1p(min_effect)
    surely_below = worse + _reach(_NOT_SLOWER_LEVEL, df) * error
    return RunComparison(
        verdict=_verdict(worse - reach, worse + reach, surely_below, allowed),
        ratio=math.exp(worse),
        low=math.exp(worse - reach),
        high=math.exp(worse + reach),
        allowed=1.0 + min_effect,
        visible=math.exp(allowed + reach),
        base=math.exp(base),
        now=now.value,
    )


@lru_cache(maxsize=256)
def _reach(level: float, df: float) -> float:
    """How many standard errors reach beyond all but `level`."""
    return -float(student_t_ppf(level, df))


def _verdict(low: float, high: float, surely_below: float, allowed: float) -> RunVerdict:
    if low > allowed:
        return RunVerdict.SLOWER
    if high < -allowed:
        return RunVerdict.FASTER
    return RunVerdict.NOT_SLOWER if surely_below <= allowed else RunVerdict.UNDECIDED


def _between(stored: Sequence[Reading], noise: RunNoise) -> float:
    """The variance from run to run: drawn towards what is expected, never below what was seen."""
    own_df = len(stored) - 1
    if own_df == 0:
        return noise.deviation**2
    own = _variance(stored)
    drawn = (noise.df * noise.deviation**2 + own_df * own) / (noise.df + own_df)
    return max(drawn, own)


def _variance(history: Sequence[Reading]) -> float:
    return float(np.var([math.log(reading.value) for reading in history], ddof=1))


def _middle_of_chi_square(df: int) -> float:
    """Median of chi-square over its degrees of freedom, by Wilson and Hilferty (1931)."""
    return (1.0 - 2.0 / (9.0 * df)) ** 3


def _check_positive(value: float, subject: str) -> None:
    if not 0.0 < value < math.inf:
        raise ValueError(f"{subject}: got {value}, needed a finite number above 0")
