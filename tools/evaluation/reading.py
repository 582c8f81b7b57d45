"""What the two tools said, read from what they give their users: pure.

groundspeed writes its record as JSON. asv prints a table; `asv compare` prints the same table from
stored results at any factor, so that one run of asv is judged at several factors.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tools.evaluation.records import EvaluationError, Reading

from groundspeed.model import CheckRecord, Outcome

__all__ = [
    "ASV_FACTORS",
    "GROUNDSPEED_RULE",
    "AsvRow",
    "asv_came_to_an_end",
    "asv_rule",
    "read_asv",
    "read_asv_table",
    "read_groundspeed",
]

GROUNDSPEED_RULE = "groundspeed"
ASV_FACTORS = (1.1, 1.05, 1.02)
"""asv's default, and the factors at which the same results are judged again."""

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


def read_groundspeed(record: CheckRecord) -> Reading:
    """What a check said of its rows."""

    def labels(outcome: Outcome) -> tuple[str, ...]:
        return tuple(sorted(c.row.label for c in record.with_outcome(outcome)))

    return Reading(
        rule=GROUNDSPEED_RULE,
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
        EvaluationError: If there is a table that is not as asv 0.6 prints it.
    """
    rows = tuple(read_asv_table(output))

    def marked(mark: str) -> tuple[str, ...]:
        return tuple(sorted(row.label for row in rows if row.mark == mark))

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
