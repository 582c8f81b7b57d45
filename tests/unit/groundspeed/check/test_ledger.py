import math
from typing import get_args

import pytest

from groundspeed.check.ledger import Ledger, family_of
from groundspeed.model import Metric, Row
from groundspeed.stats import Conclusion, GateRule

RULE = GateRule()
# The first look only calls rows the same; from the second on they may be slower.
VERDICT = RULE.pairs_min
SLOW, SAME, LOUD = Row(name="slow"), Row(name="same"), Row(name="loud")
EFFECTS = {SLOW: 0.2, SAME: 0.0, LOUD: 0.0}
NOISE = {SLOW: 1e-3, SAME: 1e-3, LOUD: 0.3}


def pair(rows: list[Row], number: int) -> dict[Row, float]:
    """One pair, its noise alternating so that every mean is the effect itself."""
    return {row: EFFECTS[row] + NOISE[row] * (-1) ** number for row in rows}


def after(pairs: int, *rows: Row) -> Ledger:
    """A ledger that has seen so many launch pairs."""
    ledger = Ledger(rows, RULE)
    for number in range(pairs):
        ledger.add_pair(pair(ledger.open_rows, number))
    return ledger


def test_a_clear_row_is_settled_at_an_early_look_and_a_loud_one_at_none() -> None:
    """Each row has the launch pairs it needed and no more."""
    ledger = after(RULE.looks[-1], SLOW, SAME, LOUD)
    assert ledger.conclusion(SLOW) is Conclusion.SLOWER
    assert ledger.conclusion(SAME) is Conclusion.SAME
    assert ledger.conclusion(LOUD) is Conclusion.OPEN
    used = [len(ledger.differences(row)) for row in (SAME, SLOW, LOUD)]
    assert used == [RULE.looks[0], VERDICT, RULE.looks[-1]]
    assert ledger.finished


@pytest.mark.parametrize(
    ("pairs", "left"), [(0, 5), (4, 1), (5, 3), (8, 4), (33, 1), (34, 14), (96, 0)]
)
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


def test_a_row_may_break_in_two_launch_pairs_at_once() -> None:
    """Each lane tells of it; the other rows are judged on."""
    ledger = after(2, SLOW, LOUD)
    ledger.drop(SLOW)
    ledger.drop(SLOW)
    assert ledger.open_rows == [LOUD]


def test_a_row_is_judged_by_its_own_minimum_effect() -> None:
    """The row that is 22 % slower is slower by the rule's 1 % and the same by its own 30 %."""
    ledger = Ledger([SLOW, SAME], RULE, min_effects={SLOW: 0.3})
    for number in range(RULE.looks[0]):
        ledger.add_pair(pair(ledger.open_rows, number))
    assert ledger.conclusion(SLOW) is Conclusion.SAME
    assert after(VERDICT, SLOW, SAME).conclusion(SLOW) is Conclusion.SLOWER


def test_an_excused_row_eases_no_threshold_when_it_is_settled() -> None:
    """What a ledger concludes of a row is the same whether an excused one is slower or not."""
    other = Row(name="other")
    seen = []
    for effect in (0.2, 0.0):
        ledger = Ledger([SLOW, other], RULE, excused=[other])
        for number in range(VERDICT):
            noise = NOISE[SAME] * (-1) ** number
            now = {SLOW: EFFECTS[SLOW] + noise, other: effect + noise}
            ledger.add_pair({row: now[row] for row in ledger.open_rows})
        seen.append((ledger.conclusion(SLOW), ledger.conclusion(other)))
    assert seen == [
        (Conclusion.SLOWER, Conclusion.SLOWER),
        (Conclusion.SLOWER, Conclusion.SAME),
    ]


def test_doubt_puts_the_most_suspect_first_and_rows_without_a_look_last() -> None:
    """Before a look it is the order of the suite; after it, that of the p-values."""
    worse, better = Row(name="worse"), Row(name="better")
    means = {better: -0.2, LOUD: 0.0, worse: 0.2}
    ledger = Ledger(means, RULE)
    for number in range(RULE.looks[0]):
        assert ledger.doubt() == [better, LOUD, worse]
        noise = NOISE[LOUD] * (-1) ** number
        ledger.add_pair({row: mean + noise for row, mean in means.items()})
    assert ledger.doubt() == [worse, LOUD, better]


