"""The pairs of every row and what the looks made of them: pure bookkeeping around `stats.look`."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from groundspeed.model import PairSummary, Row
from groundspeed.stats import Conclusion, GateRule, look, minimum_detectable_effect

__all__ = ["Estimate", "Ledger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A row's ratio as of the last look at it; see `model.Comparison` for the fields."""

    ratio: float
    ratio_low: float
    ratio_high: float
    p_slower: float
    p_faster: float
    detectable: float


class Ledger:
    """Which rows are open, with all their launch pairs; judged at the rule's looks.

    Args:
        rows: The rows to measure.
        rule: When to look and what to conclude.
        min_effects: Least effects of rows that have one of their own; the others have the rule's.
        excused: Rows that alarm nobody; they ease no threshold of the others, see `stats.look`.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        rule: GateRule,
        *,
        min_effects: Mapping[Row, float] | None = None,
        excused: Collection[Row] = (),
    ) -> None:
        self._rule = rule
        self._min_effects = min_effects or {}
        self._excused = frozenset(excused)
        self._pairs: dict[Row, list[PairSummary]] = {row: [] for row in rows}
        self._conclusions = dict.fromkeys(self._pairs, Conclusion.OPEN)
        self._estimates: dict[Row, Estimate] = {}
        self._looks = 0
        self.pairs_done = 0

    @property
    def open_rows(self) -> list[Row]:
        """Rows that need more launch pairs, in suite order."""
        return [row for row, c in self._conclusions.items() if c is Conclusion.OPEN]

    @property
    def finished(self) -> bool:
        """Whether nothing is open, or no look is left."""
        return not self.open_rows or self._looks == len(self._rule.looks)

    @property
    def pairs_to_next_look(self) -> int:
        """Launch pairs until the rows are judged again; 0 when finished."""
        return 0 if self.finished else self._rule.looks[self._looks] - self.pairs_done

    def conclusion(self, row: Row) -> Conclusion:
        """What the looks concluded of a row."""
        return self._conclusions[row]

    def estimate(self, row: Row) -> Estimate | None:
        """The row's ratio as of the last look; None before the first."""
        return self._estimates.get(row)

    def pairs(self, row: Row) -> tuple[PairSummary, ...]:
        """All launch pairs of a row."""
        return tuple(self._pairs[row])

    def drop(self, row: Row) -> None:
        """Forget a row that broke: it is judged no more and counts in no correction."""
        del self._conclusions[row]

    def add_pair(self, summaries: Mapping[Row, PairSummary]) -> bool:
        """Add one launch pair of every open row; says whether a look was due and taken."""
        for row in self.open_rows:
            self._pairs[row].append(summaries[row])
        self.pairs_done += 1
        if self.pairs_to_next_look == 0 and not self.finished:
            self._judge()
            return True
        return False

    def close(self) -> None:
        """Judge what is there when the budget ends between two looks.

        The next look's share is spent on the pairs there are: how many those are was decided by the
        clock and not by what they show. With fewer pairs than the first look needs, rows stay open.
        """
        last = self._rule.looks[self._looks - 1] if self._looks else 0
        if not self.finished and self.pairs_done >= self._rule.looks[0] and self.pairs_done > last:
            self._judge()

    def _judge(self) -> None:
        rows = self.open_rows
        differences = np.array(
            [[math.log(p.candidate_s / p.base_s) for p in self._pairs[row]] for row in rows]
        )
        settled = [
            Conclusion.SAME if row in self._excused else conclusion
            for row, conclusion in self._conclusions.items()
            if conclusion is not Conclusion.OPEN
        ]
        share = self._rule.shares[self._looks]
        effects = [self._min_effects.get(row, self._rule.min_effect) for row in rows]
        result = look(
            differences,
            settled=settled,
            share=share,
            rule=self._rule,
            min_effects=effects,
            excused=[row in self._excused for row in rows],
        )
        self._looks += 1
        estimates = result.estimates
        low, high = estimates.interval(self._rule.same_confidence)
        detectable = minimum_detectable_effect(
            estimates.standard_error,
            estimates.df,
            level=self._rule.false_alarms / len(self._conclusions),
        )
        for i, row in enumerate(rows):
            self._conclusions[row] = result.conclusions[i]
            self._estimates[row] = Estimate(
                ratio=math.exp(estimates.mean[i]),
                ratio_low=math.exp(low[i]),
                ratio_high=math.exp(high[i]),
                p_slower=float(estimates.p_slower[i]),
                p_faster=float(estimates.p_faster[i]),
                detectable=float(detectable[i]),
            )
