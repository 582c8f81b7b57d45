"""Which of several settings to follow, from what each would have hit."""

import math
from collections.abc import Sequence

__all__ = ["Choice"]

_KEPT = 0.95
"""Share of what is known that each further period leaves: about 20 periods are remembered."""

_CERTAINTY = 1.0
"""How far ahead, in root sums of squares of the lead, another setting must be to be followed."""


class Choice:
    """Follows the setting that hit most of late, once its lead is more than a run of luck.

    Leads are compared with their own scatter, as in a t statistic: a setting that is ahead a little
    in every period is followed within a few of them; one that is far ahead in one and behind in the
    next, as at the turns of a zigzag, is not, because each change costs the entries that the two
    settings do not share.

    Args:
        count: Number of settings, >= 1.
        start: The one to begin with.

    Attributes:
        chosen: Index of the setting to follow now.
    """

    __slots__ = ("_hits", "_squares", "chosen")

    def __init__(self, count: int, start: int) -> None:
        self.chosen = start
        self._hits = [0.0] * count
        self._squares = [[0.0] * count for _ in range(count)]

    def observe(self, hits: Sequence[int]) -> None:
        """Take in what each setting hit in one more period; all periods are equally long."""
        known = self._hits
        for one, got in enumerate(hits):
            known[one] = known[one] * _KEPT + got
            squares = self._squares[one]
            for other, got_other in enumerate(hits):
                squares[other] = squares[other] * _KEPT + (got - got_other) ** 2
        best = max(range(len(known)), key=known.__getitem__)
        lead = known[best] - known[self.chosen]
        if lead > _CERTAINTY * math.sqrt(self._squares[best][self.chosen]):
            self.chosen = best
