from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.promise import (
    conclude,
    count_false_alarms,
    exit_code,
    rows_seen,
    scaled,
    seen_overall,
    sizes_found,
    smallest_seen,
)
from groundspeed.model import LabelExchange, Outcome
from groundspeed.store.selftests import RowTried, SelftestCheck, SelftestConclusion

SLOWER, FASTER, SAME = Outcome.SLOWER, Outcome.FASTER, Outcome.SAME


def row(
    outcome: Outcome = SAME,
    *,
    size: float = 0.0,
    name: str = "loops",
    pairs: int = 5,
    detectable: float | None = 0.02,
) -> RowTried:
    """A row of a check."""
    return RowTried(
        row=name,
        size=size,
        outcome=outcome,
        ratio=1.0,
        pairs=pairs,
        detectable=detectable,
        metric="clean",
    )


def check(*rows: RowTried, alarmed: int | None = None) -> SelftestCheck:
    """A check of these rows, its labels exchanged 200 times if that is said."""
    exchange = None
    if alarmed is not None:
        exchange = LabelExchange(
            exchanges=200, alarmed=alarmed, rate_low=0.0, rate_high=1.0, cut_short=0.0
        )
    return SelftestCheck(duration_s=1.0, rows=rows, exchange=exchange)


def changed(size: float, outcomes: Sequence[Outcome]) -> list[SelftestCheck]:
    """A check for each outcome, of one row that was made slower."""
    return [check(row(outcome, size=size)) for outcome in outcomes]


def concluded(checks: Sequence[SelftestCheck]) -> SelftestConclusion:
    """What is concluded at the usual rate."""
    return conclude(count_false_alarms(checks, 0.01), sizes_found(checks))


def test_false_alarms_are_those_of_unchanged_code() -> None:
    """What is found in a check with changes is no false alarm, but its unchanged rows count."""
    alarms = count_false_alarms(
        [
            check(row(), row(SLOWER), row(SLOWER), alarmed=3),
            check(row(), row(FASTER), alarmed=1),
            check(row(), row(), alarmed=0),
            check(row(SLOWER, size=0.03), row(), row(SLOWER)),
        ],
        0.01,
    )
    assert (alarms.checks, alarms.slower_checks, alarms.faster_checks) == (3, 1, 1)
    assert (alarms.rows, alarms.slower_rows, alarms.faster_rows) == (7, 2, 1)
    assert (alarms.beside_rows, alarms.beside_slower_rows) == (2, 1)
    assert (alarms.exchanges, alarms.exchanges_alarmed) == (600, 4)
    assert 0 < alarms.exchanges_low < 4 / 600 < alarms.exchanges_high < 0.02
    assert alarms.chance == pytest.approx(1 - 0.99**6 - 6 * 0.01 * 0.99**5)


def test_without_exchanges_nothing_is_known_of_their_rate() -> None:
    """The interval is all there is."""
    alarms = count_false_alarms([check(row())], 0.01)
    assert (alarms.exchanges, alarms.exchanges_low, alarms.exchanges_high) == (0, 0.0, 1.0)


def test_sizes_are_counted_apart_and_in_order() -> None:
    """Only `slower` is found; a row called faster or the same is not."""
    found = sizes_found([*changed(0.05, [SLOWER]), *changed(0.02, [SLOWER, FASTER, SAME])])
    assert [(size.size, size.rows, size.found) for size in found] == [(0.02, 3, 1), (0.05, 1, 1)]
    assert all(size.low <= size.found / size.rows <= size.high for size in found)


@pytest.mark.parametrize(
    ("two", "three", "five", "seen"),
    [
        ([SLOWER] * 8, [SLOWER] * 8, [SLOWER] * 4, 0.02),
        ([SAME] * 8, [SLOWER] * 8, [SLOWER] * 4, 0.03),
        ([SLOWER] * 8, [SLOWER] * 8, [SLOWER], 0.02),
        ([SLOWER] * 8, [SAME] * 8, [SLOWER] * 4, 0.05),
        ([SLOWER] * 8, [SLOWER] * 8, [SAME] * 4, None),
        ([SLOWER], [SLOWER] * 3, [SLOWER], None),
    ],
)
def test_what_is_seen_is_not_above_what_is_missed(
    two: list[Outcome], three: list[Outcome], five: list[Outcome], seen: float | None
) -> None:
    """The smallest size with enough rows found, if no greater size is missed."""
    checks = [*changed(0.02, two), *changed(0.03, three), *changed(0.05, five)]
    assert smallest_seen(sizes_found(checks)) == seen


