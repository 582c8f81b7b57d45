import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats as scipy_stats

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import Conclusion, FloatArray, GateRule, estimate, look, run_to_conclusion

OPEN, SLOWER, FASTER, SAME = Conclusion.OPEN, Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME
RULE = GateRule()
LEAST = math.log1p(RULE.min_effect)


def rows(*effects: float, pairs: int = 34, spread: float = 0.004, seed: int = 1) -> FloatArray:
    """Give differences around log(1 + effect), one row an effect."""
    noise = np.random.default_rng(seed).normal(0.0, spread, (len(effects), pairs))
    return np.asarray(np.log1p(effects)[:, None] + noise)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"looks": (), "shares": ()}, "looks: got"),
        ({"looks": (1, 3), "shares": (0.5, 0.5)}, "looks: got"),
        ({"looks": (5, 5), "shares": (0.5, 0.5)}, "looks: got"),
        ({"looks": (5, 8)}, "shares: got 9 for 2 looks"),
        ({"looks": (5, 8), "shares": (-0.1, 1.0)}, "shares: got"),
        ({"looks": (5, 8), "shares": (0.0, 0.0)}, "shares: got"),
        ({"looks": (5, 8), "shares": (0.6, 0.6)}, "shares: got"),
        ({"false_alarms": 0.0}, "false_alarms: got"),
        ({"false_alarms": 0.5}, "false_alarms: got"),
        ({"min_effect": 0.0}, "min_effect: got"),
        ({"min_effect": 5.0}, "such as 0.01 for one percent"),
        ({"min_effect": 0.02, "margin": 0.01}, "margin: got 0.01, needed at least min_effect"),
        ({"margin": math.inf}, "margin: got inf"),
        ({"same_confidence": 1.0}, "same_confidence: got"),
        ({"early_same": (0.99, 0.0)}, "early_same: got"),
    ],
)
def test_rule_refuses(change: dict[str, Any], message: str) -> None:
    """A rule that cannot be kept is refused with the value that is wrong."""
    with pytest.raises(ValueError, match=message):
        GateRule(**change)


def test_rule_spends_all_of_its_false_alarms() -> None:
    """The default shares add up to one, one for each look."""
    assert sum(RULE.shares) == pytest.approx(1.0)
    assert RULE.pairs_max == 96


def test_margin_is_two_effects_unless_given() -> None:
    """The margin follows the minimum effect."""
    assert GateRule(min_effect=0.02).margin_resolved == pytest.approx(0.04)
    assert GateRule(min_effect=0.02, margin=0.05).margin_resolved == 0.05


def test_early_looks_ask_more_of_same() -> None:
    """The confidence falls to the rule's own, and what is told stays one interval."""
    asked = [RULE.at_look(i).same_confidence for i in range(len(RULE.looks))]
    assert asked[:3] == [0.995, 0.99, 0.98]
    assert set(asked[3:]) == {RULE.same_confidence}


def test_what_the_first_look_leaves_open_a_later_one_calls_same() -> None:
    """A row whose interval lies inside the margin at 98 % but not at 99.5 % takes one more look."""
    rule = GateRule(early_same=(0.995,))
    suite = rows(0.0, pairs=8, spread=0.005, seed=2)
    assert run_to_conclusion(suite, rule).pairs.tolist() == [8]
    assert run_to_conclusion(suite, replace(rule, early_same=())).pairs.tolist() == [5]


@pytest.mark.parametrize("families", [[0], [0.0, 1.0], [[0, 1]], ["a", "b"]])
def test_families_are_integers_one_a_row(families: Any) -> None:
    """Anything else is refused, wherever families are taken."""
    suite = rows(0.0, 0.0)
    calls: list[Callable[[], object]] = [
        lambda: estimate(suite, families=families),
        lambda: look(suite, settled=[], share=1.0, rule=RULE, families=families),
        lambda: run_to_conclusion(suite, RULE, families=families),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"families: got .* needed an integer a row"):
            call()


