"""Laws of the single steps: summaries, moderated variances, many tests, distributions."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from groundspeed.stats import (
    FloatArray,
    benjamini_hochberg,
    faster_half_mean,
    minimum_detectable_effect,
    moderate,
    student_t_ppf,
    student_t_sf,
    summarise,
)

law = settings(deadline=None)

log_ratios = st.floats(-2.0, 2.0, allow_subnormal=False)
suites = npst.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(2, 34)), elements=log_ratios
)
variances = npst.arrays(np.float64, st.integers(1, 30), elements=st.floats(1e-12, 1e2))
dfs = st.floats(1.0, 60.0)
p_values = npst.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.0, 1.0))
levels = st.floats(1e-4, 0.5)


@law
@given(npst.arrays(np.float64, st.integers(1, 50), elements=st.floats(1e-9, 1e3)), st.randoms())
def test_faster_half_mean_lies_among_the_faster_samples_in_any_order(
    samples: FloatArray, chance: object
) -> None:
    """It is from the shortest to the median, and their order does not matter."""
    mean = faster_half_mean(samples)
    assert samples.min() * (1 - 1e-12) <= mean <= np.median(samples) * (1 + 1e-12)
    assert faster_half_mean(samples[::-1]) == mean


@law
@given(suites, st.floats(-1.0, 1.0))
def test_a_shift_moves_the_mean_and_leaves_the_variance(suite: FloatArray, shift: float) -> None:
    """Adding c to every difference adds c to the mean and nothing to its variance."""
    before, after = summarise(suite), summarise(suite + shift)
    np.testing.assert_allclose(after.mean, before.mean + shift, atol=1e-13)
    np.testing.assert_allclose(after.variance, before.variance, rtol=1e-9, atol=1e-15)


@law
@given(suites, st.integers(-8, 8))
def test_a_scale_multiplies_the_mean_and_squares_into_the_variance(
    suite: FloatArray, exponent: int
) -> None:
    """Another unit of the logarithm changes nothing but the unit; powers of two do it exactly."""
    scale = 2.0**exponent
    assume(not ((suite != 0.0) & (np.abs(suite) < 1e-100)).any())
    before, after = summarise(suite), summarise(suite * scale)
    assert after.mean.tolist() == (before.mean * scale).tolist()
    assert after.variance.tolist() == (before.variance * scale**2).tolist()


@law
@given(suites, st.data())
def test_the_order_of_the_pairs_leaves_no_trace(suite: FloatArray, data: st.DataObject) -> None:
    """The same pairs in another order give the same bits."""
    order = data.draw(st.permutations(range(suite.shape[1])))
    before, after = summarise(suite), summarise(suite[:, order])
    assert after.mean.tolist() == before.mean.tolist()
    assert after.variance.tolist() == before.variance.tolist()


@law
@given(suites)
def test_swapping_sides_changes_the_sign_and_not_one_bit_more(suite: FloatArray) -> None:
    """log(base / candidate) has the opposite mean and the same variance."""
    before, after = summarise(suite), summarise(-suite)
    assert after.mean.tolist() == (-before.mean).tolist()
    assert after.variance.tolist() == before.variance.tolist()


@law
@given(variances, dfs)
def test_a_moderated_variance_lies_between_its_own_and_the_prior(
    variance: FloatArray, df: float
) -> None:
    """The suite draws a row towards the prior, never past it and never away."""
    moderated = moderate(variance, df=df)
    low = np.minimum(variance, moderated.prior.variance)
    high = np.maximum(variance, moderated.prior.variance)
    assert (moderated.variance >= low * (1 - 1e-12)).all()
    assert (moderated.variance <= high * (1 + 1e-12)).all()


@law
@given(variances, dfs)
def test_moderation_gains_degrees_of_freedom_up_to_those_of_the_suite(
    variance: FloatArray, df: float
) -> None:
    """Every row keeps its own degrees at least and has those of all rows at most."""
    moderated = moderate(variance, df=df)
    assert df <= moderated.df <= variance.size * df
    assert moderated.prior.df >= 0.0


@law
@given(variances, dfs, st.data())
def test_moderation_does_not_know_the_order_of_the_rows(
    variance: FloatArray, df: float, data: st.DataObject
) -> None:
    """The rows in another order give the same variances in that order."""
    order = data.draw(st.permutations(range(variance.size)))
    before, after = moderate(variance, df=df), moderate(variance[order], df=df)
    assert after.prior == before.prior
    assert after.variance.tolist() == before.variance[order].tolist()


@law
@given(variances, dfs, st.floats(1e-3, 1e3))
def test_moderation_has_no_unit(variance: FloatArray, df: float, scale: float) -> None:
    """Scaled variances give scaled results on the same degrees of freedom."""
    before, after = moderate(variance, df=df), moderate(variance * scale, df=df)
    # On the brink between a large and an infinite d0 rounding may decide; both cap the same way.
    assert after.df == pytest.approx(before.df, rel=1e-6)
    np.testing.assert_allclose(after.variance, before.variance * scale, rtol=1e-4)


@law
@given(p_values, levels)
def test_rejections_are_those_of_the_definition(p: FloatArray, level: float) -> None:
    """The k smallest are rejected, k the last rank within level * k / m, counted one by one."""
    ordered = sorted(p.tolist())
    count = max(
        (k for k in range(1, p.size + 1) if ordered[k - 1] <= level * k / p.size), default=0
    )
    expected = [bool(count) and value <= ordered[count - 1] for value in p.tolist()]
    assert benjamini_hochberg(p, level).tolist() == expected


@law
@given(p_values, levels)
def test_rejections_contain_bonferroni_and_stay_within_the_single_tests(
    p: FloatArray, level: float
) -> None:
    """What passes level / m is rejected, what fails level is not."""
    rejected = benjamini_hochberg(p, level)
    assert rejected[p <= level / p.size].all()
    assert (p[rejected] <= level).all()


@law
@given(p_values, levels, st.data())
def test_a_smaller_p_or_a_larger_level_loses_no_rejection(
    p: FloatArray, level: float, data: st.DataObject
) -> None:
    """More evidence anywhere, or more tolerance, rejects at least as much."""
    before = benjamini_hochberg(p, level)
    lowered = p * data.draw(npst.arrays(np.float64, p.size, elements=st.floats(0.0, 1.0)))
    assert benjamini_hochberg(lowered, level)[before].all()
    assert benjamini_hochberg(p, data.draw(st.floats(level, 0.9)))[before].all()


@law
@given(st.floats(-60.0, 60.0), st.floats(-60.0, 60.0), st.floats(1.0, 1e7))
def test_a_larger_t_has_no_larger_p(t: float, other: float, df: float) -> None:
    """The survival function falls, to the rounding of its series, and stays a probability."""
    low, high = student_t_sf(sorted([t, other]), df).tolist()
    assert 0.0 <= high <= low * (1.0 + 1e-12)
    assert low <= 1.0


@law
@given(st.floats(1e-100, 1 - 1e-9), st.floats(1.0, 1e9) | st.just(math.inf))
def test_quantile_and_survival_undo_each_other(p: float, df: float) -> None:
    """The chance of exceeding the p-quantile's mirror image is p."""
    assert float(student_t_sf(-student_t_ppf(p, df), df)) == pytest.approx(p, rel=1e-10)


@law
@given(st.floats(1e-5, 0.1), st.floats(1.0, 1e3), st.floats(1e-8, 0.4), st.floats(1.0, 4.0))
def test_less_noise_or_a_looser_level_sees_smaller_effects(
    error: float, df: float, level: float, factor: float
) -> None:
    """The smallest visible effect grows with noise and strictness, and falls with knowledge."""
    assume(math.isfinite(math.exp(1e3 * error)))
    effect = minimum_detectable_effect(error, max(df, 2.0), level=max(level, 1e-4))
    assert effect >= minimum_detectable_effect(error / factor, max(df, 2.0), level=max(level, 1e-4))
    assert effect >= minimum_detectable_effect(
        error, max(df, 2.0), level=min(max(level, 1e-4) * factor, 0.49)
    )
    assert effect >= minimum_detectable_effect(
        error, max(df, 2.0) * factor, level=max(level, 1e-4)
    ) * (1 - 1e-12)
