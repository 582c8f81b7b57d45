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
from groundspeed.stats.distributions import student_t_ppf
from groundspeed.stats.quantile import (
    CONFIDENCE,
    OrderedSamples,
    QuantileEstimate,
    estimate_quantile,
    percentile_name,
    quantile_rank,
)

__all__ = ["BLOCKS_MIN", "DRAWS", "BlockedSamples", "block_interval", "is_correlated"]

BLOCKS_MIN = 20
"""Fewer blocks say too little of how blocks differ."""

DRAWS = 1000

# One run of independent samples in a thousand is taken for correlated.
_CORRELATED_DEVIATIONS = 3.09


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
        hold that of the block bootstrap.

        Raises:
            TooFewSamplesError: If there are too few samples or, of correlated ones, blocks.
            ValueError: If an argument is out of range.
        """
        estimate = estimate_quantile(self.ordered, q, confidence=confidence)
        if not is_correlated(self, q):
            return estimate
        low, high = block_interval(self, q, rng, confidence=confidence)
        return replace(estimate, low=min(estimate.low, low), high=max(estimate.high, high))


def is_correlated(samples: BlockedSamples, q: float) -> bool:
    """Whether blocks differ more in their share above the quantile than independent samples would.

    The sum of the blocks' squared deviations is chi-square, here by the approximation of Wilson and
    Hilferty. One block, or a quantile that never came back, shows nothing.

    Raises:
        ValueError: If q is not in (0, 1).
    """
    value = samples.ordered.quantile(q)
    if len(samples.blocks) < 2 or not math.isfinite(value):  # noqa: PLR2004 - a difference takes two
        return False
    sizes = np.array([block.size for block in samples.blocks], dtype=np.float64)
    above = np.array(
        [block.size - np.searchsorted(block, value, side="right") for block in samples.blocks]
    )
    share = float(above.sum() / sizes.sum())
    if share == 0.0:
        return False
    df = sizes.size - 1
    chi_square = float(((above - sizes * share) ** 2 / (sizes * share * (1.0 - share))).sum())
    scale = 2.0 / (9.0 * df)
    return math.cbrt(chi_square / df) > 1.0 - scale + _CORRELATED_DEVIATIONS * math.sqrt(scale)


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
        draws: How many; 1,000 leave the ends uncertain by about 3 % of the interval.

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
    # The largest df there is stands for the normal distribution.
    t, normal = student_t_ppf(np.array([tail, tail]), np.array([blocks - 1.0, np.inf]))
    stretch = float(t / normal) * math.sqrt(blocks / (blocks - 1.0))
    low = drawn[max(0, math.floor(tail * drawn.size))]
    high = drawn[min(drawn.size - 1, math.ceil((1.0 - tail) * drawn.size) - 1)]
    return (
        math.floor(rank - stretch * max(0, rank - int(low))),
        math.ceil(rank + stretch * max(0, int(high) - rank)),
    )
