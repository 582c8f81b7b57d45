"""Laws of families: noise is shared within one, certainty with nobody, the correction with all."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from groundspeed.stats import (
    BoolArray,
    Conclusion,
    Estimates,
    FloatArray,
    GateRule,
    IntArray,
    benjamini_hochberg,
    estimate,
    exchange_rate,
    look,
    run_to_conclusion,
)

OPEN, SLOWER, FASTER, SAME = Conclusion.OPEN, Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME
RULE = GateRule(looks=(5, 8, 12), shares=(0.3, 0.3, 0.4), false_alarms=0.4, min_effect=0.002)
PAIRS = RULE.pairs_max

law = settings(deadline=None)


@st.composite
def suites(draw: st.DrawFn, *, exact: bool = True) -> tuple[FloatArray, IntArray]:
    """Draw rows of up to four families, with shifts, noise of their own and maybe none."""
    rows = draw(st.integers(1, 10))
    spreads = [1e-4, 2e-3, 0.01, 0.05] + ([0.0, 0.0] if exact else [])
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shift, spread = rng.choice([0.0, 0.0, 0.004, -0.05], rows), rng.choice(spreads, rows)
    suite = shift[:, None] + spread[:, None] * rng.standard_t(4, (rows, PAIRS))
    return suite, rng.integers(-1, 3, rows)


pairs_of_a_look = st.sampled_from([2, 5, 8, 12])


def bits(estimates: Estimates, rows: BoolArray | slice = slice(None)) -> list[list[float]]:
    """All that is estimated of some rows."""
    low, high = estimates.interval(0.98)
    fields = (getattr(estimates, name) for name in Estimates.__slots__)
    return [field[rows].tolist() for field in (*fields, low, high)]


def constant(suite: FloatArray) -> BoolArray:
    """Which rows show one number only."""
    return np.asarray(np.ptp(suite, axis=1) == 0.0)


@law
@given(suites(), pairs_of_a_look)
def test_a_family_is_estimated_as_if_it_were_alone(
    given_rows: tuple[FloatArray, IntArray], pairs: int
) -> None:
    """No bit of a row comes from the rows of another family."""
    suite, families = given_rows[0][:, :pairs], given_rows[1]
    together = estimate(suite, families=families)
    for family in np.unique(families):
        of_family = families == family
        assert bits(together, of_family) == bits(estimate(suite[of_family]))


@law
@given(suites(), st.integers(-5, 5))
def test_one_family_is_none(given_rows: tuple[FloatArray, IntArray], number: int) -> None:
    """Saying that all rows are alike says nothing, whatever the family's number."""
    suite, _ = given_rows
    one = [number] * len(suite)
    assert bits(estimate(suite, families=one)) == bits(estimate(suite))
    course, plain = run_to_conclusion(suite, RULE, families=one), run_to_conclusion(suite, RULE)
    assert (course.conclusions, course.pairs.tolist()) == (plain.conclusions, plain.pairs.tolist())


@law
@given(suites(), st.permutations([-1, 0, 1, 2]), st.data())
def test_neither_names_nor_order_of_families_matter(
    given_rows: tuple[FloatArray, IntArray], names: list[int], data: st.DataObject
) -> None:
    """Renumbered families and shuffled rows conclude the same."""
    suite, families = given_rows
    order = data.draw(st.permutations(range(len(suite))))
    before = run_to_conclusion(suite, RULE, families=families)
    renamed = np.array(names)[families + 1]
    after = run_to_conclusion(suite[order], RULE, families=renamed[order])
    assert after.conclusions == tuple(before.conclusions[i] for i in order)


@law
@given(suites(), pairs_of_a_look)
def test_a_row_of_one_number_is_certain(
    given_rows: tuple[FloatArray, IntArray], pairs: int
) -> None:
    """However noisy its family, it is as slow, as fast or as equal as it shows."""
    suite, families = given_rows[0][:, :pairs], given_rows[1]
    exact = constant(suite)
    assume(exact.any())
    seen = look(suite, settled=[], share=0.1, rule=RULE, families=families)
    low, high = seen.estimates.interval(0.98)
    for row in np.flatnonzero(exact):
        shift = suite[row, 0]
        p = {1.0: 0.0, 0.0: 0.5, -1.0: 1.0}[float(np.sign(shift))]
        assert (seen.estimates.p_slower[row], seen.estimates.p_faster[row]) == (p, 1.0 - p)
        assert low[row] == high[row] == shift
        assert seen.conclusions[row] is (
            SAME if shift == 0.0 else SLOWER if shift > 0.0 else FASTER
        )