def test_rows_set_aside_end_undecided_and_stay_in_the_correction() -> None:
    """The row beside them is judged exactly as if they were settled as the same."""
    others = [Row(name=f"other{i}") for i in range(3)]
    aside, same = Ledger([LOUD, *others], RULE), Ledger([LOUD, *others], RULE)
    for number in range(RULE.looks[1]):
        for ledger in (aside, same):
            far = 0.0 if ledger is same else 0.3 * (-1) ** number
            open_rows = ledger.open_rows
            ledger.add_pair(
                {row: pair([LOUD], number)[LOUD] if row == LOUD else far for row in open_rows}
            )
            if number + 1 == RULE.looks[0] and ledger is aside:
                assert ledger.open_rows == [LOUD, *others]
                ledger.set_aside(others)
                assert ledger.open_rows == [LOUD]
    assert [aside.conclusion(row) for row in others] == [Conclusion.OPEN] * 3
    assert [same.conclusion(row) for row in others] == [Conclusion.SAME] * 3
    assert [len(aside.differences(row)) for row in others] == [RULE.looks[0]] * 3
    assert aside.estimate(others[0]) is not None
    assert aside.estimate(LOUD) == same.estimate(LOUD)


def test_a_ledger_of_rows_set_aside_is_finished() -> None:
    """Nothing is measured for rows nobody waits for; a settled one keeps its conclusion."""
    ledger = after(VERDICT, SLOW, SAME, LOUD)
    ledger.set_aside([SLOW, LOUD])
    assert ledger.finished
    assert ledger.doubt() == []
    assert ledger.conclusion(SLOW) is Conclusion.SLOWER


def test_rows_of_another_family_lend_no_quiet() -> None:
    """Beside quiet rows a loud one looks surer than it is; in a family of its own it does not."""
    quiet = [Row(name=f"quiet{i}") for i in range(6)]
    together = Ledger([LOUD, *quiet], RULE)
    apart = Ledger([LOUD, *quiet], RULE, families=dict.fromkeys(quiet, 1))
    for number in range(RULE.looks[0]):
        for ledger in (together, apart):
            wave = math.cos(number)
            ledger.add_pair({row: wave * (0.02 if row == LOUD else 1e-3) for row in [LOUD, *quiet]})
    alone = Ledger([LOUD], RULE)
    for number in range(RULE.looks[0]):
        alone.add_pair({LOUD: 0.02 * math.cos(number)})
    wide, narrow, own = (x.estimate(LOUD) for x in (apart, together, alone))
    assert wide is not None
    assert narrow is not None
    assert own is not None
    assert (wide.ratio_low, wide.ratio_high) == (own.ratio_low, own.ratio_high)
    assert wide.ratio_low < narrow.ratio_low < narrow.ratio_high < wide.ratio_high


@pytest.mark.parametrize("given", [math.nan, math.inf, None])
def test_a_pair_without_a_ratio_is_refused_and_nothing_is_added(given: float | None) -> None:
    """A row that cannot be measured is named; no row is a pair ahead of another."""
    ledger = Ledger([SLOW, SAME], RULE)
    differences = {SLOW: 0.1} | ({} if given is None else {SAME: given})
    with pytest.raises(ValueError, match="same: got"):
        ledger.add_pair(differences)
    assert (ledger.pairs_done, ledger.differences(SLOW)) == (0, ())


def test_times_are_one_family_and_every_other_metric_is_its_own() -> None:
    """Clean, CPU and wall time share their noise; memory and counts share it with nobody."""
    times = {"clean", "cpu", "wall", "timer"}
    families = {metric: family_of(metric) for metric in get_args(Metric)}
    assert {families[metric] for metric in times} == {0}
    others = [family for metric, family in families.items() if metric not in times]
    assert len({0, *others}) == 1 + len(others)
    assert family_of(None) == 0
