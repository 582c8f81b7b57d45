"""How counts decide a row."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.counts import CHANGED, COUNTS_MIN_EFFECT, compare_counts, confirm
from groundspeed.measure.instructions import Counts
from groundspeed.measure.rows import Calibration
from groundspeed.model import Comparison, Outcome, Row

ROW = Row(name="core.time_work")
CALIBRATION = Calibration(quantities={}, loops=7)
COUNTS = st.floats(1e2, 1e9)


@given(base=COUNTS, repeats=st.integers(2, 5))
def test_equal_counts_are_the_same(base: float, repeats: int) -> None:
    """Identical counts have ratio 1, an interval of no width, and no note."""
    counts = Counts(base=(base,) * repeats, candidate=(base,))
    row = compare_counts(ROW, counts, CALIBRATION, min_effect=COUNTS_MIN_EFFECT)
    assert row.outcome is Outcome.SAME
    assert row.ratio == row.ratio_low == row.ratio_high == 1.0
    assert row.notes == ()


@given(base=COUNTS, effect=st.floats(1.05 * COUNTS_MIN_EFFECT, 1.0))
def test_exchanging_the_sides_exchanges_the_outcome(base: float, effect: float) -> None:
    """What is slower one way round is faster the other way round."""
    more = base * (1.0 + effect)
    there = compare_counts(
        ROW, Counts(base=(base, base), candidate=(more,)), CALIBRATION, min_effect=COUNTS_MIN_EFFECT
    )
    back = compare_counts(
        ROW, Counts(base=(more, more), candidate=(base,)), CALIBRATION, min_effect=COUNTS_MIN_EFFECT
    )
    assert there.outcome is Outcome.SLOWER
    assert back.outcome is Outcome.FASTER


@given(base=COUNTS, spread=st.floats(COUNTS_MIN_EFFECT / 2.9, 0.5), effect=st.floats(-0.5, 1.0))
def test_repeats_far_apart_leave_it_open(base: float, spread: float, effect: float) -> None:
    """Where base differs from itself by a third of the least effect nothing is called anything."""
    counts = Counts(base=(base, base * (1.0 + spread)), candidate=(base * (1.0 + effect),))
    row = compare_counts(ROW, counts, CALIBRATION, min_effect=COUNTS_MIN_EFFECT)
    assert row.outcome is Outcome.UNDECIDED
    assert any("compare its time" in note for note in row.notes)


@given(base=COUNTS, spread=st.floats(0.0, COUNTS_MIN_EFFECT / 3.5), effect=st.floats(-0.5, 1.0))
def test_the_interval_holds_the_ratio(base: float, spread: float, effect: float) -> None:
    """The ratio lies in its range, and the values are those of the pair."""
    counts = Counts(base=(base, base * (1.0 + spread)), candidate=(base * (1.0 + effect),))
    row = compare_counts(ROW, counts, CALIBRATION, min_effect=COUNTS_MIN_EFFECT)
    assert row.ratio_low is not None
    assert row.ratio_high is not None
    assert row.ratio is not None
    assert row.ratio_low <= row.ratio <= row.ratio_high
    (pair,) = row.values
    assert (pair.base, pair.candidate) == (counts.base[0], counts.candidate[0])
    assert row.loops == CALIBRATION.loops


@pytest.mark.parametrize("waits", [False, True])
def test_threads_are_noted(*, waits: bool) -> None:
    """A row of several threads says what its count leaves out."""
    threaded = Calibration(quantities={}, loops=1, threads={"waits": waits})
    counts = Counts(base=(1e6, 1e6), candidate=(1e6,))
    row = compare_counts(ROW, counts, threaded, min_effect=COUNTS_MIN_EFFECT)
    assert "several threads" in row.notes[0]


CHANGES = st.one_of(st.floats(1.05 * COUNTS_MIN_EFFECT, 1.0), st.floats(-0.5, -0.005))


def once(base: float, effect: float) -> Counts:
    """Each side counted once, in one layout of memory."""
    return Counts(base=(base,), candidate=(base * (1.0 + effect),))


def looks_changed(base: float, effect: float) -> Comparison:
    """A row that the first layout calls slower or faster."""
    counts = Counts(base=(base, base), candidate=(base * (1.0 + effect),))
    found = compare_counts(ROW, counts, CALIBRATION, min_effect=COUNTS_MIN_EFFECT)
    assert found.outcome in CHANGED
    return found


@given(base=COUNTS, effect=CHANGES, layouts=st.integers(1, 4))
def test_a_change_that_every_layout_shows_is_one(base: float, effect: float, layouts: int) -> None:
    """What it is called stays, and so does the pair that it was called so by."""
    found = looks_changed(base, effect)
    kept = confirm(found, [once(base, effect)] * layouts, min_effect=COUNTS_MIN_EFFECT)
    assert kept.outcome is found.outcome
    assert (kept.values, kept.notes) == (found.values, found.notes)


@given(
    base=COUNTS,
    effect=CHANGES,
    others=st.lists(st.floats(-0.001, 0.001), min_size=1, max_size=3),
    agreeing=st.integers(0, 3),
    chance=st.randoms(use_true_random=False),
)
def test_a_change_that_one_layout_does_not_show_is_left_open(
    base: float, effect: float, others: list[float], agreeing: int, chance: random.Random
) -> None:
    """However many others do, whichever it is; the note says what was seen there."""
    elsewhere = [once(base, seen) for seen in [*others, *[effect] * agreeing]]
    chance.shuffle(elsewhere)
    row = confirm(looks_changed(base, effect), elsewhere, min_effect=COUNTS_MIN_EFFECT)
    assert row.outcome is Outcome.UNDECIDED
    assert "depends on where things lie" in row.notes[-1]


@given(base=COUNTS, effect=st.floats(0.003, 1.0))
def test_slower_here_and_faster_there_is_neither(base: float, effect: float) -> None:
    """Layouts that contradict each other do not decide."""
    found = looks_changed(base, effect)
    row = confirm(found, [once(base * (1.0 + effect), -effect / 2)], min_effect=COUNTS_MIN_EFFECT)
    assert row.outcome is Outcome.UNDECIDED


@given(base=COUNTS, effects=st.lists(st.floats(0.0021, 1.0), min_size=1, max_size=4))
def test_the_interval_of_a_confirmed_change_holds_all_ratios(
    base: float, effects: list[float]
) -> None:
    """From the least that any layout gave to the greatest."""
    elsewhere = [once(base, effect) for effect in effects]
    row = confirm(looks_changed(base, 0.01), elsewhere, min_effect=COUNTS_MIN_EFFECT)
    assert row.outcome is Outcome.SLOWER
    assert row.ratio_low is not None
    assert row.ratio_high is not None
    ratios = [counts.candidate[0] / counts.base[0] for counts in elsewhere]
    assert row.ratio_low <= min(ratios)
    assert row.ratio_high >= max(ratios)