@law
@given(suites(), pairs_of_a_look, st.sampled_from([0.0, 0.1, -1.0]), st.integers(1, 9))
def test_exact_rows_leave_no_trace_in_noisy_ones(
    given_rows: tuple[FloatArray, IntArray], pairs: int, shift: float, count: int
) -> None:
    """Any number of them beside it changes no bit of what is known of a noisy row."""
    suite = given_rows[0][:, :pairs]
    noisy = suite[~constant(suite)]
    assume(len(noisy))
    beside = np.concatenate([np.full((count, pairs), shift), noisy])
    assert bits(estimate(beside), np.arange(len(beside)) >= count) == bits(estimate(noisy))


@law
@given(suites(exact=False), pairs_of_a_look)
def test_two_rows_lend_each_other_nothing(
    given_rows: tuple[FloatArray, IntArray], pairs: int
) -> None:
    """A family of one or two rows is one or two ordinary t tests."""
    suite = given_rows[0][:2, :pairs]
    together = estimate(suite)
    for row in range(len(suite)):
        alone = estimate(suite[row : row + 1])
        assert bits(together, np.arange(len(suite)) == row)[:5] == bits(alone)[:5]
        assert together.prior_df[row] == 0.0


@law
@given(suites(), pairs_of_a_look, st.floats(0.05, 1.0))
def test_the_correction_is_over_all_families(
    given_rows: tuple[FloatArray, IntArray], pairs: int, share: float
) -> None:
    """What is slower is what Benjamini-Hochberg rejects among the p-values of the whole suite."""
    suite, families = given_rows[0][:, :pairs], given_rows[1]
    seen = look(suite, settled=[SAME], share=share, rule=RULE, families=families)
    p = [*seen.estimates.p_slower.tolist(), 1.0]
    rejected = benjamini_hochberg(p, RULE.false_alarms * share)[:-1]
    large = seen.estimates.mean >= np.log1p(RULE.min_effect)
    assert [c is SLOWER for c in seen.conclusions] == (rejected & large).tolist()


def by_looks(
    record: list[FloatArray], families: IntArray, effects: FloatArray, signs: FloatArray
) -> tuple[list[Conclusion], int]:
    """Follow one exchange look by look: every conclusion, and how many rows ended too early."""
    conclusions = [OPEN] * len(record)
    for index, (pairs, share) in enumerate(zip(RULE.looks, RULE.shares, strict=True)):
        judged = [i for i, c in enumerate(conclusions) if c is OPEN and record[i].size >= pairs]
        if not judged:
            break
        others = [c for i, c in enumerate(conclusions) if i not in judged]
        seen = look(
            [record[i][:pairs] * signs[:pairs] for i in judged],
            settled=[SAME if c is OPEN else c for c in others],
            share=share,
            rule=RULE.at_look(index),
            min_effects=effects[judged],
            families=families[judged],
        )
        for i, conclusion in zip(judged, seen.conclusions, strict=True):
            conclusions[i] = conclusion
    cut = [c is OPEN and row.size < PAIRS for c, row in zip(conclusions, record, strict=True)]
    return conclusions, sum(cut)


@settings(deadline=None, max_examples=50)
@given(suites(), st.integers(0, 2**32))
def test_exchanges_followed_together_are_each_followed_by_looks(
    given_rows: tuple[FloatArray, IntArray], seed: int
) -> None:
    """The rate is what looking at one exchange after the other gives, row by row."""
    suite, families = given_rows
    rng = np.random.default_rng(seed)
    lengths = [PAIRS, *rng.integers(1, PAIRS + 1, len(suite) - 1)]
    record = [row[:length] for row, length in zip(suite, lengths, strict=True)]
    effects = rng.choice([0.002, 0.02], len(suite))
    signs = rng.choice([-1.0, 1.0], (20, PAIRS))
    rate = exchange_rate(record, RULE, signs=signs, min_effects=effects, families=families)
    recorded, _ = by_looks(record, families, effects, np.ones(PAIRS))
    assume(not {SLOWER, FASTER} & set(recorded))
    courses = [by_looks(record, families, effects, row) for row in signs]
    assert rate.alarmed == sum(SLOWER in conclusions for conclusions, _ in courses)
    assert rate.cut_short == pytest.approx(sum(cut for _, cut in courses) / 20 / len(suite))
