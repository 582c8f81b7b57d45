"""How counts decide a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.counting import COUNTS_MIN_EFFECT, compare_counts
from groundspeed.measure.instructions import Counts
from groundspeed.measure.rows import Calibration
from groundspeed.model import Outcome, Row

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
