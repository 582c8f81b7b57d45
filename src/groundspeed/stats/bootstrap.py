"""Intervals of percentiles where samples hang together.

A server that stalls makes many samples slow at once: they are not independent, and an interval that
takes them for so is too narrow. Here whole stretches of time, the blocks, are drawn again with
replacement, so that what hangs together stays together. Drawing a block only changes how much its
samples weigh, so nothing is copied: all draws are bisected side by side on the ranks of the samples
sorted once, O(blocks x draws x log n), for a million samples as for a thousand.

References:
    Kuensch (1989), The jackknife and the bootstrap for general stationary observations, Annals of
    Statistics 17. Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 8.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.arrays import FloatArray, IntArray, finite_vector
from groundspeed.stats.distributions import student_t_ppf, student_t_sf
from groundspeed.stats.quantile import (
    CONFIDENCE,
    OrderedSamples,
    QuantileEstimate,
    estimate_quantile,
    interval_ranks,
    percentile_name,
    quantile_rank,
    samples_needed,
    value_between,
)

__all__ = ["BLOCKS_MIN", "DRAWS", "BlockedSamples", "block_interval", "inflation", "is_correlated"]

BLOCKS_MIN = 20
"""Fewer blocks say too little of how blocks differ."""

DRAWS = 1000

# One run of independent samples in ten is taken for correlated.
_CORRELATED_DEVIATIONS = 1.28
_TAIL_MIN = 1e-12


@dataclass(frozen=True, kw_only=True)
class BlockedSamples:
    """Samples, and which stretch of time each belongs to.

    Attributes:
        ordered: The samples, sorted.
        blocks: The samples of each block, sorted; infinite for those that never came back.
    """

    ordered: OrderedSamples
    blocks: tuple[FloatArray, ...]

    @classmethod
    def of(
        cls, samples: npt.ArrayLike, starts: npt.ArrayLike, *, length: float
    ) -> "BlockedSamples":
        """Cut samples into blocks of equal time.

        Args:
            samples: Shape (n,), n >= 1, finite, or infinite for what never came back.
            starts: When each began, shape (n,), finite, in any order.
            length: Of a block, in the unit of the starts, above 0. It should be longer than what
                makes samples hang together lasts: a second, or the period of the stalls.

        Raises:
            TooFewSamplesError: If there is no sample.
            ValueError: If a value is NaN, the shapes differ, or the length is not above 0.
        """
        values = np.asarray(samples, dtype=np.float64)
        begun = finite_vector(starts, subject="starts")
        if values.shape != begun.shape or np.isnan(values).any():
            raise ValueError(
                f"samples: got shape {values.shape} for {begun.size} starts, needed a number each"
            )
        if not 0.0 < length < math.inf:
            raise ValueError(f"length: got {length}, needed a time above 0")
        finite = np.isfinite(values)
        which = np.floor((begun - begun.min()) / length)
        order = np.lexsort((values, which))
        cuts = np.flatnonzero(np.diff(which[order])) + 1
        return cls(
            ordered=OrderedSamples(values[finite], beyond=int((~finite).sum())),
            blocks=tuple(np.split(values[order], cuts)),
        )

    def estimate(
        self, q: float, rng: np.random.Generator, *, confidence: float = CONFIDENCE
    ) -> QuantileEstimate:
        """A quantile with the interval that fits how the samples hang together.

        Independent samples have that of their ranks. Where they are correlated it is widened to
        hold that of the block bootstrap, and that of as many independent samples as they are worth.

        Raises:
            TooFewSamplesError: If there are too few samples or, of correlated ones, blocks.
            ValueError: If an argument is out of range.
        """
        estimate = estimate_quantile(self.ordered, q, confidence=confidence)
        if not is_correlated(self, q):
            return estimate
        drawn = block_interval(self, q, rng, confidence=confidence)
        worth = _effective_interval(self, q, confidence)
        return replace(
            estimate,
            low=min(estimate.low, drawn[0], worth[0]),
            high=max(estimate.high, drawn[1], worth[1]),
        )


def is_correlated(samples: BlockedSamples, q: float) -> bool:
    """Whether blocks differ more in their share from the quantile on than if independent.

    By chi-square at one in ten, in the approximation of Wilson and Hilferty: to widen an interval
    for nothing costs less than to miss what hangs together. One block, or a quantile that never
    came back, shows nothing.

    Raises:
        ValueError: If q is not in (0, 1).
    """
    df = len(samples.blocks) - 1
    if df < 1:
        return False
    scale = 2.0 / (9.0 * df)
    limit = 1.0 - scale + _CORRELATED_DEVIATIONS * math.sqrt(scale)
    return math.cbrt(inflation(samples, q)) > limit


def inflation(samples: BlockedSamples, q: float) -> float:
    """How many times as much blocks vary in their share from the quantile on as if independent.

    The design effect: n samples say as much of the quantile as n / inflation independent ones. 0
    where nothing lies below it, or there is only one block.

    Raises:
        ValueError: If q is not in (0, 1).
    """
    value = samples.ordered.quantile(q)
    sizes = np.array([block.size for block in samples.blocks], dtype=np.float64)
    above = np.array(
        [block.size - np.searchsorted(block, value, side="left") for block in samples.blocks]
    )
    share = float(above.sum() / sizes.sum())
    if share == 1.0 or sizes.size == 1:
        return 0.0
    squares = (above - sizes * share) ** 2 / (sizes * share * (1.0 - share))
    return float(squares.sum() / (sizes.size - 1))


def _effective_interval(
    samples: BlockedSamples, q: float, confidence: float
) -> tuple[float, float]:
    """The interval of so many independent samples as these are worth, by Student's t.

    Ranks keep the skewness of a tail that few clusters reach, which drawing the clusters again
    underrates (Woodruff 1952, Journal of the American Statistical Association 47).
    """
    count = samples.ordered.count
    worth = max(1, round(count / max(1.0, inflation(samples, q))))
    t = -float(student_t_ppf((1.0 - confidence) / 2.0, len(samples.blocks) - 1.0))
    # The normal tail beyond Student's quantile: a confidence above the asked one.
    tail = float(student_t_sf(t, np.inf))
    wider = 1.0 - 2.0 * max(tail, _TAIL_MIN)
    needed = samples_needed(q, confidence=wider)
    if worth < needed:
        raise TooFewSamplesError(
            f"{percentile_name(q)}: got {count} samples that hang together and say as much as "
            f"{worth}, needed as much as {needed}; measure longer"
        )
    low, high = interval_ranks(worth, q, confidence=wider)
    return (
        value_between(samples.ordered, _scaled(low, worth, count)),
        value_between(samples.ordered, _scaled(high, worth, count)),
    )


def _scaled(rank: float, worth: int, count: int) -> float:
    return min(max((rank - 0.5) / worth * count + 0.5, 1.0), float(count))


def _student_over_normal(blocks: int, confidence: float) -> float:
    tail = (1.0 - confidence) / 2.0
    return float(student_t_ppf(tail, blocks - 1.0)) / float(student_t_ppf(tail, np.inf))


def block_interval(
    samples: BlockedSamples,
    q: float,
    rng: np.random.Generator,
    *,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
) -> tuple[float, float]:
    """The interval of a quantile by drawing whole blocks again.

    Draws of b blocks vary by (b - 1) / b of what b new blocks would, and their ends are those of a
    normal distribution: few blocks make the interval too narrow. So it is stretched, in ranks, by
    the ratio of Student's t to the normal quantile and by sqrt(b / (b - 1)).

    Args:
        samples: At least `BLOCKS_MIN` blocks.
        q: In (0, 1).
        rng: Where the draws come from.
        confidence: Two-sided, in (0, 1).
        draws: How many; 1,000 leave each end uncertain by about 2 % of the interval.

    Returns:
        The ends, in the samples' unit; the upper may be infinite.

    Raises:
        TooFewSamplesError: If there are too few blocks.
        ValueError: If q is not in (0, 1).
    """
    count = len(samples.blocks)
    if count < BLOCKS_MIN:
        raise TooFewSamplesError(
            f"{percentile_name(q)}: got {count} blocks of correlated samples, needed at least "
            f"{BLOCKS_MIN}; measure longer"
        )
    weights = rng.multinomial(count, np.full(count, 1.0 / count), size=draws)
    drawn = np.sort(_drawn_ranks(samples, q, weights))
    low, high = _stretched(drawn, quantile_rank(samples.ordered.count, q), count, confidence)
    return (
        samples.ordered.value_at_rank(max(1, low)),
        samples.ordered.value_at_rank(min(samples.ordered.count, high)),
    )


def _drawn_ranks(samples: BlockedSamples, q: float, weights: IntArray) -> IntArray:
    """The rank, among all samples, of each draw's quantile; shape (draws,)."""
    total = samples.ordered.count
    sizes = np.array([block.size for block in samples.blocks])
    wanted = np.ceil((weights @ sizes) * q * (1.0 - 1e-9))
    every = np.concatenate((samples.ordered.values, np.full(samples.ordered.beyond, np.inf)))
    # Of each draw: the least sample up to which it has as many as wanted.
    low = np.zeros(len(weights), dtype=np.int64)
    high = np.full(len(weights), total - 1, dtype=np.int64)
    while (low < high).any():
        middle = (low + high) // 2
        held = np.zeros(len(weights), dtype=np.int64)
        for block, weight in zip(samples.blocks, weights.T, strict=True):
            held += weight * np.searchsorted(block, every[middle], side="right")
        enough = held >= wanted
        high = np.where(enough, middle, high)
        low = np.where(enough, low, middle + 1)
    return np.asarray(low + 1, dtype=np.int64)


def _stretched(drawn: IntArray, rank: int, blocks: int, confidence: float) -> tuple[int, int]:
    tail = (1.0 - confidence) / 2.0
    stretch = _student_over_normal(blocks, confidence) * math.sqrt(blocks / (blocks - 1.0))
    low = drawn[max(0, math.floor(tail * drawn.size))]
    high = drawn[min(drawn.size - 1, math.ceil((1.0 - tail) * drawn.size) - 1)]
    return (
        math.floor(rank - stretch * max(0, rank - int(low))),
        math.ceil(rank + stretch * max(0, int(high) - rank)),
    )
