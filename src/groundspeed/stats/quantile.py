"""Percentiles by order statistics, with an interval that asks nothing of the distribution.

How many of n independent samples lie below the true quantile Q(q) is binomial (n, q), whatever they
are drawn from. So Q(q) lies between two order statistics with a chance that is known beforehand.
Ranks are whole numbers and the chance jumps from one to the next: in the tail of a small sample the
interval that keeps its promise keeps too much, 97.5 % for p99 of 1,000. Nyblom's interpolation
between neighbours takes that back and stays within about half a percent of what was asked.

The largest sample is the last there is. Where it lies below the quantile more often than allowed,
no interval exists, and none is made up: p95 takes 72 samples, p99 368 and p99.9 3,688.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.arrays import FloatArray, finite_vector

__all__ = [
    "CONFIDENCE",
    "OrderedSamples",
    "QuantileEstimate",
    "Ranked",
    "estimate_quantile",
    "interval_ranks",
    "percentile_name",
    "quantile_rank",
    "samples_needed",
    "value_between",
]

CONFIDENCE = 0.95

# Beyond so many standard deviations, and so many counts, a binomial weight is below 1e-20.
_REACH_DEVIATIONS = 12.0
_REACH_COUNTS = 60
_ROUNDING = 1e-9


class Ranked(Protocol):
    """Values in order: sorted samples, or a histogram of them."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def value_at_rank(self, rank: int) -> float:
        """The value of rank 1 (least) to `count`; infinite for a call that never came back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileEstimate:
    """A quantile and how sure it is.

    Attributes:
        q: Which, in (0, 1); 0.95 is p95.
        value: The order statistic of rank ceil(n q), in the samples' unit; may be infinite.
        low: Lower end of the interval.
        high: Upper end; infinite where it reaches into what never came back.
        confidence: Coverage of the interval.
        count: Samples, with those that never came back.
    """

    q: float
    value: float
    low: float
    high: float
    confidence: float
    count: int


class OrderedSamples:
    """Samples in ascending order, with those above all that have no value.

    Attributes:
        values: Sorted, shape (n,), finite.
        beyond: How many more lie above every value: calls that failed, or never came back.
    """

    __slots__ = ("beyond", "values")

    def __init__(self, samples: npt.ArrayLike, *, beyond: int = 0) -> None:
        """Sort once; O(n log n).

        Args:
            samples: Shape (n,), in any order and unit, finite; empty only where `beyond` is not.
            beyond: At least 0.

        Raises:
            TooFewSamplesError: If there is no sample at all.
            ValueError: If a sample is NaN or infinite, or `beyond` is negative.
        """
        if beyond < 0:
            raise ValueError(f"beyond: got {beyond}, needed 0 or more")
        none = np.asarray(samples).size == 0 and beyond > 0
        vector = np.empty(0) if none else finite_vector(samples, subject="samples")
        self.values: FloatArray = np.sort(vector)
        self.beyond = beyond

    @property
    def count(self) -> int:
        """Samples, with those beyond."""
        return int(self.values.size) + self.beyond

    def value_at_rank(self, rank: int) -> float:
        """The value of rank 1 (least) to `count`; infinite beyond the last that has one.

        Raises:
            ValueError: If there is no such rank.
        """
        if not 1 <= rank <= self.count:
            raise ValueError(f"rank: got {rank}, needed 1 to {self.count}")
        return float(self.values[rank - 1]) if rank <= self.values.size else math.inf

    def quantile(self, q: float) -> float:
        """The order statistic of rank ceil(n q), for any number of samples.

        Raises:
            ValueError: If q is not in (0, 1).
        """
        return self.value_at_rank(quantile_rank(self.count, q))

    def estimate(self, q: float, *, confidence: float = CONFIDENCE) -> QuantileEstimate:
        """The quantile with its interval; see `estimate_quantile`."""
        return estimate_quantile(self, q, confidence=confidence)


def percentile_name(q: float) -> str:
    """How people call a quantile: 0.95 is `p95`, 0.999 is `p99.9`."""
    return f"p{round(q * 100.0, 6):g}"


def quantile_rank(count: int, q: float) -> int:
    """The rank of the quantile q among `count` samples, ceil(n q), from 1 to `count`.

    Raises:
        ValueError: If q is not in (0, 1) or there is no sample.
    """
    _check_share(q, "q")
    if count < 1:
        raise TooFewSamplesError(f"samples: got {count}, needed at least 1; measure some first")
    # 0.07 * 100 is 7.000000000000001, whose ceiling would be a rank too high.
    return min(count, max(1, math.ceil(count * q * (1.0 - _ROUNDING))))


def samples_needed(q: float, *, confidence: float = CONFIDENCE) -> int:
    """The least number of samples for which the quantile has a two-sided interval.

    With n samples all of them lie below it with chance q^n, and all above with (1 - q)^n; neither
    may be more than half of what the confidence leaves.

    Args:
        q: In (0, 1).
        confidence: In (0, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    _check_share(q, "q")
    _check_share(confidence, "confidence")
    allowed = math.log((1.0 - confidence) / 2.0)
    return max(2, math.ceil(allowed / math.log(max(q, 1.0 - q))))


@lru_cache(maxsize=256)
def interval_ranks(count: int, q: float, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The ranks between which the quantile lies; 12.25 is a quarter of the way from 12 to 13.

    Args:
        count: Independent samples; also fewer than there are, where they are correlated.
        q: In (0, 1).
        confidence: Two-sided, in (0, 1).

    Raises:
        TooFewSamplesError: If no two ranks hold the quantile with that confidence.
        ValueError: If an argument is out of range.

    References:
        Nyblom (1992), Note on interpolated order statistics, Statistics & Probability Letters 14.
    """
    needed = samples_needed(q, confidence=confidence)
    if count < needed:
        raise TooFewSamplesError(
            f"{percentile_name(q)}: got {count} samples, needed at least {needed} for an interval "
            f"at {confidence * 100:g} %; measure longer, or ask for a lower percentile"
        )
    allowed = (1.0 - confidence) / 2.0
    low = _lower_rank(count, q, allowed)
    # Seen from above, ranks count down and the quantile is that of 1 - q.
    return low, count + 1.0 - _lower_rank(count, 1.0 - q, allowed)


def estimate_quantile(
    ranked: Ranked, q: float, *, confidence: float = CONFIDENCE
) -> QuantileEstimate:
    """Estimate a quantile of independent samples, with its interval.

    Args:
        ranked: The samples in order, or a histogram of them.
        q: In (0, 1); 0.95 for p95.
        confidence: Two-sided, in (0, 1).

    Raises:
        TooFewSamplesError: If there are fewer samples than the interval needs; the message says how
            many it takes.
        ValueError: If an argument is out of range.
    """
    low, high = interval_ranks(ranked.count, q, confidence=confidence)
    return QuantileEstimate(
        q=q,
        value=ranked.value_at_rank(quantile_rank(ranked.count, q)),
        low=value_between(ranked, low),
        high=value_between(ranked, high),
        confidence=confidence,
        count=ranked.count,
    )


def value_between(ranked: Ranked, rank: float) -> float:
    """The value at a rank between two whole ones, on the straight line between theirs.

    Raises:
        ValueError: If there is no such rank.
    """
    whole = math.floor(rank)
    part = rank - whole
    value = ranked.value_at_rank(whole)
    if part == 0.0:
        return value
    above = ranked.value_at_rank(whole + 1)
    return value + part * (above - value) if above > value else value


def _lower_rank(count: int, q: float, allowed: float) -> float:
    """The rank, between two whole ones, that lies above the quantile with the allowed chance."""
    first, below = _binomial_sums(count, q)
    # below[i] is the chance of fewer than first + i samples below Q: that X of that rank is above.
    index = int(np.searchsorted(below, allowed, side="right")) - 1
    rank = first + index
    chance, next_chance = float(below[index]), float(below[index + 1])
    if chance == allowed:
        return float(rank)
    odds = rank * (1.0 - q) * (next_chance - allowed) / ((count - rank) * q * (allowed - chance))
    return rank + 1.0 / (1.0 + odds)


def _binomial_sums(count: int, q: float) -> tuple[int, FloatArray]:
    """The chances of fewer than `first`, `first + 1`, ... successes, around the mean."""
    mean, deviation = count * q, math.sqrt(count * q * (1.0 - q))
    reach = math.ceil(_REACH_DEVIATIONS * deviation) + _REACH_COUNTS
    first, last = max(0, math.floor(mean) - reach), min(count, math.ceil(mean) + reach)
    successes = np.arange(first, last, dtype=np.float64)
    # Each weight from the one before it: no factorial, and rounding stays at the last digits.
    steps = np.log((count - successes) / (successes + 1.0)) + math.log(q) - math.log1p(-q)
    logs = np.concatenate(([0.0], np.cumsum(steps)))
    weights = np.exp(logs - logs.max())
    sums = np.concatenate(([0.0], np.cumsum(weights)))
    return first, sums / sums[-1]


def _check_share(value: float, subject: str) -> None:
    if not 0.0 < value < 1.0:
        raise ValueError(f"{subject}: got {value}, needed a number between 0 and 1")
