"""Whether values fall into two groups, apart from each other and close within."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST_VALUES", "Groups", "two_groups"]

LEAST_VALUES = 12
"""Of fewer values normal noise alone looks like two groups too often."""

# Of the variance, what two groups may leave within them. The best split of many normal values
# leaves 0.36; it leaves less than 0.08 of twelve of them once in 550 times, of seventeen once in
# 10,000.
_WITHIN = 0.08
_LEAST_MEMBERS = 3
_LEAST_SHARE = 1 / 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The best split of some values into two.

    Attributes:
        low: Mean of the lower group.
        high: Mean of the upper group.
        upper: Of each value, whether it is of the upper group.
    """

    low: float
    high: float
    upper: tuple[bool, ...]


def two_groups(values: npt.ArrayLike) -> Groups | None:
    """The two groups that values fall into; None where they are one, or too few to tell.

    The split is the one that leaves the least variance within the groups; it parts the sorted
    values in one place (Fisher 1958, On grouping for maximum homogeneity, section 2). It counts
    where it leaves less than 8 % of the variance, and neither group is a handful of outliers:
    three values, and a sixth of all, at least.

    Args:
        values: At least `LEAST_VALUES` finite numbers; with fewer nothing is found.
    """
    given = np.asarray(values, dtype=np.float64)
    least = max(_LEAST_MEMBERS, math.ceil(given.size * _LEAST_SHARE))
    if given.size < LEAST_VALUES or np.ptp(given) == 0.0:
        return None
    # Shifted and scaled, for squares of large or tiny numbers lose what makes them differ.
    scaled = np.sort((given - given.min()) / np.ptp(given))
    sizes = np.arange(least, given.size - least + 1)
    within = _within(scaled, sizes)
    best = int(np.argmin(within))
    if within[best] >= _WITHIN * np.sum((scaled - scaled.mean()) ** 2):
        return None
    ordered = np.sort(given)
    size = int(sizes[best])
    upper = given >= ordered[size]
    return Groups(
        low=float(ordered[:size].mean()),
        high=float(ordered[size:].mean()),
        upper=tuple(bool(is_upper) for is_upper in upper),
    )


def _within(
    ordered: npt.NDArray[np.float64], sizes: npt.NDArray[np.int_]
) -> npt.NDArray[np.float64]:
    """The sum of squares within both groups, by the size of the lower one."""
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    lower_sums, lower_squares = sums[sizes - 1], squares[sizes - 1]
    lower = lower_squares - lower_sums**2 / sizes
    upper = squares[-1] - lower_squares - (sums[-1] - lower_sums) ** 2 / (ordered.size - sizes)
    result: npt.NDArray[np.float64] = lower + upper
    return result
