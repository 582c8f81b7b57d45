"""Laws of a look of the gate: what no data may make it do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.stats import Conclusion, FloatArray, GateRule, look, run_to_conclusion
from groundspeed.stats.arrays import BoolArray

OPEN, SLOWER, FASTER, SAME = Conclusion.OPEN, Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME
MIRROR = {OPEN: OPEN, SLOWER: FASTER, FASTER: SLOWER, SAME: SAME}

law = settings(deadline=None)


@st.composite
def suites(draw: st.DrawFn, pairs_min: int = 2) -> FloatArray:
    """Draw differences of a few rows, each with a shift and noise of its own, some without."""
    rows = draw(st.integers(1, 8))
    columns = draw(st.integers(pairs_min, max(pairs_min, 34)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shift = draw(st.lists(st.floats(-0.06, 0.06), min_size=rows, max_size=rows))
    spread = draw(
        st.lists(st.sampled_from([0.0, 1e-4, 2e-3, 0.01, 0.05]), min_size=rows, max_size=rows)
    )
    noise = rng.standard_t(3, (rows, columns))
    return np.asarray(np.array(shift)[:, None] + np.array(spread)[:, None] * noise)


rules = st.builds(
    GateRule,
    false_alarms=st.floats(0.001, 0.4),
    min_effect=st.floats(0.001, 0.03),
    margin=st.none() | st.floats(0.03, 0.2),
    same_confidence=st.floats(0.5, 0.999),
)
shares = st.floats(0.05, 1.0)
# Rows with a margin of their own have no margin of the rule to exceed.
rules_without_margin = st.builds(
    GateRule, false_alarms=st.floats(0.001, 0.4), min_effect=st.floats(0.001, 0.03)
)


@st.composite
def suites_with_effects(draw: st.DrawFn) -> tuple[FloatArray, FloatArray]:
    """Draw a suite and a least effect for each of its rows."""
    suite = draw(suites())
    effect = st.floats(0.001, 0.2)
    return suite, np.array(draw(st.lists(effect, min_size=len(suite), max_size=len(suite))))


settled_rows = st.lists(st.sampled_from([SLOWER, FASTER, SAME]), max_size=12)


@law
@given(suites(), settled_rows, shares, rules)
def test_swapping_sides_mirrors_every_conclusion(
    suite: FloatArray, settled: list[Conclusion], share: float, rule: GateRule
) -> None:
    """What is slower one way round is faster the other, with the same certainty."""
    there = look(suite, settled=settled, share=share, rule=rule)
    back = look(-suite, settled=[MIRROR[c] for c in settled], share=share, rule=rule)
    assert back.conclusions == tuple(MIRROR[c] for c in there.conclusions)
    assert back.estimates.p_slower.tolist() == there.estimates.p_faster.tolist()


@law
@given(suites(pairs_min=96), rules)
def test_swapping_sides_mirrors_the_whole_course(suite: FloatArray, rule: GateRule) -> None:
    """The mirror image settles the same rows at the same looks."""
    there, back = run_to_conclusion(suite, rule), run_to_conclusion(-suite, rule)
    assert back.conclusions == tuple(MIRROR[c] for c in there.conclusions)
    assert back.pairs.tolist() == there.pairs.tolist()


@law
@given(suites(), shares, rules, st.data())
def test_the_order_of_rows_and_pairs_does_not_matter(
    suite: FloatArray, share: float, rule: GateRule, data: st.DataObject
) -> None:
    """Rows in another order keep their conclusions; so do pairs."""
    rows = data.draw(st.permutations(range(suite.shape[0])))
    pairs = data.draw(st.permutations(range(suite.shape[1])))
    before = look(suite, settled=[], share=share, rule=rule)
    after = look(suite[rows][:, pairs], settled=[], share=share, rule=rule)
    assert after.conclusions == tuple(before.conclusions[i] for i in rows)


@law
@given(suites(), st.floats(1e-6, 0.5), shares, rules, st.data())
def test_more_slowdown_keeps_a_slower_row_slower(
    suite: FloatArray, more: float, share: float, rule: GateRule, data: st.DataObject
) -> None:
    """Slowing one row further never makes it same, faster or even open again."""
    row = data.draw(st.integers(0, suite.shape[0] - 1))
    slowed = suite.copy()
    slowed[row] += more
    before = look(suite, settled=[], share=share, rule=rule).conclusions
    after = look(slowed, settled=[], share=share, rule=rule).conclusions
    if before[row] is SLOWER:
        assert after[row] is SLOWER
    if before[row] is not FASTER:
        assert after[row] is not FASTER


@law
@given(suites(), settled_rows, shares, rules)
def test_every_conclusion_is_covered_by_its_estimate(
    suite: FloatArray, settled: list[Conclusion], share: float, rule: GateRule
) -> None:
    """Slower and faster reach the least effect, same lies inside the margin and below it."""
    seen = look(suite, settled=settled, share=share, rule=rule)
    least, margin = math.log1p(rule.min_effect), math.log1p(rule.margin_resolved)
    low, high = seen.estimates.interval(rule.same_confidence)
    level = rule.false_alarms * share
    for i, conclusion in enumerate(seen.conclusions):
        mean = seen.estimates.mean[i]
        if conclusion is SLOWER:
            assert mean >= least
            assert seen.estimates.p_slower[i] <= level
        elif conclusion is FASTER:
            assert mean <= -least
            assert seen.estimates.p_faster[i] <= level
        elif conclusion is SAME:
            assert -margin < low[i] <= high[i] < margin
            assert abs(mean) < least


@law
@given(suites(), settled_rows, shares, rules)
def test_a_settled_slower_row_takes_no_rejection_away(
    suite: FloatArray, settled: list[Conclusion], share: float, rule: GateRule
) -> None:
    """One more row found slower earlier makes nothing less slower now than one found the same."""
    beside_same = look(suite, settled=[*settled, SAME], share=share, rule=rule).conclusions
    beside_slower = look(suite, settled=[*settled, SLOWER], share=share, rule=rule).conclusions
    for before, after in zip(beside_same, beside_slower, strict=True):
        assert after is before or (before, after) == (OPEN, SLOWER)


@law
@given(suites(), shares, rules)
def test_p_values_of_both_sides_make_one(suite: FloatArray, share: float, rule: GateRule) -> None:
    """A row cannot be slower and faster at once."""
    estimates = look(suite, settled=[], share=share, rule=rule).estimates
    both = estimates.p_slower + estimates.p_faster
    assert both.tolist() == pytest.approx([1.0] * suite.shape[0])


@law
@given(suites(pairs_min=96), rules)
def test_a_course_uses_pairs_up_to_a_look_and_leaves_only_the_last_open(
    suite: FloatArray, rule: GateRule
) -> None:
    """Every row stops at a look; one that stops early is settled."""
    course = run_to_conclusion(suite, rule)
    for conclusion, pairs in zip(course.conclusions, course.pairs.tolist(), strict=True):
        assert pairs in rule.looks
        assert conclusion is not OPEN or pairs == rule.pairs_max


@law
@given(suites(), settled_rows, shares, rules)
def test_one_effect_for_all_rows_is_the_rules_own(
    suite: FloatArray, settled: list[Conclusion], share: float, rule: GateRule
) -> None:
    """Saying the rule's minimum effect row by row changes no bit of what is concluded."""
    effects = [rule.min_effect] * suite.shape[0]
    by_rule = look(suite, settled=settled, share=share, rule=rule)
    by_row = look(suite, settled=settled, share=share, rule=rule, min_effects=effects)
    assert by_row.conclusions == by_rule.conclusions
    assert by_row.estimates.p_slower.tolist() == by_rule.estimates.p_slower.tolist()


