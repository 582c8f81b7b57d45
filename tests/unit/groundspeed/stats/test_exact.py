import math

import pytest

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import Conclusion, ExactPair, spread_of_repeats


@pytest.mark.parametrize(
    ("base", "candidate", "conclusion"),
    [
        (1_000_000, 1_009_999, Conclusion.SAME),
        (1_000_000, 1_010_000, Conclusion.SLOWER),
        (1_010_000, 1_000_000, Conclusion.FASTER),
        (1_009_999, 1_000_000, Conclusion.SAME),
        (0, 0, Conclusion.SAME),
        (0, 1, Conclusion.SLOWER),
        (1, 0, Conclusion.FASTER),
    ],
)
def test_one_percent_begins_at_one_percent(
    base: float, candidate: float, conclusion: Conclusion
) -> None:
    """The least effect itself is slower, one instruction less is not; none is a count too."""
    pair = ExactPair(base=base, candidate=candidate, spread=0.0)
    assert pair.conclude(min_effect=0.01) is conclusion


@pytest.mark.parametrize(
    ("values", "spread"),
    [([100, 100], 0.0), ([100, 102, 101], 0.02), ([0, 0], 0.0), ([0, 5], math.inf)],
)
def test_the_spread_is_the_greatest_relative_difference(values: list[float], spread: float) -> None:
    """Between the largest and the smallest, of the smallest."""
    assert spread_of_repeats(values) == pytest.approx(spread)


def test_the_range_holds_both_sides_spreads() -> None:
    """Base and candidate may both be off; without any bound, so may the ratio."""
    pair = ExactPair(base=100, candidate=110, spread=0.01)
    assert pair.ratio_range == pytest.approx((1.1 / 1.01**2, 1.1 * 1.01**2))
    assert ExactPair(base=100, candidate=110, spread=math.inf).ratio_range == (0.0, math.inf)


def test_one_run_has_no_spread() -> None:
    """What varies cannot be seen in a single run."""
    with pytest.raises(TooFewSamplesError, match="got 1, needed at least 2"):
        spread_of_repeats([100])


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_is_no_count_is_refused(value: float) -> None:
    """Counts are finite and not negative, on either side and in the repeats."""
    with pytest.raises(ValueError, match="repeats: got"):
        spread_of_repeats([1.0, value])
    with pytest.raises(ValueError, match="base: got"):
        ExactPair(base=value, candidate=1.0, spread=0.0)
    with pytest.raises(ValueError, match="candidate: got"):
        ExactPair(base=1.0, candidate=value, spread=0.0)


@pytest.mark.parametrize("spread", [-0.1, math.nan])
def test_a_spread_below_nothing_is_refused(spread: float) -> None:
    """A greatest difference is at least 0."""
    with pytest.raises(ValueError, match="spread: got"):
        ExactPair(base=1.0, candidate=1.0, spread=spread)


@pytest.mark.parametrize("effect", [0.0, 1.5, math.nan])
def test_a_least_effect_out_of_range_is_refused(effect: float) -> None:
    """As everywhere: above 0 and at most 1."""
    with pytest.raises(ValueError, match="min_effect: got"):
        ExactPair(base=1.0, candidate=1.0, spread=0.0).conclude(min_effect=effect)
