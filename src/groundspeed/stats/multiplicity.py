"""Many tests at once."""

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import BoolArray, finite_vector

__all__ = ["benjamini_hochberg", "benjamini_hochberg_beside"]


def benjamini_hochberg(p: npt.ArrayLike, level: float) -> BoolArray:
    """Mark the hypotheses to reject, of which a share of at most `level` is expected to be true.

    The step-up rule: with k the last rank whose p-value is at most level * k / m, the k smallest
    are rejected. If all m hypotheses are true, the chance of any rejection is at most `level`.

    Args:
        p: p-values, shape (m,), m >= 1, each in [0, 1].
        level: 0 or more, below 1; at 0 nothing is rejected, not even p = 0.

    Raises:
        TooFewSamplesError: If there is no p-value.
        ValueError: If a p-value or the level is out of range.

    References:
        Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57, section 3.1.
    """
    values = finite_vector(p, subject="p-values")
    if values.min() < 0.0 or values.max() > 1.0:
        raise ValueError(f"p-values: got {values.min()} to {values.max()}, needed 0 to 1")
    if not 0.0 <= level < 1.0:
        raise ValueError(f"level: got {level}, needed a number from 0 to below 1")
    if level == 0.0:
        return np.zeros(values.shape, dtype=np.bool_)
    ordered = np.sort(values)
    passing = np.flatnonzero(ordered <= level * np.arange(1, values.size + 1) / values.size)
    if not passing.size:
        return np.zeros(values.shape, dtype=np.bool_)
    return np.asarray(values <= ordered[passing[-1]])


def benjamini_hochberg_beside(
    p: npt.ArrayLike, level: float, *, rejected: int, kept: int
) -> BoolArray:
    """Mark what to reject beside hypotheses that were settled before.

    Args:
        p: p-values of the open ones, as `benjamini_hochberg` takes them.
        level: As `benjamini_hochberg` takes it.
        rejected: How many were rejected before; they count with p = 0.
        kept: How many were not; they count with p = 1.

    Raises:
        TooFewSamplesError: If there is no p-value.
        ValueError: If a p-value or the level is out of range.
    """
    values = finite_vector(p, subject="p-values")
    all_values = np.concatenate([values, np.zeros(rejected), np.ones(kept)])
    return benjamini_hochberg(all_values, level)[: values.size]
