"""Where the samples of one launch lie."""

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import FloatArray, finite_vector

__all__ = ["faster_half_mean", "slower_half_mean"]


def faster_half_mean(samples: npt.ArrayLike) -> float:
    """Mean of the lower half of the samples, in their unit; the middle one of an odd number is in.

    What disturbs a sample makes it longer and hardly ever shorter: the lower half is disturbed
    less, and by chance less differently, than the middle (docs/decisions/0018-faster-half.md). A
    cost that fewer than half of the samples bear is not in it; `slower_half_mean` shows that.

    Args:
        samples: Shape (n,), n >= 1, finite, in any order.

    Raises:
        TooFewSamplesError: If there is no sample.
        ValueError: If a sample is NaN or infinite.
    """
    ordered = _ordered(samples)
    return float(ordered[: (ordered.size + 1) // 2].mean())


def slower_half_mean(samples: npt.ArrayLike) -> float:
    """Mean of the upper half of the samples, in their unit; the middle one of an odd number is in.

    Args:
        samples: Shape (n,), n >= 1, finite, in any order.

    Raises:
        TooFewSamplesError: If there is no sample.
        ValueError: If a sample is NaN or infinite.
    """
    ordered = _ordered(samples)
    return float(ordered[ordered.size // 2 :].mean())


def _ordered(samples: npt.ArrayLike) -> FloatArray:
    return np.sort(finite_vector(samples, subject="samples"))