@law
@given(suites_with_effects(), settled_rows, shares, rules_without_margin)
def test_swapping_sides_mirrors_rows_with_effects_of_their_own(
    given_rows: tuple[FloatArray, FloatArray],
    settled: list[Conclusion],
    share: float,
    rule: GateRule,
) -> None:
    """What is slower one way round is faster the other, whatever each row's least effect is."""
    suite, effects = given_rows
    mirrored = [MIRROR[c] for c in settled]
    there = look(suite, settled=settled, share=share, rule=rule, min_effects=effects)
    back = look(-suite, settled=mirrored, share=share, rule=rule, min_effects=effects)
    assert back.conclusions == tuple(MIRROR[c] for c in there.conclusions)


@law
@given(suites_with_effects(), settled_rows, shares, rules_without_margin)
def test_each_row_is_judged_by_its_own_effect_as_if_it_were_the_rules(
    given_rows: tuple[FloatArray, FloatArray],
    settled: list[Conclusion],
    share: float,
    rule: GateRule,
) -> None:
    """A row concludes as it would if its own least effect were everybody's, and p stays p."""
    suite, effects = given_rows
    seen = look(suite, settled=settled, share=share, rule=rule, min_effects=effects)
    for i, effect in enumerate(effects.tolist()):
        alone = GateRule(false_alarms=rule.false_alarms, min_effect=effect)
        for_all = look(suite, settled=settled, share=share, rule=alone)
        assert seen.conclusions[i] is for_all.conclusions[i]
        assert seen.estimates.p_slower[i] == for_all.estimates.p_slower[i]


