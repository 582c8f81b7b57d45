"""How the toy project's work is multiplied, and what its rows are called."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.evaluation.records import EvaluationError
from tools.evaluation.toy import CASES, more_work
from tools.evaluation.workloads import KINDS, SLOWED, kind_of, slowed_among, workload_of


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
    """One case is identical code, and no case is faster."""
    assert {case.name for case in CASES.values() if case.factor == 1} == {"aa"}
    assert all(case.factor >= 1 for case in CASES.values())


def test_groundspeed_is_asked_for_what_a_case_holds() -> None:
    """A change as small as what is asked for by default could not be found."""
    asked = {case.name: case.min_effect for case in CASES.values() if case.min_effect}

    assert asked == {"plus1": "0.5%"}


def test_one_row_a_kind_is_slowed() -> None:
    """At least ten kinds have a slowed row, and none has two."""
    kinds = [kind_of(workload) for workload in SLOWED]

    assert len(kinds) == len(set(kinds)) >= 10
    assert set(kinds) < set(KINDS)
    assert slowed_among(KINDS) == tuple(SLOWED)
    assert slowed_among(["prepared"]) == ()


@pytest.mark.parametrize(
    "label",
    [
        "database.Table.time_query(100)",
        "benchmarks.database.Table.time_query(100)",
        "tests/test_database.py::test_query[100]",
        "tests/test_database.py::test_query(100)",
        "tests.test_database.test_query(100)",
        "test_database.test_query[100]",
    ],
)
def test_both_suites_name_the_same_workload(label: str) -> None:
    """An asv benchmark and a test that do the same work are one workload."""
    assert workload_of(label) == "database.query(100)"


@pytest.mark.parametrize("label", ["", "loops", "time_x", "other.time_x", "tests/test_loops.py"])
def test_a_label_of_another_suite_is_refused(label: str) -> None:
    """What cannot be counted is told, for it would count as a row that nobody slowed."""
    with pytest.raises(EvaluationError, match="no row of the toy project"):
        workload_of(label)
