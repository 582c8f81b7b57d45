"""One row of launch pairs in three numbers: mean, variance of the mean, degrees of freedom.

A pair gives one difference, log(candidate / base). A few pairs may be spoiled by something the
clean time does not see, so from eight pairs on a tenth is trimmed at each end, and the variance is
Yuen's: that of the winsorised values, which is the right one for a trimmed mean.

Every sum here runs over sorted values and pairs the first with the last. The order of the launch
pairs then leaves no trace, and exchanging base and candidate changes the sign of the mean and not
one bit more.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import FloatArray, finite_matrix

__all__ = ["PairedSummary", "summarise"]

_TRIMMED_FROM = 8
_TRIMMED_TENTHS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSummary:
    """What the launch pairs of each row say by themselves.

    Attributes:
        mean: Plain or trimmed mean of the differences, shape (rows,), natural log of a ratio.
        variance: Variance of that mean, shape (rows,), >= 0.
        df: Degrees of freedom of the variance, the same for every row, >= 1.
    """

    mean: FloatArray
    variance: FloatArray
    df: int


def summarise(differences: npt.ArrayLike) -> PairedSummary:
    """Estimate each row's mean difference and how far it may be off.

    Below 8 pairs: the plain mean, s^2 / n, n - 1. From 8: with g = max(1, floor(n / 10)) trimmed
    at each end and h = n - 2 g left, the trimmed mean, (n - 1) s_w^2 / (h (h - 1)), h - 1.

    Args:
        differences: log(candidate / base), shape (rows, pairs), rows >= 1, pairs >= 2, finite.

    Raises:
        TooFewSamplesError: If there is no row or fewer than two pairs.
        ValueError: If a difference is NaN or infinite, or the shape is another.

    References:
        Yuen (1974), The two-sample trimmed t for unequal population variances, Biometrika 61.
    """
    matrix = finite_matrix(differences, subject="differences", columns_min=2)
    ordered = np.sort(matrix, axis=1)
    pairs = ordered.shape[1]
    trimmed = max(1, pairs * _TRIMMED_TENTHS // 10) if pairs >= _TRIMMED_FROM else 0
    kept = ordered[:, trimmed : pairs - trimmed]
    used = kept.shape[1]
    winsorised = np.clip(ordered, kept[:, :1], kept[:, -1:])
    deviation = winsorised - _mean(winsorised)[:, None]
    return PairedSummary(
        mean=_mean(kept),
        variance=_mean(deviation**2) * pairs / (used * (used - 1)),
        df=used - 1,
    )


def _mean(values: FloatArray) -> FloatArray:
    # Counted from between the ends, equal values have their own value as mean, exactly.
    origin = (values[:, :1] + values[:, -1:]) / 2.0
    away = values - origin
    return np.asarray(origin[:, 0] + (away + away[:, ::-1]).mean(axis=1) / 2.0)