@pytest.mark.parametrize("beside", [0.0, 0.001, 0.3])
def test_a_count_that_rose_in_every_pair_is_slower_whatever_its_family_does(beside: float) -> None:
    """12 queries became 13 in all five pairs, 12 stayed 12, beside rows of any noise."""
    counts = np.repeat([[math.log(13 / 12)], [0.0], [math.log(12 / 13)]], 5, axis=1)
    suite = np.concatenate([counts, rows(0.0, 0.0, 0.0, pairs=5, spread=beside)])
    seen = look(suite, settled=[], share=0.1, rule=RULE)
    assert seen.conclusions[:3] == (SLOWER, SAME, FASTER)
    assert seen.estimates.p_slower[:3].tolist() == [0.0, 0.5, 1.0]


def test_one_row_is_an_ordinary_t_test() -> None:
    """A suite of one row gives the p-values and interval of scipy's one-sample test."""
    differences = rows(0.01, pairs=5)
    estimates = estimate(differences)
    for side, p in (("greater", estimates.p_slower), ("less", estimates.p_faster)):
        reference = scipy_stats.ttest_1samp(differences[0], 0.0, alternative=side)
        assert p.tolist() == pytest.approx([reference.pvalue], rel=1e-10)
    expected = scipy_stats.ttest_1samp(differences[0], 0.0).confidence_interval(0.98)
    low, high = estimates.interval(0.98)
    assert (float(low[0]), float(high[0])) == pytest.approx(tuple(expected), rel=1e-10)


def test_clear_rows_are_settled_at_the_first_look() -> None:
    """Ten percent slower, ten percent faster and no change need five pairs."""
    seen = look(rows(0.1, 1 / 1.1 - 1, 0.0, pairs=5), settled=[], share=0.1, rule=RULE)
    assert seen.conclusions == (SLOWER, FASTER, SAME)
    assert seen.pairs == 5


def test_a_certain_but_small_change_is_not_slower() -> None:
    """Half a percent, beyond doubt, is the same while one percent is the least effect."""
    differences = rows(0.005, 0.005, pairs=34, spread=0.001)
    seen = look(differences, settled=[], share=0.1, rule=RULE)
    assert (seen.estimates.p_slower < 1e-6).all()
    assert seen.conclusions == (SAME, SAME)


@pytest.mark.parametrize("step", [-1e-9, 1e-9])
def test_the_least_effect_is_a_ratio(step: float) -> None:
    """Without noise, candidate / base = 1.01 is where slower begins, base / candidate faster."""
    shifts = np.array([LEAST + step, -LEAST - step])
    seen = look(np.repeat(shifts[:, None], 5, axis=1), settled=[], share=0.1, rule=RULE)
    assert seen.conclusions == ((SLOWER, FASTER) if step > 0.0 else (SAME, SAME))


@pytest.mark.parametrize(("reach", "conclusion"), [(0.159, SAME), (0.165, OPEN)])
def test_the_margin_is_a_ratio(reach: float, conclusion: Conclusion) -> None:
    """Around 0.1, an interval that ends beyond log(1.3) = 0.262 is too wide for 30 %."""
    rule = GateRule(min_effect=0.2, margin=0.3)
    away = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
    error = away.std(ddof=1) / math.sqrt(5.0)
    scale = reach / (error * scipy_stats.t.isf(0.01, 4))
    for side in (1.0, -1.0):
        differences = side * (0.1 + scale * away)
        assert look([differences], settled=[], share=0.1, rule=rule).conclusions == (conclusion,)


def test_noise_leaves_a_row_open() -> None:
    """A row that may be anything is not called the same."""
    seen = look(rows(0.0, 0.0, pairs=5, spread=0.2), settled=[], share=0.1, rule=RULE)
    assert seen.conclusions == (OPEN, OPEN)


