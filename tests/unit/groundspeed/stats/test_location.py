import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import interquartile_mean


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([7.0], 7.0),
        ([1.0, 5.0], 3.0),
        ([1.0, 2.0, 9.0], 4.0),
        ([100.0, 1.0, 2.0, -50.0], 1.5),
        ([1.0, 2.0, 3.0, 4.0, 500.0], 3.0),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 99.0], 3.5),
    ],
)
def test_drops_a_quarter_rounded_down_at_each_end(samples: list[float], expected: float) -> None:
    """The middle half is averaged; up to three samples are all kept."""
    assert interquartile_mean(samples) == expected


@pytest.mark.parametrize("count", [1, 3, 4, 7, 16, 36, 101])
def test_agrees_with_scipy(count: int) -> None:
    """It is scipy's trimmed mean at a quarter, whatever the order."""
    samples = np.random.default_rng(count).lognormal(size=count)
    assert interquartile_mean(samples) == pytest.approx(
        scipy_stats.trim_mean(samples, 0.25), rel=1e-14
    )


def test_leaves_the_samples_in_their_order() -> None:
    """The caller's array is not sorted in place."""
    samples = np.array([3.0, 1.0, 2.0])
    interquartile_mean(samples)
    assert samples.tolist() == [3.0, 1.0, 2.0]


def test_refuses_no_samples() -> None:
    """Nothing has no mean, and the error is a ValueError too."""
    with pytest.raises(TooFewSamplesError, match="needed at least 1"):
        interquartile_mean([])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_what_is_not_finite(bad: float) -> None:
    """A failed sample is named with its place, not averaged."""
    with pytest.raises(ValueError, match=r"samples: got .* at \[1\]"):
        interquartile_mean([1.0, bad, 2.0])


def test_refuses_a_table() -> None:
    """The samples of one launch are one-dimensional."""
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        interquartile_mean([[1.0, 2.0], [3.0, 4.0]])
