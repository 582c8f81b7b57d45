"""What the tools said, read from what they give their users: pure.

groundspeed writes its record as JSON. asv prints a table; `asv compare` prints the same table from
stored results at any factor, so that one run of asv is judged at several factors. pytest-benchmark
saves both runs as JSON, to which its own rule is applied field by field.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from pytest_benchmark.utils import parse_compare_fail
from tools.evaluation.records import EvaluationError, Reading, Tool
from tools.evaluation.workloads import workload_of

from groundspeed.model import CheckRecord, Outcome

__all__ = [
    "ASV_FACTORS",
    "FAIL_FIELDS",
    "FAIL_PERCENT",
    "AsvRow",
    "asv_came_to_an_end",
    "asv_rule",
    "pytest_benchmark_rule",
    "read_asv",
    "read_asv_table",
    "read_groundspeed",
    "read_pytest_benchmark",
    "rules_of",
    "same_regressions",
]

ASV_FACTORS = (1.1, 1.05, 1.02)
"""asv's default, and the factors at which the same results are judged again."""

FAIL_FIELDS = ("min", "mean", "median")
FAIL_PERCENT = 5
"""What pytest-benchmark is asked to fail for: it has no default."""

# The label is followed by the saved run that was compared with.
_REGRESSION = re.compile(
    r"^\t(?P<label>\S+) \(\w+\) - Field '(?P<field>\w+)' has failed ", re.MULTILINE
)
_HEAD = "Change"
_CELLS = 5
_MARKS = frozenset({"", "+", "-", "!", "*", "x"})
_LAST_WORDS = ("BENCHMARKS NOT SIGNIFICANTLY CHANGED.", "SOME BENCHMARKS HAVE CHANGED")


@dataclass(frozen=True, slots=True, kw_only=True)
class AsvRow:
    """One line of asv's table.

    Attributes:
        mark: `+` slower, `-` faster, `!` newly failing, `*` mended, `x` not comparable, or empty.
        label: The benchmark with its parameters.
    """

    mark: str
    label: str


def rules_of(tool: Tool) -> tuple[str, ...]:
    """The names of the rules that are applied to a run of this tool."""
    if tool == "asv":
        return tuple(map(asv_rule, ASV_FACTORS))
    if tool == "pytest-benchmark":
        return tuple(map(pytest_benchmark_rule, FAIL_FIELDS))
    return (tool,)


def read_groundspeed(record: CheckRecord, rule: str) -> Reading:
    """What a check said of its rows."""

    def labels(outcome: Outcome) -> tuple[str, ...]:
        return _workloads(c.row.label for c in record.with_outcome(outcome))

    return Reading(
        rule=rule,
        slower=labels(Outcome.SLOWER),
        faster=labels(Outcome.FASTER),
        undecided=labels(Outcome.UNDECIDED),
        broken=labels(Outcome.BROKEN),
    )


def asv_rule(factor: float) -> str:
    """The name of asv's rule at this factor."""
    return f"asv {factor:g}"


def asv_came_to_an_end(output: str) -> bool:
    """Whether `asv continuous` judged the rows; its exit code does not tell slower from broken."""
    return any(words in output for words in _LAST_WORDS)


def read_asv(output: str, factor: float) -> Reading:
    """What asv said of its rows, from the output of `asv continuous` or `asv compare`.

    Raises:
        EvaluationError: If there is a table that is not as asv 0.6 prints it, or of other rows.
    """
    rows = tuple(read_asv_table(output))

    def marked(mark: str) -> tuple[str, ...]:
        return _workloads(row.label for row in rows if row.mark == mark)

    return Reading(
        rule=asv_rule(factor), slower=marked("+"), faster=marked("-"), broken=marked("!")
    )


def read_asv_table(output: str) -> Iterator[AsvRow]:
    """The lines of the table in asv's output; none if there is no table.

    Raises:
        EvaluationError: If a line is not as asv 0.6 prints it.
    """
    for cells in _cells(output.splitlines()):
        mark = cells[0]
        if mark == _HEAD or (set(mark) == {"-"} and len(mark) > 1):
            continue
        if len(cells) != _CELLS or mark not in _MARKS:
            raise EvaluationError(
                f"asv printed {' | '.join(cells)!r}, needed {_CELLS} columns that begin with one "
                "of + - ! * x or nothing; use the version of asv in requirements.lock"
            )
        yield AsvRow(mark=mark, label=cells[-1])


def _cells(lines: Iterable[str]) -> Iterator[list[str]]:
    """The cells of every line that is part of a table; a label may itself hold a bar."""
    for line in lines:
        if line.startswith("|"):
            inner = line.rstrip().removeprefix("|").removesuffix("|")
            yield [cell.strip() for cell in inner.split("|", _CELLS - 1)]


class _Saved(msgspec.Struct, frozen=True):
    """One test of a saved run, of which only this is read."""

    fullname: str
    stats: dict[str, Any]


class _SavedRun(msgspec.Struct, frozen=True):
    benchmarks: list[_Saved]


def pytest_benchmark_rule(field: str) -> str:
    """The name of pytest-benchmark's rule for this field."""
    return f"pytest-benchmark {field}:{FAIL_PERCENT}%"


def read_pytest_benchmark(base: bytes, candidate: bytes) -> tuple[int, tuple[Reading, ...]]:
    """What pytest-benchmark says of a saved run compared with another, by its own rule.

    It never calls anything faster or undecided. A test that only base has is broken.

    Returns:
        How many tests were compared, and a reading per field.

    Raises:
        EvaluationError: If one is no run that pytest-benchmark 5 saved.
    """
    try:
        old, new = (msgspec.json.decode(saved, type=_SavedRun) for saved in (base, candidate))
    except msgspec.DecodeError as error:
        raise EvaluationError(f"a run saved by pytest-benchmark: {error}") from error
    before = {test.fullname: test.stats for test in old.benchmarks}
    after = {test.fullname: test.stats for test in new.benchmarks if test.fullname in before}
    broken = _workloads(before.keys() - after.keys())

    def slower(field: str) -> tuple[str, ...]:
        # It has no annotations.
        check = parse_compare_fail(f"{field}:{FAIL_PERCENT}%")  # type: ignore[no-untyped-call]
        return _workloads(name for name in after if check.fails(after[name], before[name]))

    return len(after), tuple(
        Reading(rule=pytest_benchmark_rule(field), slower=slower(field), broken=broken)
        for field in FAIL_FIELDS
    )


def same_regressions(output: str, readings: Iterable[Reading]) -> bool:
    """Whether the comparing run itself printed the regressions that the saved runs give."""
    printed = {
        (pytest_benchmark_rule(found["field"]), workload_of(found["label"]))
        for found in _REGRESSION.finditer(output)
    }
    return printed == {(reading.rule, row) for reading in readings for row in reading.slower}


def _workloads(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(map(workload_of, labels)))
