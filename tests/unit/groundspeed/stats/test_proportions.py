import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from groundspeed.stats.proportions import binomial_tail, wilson_interval


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    """So many of so many."""
    trials = draw(st.integers(1, 400))
    return draw(st.integers(0, trials)), trials


@given(counts(), st.sampled_from([0.5, 0.95, 0.999]))
def test_the_interval_is_that_of_scipy(count: tuple[int, int], confidence: float) -> None:
    """Wilson's, without a correction for continuity."""
    low, high = wilson_interval(*count, confidence=confidence)
    expected = stats.binomtest(*count).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(counts())
def test_the_interval_holds_the_share_and_mirrors(count: tuple[int, int]) -> None:
    """It lies in [0, 1] around the share; failures have the mirror image of it."""
    successes, trials = count
    low, high = wilson_interval(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low), abs=1e-12)


@given(counts(), st.floats(0.0, 1.0))
def test_the_tail_is_that_of_scipy(count: tuple[int, int], chance: float) -> None:
    """The chance of at least so many."""
    successes, trials = count
    expected = stats.binom.sf(successes - 1, trials, chance)
    assert binomial_tail(successes, trials, chance) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_no_trial_at_all_has_a_tail() -> None:
    """At least none of none is certain."""
    assert binomial_tail(0, 0, 0.01) == 1.0


@pytest.mark.parametrize("count", [(1, 0), (0, 0), (-1, 3), (4, 3)])
def test_a_share_of_nothing_or_more_than_all_is_refused(count: tuple[int, int]) -> None:
    """Both say so rather than divide by zero."""
    with pytest.raises(ValueError, match="needed at most all"):
        wilson_interval(*count)
    if count != (0, 0):
        with pytest.raises(ValueError, match="needed a share"):
            binomial_tail(*count, 0.5)


def test_a_confidence_of_all_is_refused() -> None:
    """No interval of a share is certain but all of it."""
    with pytest.raises(ValueError, match="confidence: got 1"):
        wilson_interval(1, 2, confidence=1)


def test_a_chance_above_one_is_refused() -> None:
    """It is no chance."""
    with pytest.raises(ValueError, match="needed a share and a chance"):
        binomial_tail(1, 2, 1.5)
