import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import faster_half_mean, slower_half_mean

HALVES = pytest.mark.parametrize("half", [faster_half_mean, slower_half_mean])
Half = Callable[[Any], float]


@pytest.mark.parametrize(
    ("samples", "faster", "slower"),
    [
        ([7.0], 7.0, 7.0),
        ([5.0, 1.0], 1.0, 5.0),
        ([1.0, 9.0, 2.0], 1.5, 5.5),
        ([100.0, 1.0, 2.0, -50.0], -24.5, 51.0),
        ([1.0, 2.0, 3.0, 4.0, 500.0], 2.0, 169.0),
    ],
)
def test_halves_share_the_middle_sample(samples: list[float], faster: float, slower: float) -> None:
    """Half of the samples is averaged, the middle one of an odd number in both halves."""
    assert faster_half_mean(samples) == faster
    assert slower_half_mean(samples) == slower


@pytest.mark.parametrize("count", [2, 4, 16, 36])
def test_the_halves_are_the_whole(count: int) -> None:
    """Of an even number of samples, the two means average to the mean of all."""
    samples = np.random.default_rng(count).lognormal(size=count)
    both = (faster_half_mean(samples) + slower_half_mean(samples)) / 2.0
    assert both == pytest.approx(samples.mean(), rel=1e-14)


def test_the_faster_half_does_not_know_how_slow_the_others_were() -> None:
    """A disturbance of fewer than half of the samples leaves it as it is."""
    quiet, disturbed = [1.0, 1.1, 1.2, 1.3], [1.0, 1.1, 50.0, 9.0]
    assert faster_half_mean(quiet) == faster_half_mean(disturbed)


@HALVES
def test_leaves_the_samples_in_their_order(half: Half) -> None:
    """The caller's array is not sorted in place."""
    samples = np.array([3.0, 1.0, 2.0])
    half(samples)
    assert samples.tolist() == [3.0, 1.0, 2.0]


@HALVES
def test_refuses_no_samples(half: Half) -> None:
    """Nothing has no mean, and the error is a ValueError too."""
    with pytest.raises(TooFewSamplesError, match="needed at least 1"):
        half([])


@HALVES
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_what_is_not_finite(half: Half, bad: float) -> None:
    """A failed sample is named with its place, not averaged."""
    with pytest.raises(ValueError, match=r"samples: got .* at \[1\]"):
        half([1.0, bad, 2.0])


@HALVES
def test_refuses_a_table(half: Half) -> None:
    """The samples of one launch are one-dimensional."""
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        half([[1.0, 2.0], [3.0, 4.0]])
