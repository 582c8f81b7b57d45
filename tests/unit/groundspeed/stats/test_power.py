import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from groundspeed.stats import minimum_detectable_effect


def test_is_the_sum_of_two_quantiles() -> None:
    """exp((t_(1 - level) + t_power) s) - 1, by scipy's quantiles."""
    error, df, level = np.array([0.001, 0.01]), np.array([11.0, 27.0]), 2e-4
    reach = scipy_stats.t.isf(level, df) + scipy_stats.t.ppf(0.9, df)
    effect = minimum_detectable_effect(error, df, level=level, power=0.9)
    np.testing.assert_allclose(effect, np.expm1(reach * error), rtol=1e-10)


@pytest.mark.parametrize("df", [12.0, 27.0, 200.0, 1e6])
def test_a_slowdown_of_that_size_is_found_with_the_stated_chance(df: float) -> None:
    """The noncentral t gives 95 %, less a little for few degrees of freedom."""
    effect = float(minimum_detectable_effect(0.01, df, level=0.001))
    noncentrality = math.log1p(effect) / 0.01
    found = scipy_stats.nct.sf(scipy_stats.t.isf(0.001, df), df, noncentrality)
    assert 0.92 < found < 0.96


def test_no_noise_sees_everything() -> None:
    """Without a standard error the smallest visible effect is none."""
    assert float(minimum_detectable_effect(0.0, 4.0, level=0.01)) == 0.0


@pytest.mark.parametrize("error", [-0.01, math.nan, math.inf])
def test_refuses_what_is_no_standard_error(error: float) -> None:
    """Standard errors are finite and not negative."""
    with pytest.raises(ValueError, match="standard error"):
        minimum_detectable_effect(error, 4.0, level=0.01)


@pytest.mark.parametrize(("level", "power"), [(0.0, 0.9), (0.5, 0.9), (0.01, 0.4), (0.01, 1.0)])
def test_refuses_rates_out_of_range(level: float, power: float) -> None:
    """A level is below one half, a power is not."""
    with pytest.raises(ValueError, match="needed a number"):
        minimum_detectable_effect(0.01, 4.0, level=level, power=power)
