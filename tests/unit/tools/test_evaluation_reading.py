"""What the evaluation reads from its peers; that they write such is an integration test."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.evaluation.reading import (
    FAIL_FIELDS,
    AsvRow,
    asv_came_to_an_end,
    pytest_benchmark_rule,
    read_asv,
    read_asv_table,
    read_pytest_benchmark,
    rules_of,
    same_regressions,
)
from tools.evaluation.records import TOOLS, EvaluationError

HEAD = "| Change   | Before [1a] <base>   | After [2b]   | Ratio   | Benchmark (Parameter) |"
RULE = "|----------|----------------------|--------------|---------|-----------------------|"
LABELS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1)


def table(*rows: tuple[str, str]) -> str:
    """A table of marks and labels as asv prints it."""
    lines = (f"| {mark} | 1.0±0.1μs | 1.2±0μs | 1.20 | {label} |" for mark, label in rows)
    return "\n".join(("All benchmarks:", "", HEAD, RULE, *lines, "", "and words after it"))


@given(st.lists(st.tuples(st.sampled_from(["", "+", "-", "!", "*", "x"]), LABELS)))
def test_reading_a_table_gives_back_its_marks_and_labels(rows: list[tuple[str, str]]) -> None:
    """Every row comes back in order, whatever its label holds, bars included."""
    found = list(read_asv_table(table(*rows)))

    assert found == [AsvRow(mark=mark, label=label) for mark, label in rows]


def test_marks_become_slower_faster_and_broken() -> None:
    """+ is slower, - is faster, ! is newly failing; mended and incomparable rows are none."""
    marks = zip("++-!*x", "bacdfg", strict=True)
    text = table(*((mark, f"loops.time_{row}") for mark, row in marks), ("", "loops.time_e"))

    reading = read_asv(text, 1.05)

    assert reading.rule == "asv 1.05"
    assert reading.slower == ("loops.a", "loops.b")
    assert (reading.faster, reading.broken) == (("loops.c",), ("loops.d",))
    assert reading.undecided == ()


@pytest.mark.parametrize("line", ["| ? | 1 | 2 | 3 | a |", "| + | 1 | 2 |"])
def test_a_table_of_another_shape_is_refused(line: str) -> None:
    """A future asv that prints otherwise must not be read as "nothing is slower"."""
    with pytest.raises(EvaluationError, match="asv printed"):
        list(read_asv_table(f"{HEAD}\n{RULE}\n{line}"))


@pytest.mark.parametrize(
    ("output", "ended"),
    [
        ("BENCHMARKS NOT SIGNIFICANTLY CHANGED.\n", True),
        ("SOME BENCHMARKS HAVE CHANGED SIGNIFICANTLY.\nPERFORMANCE DECREASED.\n", True),
        ("SOME BENCHMARKS HAVE CHANGED SIGNIFICANTLY.\nPERFORMANCE INCREASED.\n", True),
        ("Unknown commit plus5\n", False),
    ],
)
def test_a_run_without_a_verdict_did_not_come_to_an_end(output: str, ended: bool) -> None:
    """Asv exits 1 for "slower" and for most failures, so its last words decide."""
    assert asv_came_to_an_end(output) is ended


def saved(**times_s: float) -> bytes:
    """A run as pytest-benchmark saves it: in every field the same time."""
    tests = [
        {
            "fullname": f"tests/test_loops.py::test_{row}",
            "stats": dict.fromkeys(FAIL_FIELDS, time_s) | {"outliers": "1;2", "rounds": 5},
        }
        for row, time_s in times_s.items()
    ]
    return json.dumps({"benchmarks": tests, "version": "5"}).encode()


@given(st.integers(50, 200))
def test_more_than_five_percent_is_slower_in_every_field(percent: int) -> None:
    """5 % itself is not slower, by the plugin's own rule; nothing is ever faster."""
    rows, readings = read_pytest_benchmark(saved(grid=1.0), saved(grid=percent / 100))

    assert rows == 1
    assert tuple(reading.rule for reading in readings) == rules_of("pytest-benchmark")
    expected = ("loops.grid",) if percent / 100 * 100 - 100 > 5 else ()
    assert all(reading.slower == expected for reading in readings)
    assert not any(reading.faster for reading in readings)


def test_a_test_that_one_run_lacks_is_not_compared() -> None:
    """What only base has broke; what only the candidate has is new and counts for nothing."""
    rows, readings = read_pytest_benchmark(saved(grid=1.0, sieve=1.0), saved(grid=1.0, collatz=1.0))

    assert rows == 1
    assert all(reading.broken == ("loops.sieve",) for reading in readings)


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"benchmarks": [{"name": "a"}]}'])
def test_another_file_is_no_saved_run(damaged: bytes) -> None:
    """A file of another shape must not be read as "nothing is slower"."""
    with pytest.raises(EvaluationError, match="saved by pytest-benchmark"):
        read_pytest_benchmark(saved(grid=1.0), damaged)


def test_the_plugins_own_words_must_agree() -> None:
    """A regression too few or too many in what the comparing run printed is noticed."""
    _, readings = read_pytest_benchmark(saved(grid=1.0), saved(grid=2.0))
    lines = [
        f"\ttests/test_loops.py::test_grid (0001_base) - Field '{field}' has failed "
        "PercentageRegressionCheck: 100.000000000 > 5.000000000"
        for field in FAIL_FIELDS
    ]

    assert same_regressions("\n".join(("Performance has regressed:", *lines)), readings)
    assert not same_regressions("\n".join(lines[1:]), readings)
    assert not same_regressions("\n".join(lines).replace("grid", "sieve"), readings)
    assert not same_regressions("", readings)


def test_no_two_tools_share_a_rule() -> None:
    """A rule names its tool, so that readings of all tools can lie in one place."""
    rules = [rule for tool in TOOLS for rule in rules_of(tool)]

    assert len(rules) == len(set(rules)) == 8
    assert pytest_benchmark_rule("min") in rules
