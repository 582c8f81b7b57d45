"""What the evaluation reads from asv's tables; that asv prints such is an integration test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools.evaluation.reading import AsvRow, asv_came_to_an_end, read_asv, read_asv_table
from tools.evaluation.records import EvaluationError

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
    text = table(("+", "b"), ("+", "a"), ("-", "c"), ("!", "d"), ("", "e"), ("*", "f"), ("x", "g"))

    reading = read_asv(text, 1.05)

    assert reading.rule == "asv 1.05"
    assert (reading.slower, reading.faster, reading.broken) == (("a", "b"), ("c",), ("d",))
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