def test_rows_without_variance_are_certain() -> None:
    """Bit-identical counts are settled, one row or several."""
    shifts = np.array([0.0, 0.02, -0.5])
    exact = np.repeat(shifts[:, None], 5, axis=1)
    together = look(exact, settled=[], share=0.1, rule=RULE)
    assert together.conclusions == (SAME, SLOWER, FASTER)
    assert together.estimates.p_slower.tolist() == [0.5, 0.0, 1.0]
    for row, conclusion in zip(exact, together.conclusions, strict=True):
        assert look([row], settled=[], share=0.1, rule=RULE).conclusions == (conclusion,)


def test_rows_settled_as_slower_count_as_rejections() -> None:
    """One more slower row eases the line of the next one; one more same row does not."""
    differences = np.array([[0.0143, 0.0172, 0.0200, 0.0228, 0.0257]])
    alone = look(differences, settled=[SAME] * 9, share=0.1, rule=RULE)
    beside = look(differences, settled=[SLOWER] * 9, share=0.1, rule=RULE)
    mirrored = look(-differences, settled=[FASTER] * 9, share=0.1, rule=RULE)
    level = RULE.false_alarms * 0.1
    assert level / 10 < alone.estimates.p_slower[0] < level
    assert (alone.conclusions, beside.conclusions) == ((OPEN,), (SLOWER,))
    assert mirrored.conclusions == (FASTER,)


def test_look_refuses_an_open_row_among_the_settled() -> None:
    """What is open is judged, not counted."""
    with pytest.raises(ValueError, match="settled: got an open row"):
        look(rows(0.0), settled=[SAME, OPEN], share=0.1, rule=RULE)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_look_refuses_a_share_out_of_range(share: float) -> None:
    """A look spends nothing at least, and at most everything."""
    with pytest.raises(ValueError, match="share: got"):
        look(rows(0.0), settled=[], share=share, rule=RULE)


def test_a_look_without_a_share_calls_nothing_slower_or_faster() -> None:
    """However plain a row is, even one whose differences are all one number, it stays open."""
    plain = np.array([[0.5] * 5, [-0.5] * 5, [0.3, 0.31, 0.29, 0.3, 0.3], [0.0] * 5])
    seen = look(plain, settled=[SLOWER], share=0.0, rule=RULE)
    assert seen.conclusions == (OPEN, OPEN, OPEN, SAME)


def test_look_refuses_no_rows() -> None:
    """With nothing open there is nothing to look at."""
    with pytest.raises(TooFewSamplesError, match="got 0 rows"):
        look(np.empty((0, 5)), settled=[SAME], share=0.1, rule=RULE)


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan])
def test_interval_refuses_a_confidence_out_of_range(confidence: float) -> None:
    """Certainty has no finite interval."""
    with pytest.raises(ValueError, match="confidence: got"):
        estimate(rows(0.0)).interval(confidence)


def test_run_settles_each_row_at_its_own_look() -> None:
    """Clear rows stop at five pairs, an unclear one uses them all and stays open."""
    differences = rows(0.1, 0.0, 0.0)
    differences[2] = np.tile([0.3, -0.3], 17)
    course = run_to_conclusion(differences, RULE)
    assert course.conclusions == (SLOWER, SAME, OPEN)
    assert course.pairs.tolist() == [8, 5, 34]


def test_run_is_the_looks_one_after_the_other() -> None:
    """The course is what a caller gets who looks, sets settled rows aside and looks again."""
    differences = rows(0.1, *np.linspace(0.005, 0.03, 12), *[0.0] * 12, spread=0.01)
    course = run_to_conclusion(differences, RULE)
    conclusions = [OPEN] * len(differences)
    plan = zip(RULE.looks, RULE.shares, course.looks, strict=False)
    for index, (pairs, share, taken) in enumerate(plan):
        still = [i for i, conclusion in enumerate(conclusions) if conclusion is OPEN]
        settled = [conclusion for conclusion in conclusions if conclusion is not OPEN]
        rule = RULE.at_look(index)
        seen = look(differences[still, :pairs], settled=settled, share=share, rule=rule)
        assert (taken.pairs, taken.conclusions) == (pairs, seen.conclusions)
        for i, conclusion in zip(still, seen.conclusions, strict=True):
            conclusions[i] = conclusion
            assert course.pairs[i] >= pairs
    assert course.conclusions == tuple(conclusions)
    assert len(course.looks) > 2


