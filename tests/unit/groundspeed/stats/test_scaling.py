import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.scaling import fit_amdahl, fit_scaling, fit_usl

# SPEC SDM91 on a SPARCcenter 2000, and a Cisco load test: data and coefficients as published with
# the R package usl 3.0 and in Schwartz, Practical Scalability Analysis with the USL (2015).
SDM91_LOAD = (1, 18, 36, 72, 108, 144, 216)
SDM91_THROUGHPUT = (64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2)
CISCO_THROUGHPUT = (
    *(955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61),
    *(8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52),
    *(11151.43, 11518.63, 11806, 12089.37, 12075.41, 12177.29, 12211.41, 12158.93, 12155.27),
    *(12118.04, 12140.4, 12074.39),
)
LEVELS = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0, 32.0], 3)


def usl(n: np.ndarray, alpha: float, beta: float, gamma: float) -> np.ndarray:
    """Throughput by the law, without noise."""
    return np.asarray(gamma * n / (1 + alpha * (n - 1) + beta * n * (n - 1)))


def test_it_agrees_with_the_r_package_on_spec_sdm91() -> None:
    """Coefficients and their standard errors, to 0.1 %."""
    fit = fit_usl(SDM91_LOAD, SDM91_THROUGHPUT, errors="absolute")
    assert fit.alpha.value == pytest.approx(0.0277285, rel=1e-3)
    assert fit.beta.value == pytest.approx(0.0001044, rel=1e-3)
    assert fit.gamma.value == pytest.approx(89.9952330, rel=1e-3)
    assert fit.alpha.standard_error == pytest.approx(0.0091217, rel=1e-3)
    assert fit.beta.standard_error == pytest.approx(0.0000199, rel=2e-3)
    assert fit.gamma.standard_error == pytest.approx(14.2134894, rel=1e-3)


def test_it_agrees_with_the_book_on_ciscos_load_test() -> None:
    """Coefficients and the peak, to 0.1 %."""
    fit = fit_usl(range(1, 33), CISCO_THROUGHPUT, errors="absolute")
    assert fit.alpha.value == pytest.approx(0.02671591, rel=1e-3)
    assert fit.beta.value == pytest.approx(7.690945e-4, rel=1e-3)
    assert fit.gamma.value == pytest.approx(995.6486, rel=1e-3)
    assert math.floor(fit.peak_workers) == 35
    assert fit.throughput(35) == pytest.approx(12341.7454, rel=1e-3)
    assert fit.peak_throughput == pytest.approx(12341.7454, rel=1e-3)


@given(st.floats(0.0, 0.5), st.floats(0.0, 0.01), st.floats(1e-3, 1e6), st.sampled_from([0, 1]))
def test_the_law_is_found_again_without_noise(
    alpha: float, beta: float, gamma: float, which: int
) -> None:
    """Whatever the coefficients, on their bounds too, and whichever way throughputs stray."""
    fit = fit_usl(LEVELS, usl(LEVELS, alpha, beta, gamma), errors=("relative", "absolute")[which])
    assert fit.gamma.value == pytest.approx(gamma, rel=1e-6)
    assert fit.alpha.value == pytest.approx(alpha, rel=1e-5, abs=1e-7)
    assert fit.beta.value == pytest.approx(beta, rel=1e-5, abs=1e-8)
    assert fit.efficiency(8) == pytest.approx(usl(np.array([8.0]), alpha, beta, 1.0)[0] / 8)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.5), st.floats(0.5, 20.0))
def test_no_coefficient_is_negative_whatever_is_measured(
    seed: int, noise: float, factor: float
) -> None:
    """Nor does a unit change what it is."""
    rng = np.random.default_rng(seed)
    measured = usl(LEVELS, 0.0, 0.0, 10.0) * np.exp(noise * rng.standard_normal(LEVELS.size))
    fit = fit_usl(LEVELS, measured)
    assert min(fit.alpha.value, fit.beta.value, fit.gamma.value) >= 0.0
    assert fit.alpha.low >= 0.0
    other = fit_usl(LEVELS, factor * measured)
    assert other.gamma.value == pytest.approx(factor * fit.gamma.value, rel=1e-5)
    assert other.alpha.value == pytest.approx(fit.alpha.value, rel=1e-3, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.3))
