"""The pairs of every row and what the looks made of them: pure bookkeeping around `stats.look`.

A pair of a row is one number here: the logarithm of its ratio, above 0 where the candidate is
worse. What was measured to get it is the caller's to keep.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import get_args

from groundspeed.model import Metric, Row
from groundspeed.stats import Conclusion, Estimates, GateRule, look, minimum_detectable_effect

__all__ = ["Estimate", "Ledger", "bounded", "family_of"]

# Ways to take the same time, noisy for the same reasons.
_TIMES: tuple[Metric, ...] = ("clean", "cpu", "wall", "timer")
_OTHERS: tuple[Metric, ...] = tuple(m for m in get_args(Metric) if m not in _TIMES)


def family_of(metric: Metric | None) -> int:
    """Which rows have noise of one kind: 0 for times, any other metric has a number of its own."""
    return 0 if metric is None or metric in _TIMES else 1 + _OTHERS.index(metric)


# A value against none has no finite ratio; it counts as this, a hundredfold.
_FROM_NOTHING = math.log(100.0)


def bounded(log_ratio: float) -> float:
    """The log ratio as a ledger takes it: finite, also where one side is zero."""
    return max(-_FROM_NOTHING, min(_FROM_NOTHING, log_ratio))


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
    """Which rows are open, with the log ratios of all their pairs; judged at the rule's looks.

    Args:
        rows: The rows to measure.
        rule: When to look and what to conclude.
        families: Which rows have noise of one kind, see `stats.estimate`; a row that is not named
            is of family 0.
        min_effects: Least effects of rows that have one of their own; the others have the rule's.
        excused: Rows that alarm nobody; they ease no threshold of the others, see `stats.look`.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        rule: GateRule,
        *,
        families: Mapping[Row, int] | None = None,
        min_effects: Mapping[Row, float] | None = None,
        excused: Collection[Row] = (),
    ) -> None:
        self._rule = rule
        self._families = families or {}
        self._min_effects = min_effects or {}
        self._excused = frozenset(excused)
        self._differences: dict[Row, list[float]] = {row: [] for row in rows}
        self._conclusions = dict.fromkeys(self._differences, Conclusion.OPEN)
        self._set_aside: set[Row] = set()
        self._estimates: dict[Row, Estimate] = {}
        self._looks = 0
        self.pairs_done = 0

    @property
    def open_rows(self) -> list[Row]:
        """Rows that need more pairs, in suite order."""
        return [
            row
            for row, conclusion in self._conclusions.items()
            if conclusion is Conclusion.OPEN and row not in self._set_aside
        ]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to measure, or no look is left."""
        return not self.open_rows or self._looks == len(self._rule.looks)

    @property
    def pairs_to_next_look(self) -> int:
        """Pairs until the rows are judged again; 0 when finished."""
        return 0 if self.finished else self._rule.looks[self._looks] - self.pairs_done

    def conclusion(self, row: Row) -> Conclusion:
        """What the looks concluded of a row; OPEN for one that was set aside."""
        return self._conclusions[row]

    def estimate(self, row: Row) -> Estimate | None:
        """The row's ratio as of the last look; None before the first."""
        return self._estimates.get(row)

    def differences(self, row: Row) -> tuple[float, ...]:
        """The log ratios of all pairs of a row, above 0 where the candidate is worse."""
        return tuple(self._differences[row])

    def doubt(self) -> list[Row]:
        """The open rows, those most likely slower first; rows no look has judged yet come last.

        Where a budget does not reach for all of them, the first are worth it most.
        """

        def least_p(row: Row) -> float:
            estimate = self._estimates.get(row)
            return math.inf if estimate is None else estimate.p_slower

        return sorted(self.open_rows, key=least_p)

    def drop(self, row: Row) -> None:
        """Forget a row that broke: it is judged no more and counts in no correction.

        Again for the same row, as where two launch pairs break side by side, it does nothing.
        """
        self._conclusions.pop(row, None)
        self._set_aside.discard(row)

    def set_aside(self, rows: Iterable[Row]) -> None:
        """Measure and judge these no more: they end undecided, with the estimates they have.

        For a budget that does not reach for every open row. They stay in the correction, as rows
        that are not rejected, so that measuring fewer rows to the end makes none more suspect.
        Rows that are settled already stay as they are.
        """
        self._set_aside |= set(rows) & set(self.open_rows)

    def add_pair(self, differences: Mapping[Row, float]) -> bool:
        """Add one pair of every open row; says whether a look was due and taken.

        Args:
            differences: The log ratio of each open row, above 0 where the candidate is worse.

        Raises:
            ValueError: If an open row has none, or one that is NaN or infinite; nothing is added.
        """
        rows = self.open_rows
        for row in rows:
            if not math.isfinite(differences.get(row, math.nan)):
                raise ValueError(
                    f"{row.label}: got {differences.get(row)} as log ratio of a pair, needed a "
                    "finite number; drop a row that cannot be measured"
                )
        for row in rows:
            self._differences[row].append(differences[row])
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
        result = look(
            [self._differences[row] for row in rows],
            settled=self._settled(),
            share=self._rule.shares[self._looks],
            rule=self._rule.at_look(self._looks),
            min_effects=[self._min_effects.get(row, self._rule.min_effect) for row in rows],
            excused=[row in self._excused for row in rows],
            families=[self._families.get(row, 0) for row in rows],
        )
        self._looks += 1
        self._conclusions.update(zip(rows, result.conclusions, strict=True))
        self._estimates.update(zip(rows, self._described(result.estimates), strict=True))

    def _settled(self) -> list[Conclusion]:
        """What the rows that are not judged count as: excused and set aside ones ease nothing."""
        judged = set(self.open_rows)
        eases_nothing = self._excused | self._set_aside
        return [
            Conclusion.SAME if row in eases_nothing else conclusion
            for row, conclusion in self._conclusions.items()
            if row not in judged
        ]

    def _described(self, estimates: Estimates) -> Iterator[Estimate]:
        low, high = estimates.interval(self._rule.same_confidence)
        detectable = minimum_detectable_effect(
            estimates.standard_error,
            estimates.df,
            level=self._rule.false_alarms / len(self._conclusions),
        )
        for i in range(low.size):
            yield Estimate(
                ratio=math.exp(estimates.mean[i]),
                ratio_low=math.exp(low[i]),
                ratio_high=math.exp(high[i]),
                p_slower=float(estimates.p_slower[i]),
                p_faster=float(estimates.p_faster[i]),
                detectable=float(detectable[i]),
            )
