"""Variances that borrow strength from the whole suite: limma's empirical Bayes.

Five launch pairs give a row a variance with 4 degrees of freedom, too few for the small levels a
suite needs. The rows of a suite resemble each other, though. Smyth's model takes the true
variances as draws from a scaled inverse chi-square with d0 degrees of freedom around s0^2; both
are fitted from the spread of the log variances, and each row's variance is then drawn towards
s0^2 with the weight of d0 against its own degrees of freedom. The more alike the rows, the larger
d0. Rows that could not be less alike give d0 near 0, and every row stands on its own.

The degrees of freedom never exceed what the suite has measured altogether, so a suite of one row
is an ordinary t-test.

References:
    Smyth (2004), Linear models and empirical Bayes methods for assessing differential expression
    in microarray experiments, Statistical Applications in Genetics and Molecular Biology 3(1) 3,
    section 6.2 and appendix.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import FloatArray, finite_vector
from groundspeed.stats.distributions import digamma, trigamma, trigamma_inverse

__all__ = ["ModeratedVariance", "VariancePrior", "fit_prior", "moderate"]

# A variance below this share of the median enters the fit as this share: log 0 is no number.
_FLOOR = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class VariancePrior:
    """What the suite says about the variance of any of its rows.

    Attributes:
        variance: s0^2, the centre; >= 0, in the square of the differences' unit.
        df: d0, how many degrees of freedom that knowledge is worth: 0 (nothing) to infinity (all
            rows have the same variance).
    """

    variance: float
    df: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeratedVariance:
    """The rows' variances after the suite has been heard.

    Attributes:
        variance: Shape (rows,), each between the row's own and the prior's.
        df: Degrees of freedom of each, at most those of all rows together.
        prior: What they were drawn towards.
    """

    variance: FloatArray
    df: float
    prior: VariancePrior


def fit_prior(variance: npt.ArrayLike, *, df: float) -> VariancePrior:
    """Fit the distribution the rows' variances come from, by the moments of their logarithms.

    Rows alike beyond chance give df = infinity and the mean variance. One row says nothing about
    others: df = 0. If no row varies at all, the prior is that none does: variance 0, df = infinity.
    Variances below 1e-5 of the median (of the positive ones, if half are 0) are raised to it here.

    Args:
        variance: Shape (rows,), rows >= 1, >= 0, finite.
        df: Degrees of freedom of each, > 0.

    Raises:
        TooFewSamplesError: If there is no row.
        ValueError: If a variance is negative or not finite, or df is not above zero.
    """
    own = _checked(variance, df)
    if own.size == 1:
        return VariancePrior(variance=float(own[0]), df=0.0)
    positive = own[own > 0.0]
    if not positive.size:
        return VariancePrior(variance=0.0, df=math.inf)
    floor = _FLOOR * (float(np.median(own)) or float(np.median(positive)))
    # In sorted order, so that the order of the rows leaves no trace in the rounding.
    raised = np.sort(np.maximum(own, floor))
    location = np.log(raised) - float(digamma(df / 2.0)) + math.log(df / 2.0)
    excess = float(location.var(ddof=1)) - float(trigamma(df / 2.0))
    if excess <= 0.0:
        return VariancePrior(variance=float(raised.mean()), df=math.inf)
    half_df = float(trigamma_inverse(excess))
    centre = float(location.mean()) + float(digamma(half_df)) - math.log(half_df)
    return VariancePrior(variance=math.exp(centre), df=2.0 * half_df)


def moderate(variance: npt.ArrayLike, *, df: float) -> ModeratedVariance:
    """Draw each row's variance towards what the suite has in common.

    Args:
        variance: Shape (rows,), rows >= 1, >= 0, finite.
        df: Degrees of freedom of each, > 0.

    Raises:
        TooFewSamplesError: If there is no row.
        ValueError: If a variance is negative or not finite, or df is not above zero.
    """
    own = _checked(variance, df)
    prior = fit_prior(own, df=df)
    weight = prior.df / (prior.df + df) if math.isfinite(prior.df) else 1.0
    return ModeratedVariance(
        variance=(1.0 - weight) * own + weight * prior.variance,
        df=float(min(prior.df + df, own.size * df)),
        prior=prior,
    )


def _checked(variance: npt.ArrayLike, df: float) -> FloatArray:
    own = finite_vector(variance, subject="variances")
    if (own < 0.0).any():
        raise ValueError(f"variances: got {own.min()}, needed 0 or more")
    if not (math.isfinite(df) and df > 0.0):
        raise ValueError(f"degrees of freedom: got {df}, needed a finite number above 0")
    return own