def test_the_bounded_fit_is_the_best_of_many_starts(seed: int, alpha: float) -> None:
    """No point of a grid of feasible coefficients explains the throughputs better."""
    rng = np.random.default_rng(seed)
    measured = usl(LEVELS, alpha, 0.0, 100.0) * np.exp(0.1 * rng.standard_normal(LEVELS.size))
    fit = fit_usl(LEVELS, measured)

    def squares(a: float, b: float) -> float:
        logs = np.log(usl(LEVELS, a, b, 1.0) / measured)
        return float(((logs - logs.mean()) ** 2).sum())  # the best gamma is its geometric mean

    best = squares(fit.alpha.value, fit.beta.value)
    grid = [squares(a, b) for a in np.linspace(0, 0.6, 25) for b in np.linspace(0, 0.05, 25)]
    assert best <= min(grid) + 1e-9


def test_amdahls_law_is_preferred_where_nothing_else_is_seen() -> None:
    """And the universal one where throughput falls again; AICc counts the coefficient."""
    rng = np.random.default_rng(5)
    noise = np.exp(0.01 * rng.standard_normal(LEVELS.size))
    flat = fit_scaling(LEVELS, usl(LEVELS, 0.05, 0.0, 100.0) * noise)
    assert (flat.law, flat.beta.value, flat.peak_workers) == ("amdahl", 0.0, math.inf)
    assert flat.peak_throughput == pytest.approx(flat.gamma.value / flat.alpha.value)
    falling = fit_scaling(LEVELS, usl(LEVELS, 0.05, 0.005, 100.0) * noise)
    assert falling.law == "usl"
    assert falling.peak_workers == pytest.approx(math.sqrt(0.95 / 0.005), rel=0.1)


def test_three_levels_are_enough_for_amdahl_only() -> None:
    """The universal law has three coefficients and would fit anything."""
    fit = fit_scaling([1, 2, 4], [10.0, 18.0, 30.0])
    assert fit.law == "amdahl"
    assert math.isinf(fit.aicc)
    with pytest.raises(TooFewSamplesError, match=r"got 3 different .* needed at least 4"):
        fit_usl([1, 2, 4], [10.0, 18.0, 30.0])
    with pytest.raises(TooFewSamplesError, match=r"got 2 different .* needed at least 3"):
        fit_amdahl([1, 1, 2], [10.0, 11.0, 18.0])


def test_four_single_measurements_have_no_criterion() -> None:
    """AICc takes more; the whole law is then given, with its wide intervals."""
    fit = fit_scaling([1, 2, 4, 8], [10.0, 18.0, 30.0, 40.0])
    assert fit.law == "usl"
    assert fit.r_squared > 0.99


def test_straight_growth_has_no_peak() -> None:
    """Efficiency 1 at any number; the bound's own interval is not known."""
    fit = fit_usl(LEVELS, 7.0 * LEVELS)
    assert max(fit.alpha.value, fit.beta.value) < 1e-9
    assert fit.efficiency(64) == pytest.approx(1.0)
    flat = fit_usl([1, 2, 4, 8], [5.0, 5.0, 5.0, 5.0])
    assert flat.r_squared == 1.0


def test_bad_input_is_refused() -> None:
    """Each says what was seen and what was needed."""
    with pytest.raises(ValueError, match="got 3 for 4 numbers of workers"):
        fit_usl([1, 2, 4, 8], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="got workers from 0 and"):
        fit_usl([0, 2, 4, 8], [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="throughput from 0, needed"):
        fit_usl([1, 2, 4, 8], [0.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="confidence: got 95"):
        fit_usl([1, 2, 4, 8], [1.0, 2.0, 3.0, 4.0], confidence=95)


@given(st.integers(0, 2**32 - 1))
def test_more_noise_makes_wider_intervals(seed: int) -> None:
    """Three times the noise, three times the width, as far as the law is straight."""
    noise = np.random.default_rng(seed).standard_normal(LEVELS.size)
    truth = usl(LEVELS, 0.1, 0.002, 50.0)
    narrow = fit_usl(LEVELS, truth * np.exp(0.001 * noise))
    wide = fit_usl(LEVELS, truth * np.exp(0.003 * noise))
    assume(narrow.alpha.standard_error > 0)
    assert wide.alpha.standard_error == pytest.approx(3 * narrow.alpha.standard_error, rel=0.1)
