import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.stats import mstats

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import summarise


@pytest.mark.parametrize("pairs", [2, 5, 7])
def test_few_pairs_give_the_plain_mean(pairs: int) -> None:
    """Below eight pairs nothing is trimmed: mean, s^2 / n, n - 1."""
    differences = np.random.default_rng(pairs).normal(size=(6, pairs))
    summary = summarise(differences)
    np.testing.assert_allclose(summary.mean, differences.mean(axis=1), rtol=1e-13)
    np.testing.assert_allclose(
        summary.variance, differences.var(axis=1, ddof=1) / pairs, rtol=1e-13
    )
    assert summary.df == pairs - 1


@pytest.mark.parametrize(
    ("pairs", "trimmed"), [(8, 1), (9, 1), (12, 1), (17, 1), (19, 1), (20, 2), (24, 2), (34, 3)]
)
def test_from_eight_pairs_a_tenth_is_trimmed_at_each_end(pairs: int, trimmed: int) -> None:
    """The mean is scipy's trimmed one, the variance that of scipy's winsorised values."""
    differences = np.random.default_rng(pairs).standard_t(3, size=(6, pairs))
    cut = (trimmed + 0.5) / pairs
    used = pairs - 2 * trimmed
    winsorised = np.array([mstats.winsorize(row, limits=(cut, cut)) for row in differences])
    spread = winsorised.var(axis=1, ddof=1) * (pairs - 1) / (used * (used - 1))
    summary = summarise(differences)
    np.testing.assert_allclose(
        summary.mean, scipy_stats.trim_mean(differences, cut, axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(summary.variance, spread, rtol=1e-12)
    assert summary.df == used - 1


def test_one_spoiled_pair_moves_neither_number() -> None:
    """Of twelve pairs the farthest may lie anywhere beyond the next."""
    clean = np.linspace(-0.01, 0.01, 12)
    spoiled = clean.copy()
    spoiled[-1] = 40.0
    near, far = summarise([clean]), summarise([spoiled])
    assert far.mean.tolist() == near.mean.tolist()
    assert far.variance.tolist() == near.variance.tolist()


@pytest.mark.parametrize("pairs", [2, 5, 7, 8, 12, 34])
def test_equal_differences_have_no_variance(pairs: int) -> None:
    """Bit-identical counts give exactly their value, not the rounding error of a sum."""
    summary = summarise(np.full((1, pairs), 0.1))
    assert summary.mean.tolist() == [0.1]
    assert summary.variance.tolist() == [0.0]


@pytest.mark.parametrize("shape", [(0, 5), (3, 1), (3, 0)])
def test_refuses_too_little(shape: tuple[int, int]) -> None:
    """A variance needs two pairs, a suite one row."""
    with pytest.raises(TooFewSamplesError, match="measure more launch pairs"):
        summarise(np.zeros(shape))


def test_refuses_one_dimension() -> None:
    """A single row is a matrix of one row."""
    with pytest.raises(ValueError, match=r"needed \(rows, columns\)"):
        summarise([0.1, 0.2, 0.3])


def test_names_the_place_of_a_missing_pair() -> None:
    """A NaN is refused with its row and pair."""
    differences = np.zeros((3, 5))
    differences[2, 4] = math.nan
    with pytest.raises(ValueError, match=r"got nan at \[2, 4\]"):
        summarise(differences)