def test_run_ends_with_the_pairs() -> None:
    """With twelve pairs there are three looks, and what is unclear stays open."""
    course = run_to_conclusion(rows(0.0, 0.0, pairs=13, spread=0.3), RULE)
    assert [taken.pairs for taken in course.looks] == [5, 8, 12]
    assert course.conclusions == (OPEN, OPEN)
    assert course.pairs.tolist() == [12, 12]


def test_run_refuses_fewer_pairs_than_the_first_look() -> None:
    """Four pairs are too few for a first look at five."""
    with pytest.raises(TooFewSamplesError, match="got 4 launch pairs, but the first look needs 5"):
        run_to_conclusion(rows(0.0, pairs=4), RULE)


@pytest.mark.parametrize(
    ("effects", "margin", "message"),
    [
        ([0.01], None, r"min_effects: got shape \(1,\), needed one a row, \(2,\)"),
        (0.01, None, r"min_effects: got shape \(\)"),
        ([0.01, 0.0], None, "needed ratios - 1 above 0 and at most 1.0"),
        ([0.01, 1.5], None, "needed ratios - 1 above 0 and at most 1.0"),
        ([0.01, math.nan], None, "needed ratios - 1 above 0"),
        ([0.01, 0.06], 0.05, "at most 0.05"),
    ],
)
def test_effects_of_rows_that_cannot_be_kept_are_refused(
    effects: Any, margin: float | None, message: str
) -> None:
    """One a row, in range, and inside the rule's margin where it states one."""
    rule = GateRule(margin=margin)
    with pytest.raises(ValueError, match=message):
        look(rows(0.0, 0.0), settled=[], share=1.0, rule=rule, min_effects=effects)


def test_a_row_with_a_larger_effect_is_the_same_where_another_is_slower() -> None:
    """Two rows, both 4 % slower: one is judged at 1 %, the other at 5 %."""
    seen = look(rows(0.04, 0.04), settled=[], share=1.0, rule=RULE, min_effects=[0.01, 0.05])
    assert seen.conclusions == (SLOWER, SAME)


@pytest.mark.parametrize("excused", [[True], [1, 0], True])
def test_excuses_that_fit_no_rows_are_refused(excused: Any) -> None:
    """A bool a row, nothing else."""
    with pytest.raises(ValueError, match=r"excused: got .* needed a bool a row"):
        look(rows(0.0, 0.0), settled=[], share=1.0, rule=RULE, excused=excused)


def test_an_excused_row_does_not_ease_the_threshold_of_another() -> None:
    """Beside nine rows that are plainly slower a doubtful one is slower; beside excused ones not.

    Its p-value lies between the level of one rejection in ten and that of ten.
    """
    suite = rows(*[0.5] * 9, 0.0, pairs=12)
    suite[9] += 0.0115 - suite[9].mean()
    rule = GateRule(false_alarms=1e-4)
    for level_used in (0.1, 1.0):
        assert look(suite, settled=[], share=level_used, rule=rule).conclusions[:9] == (SLOWER,) * 9
    p = look(suite, settled=[], share=1.0, rule=rule).estimates.p_slower[9]
    between = GateRule(false_alarms=float(p) * 3)
    excused = [True] * 9 + [False]
    eased = look(suite, settled=[], share=1.0, rule=between)
    strict = look(suite, settled=[], share=1.0, rule=between, excused=excused)
    assert eased.conclusions[9] is SLOWER
    assert strict.conclusions[9] is not SLOWER
    assert strict.conclusions[:9] == (SLOWER,) * 9
