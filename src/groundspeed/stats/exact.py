"""Metrics that hardly vary: one pair decides.

The instructions a single-threaded call executes are the same in every run, or nearly so. To ask
such a count for five pairs, or for a p-value, would be waste: what is left of chance in it is seen
by running one side a few times more. If those repeats lie close together, the pair is believed; if
not, the count is none of this kind and stays open.

How close is close: with both sides off by a factor of up to 1 + s, their ratio is off by up to
(1 + s)^2, and for s below a third of the least effect e that is less than 1 + e. So a side that has
not changed is never called slower or faster, nor one that has changed by (1 + e)^2 the same, as
long as runs lie as close together as the repeats did. That is the certainty there is, and no rate:
nothing is spent of the suite's false alarms, and such rows have no part in its correction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.sequential import Conclusion

__all__ = ["ExactPair", "spread_of_repeats"]

_SPREAD_IN_EFFECTS = 1.0 / 3.0


def spread_of_repeats(values: Sequence[float]) -> float:
    """Give the greatest relative difference between repeated runs of one side.

    Largest / smallest - 1: 0 if all are equal (zeros too), infinity if only some are 0.

    Args:
        values: At least two, >= 0, finite, in any unit.

    Raises:
        TooFewSamplesError: If there are fewer than two: one run has no spread that could be seen.
        ValueError: If a value is negative or not finite.
    """
    if len(values) < 2:  # noqa: PLR2004 - a difference takes two
        raise TooFewSamplesError(
            f"repeats: got {len(values)}, needed at least 2; run the base once more"
        )
    for value in values:
        _check_count(value, "repeats")
    least, most = min(values), max(values)
    if least == most:
        return 0.0
    return most / least - 1.0 if least > 0.0 else math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactPair:
    """One run of each side of a metric that hardly varies, and how much it does.

    Attributes:
        base: What base gave, >= 0, less being better; exchange the sides where more is.
        candidate: What the candidate gave, in the same unit.
        spread: Greatest relative difference between repeated runs, see `spread_of_repeats`.

    Raises:
        ValueError: If a value is negative or not finite, or the spread is negative or NaN.
    """

    base: float
    candidate: float
    spread: float

    def __post_init__(self) -> None:
        _check_count(self.base, "base")
        _check_count(self.candidate, "candidate")
        if not self.spread >= 0.0:
            raise ValueError(f"spread: got {self.spread}, needed 0 or more")

    @property
    def ratio(self) -> float:
        """How many times base it is: 1 if both are 0, infinity if base alone is."""
        if self.base == self.candidate:
            return 1.0
        return self.candidate / self.base if self.base > 0.0 else math.inf

    @property
    def ratio_range(self) -> tuple[float, float]:
        """The least and greatest ratio that runs as close as the repeats could have given."""
        if math.isinf(self.spread):
            return 0.0, math.inf
        factor = (1.0 + self.spread) ** 2
        return self.ratio / factor, self.ratio * factor

    def conclude(self, *, min_effect: float) -> Conclusion:
        """Say SLOWER from the least effect on, FASTER from its mirror image on, else SAME.

        OPEN where the repeats lie a third of the least effect apart, or more.

        Args:
            min_effect: Least effect worth the name, as ratio - 1, in (0, 1].

        Raises:
            ValueError: If the least effect is out of range.
        """
        if not 0.0 < min_effect <= 1.0:
            raise ValueError(
                f"min_effect: got {min_effect}, needed a ratio - 1 above 0 and at most 1"
            )
        if not self.spread < _SPREAD_IN_EFFECTS * min_effect:
            return Conclusion.OPEN
        # By products, not a quotient: zero is a count like any other, and the mirror is exact.
        least = 1.0 + min_effect
        if self.candidate > self.base and self.candidate >= self.base * least:
            return Conclusion.SLOWER
        if self.base > self.candidate and self.base >= self.candidate * least:
            return Conclusion.FASTER
        return Conclusion.SAME


def _check_count(value: float, subject: str) -> None:
    if not (math.isfinite(value) and value >= 0.0):
        raise ValueError(f"{subject}: got {value}, needed finite numbers of 0 or more")
