"""What an evaluation keeps: every run as it was, and where it was made.

Kept as `runs.json`, of which every table is a function.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import msgspec

from groundspeed.store.checks import write_atomically

__all__ = [
    "SCHEMA",
    "TOOLS",
    "Evaluation",
    "EvaluationError",
    "Reading",
    "Run",
    "Setting",
    "Tool",
    "load",
    "save",
]

SCHEMA = "groundspeed.evaluation/2"

Tool = Literal["groundspeed", "groundspeed-pytest", "asv", "pytest-benchmark"]
"""`groundspeed` and `asv` run the asv suite, the other two the same work as pytest tests."""

TOOLS: tuple[Tool, ...] = get_args(Tool)


class EvaluationError(Exception):
    """The evaluation cannot go on; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one rule said of the rows of one run.

    Attributes:
        rule: `groundspeed`, `asv 1.1` for asv at factor 1.1, or `pytest-benchmark min:5%`.
        slower: The workloads it called slower, sorted.
        faster: Those it called faster.
        undecided: Those it would not decide.
        broken: Those that failed.
    """

    rule: str
    slower: tuple[str, ...] = ()
    faster: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of one tool on one case.

    Attributes:
        case: Name of the case.
        turn: From 0; every tool runs once per case and turn.
        tool: Which tool.
        place: When it ran in this turn: 0 is first.
        started_at: ISO 8601, UTC.
        wall_s: From start to exit, as a user waits for it; of all starts that a verdict takes.
        cpu_s: CPU time of the tool and of all it started; None where the system does not say.
        foreign_cpu_s: CPU time all others took meanwhile, stolen time included; None where
            the system does not say.
        load_1m: Load average before it started; None where there is none.
        exit_code: Of the process; of the last one where a verdict takes more than one.
        rows: How many rows it compared.
        readings: One per rule that was applied to the run.
        problem: Why the run says nothing; None when it does.
    """

    case: str
    turn: int
    tool: Tool
    place: int
    started_at: str
    wall_s: float
    cpu_s: float | None
    foreign_cpu_s: float | None
    load_1m: float | None
    exit_code: int
    rows: int
    readings: tuple[Reading, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What must be equal for runs to belong to one evaluation.

    Attributes:
        cpu: Model name of the CPU.
        cpus: How many CPUs the evaluation may use.
        system: Kernel name and release.
        python: Version of Python.
        versions: Tool -> version.
        groundspeed_sha256: Digest of groundspeed's source, which a version may not tell apart.
        commits: Tag -> commit of the toy project.
        tools: What ran in every turn.
        kinds: The kinds of work whose rows were measured.
        affinity: The CPUs everything was kept on; empty when it was not.
        busy: Competing CPU loops during every turn.
    """

    cpu: str
    cpus: int
    system: str
    python: str
    versions: dict[str, str]
    groundspeed_sha256: str
    commits: dict[str, str]
    tools: tuple[Tool, ...]
    kinds: tuple[str, ...]
    affinity: tuple[int, ...]
    busy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A whole evaluation.

    Attributes:
        schema: Name and version of this shape.
        setting: Where and what.
        preparation_s: Step -> seconds, none of them part of any run.
        runs: Every run, in the order in which they were made.
    """

    schema: str
    setting: Setting
    preparation_s: dict[str, float]
    runs: tuple[Run, ...] = ()

    def has(self, case: str, turn: int) -> bool:
        """Whether the turn of this case was made."""
        return any(run.case == case and run.turn == turn for run in self.runs)


def save(evaluation: Evaluation, path: Path) -> None:
    """Replace the file at `path`, whole or not at all."""
    text = msgspec.json.format(msgspec.json.encode(evaluation), indent=1)
    write_atomically(path, text + b"\n")


def load(path: Path) -> Evaluation:
    """Read an evaluation back.

    Raises:
        EvaluationError: If it is none, or of another schema.
    """
    try:
        evaluation = msgspec.json.decode(path.read_bytes(), type=Evaluation)
    except (OSError, msgspec.DecodeError) as error:
        raise EvaluationError(f"{path}: no evaluation ({error}); choose another --out") from error
    if evaluation.schema != SCHEMA:
        raise EvaluationError(
            f"{path}: schema {evaluation.schema!r}, needed {SCHEMA!r}; choose another --out"
        )
    return evaluation
