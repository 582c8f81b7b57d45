"""What a comparison can see."""

import numpy as np
import numpy.typing as npt

from groundspeed.stats.arrays import FloatArray
from groundspeed.stats.distributions import student_t_ppf

__all__ = ["minimum_detectable_effect"]


def minimum_detectable_effect(
    standard_error: npt.ArrayLike, df: npt.ArrayLike, *, level: float, power: float = 0.95
) -> FloatArray:
    """Smallest slowdown that a one-sided test finds with chance `power`, as ratio - 1.

    exp((t_(1 - level) + t_power) s) - 1: the shift whose estimate falls short of the critical
    value no more often than 1 - power.

    Args:
        standard_error: s of the mean log ratio, any shape, >= 0, finite.
        df: Its degrees of freedom, >= 1; broadcast with `standard_error`.
        level: Level of the test for this row, in (0, 1/2); for a suite of m rows, the suite's / m.
        power: In [1/2, 1).

    Raises:
        ValueError: If an argument is out of range.
    """
    error = np.asarray(standard_error, dtype=np.float64)
    if not (np.isfinite(error) & (error >= 0.0)).all():
        raise ValueError("standard error: needed finite numbers of 0 or more")
    if not 0.0 < level < 0.5:  # noqa: PLR2004 - a level of one half tests nothing
        raise ValueError(f"level: got {level}, needed a number between 0 and 1/2")
    if not 0.5 <= power < 1.0:  # noqa: PLR2004 - below one half the test has no power
        raise ValueError(f"power: got {power}, needed a number from 1/2 to below 1")
    # The lower tail keeps the digits of a small level.
    return np.asarray(np.expm1((student_t_ppf(power, df) - student_t_ppf(level, df)) * error))
