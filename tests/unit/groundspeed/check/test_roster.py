from collections.abc import Mapping
from typing import Any

import pytest

from groundspeed.check.roster import (
    Caches,
    Selection,
    _is_of,
    contexts_of,
    directed,
    labels_of,
    select_rows,
    without_direction,
)
from groundspeed.errors import UsageError
from groundspeed.measure.lockstep import SIDES, SideDescription, SuiteRow
from groundspeed.measure.rows import Calibration, Quantity, RowContext
from groundspeed.model import Direction, Row

GET, PUT, SIZE = Row(name="cache.time_get"), Row(name="cache.time_put"), Row(name="cache.mem_size")
SCENARIO = Row(name="tests/test_pool.py::test_day")
RECORDED = Calibration(
    quantities={
        "rate": Quantity(metric="recorded", unit="per s", direction="higher"),
        "depth": Quantity(metric="recorded", unit="unit", direction=None),
        "peak": Quantity(metric="peak_memory", unit="bytes"),
        "time_s": Quantity(metric="recorded"),
    }
)


class NoCaches(Caches):
    """Of a suite without setup_cache nothing is asked of a launch pair."""

    def __init__(self) -> None:
        pass


def described(*rows: tuple[Row, str], marker: Mapping[str, Any] | None = None) -> SideDescription:
    """A side with these rows, each of a kind, all with the same marker."""
    return SideDescription(
        rows={row: SuiteRow(row=row, kind=kind, marker=marker or {}) for row, kind in rows},
        failures=(),
        threads=0,
        notes=(),
        own_packages=("toy",),
        foreign_files=(),
        refusal=None,
    )


def selection(*expressions: str, metric: str = "time", **metrics: str) -> Selection:
    """Of all rows, some compared by a metric of their own, by the last part of their name."""
    return Selection(
        expressions=expressions,
        metric=metric,
        keep=lambda labels: labels,
        default_timeout_s=60.0,
        metrics={f"cache.{name}": wanted for name, wanted in metrics.items()},
    )


def contexts(side: SideDescription, chosen: Selection) -> dict[Row, RowContext]:
    """How each selected row of two sides alike is measured."""
    sides = dict.fromkeys(SIDES, side)
    rows = select_rows(sides, chosen).rows
    found = dict(contexts_of(rows, sides, chosen, NoCaches()))
    assert all(isinstance(context, RowContext) for context in found.values())
    return {row: c for row, c in found.items() if isinstance(c, RowContext)}


SUITE = described((GET, "time"), (PUT, "time"), (SIZE, "memory"))


@pytest.mark.parametrize("default", ["time", "wall", "cpu", "allocations"])
@pytest.mark.parametrize("own", ["time", "clean", "wall", "cpu", "allocations"])
def test_a_row_is_measured_by_its_own_metric(default: str, own: str) -> None:
    """Whatever the check's is, which the other rows keep."""
    found = contexts(SUITE, selection(metric=default, time_get=own))
    alone = contexts(SUITE, selection(metric=own))[GET]
    others = contexts(SUITE, selection(metric=default))
    assert (found[GET].method, found[GET].wanted) == (alone.method, alone.wanted)
    assert (found[PUT].method, found[PUT].wanted) == (others[PUT].method, others[PUT].wanted)
    assert (SIZE in found) == (default == "time")


def test_a_metric_of_their_own_takes_no_values_out() -> None:
    """A rule for all rows that names a kind of time leaves what is no time as it was."""
    found = contexts(SUITE, selection(time_get="cpu", time_put="cpu", mem_size="cpu"))
    assert {row: c.method for row, c in found.items()} == {
        GET: "timed",
        PUT: "timed",
        SIZE: "valued",
    }
    assert [found[row].wanted for row in (GET, PUT)] == ["cpu", "cpu"]


def test_a_scenario_is_one_run_and_not_asked_for_by_metric() -> None:
    """It records what it records; a check of CPU time leaves it out and says so."""
    side = described((SCENARIO, "scenario"), marker={"scenario": True})
    assert contexts(side, selection())[SCENARIO].method == "scenario"
    with pytest.raises(UsageError, match="no benchmarks to compare"):
        select_rows(dict.fromkeys(SIDES, side), selection(metric="cpu"))


def test_a_metric_that_cannot_be_compared_is_told() -> None:
    """A marker may ask for more than is there; the row is compared by time and named."""
    chosen = selection(time_get="instructions", time_put="cpu")
    (note,) = select_rows(dict.fromkeys(SIDES, SUITE), chosen).notes
    assert note == (
        "this version cannot compare instructions, which a marker asks for of cache.time_get; "
        "time is compared instead"
    )
    assert contexts(SUITE, chosen)[GET].wanted is None


@pytest.mark.parametrize("said", ["lower", "higher"])
def test_which_way_is_better_is_the_projects_to_say(said: Direction) -> None:
    """Of what it gives itself; of time and memory less is better, whatever anybody says."""
    labels = labels_of(SCENARIO, RECORDED)
    assert labels == tuple(
        f"{SCENARIO.name} {name}" for name in ("rate", "depth", "peak", "time_s")
    )
    quantities = directed(SCENARIO, RECORDED, dict.fromkeys(labels, said)).quantities
    assert [q.direction for q in quantities.values()] == [said, said, "lower", "lower"]
    assert directed(SCENARIO, RECORDED, {}) == RECORDED


def test_what_nobody_gave_a_direction_is_named() -> None:
    """With what to say and where; nothing is said where all is known."""
    assert without_direction(SCENARIO, RECORDED) == (
        "tests/test_pool.py::test_day records 'depth', and nobody said which way is better; "
        "say metrics={'depth': 'lower'} in its marker, or direction in [[tool.groundspeed.rules]]"
    )
    known = directed(SCENARIO, RECORDED, {f"{SCENARIO.name} depth": "lower"})
    assert without_direction(SCENARIO, known) is None
    many = Calibration(
        quantities={f"q{n}": Quantity(metric="recorded", direction=None) for n in range(7)}
    )
    sentence = without_direction(SCENARIO, many)
    assert sentence is not None
    assert "records 'q0', 'q1', 'q2', 'q3', 'q4' and 2 more, and nobody" in sentence


@pytest.mark.parametrize(
    ("name", "failed", "expected"),
    [
        ("core.time_it", "import of benchmarks.core", True),
        ("core.time_it", "import of benchmarks.other", False),
        ("tests/test_a.py::test_it", "import of tests/test_a.py", True),
        ("tests/test_a.py::test_it", "import of tests/test_b.py", False),
        ("tests/test_a.py::test_it", "import of tests/conftest.py", True),
        ("tests/test_a.py::test_it", "import of docs/conftest.py", False),
    ],
)
def test_a_row_ends_for_what_its_own_file_failed_of(
    *, name: str, failed: str, expected: bool
) -> None:
    """The file of a benchmark, that of a test, or a conftest.py above it."""
    assert _is_of(name, failed.removeprefix("import of ")) is expected
