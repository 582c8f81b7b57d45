import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.quantile import (
    OrderedSamples,
    interval_ranks,
    percentile_name,
    quantile_rank,
    samples_needed,
    value_between,
)

QUANTILES = st.sampled_from([0.05, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999])
SHAPES = {
    "uniform": stats.uniform(),
    "exponential": stats.expon(),
    "lognormal": stats.lognorm(1.0),
    "heavy": stats.pareto(1.5),
    "two modes": None,
}


def draw(shape: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Samples of a shape that response times have."""
    if SHAPES[shape] is None:
        return np.where(rng.random(size) < 0.9, rng.normal(1, 0.1, size), rng.normal(9, 1, size))
    return np.asarray(SHAPES[shape].rvs(size, random_state=rng))


@pytest.mark.parametrize(
    ("q", "needed"), [(0.5, 6), (0.95, 72), (0.99, 368), (0.999, 3688), (0.05, 72)]
)
def test_an_interval_is_refused_below_the_samples_it_takes(q: float, needed: int) -> None:
    """The message names how many it takes, and one more sample is enough."""
    assert samples_needed(q) == needed
    with pytest.raises(TooFewSamplesError, match=f"got {needed - 1} samples, needed .* {needed} "):
        interval_ranks(needed - 1, q)
    low, high = interval_ranks(needed, q)
    assert 1.0 <= low < high <= needed


def test_a_percentile_asked_of_ten_samples_is_refused() -> None:
    """It says which percentile, what it takes and what to do; the plain order statistic stands."""
    few = OrderedSamples(range(10))
    with pytest.raises(
        TooFewSamplesError, match=r"p95: got 10 samples, needed at least 72 .*; measure longer"
    ):
        few.estimate(0.95)
    assert few.quantile(0.95) == 9.0


@given(st.integers(6, 20_000), QUANTILES, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_ranks_lie_within_one_of_those_the_binomial_promises(
    count: int, q: float, confidence: float
) -> None:
    """Whole ranks outside keep more than was asked, whole ranks inside less; scipy agrees."""
    if count < samples_needed(q, confidence=confidence):
        return
    low, high = interval_ranks(count, q, confidence=confidence)
    allowed = (1.0 - confidence) / 2.0
    below = stats.binom(count, q)
    assert below.cdf(math.floor(low) - 1) <= allowed * (1 + 1e-9)
    assert below.cdf(math.floor(low)) >= allowed * (1 - 1e-9)
    assert below.sf(math.ceil(high) - 1) <= allowed * (1 + 1e-9)
    assert below.sf(math.ceil(high) - 2) >= allowed * (1 - 1e-9)


@given(st.integers(400, 10**8), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_is_mirrored_and_holds_the_quantile(count: int, q: float) -> None:
    """Seen from above, p99 is p1; both hold the rank of the quantile itself."""
    low, high = interval_ranks(count, q)
    assert low <= quantile_rank(count, q) <= high
    mirrored = interval_ranks(count, 1.0 - q)
    assert (count + 1 - high, count + 1 - low) == pytest.approx(mirrored, rel=1e-6)


@given(st.lists(st.floats(-1e9, 1e9), min_size=72, max_size=300), st.randoms())
def test_order_does_not_matter_and_units_scale(samples: list[float], random: object) -> None:
    """Any order gives the same; twice the samples in half the unit too."""
    ordered = OrderedSamples(samples).estimate(0.95)
    assert ordered == OrderedSamples(sorted(samples, reverse=True)).estimate(0.95)
    doubled = OrderedSamples([2.0 * value for value in samples]).estimate(0.95)
    assert (doubled.value, doubled.low, doubled.high) == pytest.approx(
        (2 * ordered.value, 2 * ordered.low, 2 * ordered.high)
    )
    assert ordered.low <= ordered.value <= ordered.high


@given(st.integers(1, 3000), st.floats(0.001, 0.999))
def test_the_value_is_numpys_inverted_cdf(count: int, q: float) -> None:
    """The order statistic of rank ceil(n q)."""
    samples = np.random.default_rng(count).exponential(size=count)
    expected = np.quantile(samples, q, method="inverted_cdf")
    assert OrderedSamples(samples).quantile(q) == expected


def test_whole_ranks_are_kept_where_they_promise_just_what_is_asked() -> None:
    """Least and greatest of six samples hold the median with chance 1 - 2 / 64."""
    assert interval_ranks(6, 0.5, confidence=1 - 2 / 64) == pytest.approx((1.0, 6.0), abs=1e-9)


def test_between_two_ranks_lies_a_straight_line() -> None:
    """A whole rank is itself, also the last."""
    ordered = OrderedSamples([1.0, 2.0, 4.0])
    assert [value_between(ordered, rank) for rank in (1.0, 1.5, 2.5, 3.0)] == [1.0, 1.5, 3.0, 4.0]


def test_what_never_came_back_lies_above_all() -> None:
    """Failures stay in the tail: they push a percentile up, at last to infinity."""
    samples = np.arange(1, 101, dtype=np.float64)
    assert OrderedSamples(samples).quantile(0.95) == 95.0
    assert OrderedSamples(samples, beyond=4).quantile(0.95) == 99.0
    estimate = OrderedSamples(samples, beyond=6).estimate(0.95)
    assert estimate.value == estimate.high == math.inf
    assert math.isfinite(estimate.low)
    assert OrderedSamples([], beyond=3).quantile(0.5) == math.inf


def test_bad_input_is_refused() -> None:
    """Each says what was seen and what was needed."""
    with pytest.raises(TooFewSamplesError, match="got none, needed at least 1"):
        OrderedSamples([])
    with pytest.raises(ValueError, match="beyond: got -1"):
        OrderedSamples([1.0], beyond=-1)
    with pytest.raises(ValueError, match="needed finite numbers"):
        OrderedSamples([1.0, math.inf])
    with pytest.raises(ValueError, match="q: got 95"):
        OrderedSamples([1.0]).quantile(95)
    with pytest.raises(ValueError, match="confidence: got 95"):
        interval_ranks(100, 0.5, confidence=95)
    with pytest.raises(ValueError, match="rank: got 0, needed 1 to 1"):
        OrderedSamples([1.0]).value_at_rank(0)
    with pytest.raises(TooFewSamplesError, match="got 0, needed at least 1"):
        quantile_rank(0, 0.5)


@pytest.mark.parametrize(("q", "name"), [(0.5, "p50"), (0.95, "p95"), (0.999, "p99.9")])
def test_a_quantile_is_called_as_people_call_it(q: float, name: str) -> None:
    """Without the dust of binary fractions."""
    assert percentile_name(q) == name
