import math

import numpy as np
import pytest
from scipy import optimize, special

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import FloatArray, VariancePrior, fit_prior, moderate


def smyth(variance: FloatArray, df: float) -> tuple[float, float]:
    """Give s0^2 and d0 by the formulas of Smyth (2004), section 6.2, with a root finder."""
    e = np.log(variance) - special.digamma(df / 2) + math.log(df / 2)
    rows = variance.size
    target = ((e - e.mean()) ** 2).sum() / (rows - 1) - special.polygamma(1, df / 2)
    half = optimize.brentq(lambda x: special.polygamma(1, x) - target, 1e-6, 1e6, xtol=1e-14)
    return math.exp(e.mean() + special.digamma(half) - math.log(half)), 2 * half


@pytest.mark.parametrize(("rows", "df"), [(3, 4), (14, 4), (50, 7), (2000, 27)])
def test_fit_agrees_with_the_published_formulas(rows: int, df: int) -> None:
    """s0^2 and d0 are those of the paper, found there by another root finder."""
    rng = np.random.default_rng(rows)
    variance = np.exp(rng.normal(-9.0, 1.6, rows)) * rng.chisquare(df, rows) / df
    centre, prior_df = smyth(variance, df)
    prior = fit_prior(variance, df=df)
    assert prior.variance == pytest.approx(centre, rel=1e-9)
    assert prior.df == pytest.approx(prior_df, rel=1e-9)


def test_rows_hardly_less_alike_than_chance_have_a_finite_prior() -> None:
    """Any spread beyond chance counts, however little: d0 is large, not infinite."""
    apart = math.sqrt(2.0 * (special.polygamma(1, 2.0) + 0.01))
    variance = np.array([1.0, math.exp(apart)])
    prior = fit_prior(variance, df=4)
    assert (prior.variance, prior.df) == pytest.approx(smyth(variance, 4.0), rel=1e-9)
    assert 100.0 < prior.df < math.inf


def test_fit_recovers_the_prior_the_rows_were_drawn_from() -> None:
    """From 20,000 rows of the model itself, d0 and s0^2 come back."""
    rng = np.random.default_rng(3)
    true = 2e-4 * 6.0 / rng.chisquare(6.0, 20_000)
    prior = fit_prior(true * rng.chisquare(4, true.size) / 4, df=4)
    assert prior.df == pytest.approx(6.0, rel=0.1)
    assert prior.variance == pytest.approx(2e-4, rel=0.03)


def test_posterior_weighs_by_degrees_of_freedom() -> None:
    """(d0 s0^2 + df s^2) / (d0 + df), on d0 + df degrees of freedom."""
    variance = np.geomspace(1e-7, 1e-3, 30)
    moderated = moderate(variance, df=4)
    prior = moderated.prior
    assert 0.0 < prior.df < math.inf
    expected = (prior.df * prior.variance + 4 * variance) / (prior.df + 4)
    np.testing.assert_allclose(moderated.variance, expected, rtol=1e-13)
    assert moderated.df == prior.df + 4


def test_degrees_of_freedom_stop_at_those_of_the_suite() -> None:
    """Two rows a little apart do not know more than their own eight degrees."""
    variance = np.array([1.0, 3.5])
    moderated = moderate(variance, df=4)
    assert moderated.prior.df + 4 > 8
    assert moderated.df == 8.0


def test_rows_alike_beyond_chance_are_pooled() -> None:
    """Equal variances give the mean variance and all degrees of freedom together."""
    moderated = moderate(np.full(10, 3e-5), df=7)
    assert moderated.prior.df == math.inf
    assert moderated.prior.variance == pytest.approx(3e-5)
    np.testing.assert_allclose(moderated.variance, 3e-5)
    assert moderated.df == 70.0


def test_a_suite_of_one_row_keeps_its_variance() -> None:
    """There is nothing to borrow from: an ordinary t-test remains."""
    moderated = moderate([2e-4], df=4)
    assert moderated.variance.tolist() == [2e-4]
    assert moderated.df == 4.0
    assert moderated.prior.df == 0.0


def test_a_suite_without_any_variance_has_none() -> None:
    """Bit-identical measurements stay certain."""
    moderated = moderate(np.zeros(3), df=4)
    assert moderated.variance.tolist() == [0.0, 0.0, 0.0]
    assert moderated.prior == VariancePrior(variance=0.0, df=math.inf)


def test_a_zero_variance_enters_the_fit_as_a_floor() -> None:
    """One exact zero counts as 1e-5 of the median, and gets some variance from the others."""
    variance = np.array([0.0, 1e-4, 2e-4, 3e-4, 5e-4])
    floored = np.array([2e-9, 1e-4, 2e-4, 3e-4, 5e-4])
    prior = fit_prior(variance, df=4)
    assert prior == fit_prior(floored, df=4)
    assert moderate(variance, df=4).variance[0] > 0.0


def test_mostly_zero_variances_take_the_floor_from_the_others() -> None:
    """With a median of 0 the floor comes from the positive ones, in their own unit."""
    variance = np.array([0.0, 0.0, 0.0, 1e-6, 3e-6])
    floored = np.where(variance == 0.0, 2e-11, variance)
    assert fit_prior(variance, df=4) == fit_prior(floored, df=4)


@pytest.mark.parametrize("variance", [[-1e-9, 1.0], [math.nan, 1.0], [math.inf, 1.0]])
def test_refuses_what_is_no_variance(variance: list[float]) -> None:
    """Variances are finite and not negative."""
    with pytest.raises(ValueError, match="variances: got"):
        moderate(variance, df=4)


def test_refuses_no_rows() -> None:
    """A suite has at least one row."""
    with pytest.raises(TooFewSamplesError, match="variances"):
        moderate([], df=4)


@pytest.mark.parametrize("df", [0.0, -1.0, math.inf, math.nan])
def test_refuses_degrees_of_freedom_that_no_sample_has(df: float) -> None:
    """A row's own variance rests on a finite number of pairs."""
    with pytest.raises(ValueError, match="degrees of freedom"):
        fit_prior([1.0, 2.0], df=df)
