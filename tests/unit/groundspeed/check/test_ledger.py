import math

import pytest

from groundspeed.check.ledger import Ledger
from groundspeed.model import PairSummary, Row
from groundspeed.stats import Conclusion, GateRule

RULE = GateRule()
SLOW, SAME, LOUD = Row(name="slow"), Row(name="same"), Row(name="loud")
EFFECTS = {SLOW: 0.2, SAME: 0.0, LOUD: 0.0}
NOISE = {SLOW: 1e-3, SAME: 1e-3, LOUD: 0.3}


def summaries(rows: list[Row], number: int) -> dict[Row, PairSummary]:
    """One launch pair, its noise alternating so that every mean is the effect itself."""
    ratios = {row: math.exp(EFFECTS[row] + NOISE[row] * (-1) ** number) for row in rows}
    return {
        row: PairSummary(
            pair=number,
            base_s=2e-6,
            candidate_s=2e-6 * ratio,
            base_wall_s=2e-6,
            candidate_wall_s=2e-6 * ratio,
            base_cpu_s=2e-6,
            candidate_cpu_s=2e-6 * ratio,
            samples=16,
        )
        for row, ratio in ratios.items()
    }


def after(pairs: int, *rows: Row) -> Ledger:
    """A ledger that has seen so many launch pairs."""
    ledger = Ledger(rows, RULE)
    for number in range(pairs):
        ledger.add_pair(summaries(ledger.open_rows, number))
    return ledger


def test_a_clear_row_is_settled_at_the_first_look_and_a_loud_one_at_none() -> None:
    """Each row has the launch pairs it needed and no more."""
    ledger = after(RULE.looks[-1], SLOW, SAME, LOUD)
    assert ledger.conclusion(SLOW) is Conclusion.SLOWER
    assert ledger.conclusion(SAME) is Conclusion.SAME
    assert ledger.conclusion(LOUD) is Conclusion.OPEN
    assert [len(ledger.pairs(row)) for row in (SLOW, LOUD)] == [RULE.looks[0], RULE.looks[-1]]
    assert ledger.finished


@pytest.mark.parametrize(("pairs", "left"), [(0, 5), (4, 1), (5, 3), (8, 4), (33, 1), (34, 0)])
def test_the_way_to_the_next_look_is_known(pairs: int, left: int) -> None:
    """Progress can say how many launch pairs are left until the rows are judged again."""
    assert after(pairs, LOUD).pairs_to_next_look == left


def test_the_estimate_is_the_ratio_itself() -> None:
    """A row that is e^0.2 slower in every pair is found that much slower."""
    estimate = after(8, SLOW, LOUD).estimate(SLOW)
    assert estimate is not None
    assert estimate.ratio == pytest.approx(math.exp(0.2), rel=0.01)
    assert estimate.p_slower < 0.001 < estimate.p_faster


def test_a_budget_that_ends_before_the_first_look_decides_nothing() -> None:
    """Four launch pairs are not judged, however clear they look."""
    ledger = after(RULE.looks[0] - 1, SLOW)
    ledger.close()
    assert ledger.conclusion(SLOW) is Conclusion.OPEN
    assert ledger.estimate(SLOW) is None


def test_a_budget_that_ends_between_looks_judges_what_is_there() -> None:
    """The launch pairs since the last look are not wasted; without any, nothing is judged twice."""
    between, at_look = after(7, LOUD), after(8, LOUD)
    before = at_look.estimate(LOUD)
    was = between.estimate(LOUD)
    between.close()
    at_look.close()
    assert between.estimate(LOUD) != was
    assert at_look.estimate(LOUD) is before


def test_a_ledger_of_broken_rows_is_finished() -> None:
    """When the last open row breaks there is nothing left to measure."""
    ledger = after(2, SLOW, LOUD)
    ledger.drop(SLOW)
    ledger.drop(LOUD)
    assert ledger.finished
    assert ledger.pairs_to_next_look == 0


def test_a_row_is_judged_by_its_own_minimum_effect() -> None:
    """The row that is 22 % slower is slower by the rule's 1 % and the same by its own 30 %."""
    ledger = Ledger([SLOW, SAME], RULE, min_effects={SLOW: 0.3})
    for number in range(RULE.looks[0]):
        ledger.add_pair(summaries(ledger.open_rows, number))
    assert ledger.conclusion(SLOW) is Conclusion.SAME
    assert after(RULE.looks[0], SLOW, SAME).conclusion(SLOW) is Conclusion.SLOWER


def test_an_excused_row_eases_no_threshold_when_it_is_settled() -> None:
    """What a ledger concludes of a row is the same whether an excused one is slower or not."""
    other = Row(name="other")
    seen = []
    for effect in (0.2, 0.0):
        ledger = Ledger([SLOW, other], RULE, excused=[other])
        for number in range(RULE.looks[0]):
            pairs = summaries([SLOW, SAME if effect == 0.0 else SLOW], number)
            ledger.add_pair({SLOW: pairs[SLOW], other: pairs[SAME if effect == 0.0 else SLOW]})
        seen.append((ledger.conclusion(SLOW), ledger.conclusion(other)))
    assert seen == [
        (Conclusion.SLOWER, Conclusion.SLOWER),
        (Conclusion.SLOWER, Conclusion.SAME),
    ]
