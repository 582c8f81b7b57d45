"""How the toy project's work is multiplied."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.evaluation.toy import CASES, SLOWED, more_work


def source(units: int) -> str:
    """A work.py in which every slowed row does this many units."""
    lines = (f"{constant} = {units}" for constant in SLOWED.values())
    return "\n".join(("OTHER_UNITS = 7", *lines, ""))


@given(hundreds=st.integers(1, 50), percent=st.integers(0, 300))
def test_a_multiple_of_a_hundred_units_grows_by_exactly_the_percentage(
    hundreds: int, percent: int
) -> None:
    """100·k units plus p percent are exactly (100 + p)·k units, and nothing else changes."""
    slower = more_work(source(100 * hundreds), Fraction(100 + percent, 100))

    assert slower == source((100 + percent) * hundreds)


def test_a_part_of_a_unit_is_refused() -> None:
    """Rounding would make the truth inexact, so it is an error."""
    with pytest.raises(ValueError, match="no whole number of units"):
        more_work(source(10), Fraction(105, 100))


def test_a_missing_constant_is_refused() -> None:
    """A renamed constant must not leave a row at its old work in silence."""
    with pytest.raises(ValueError, match="has no line"):
        more_work("OTHER_UNITS = 7\n", Fraction(2))


def test_only_cases_with_more_work_have_slower_rows() -> None:
    """The truth of a case follows from its factor."""
    assert {case.name for case in CASES.values() if not case.slowed} == {"aa"}
    assert all(case.factor >= 1 for case in CASES.values())
