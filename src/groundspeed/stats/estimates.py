"""How far each row of a suite has moved, and how sure that is.

Rows come in families: times, peak memory, allocations, what benchmarks return. A family shares what
it knows of noise (`moderated`); across families nothing is shared.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import Families, FloatArray, family_vector, finite_matrix
from groundspeed.stats.distributions import student_t_ppf, student_t_tails
from groundspeed.stats.moderated import moderate_families
from groundspeed.stats.paired import summarise

__all__ = ["Estimates", "estimate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """How far each row has moved, and how sure that is; every array has shape (rows,).

    Attributes:
        mean: Mean of the log ratios; positive means the candidate is slower, or worse.
        standard_error: Of that mean, moderated within the row's family.
        df: Degrees of freedom of the standard error.
        p_slower: Chance of a mean at least this high if the row is not slower.
        p_faster: Chance of a mean at least this low if the row is not faster.
        prior_variance: What the row's family says about the variance of its mean.
        prior_df: How many degrees of freedom that is worth, 0 to infinity.
    """

    mean: FloatArray
    standard_error: FloatArray
    df: FloatArray
    p_slower: FloatArray
    p_faster: FloatArray
    prior_variance: FloatArray
    prior_df: FloatArray

    def interval(self, confidence: float) -> tuple[FloatArray, FloatArray]:
        """Give the ends of the two-sided interval of the mean, on the log scale.

        Args:
            confidence: In (0, 1).

        Raises:
            ValueError: If the confidence is out of range.
        """
        if not 0.0 < confidence < 1.0:
            raise ValueError(f"confidence: got {confidence}, needed a number between 0 and 1")
        df, which = np.unique(self.df, return_inverse=True)
        reach = -student_t_ppf((1.0 - confidence) / 2.0, df)[which] * self.standard_error
        return self.mean - reach, self.mean + reach


def estimate(differences: npt.ArrayLike, *, families: Families | None = None) -> Estimates:
    """Estimate every row of a suite, its variance moderated by the others of its family.

    A row whose differences are all one number is certain: p is 0 or 1, or 1/2 at mean 0, however
    much the rest of its family varies. No noise that takes a continuum of values gives one number
    twice, so that no noisy row gains by this, and none loses: exact rows stay out of the fit of the
    prior (`moderate_families`). What can be exact by chance is a row that takes few values, apart
    by the least effect or more. The worst tosses a coin on each side: it shows one and the same
    difference above 0 in all n pairs with chance 4^-n: 0.002 % at 8 pairs, the first at which the
    gate may call it slower. Several rows of that kind have it each.

    Args:
        differences: log(candidate / base), shape (rows, pairs), rows >= 1, pairs >= 2, finite.
        families: A small integer for each row, shape (rows,); rows of one family have noise of one
            kind. None means one family for all.

    Raises:
        TooFewSamplesError: If there is no row or fewer than two pairs.
        ValueError: If a difference is NaN or infinite, or a shape is another.
    """
    matrix = finite_matrix(differences, subject="differences", columns_min=2)
    summary = summarise(matrix)
    moderated = moderate_families(
        summary.variance,
        df=summary.df,
        families=family_vector(families, rows=len(matrix)),
        exact=np.asarray((matrix == matrix[:, :1]).all(axis=1)),
    )
    error = np.sqrt(moderated.variance)
    certain = np.where(summary.mean == 0.0, 0.0, np.copysign(np.inf, summary.mean))
    t = np.divide(summary.mean, error, out=certain, where=error > 0.0)
    p_slower, p_faster = student_t_tails(t, moderated.df)
    return Estimates(
        mean=summary.mean,
        standard_error=error,
        df=moderated.df,
        p_slower=p_slower,
        p_faster=p_faster,
        prior_variance=moderated.prior_variance,
        prior_df=moderated.prior_df,
    )