def test_the_promise_is_kept() -> None:
    """No alarm, and 3 % found: exit 0; what happens at smaller sizes does not matter."""
    checks = [check(row())] * 5 + changed(0.03, [SLOWER] * 6) + changed(0.01, [SAME] * 9)
    assert concluded(checks) is SelftestConclusion.KEPT
    assert exit_code(SelftestConclusion.KEPT) == 0


def test_one_alarm_may_be_chance_and_two_of_six_are_not() -> None:
    """At 1 %, one alarm among six checks happens; two happen in less than 1 % of self-tests."""
    found = changed(0.03, [SLOWER] * 6)
    assert concluded([check(row(SLOWER)), *[check(row())] * 5, *found]) is SelftestConclusion.KEPT
    for second in (SLOWER, FASTER):
        alarming = [check(row(SLOWER)), check(row(second)), *[check(row())] * 4, *found]
        assert concluded(alarming) is SelftestConclusion.ALARMING
    assert exit_code(SelftestConclusion.ALARMING) == 1


def test_a_machine_that_misses_3_percent_is_blind() -> None:
    """Too many missed to be 19 in 20: exit 3; a single one missed is not too many."""
    unchanged = [check(row())] * 5
    assert concluded(unchanged + changed(0.03, [SLOWER] * 7 + [SAME])) is SelftestConclusion.KEPT
    blind = changed(0.03, [SLOWER] * 5 + [SAME] * 3)
    assert concluded(unchanged + blind) is SelftestConclusion.BLIND
    assert exit_code(SelftestConclusion.BLIND) == 3


@pytest.mark.parametrize("found", [[], [SLOWER] * 3])
def test_too_few_rows_decide_nothing(found: list[Outcome]) -> None:
    """All of three found may be luck: exit 3, as of an undecided check."""
    checks = [check(row()), *changed(0.03, found), *changed(0.02, [SLOWER] * 9)]
    assert concluded(checks) is SelftestConclusion.UNDECIDED
    assert exit_code(SelftestConclusion.UNDECIDED) == 3


@given(st.lists(st.sampled_from([SLOWER, SAME]), max_size=40), st.integers(0, 40))
def test_finding_one_more_never_worsens_the_conclusion(found: list[Outcome], which: int) -> None:
    """A row that was missed and is found instead makes nothing blind."""
    order = [SelftestConclusion.BLIND, SelftestConclusion.UNDECIDED, SelftestConclusion.KEPT]
    better = [SLOWER if i == which else outcome for i, outcome in enumerate(found)]
    before, after = (
        order.index(concluded([check(row()), *changed(0.03, outcomes)]))
        for outcomes in (found, better)
    )
    assert after >= before


@given(st.floats(1e-4, 0.5), st.integers(1, 100), st.integers(1, 100), st.integers(1, 100))
def test_scaling_has_a_way_back(effect: float, one: int, two: int, three: int) -> None:
    """By way of any number of pairs and back; four times the pairs show half the effect."""
    there = scaled(scaled(effect, pairs=one, to_pairs=two), pairs=two, to_pairs=three)
    assert there == pytest.approx(scaled(effect, pairs=one, to_pairs=three))
    assert scaled(effect, pairs=one, to_pairs=4 * one) == pytest.approx(effect / 2)


def test_what_a_row_shows_is_the_middle_of_its_unchanged_checks() -> None:
    """Each brought to the same number of pairs; a row without an estimate takes no part."""
    checks = [
        check(row(pairs=5, detectable=0.02), row(name="json", pairs=5, detectable=0.03)),
        check(row(pairs=20, detectable=0.02), row(name="json", detectable=None)),
        check(row(pairs=5, detectable=0.01), row(name="sort", detectable=None)),
        check(row(SLOWER, size=0.05, pairs=5, detectable=0.5)),
    ]
    rows = rows_seen(checks, 5, 20)
    assert [seen.row for seen in rows] == ["loops", "json"]
    assert [seen.first for seen in rows] == pytest.approx([0.02, 0.03])
    assert [seen.last for seen in rows] == pytest.approx([0.01, 0.015])


def test_the_machine_is_its_best_middle_and_worst_row() -> None:
    """Over the rows, at one number of pairs."""
    seen = seen_overall({"a": 0.03, "b": 0.01, "c": 0.015}, 34)
    assert (seen.pairs, seen.best, seen.median, seen.worst) == (34, 0.01, 0.015, 0.03)
