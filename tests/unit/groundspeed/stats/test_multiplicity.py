import math

import pytest

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import benjamini_hochberg
from groundspeed.stats.multiplicity import benjamini_hochberg_beside

# The fifteen p-values of the thrombolysis trial in section 4 of the paper.
THROMBOLYSIS = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
    0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
]  # fmt: skip


def test_rejects_the_four_of_the_published_example() -> None:
    """Benjamini & Hochberg (1995) reject the first four at 0.05; Bonferroni only three."""
    assert benjamini_hochberg(THROMBOLYSIS, 0.05).tolist() == [True] * 4 + [False] * 11


def test_steps_up_over_a_gap() -> None:
    """The last passing rank takes along those before it that fail their own line."""
    assert benjamini_hochberg([0.04, 0.03, 0.9], 0.06).tolist() == [True, True, False]


def test_rejects_nothing_or_everything() -> None:
    """Both ends are possible, ties included."""
    assert not benjamini_hochberg([0.5, 0.5, 1.0], 0.01).any()
    assert benjamini_hochberg([0.01, 0.01, 0.01], 0.01).all()


@pytest.mark.parametrize("level", [1.0, -0.1, math.nan])
def test_refuses_a_level_out_of_range(level: float) -> None:
    """A level is a rate between nothing and everything."""
    with pytest.raises(ValueError, match="level: got"):
        benjamini_hochberg([0.1], level)


def test_a_level_of_nothing_rejects_nothing() -> None:
    """Not even what is certain: nothing may be spent."""
    assert not benjamini_hochberg([0.0, 0.0, 0.5], 0.0).any()
    assert not benjamini_hochberg_beside([0.0], 0.0, rejected=3, kept=1).any()


@pytest.mark.parametrize("p", [-0.01, 1.01, math.nan])
def test_refuses_what_is_no_p_value(p: float) -> None:
    """A p-value is a chance."""
    with pytest.raises(ValueError, match="p-values: got"):
        benjamini_hochberg([0.5, p], 0.05)


def test_refuses_no_hypotheses() -> None:
    """Without a test there is nothing to reject."""
    with pytest.raises(TooFewSamplesError, match="p-values"):
        benjamini_hochberg([], 0.05)
