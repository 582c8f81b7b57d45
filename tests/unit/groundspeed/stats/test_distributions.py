import math

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from groundspeed.stats import (
    FloatArray,
    digamma,
    student_t_ppf,
    student_t_sf,
    trigamma,
    trigamma_inverse,
)
from groundspeed.stats.distributions import _tetragamma

DFS = [1.0, 1.3, 2.0, 4.0, 7.5, 27.0, 200.0, 1e4, 1e6, 1e9, math.inf]
# One-sided p-values from the centre to far beyond anything a gate asks for.
TAILS = np.concatenate([[0.5, 0.49, 0.3, 0.16, 0.155, 0.05], 10.0 ** -np.arange(2.0, 120.0, 3.0)])


def scipy_t_isf(p: FloatArray, df: float) -> FloatArray:
    """Give scipy's upper quantile, the normal one for infinite df."""
    t = scipy_stats.norm.isf(p) if math.isinf(df) else scipy_stats.t.isf(p, df)
    return np.asarray(t)


def scipy_t_sf(t: FloatArray, df: float) -> FloatArray:
    """Give scipy's upper tail, the normal one for infinite df."""
    p = scipy_stats.norm.sf(t) if math.isinf(df) else scipy_stats.t.sf(t, df)
    return np.asarray(p)


@pytest.mark.parametrize("df", DFS)
def test_survival_agrees_with_scipy_deep_in_the_tail(df: float) -> None:
    """The relative error stays below 1e-11 down to p = 1e-120."""
    t = scipy_t_isf(TAILS, df)
    np.testing.assert_allclose(student_t_sf(t, df), scipy_t_sf(t, df), rtol=1e-11)


@pytest.mark.parametrize("df", DFS)
def test_survival_of_negative_t_is_the_rest(df: float) -> None:
    """The distribution is symmetric: the two tails of one t make up one."""
    t = np.linspace(0.0, 9.0, 91)
    np.testing.assert_array_equal(student_t_sf(-t, df), 1.0 - student_t_sf(t, df))


@pytest.mark.parametrize("df", DFS)
def test_survival_has_no_step_where_the_method_changes(df: float) -> None:
    """Around t = 1, where the tail takes over from the centre, it keeps falling."""
    t = 1.0 + np.arange(-40, 41) * 1e-6
    assert (np.diff(student_t_sf(t, df)) < 0.0).all()


def test_survival_of_one_degree_is_cauchy() -> None:
    """With one degree of freedom the tail is arctan(1 / t) / pi, also far away."""
    t = 10.0 ** np.arange(0.0, 150.0, 7.0)
    np.testing.assert_allclose(student_t_sf(t, 1.0), np.arctan(1.0 / t) / math.pi, rtol=1e-11)


def test_survival_at_the_ends() -> None:
    """Infinite t leaves nothing, minus infinity leaves all, zero leaves one half."""
    p = student_t_sf([math.inf, -math.inf, 0.0], 3.0)
    assert p.tolist() == [0.0, 1.0, 0.5]


def test_survival_broadcasts_degrees_of_freedom() -> None:
    """An array of df gives what each df gives alone."""
    together = student_t_sf(2.5, DFS)
    assert together.tolist() == [float(student_t_sf(2.5, df)) for df in DFS]


@pytest.mark.parametrize("df", DFS)
def test_quantile_agrees_with_scipy(df: float) -> None:
    """Both tails agree to 1e-10, relative."""
    expected = scipy_t_isf(TAILS[1:], df)
    np.testing.assert_allclose(-student_t_ppf(TAILS[1:], df), expected, rtol=1e-10)
    np.testing.assert_allclose(
        student_t_ppf([0.6, 0.99], df), scipy_t_isf(np.array([0.4, 0.01]), df)
    )


@pytest.mark.parametrize("df", DFS)
def test_quantile_undoes_survival(df: float) -> None:
    """sf(-ppf(p)) is p again for every p the function takes."""
    p = 10.0 ** -np.linspace(0.31, 139.9, 200)
    np.testing.assert_allclose(student_t_sf(-student_t_ppf(p, df), df), p, rtol=1e-11)


def test_quantile_of_one_half_is_zero() -> None:
    """The median of a symmetric distribution."""
    assert float(student_t_ppf(0.5, 5.0)) == 0.0


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, 1.1, 1e-150])
def test_quantile_refuses_p_out_of_range(p: float) -> None:
    """The ends have no finite quantile; p is named."""
    with pytest.raises(ValueError, match="needed every p between"):
        student_t_ppf(p, 5.0)


@pytest.mark.parametrize("df", [0.0, 0.5, -1.0, math.nan])
def test_student_t_refuses_df_below_one(df: float) -> None:
    """Less than one degree of freedom cannot come from data."""
    with pytest.raises(ValueError, match="needed at least 1"):
        student_t_sf(1.0, df)


def test_student_t_refuses_nan() -> None:
    """A t that is no number has no p-value."""
    with pytest.raises(ValueError, match="got NaN"):
        student_t_sf([0.0, math.nan], 4.0)


def test_gamma_derivatives_agree_with_scipy() -> None:
    """Digamma, trigamma and tetragamma over ten decades."""
    x = np.geomspace(1e-3, 1e7, 997)
    reference = special.digamma(x)
    np.testing.assert_allclose(digamma(x), reference, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(trigamma(x), special.polygamma(1, x), rtol=1e-14)
    np.testing.assert_allclose(_tetragamma(x), special.polygamma(2, x), rtol=1e-14)


def test_trigamma_inverse_undoes_trigamma() -> None:
    """Over eighteen decades, limma's shortcuts for the ends are not needed."""
    y = np.geomspace(1e-9, 1e9, 501)
    np.testing.assert_allclose(trigamma(trigamma_inverse(y)), y, rtol=1e-12)


@pytest.mark.parametrize("y", [0.0, -1.0, math.inf, math.nan])
def test_trigamma_inverse_refuses_what_trigamma_never_gives(y: float) -> None:
    """Trigamma is positive and finite on its domain."""
    with pytest.raises(ValueError, match="needed finite y > 0"):
        trigamma_inverse(y)


@pytest.mark.parametrize("x", [0.0, -2.5, math.nan])
def test_gamma_derivatives_refuse_the_poles(x: float) -> None:
    """They are for positive arguments."""
    with pytest.raises(ValueError, match="needed x > 0"):
        digamma(x)