@law
@given(suites_with_effects(), st.floats(1.0, 5.0), settled_rows, shares, rules_without_margin)
def test_a_larger_effect_calls_nothing_more_slower(
    given_rows: tuple[FloatArray, FloatArray],
    factor: float,
    settled: list[Conclusion],
    share: float,
    rule: GateRule,
) -> None:
    """Raising least effects raises no alarm: the false alarms of the suite stay bounded."""
    suite, effects = given_rows
    wider = np.minimum(effects * factor, 1.0)
    small = look(suite, settled=settled, share=share, rule=rule, min_effects=effects).conclusions
    large = look(suite, settled=settled, share=share, rule=rule, min_effects=wider).conclusions
    assert {i for i, c in enumerate(large) if c is SLOWER} <= {
        i for i, c in enumerate(small) if c is SLOWER
    }


@st.composite
def suites_with_excused(draw: st.DrawFn) -> tuple[FloatArray, BoolArray]:
    """Draw a suite and which of its rows are excused."""
    suite = draw(suites())
    return suite, np.array(draw(st.lists(st.booleans(), min_size=len(suite), max_size=len(suite))))


@law
@given(suites_with_excused(), st.floats(-0.5, 0.5), settled_rows, shares, rules)
def test_how_slow_an_excused_row_is_bears_on_no_other_row(
    given_rows: tuple[FloatArray, BoolArray],
    shift: float,
    settled: list[Conclusion],
    share: float,
    rule: GateRule,
) -> None:
    """Excused rows that are really slower leave the threshold of the others where it is."""
    suite, excused = given_rows
    suite = suite + np.where(excused, shift, 0.0)[:, None]
    # The mirror image has the very same variance, so that only the excused rows' means differ.
    mirrored = np.where(excused[:, None], -suite, suite)
    before, after = (
        look(s, settled=settled, share=share, rule=rule, excused=excused) for s in (suite, mirrored)
    )
    for row in np.flatnonzero(~excused):
        assert after.conclusions[row] is before.conclusions[row]


@law
@given(suites_with_excused(), settled_rows, shares, rules)
def test_excusing_rows_raises_no_alarm_and_mirrors(
    given_rows: tuple[FloatArray, BoolArray],
    settled: list[Conclusion],
    share: float,
    rule: GateRule,
) -> None:
    """The rows that count are at most as often slower as without excuses, both ways round."""
    suite, excused = given_rows
    without = look(suite, settled=settled, share=share, rule=rule).conclusions
    there = look(suite, settled=settled, share=share, rule=rule, excused=excused).conclusions
    for before, after in zip(without, there, strict=True):
        assert after is before or (before in {SLOWER, FASTER} and after in {OPEN, SAME})
    mirrored = [MIRROR[c] for c in settled]
    back = look(-suite, settled=mirrored, share=share, rule=rule, excused=excused).conclusions
    assert back == tuple(MIRROR[c] for c in there)
