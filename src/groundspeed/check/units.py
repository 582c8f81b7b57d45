"""What is measured as one: a benchmark, which gives a row for each of its quantities."""

from dataclasses import dataclass, field, replace

from groundspeed.check.ledger import Ledger
from groundspeed.check.notes import notes_on
from groundspeed.measure.rows import Calibration, Measured, Quantity, RowContext
from groundspeed.model import Comparison, Failure, Outcome, PairSummary, Row, Side, ValuePair
from groundspeed.stats import Conclusion, GateRule

__all__ = ["Unit", "expected_s", "not_recorded", "unit_of", "values_of", "without_ratio"]

_OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
# What a row takes beside its samples: two forks, two setups, two ends.
_OVERHEAD_S = 0.02


@dataclass(slots=True, kw_only=True)
class Unit:
    """A benchmark that is measured.

    Attributes:
        context: What it needs to run.
        calibration: What was decided once.
        phase: Which side comes first in even launch pairs, 0 or 1.
        cost_s: About how long it takes in one launch pair.
        closer: Whether launch pairs take the samples of a row that was not clear at the first look.
        measured: What launch pairs gave, by number.
    """

    context: RowContext
    calibration: Calibration
    phase: int
    cost_s: float
    closer: bool = False
    measured: dict[int, Measured] = field(default_factory=dict)

    def rows(self, unit: Row) -> dict[Row, Quantity]:
        """Its rows that can be judged, with what they are."""
        return {
            replace(unit, quantity=name): quantity
            for name, quantity in self.calibration.quantities.items()
            if quantity.direction is not None
        }

    def look_closer(self) -> None:
        """Take more samples in the launch pairs to come."""
        plan, closer_plan = self.calibration.plan, self.calibration.closer_plan
        if self.closer or plan is None or closer_plan is None:
            return
        self.closer = True
        self.cost_s *= closer_plan.samples / plan.samples

    def comparison(
        self, row: Row, quantity: Quantity, ledger: Ledger, rule: GateRule
    ) -> Comparison:
        """All that is known of one of its rows."""
        estimate = ledger.estimate(row)
        judged = len(ledger.differences(row))
        taken = [self.measured[n][row.quantity] for n in sorted(self.measured)][:judged]
        comparison = Comparison(
            row=row,
            outcome=_OUTCOMES[ledger.conclusion(row)],
            metric=quantity.metric,
            unit=quantity.unit,
            direction=quantity.direction or "lower",
            loops=self.calibration.loops,
            ratio=estimate.ratio if estimate else None,
            ratio_low=estimate.ratio_low if estimate else None,
            ratio_high=estimate.ratio_high if estimate else None,
            confidence=rule.same_confidence if estimate else None,
            p_slower=estimate.p_slower if estimate else None,
            p_faster=estimate.p_faster if estimate else None,
            detectable=estimate.detectable if estimate else None,
            pairs=tuple(p for p in taken if isinstance(p, PairSummary)),
            values=tuple(p for p in taken if isinstance(p, ValuePair)),
        )
        notes = notes_on(comparison, clocks_s=self.calibration.clocks_s)
        return replace(comparison, notes=notes)


def unit_of(row: Row) -> Row:
    """The benchmark that a row is a quantity of."""
    return replace(row, quantity="") if row.quantity else row


def values_of(pair: PairSummary | ValuePair) -> tuple[float, float]:
    """What base and candidate gave."""
    if isinstance(pair, PairSummary):
        return pair.base_s, pair.candidate_s
    return pair.base, pair.candidate


def not_recorded(row: Row) -> Comparison:
    """A quantity that some runs do not record, and so is not compared."""
    message = "is not recorded in every run of both sides"
    note = Failure(side="candidate", stage="sampling", kind="absent", message=message)
    return Comparison(row=row, outcome=Outcome.SKIPPED, failures=(note,))


def without_ratio(row: Row, base: float, candidate: float) -> Comparison:
    """A value of which one is negative, and so is not compared."""
    side: Side = "base" if base < 0.0 else "candidate"
    message = f"gives {min(base, candidate):g}, and a value below zero has no ratio"
    note = Failure(side=side, stage="sampling", kind="negative", message=message)
    return Comparison(row=row, outcome=Outcome.SKIPPED, failures=(note,))


def expected_s(calibration: Calibration, trial_s: float) -> float:
    """About how long a row takes in one launch pair, before any was taken.

    Args:
        calibration: What was decided of it.
        trial_s: How long deciding that took.
    """
    if calibration.plan is None:
        return trial_s
    samples = calibration.plan.samples + calibration.plan.warm_up
    return 2 * samples * calibration.sample_s + _OVERHEAD_S
