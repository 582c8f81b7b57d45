"""Stored runs of the performance suite: pytest-benchmark's JSON, as far as a report needs it.

What is not as the suite writes it is refused with the place in the file, before anything is shown.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

__all__ = [
    "STORE",
    "Commit",
    "Figure",
    "Level",
    "LoadRun",
    "Machine",
    "ReportError",
    "Result",
    "Series",
    "StoredRun",
    "Verdict",
    "choose_baseline",
    "choose_run",
    "read_run",
    "read_runs",
    "runs_like",
]

STORE = "pytest tests/performance/ --benchmark-autosave"
"""The command that stores a run."""

Verdict = Literal["passed", "warned", "undecided", "failed"]
T = TypeVar("T")


class ReportError(Exception):
    """No report can be written; the message says what was seen, needed, and is to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something measured, in `unit`, with the ends of its 95 % interval where there is one.

    Attributes:
        value: The estimate; null where it is infinite or unknown.
        low: Lower end.
        high: Upper end; low = high = value of what was read and not estimated.
        unit: `s`, `bytes`, `share`, `per s`, `count`, or a word of the test's own.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A service level and where the test stands."""

    title: str
    metric: str
    unit: str
    better: Literal["lower", "higher"]
    target: float
    critical: float
    standing: Literal["met", "missed", "critical", "undecided"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def figure(self) -> Figure:
        """What was found."""
        return Figure(value=self.value, low=self.low, high=self.high, unit=self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points for a chart, `x` and `y` of one length."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_unit: str = ""
    y_unit: str = ""

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"got {len(self.x)} x for {len(self.y)} y, needed as many of each")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFigure:
    """A figure of a load run, in seconds, bytes, per second or a share."""

    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """A load record, see docs/reference/load-json.md; null stands for infinite or unknown."""

    name: str
    model: str
    duration_s: float
    drained_s: float
    warm_up_s: float
    offered: int
    recorded: int
    valid: bool
    figures: tuple[LoadFigure, ...]
    response_histogram: str
    partial: bool = False
    invalid: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failures: dict[str, int] = field(default_factory=dict)
    littles_law_gap: float | None = None
    lag_s_p99: float | None = None
    service_s_p50: float | None = None

    def figure(self, metric: str) -> Figure | None:
        """A figure by its metric; None where the record does not hold it."""
        units = {"throughput_per_s": "per s", "error_rate": "share", "rss_bytes": "bytes"}
        for found in self.figures:
            if found.metric == metric:
                unit = units.get(metric, "s")
                return Figure(value=found.value, low=found.low, high=found.high, unit=unit)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Extra:
    verdict: Verdict | None = None
    reason: str = ""
    levels: tuple[Level, ...] = ()
    figures: dict[str, Figure] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    load: tuple[LoadRun, ...] = ()
    setting: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stats:
    median: float
    rounds: int
    iterations: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one test left.

    Attributes:
        fullname: `tests/performance/test_load.py::TestSmallScaleLoad::test_100_accounts`.
        stats: Its timed rounds.
        extra_info: All else.
    """

    fullname: str
    stats: _Stats
    extra_info: _Extra = field(default_factory=_Extra)

    @property
    def test(self) -> str:
        """The test's full name without the case of its parameters."""
        return self.fullname.partition("[")[0]

    @property
    def name(self) -> str:
        """Class and test: `TestSmallScaleLoad::test_100_accounts`."""
        return self.fullname.partition("::")[2] or self.fullname

    @property
    def verdict(self) -> Verdict:
        """Its own; a test that ended before it gave one has decided nothing."""
        return self.extra_info.verdict or "undecided"

    @property
    def reason(self) -> str:
        """Why, for all but passed tests."""
        if self.extra_info.verdict is None:
            return self.extra_info.reason or "it ended before it gave a verdict"
        return self.extra_info.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cpu:
    brand_raw: str = "unknown"
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured; two are the same if all of it is."""

    system: str
    release: str = field(default="", compare=False)
    machine: str = ""
    python_implementation: str
    python_version: str
    cpu: _Cpu = field(default_factory=_Cpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What was measured."""

    id: str
    time: str | None = None
    dirty: bool = False
    branch: str = ""

    @property
    def short(self) -> str:
        """Twelve digits, and whether files had been changed."""
        return self.id[:12] + (" with changes" if self.dirty else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    machine_info: Machine
    commit_info: Commit
    benchmarks: tuple[Result, ...]
    datetime: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """One stored run.

    Attributes:
        path: Its file.
        at: When it was stored, UTC.
        machine: Where.
        commit: Of what.
        results: One a test, or one a case of a test with parameters, in the order they ran.
        tool: pytest-benchmark's version.
    """

    path: Path
    at: datetime
    machine: Machine
    commit: Commit
    results: tuple[Result, ...]
    tool: str

    @property
    def name(self) -> str:
        """`0007` of `0007_whatever.json`, else the file's name."""
        number = self.path.name.partition("_")[0]
        return number if number.isdigit() else self.path.name

    def holding(self, names: Iterable[str]) -> bool:
        """Whether it holds one of these tests."""
        return not {result.test for result in self.results}.isdisjoint(names)


def read_run(path: Path) -> StoredRun:
    """Read a stored run.

    Raises:
        ReportError: If it cannot be read or is not what pytest-benchmark and the suite write.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ReportError(
            f"{path}: got a file that is no JSON ({error}), needed a stored run; it may have been "
            f"cut short: remove it, and store a run by `{STORE}`"
        ) from None
    try:
        stored = msgspec.convert(data, type=_Stored)
        at = datetime.fromisoformat(stored.datetime)
    except ValueError as error:  # msgspec's own is one
        raise ReportError(
            f"{path}: got JSON that is no stored run of the suite ({error}), needed that of "
            f"pytest-benchmark; store one by `{STORE}`"
        ) from None
    return StoredRun(
        path=path,
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        machine=stored.machine_info,
        commit=stored.commit_info,
        results=stored.benchmarks,
        tool=stored.version,
    )


def read_runs(storage: Path) -> list[StoredRun]:
    """Every stored run below a folder, oldest first.

    Raises:
        ReportError: If there is none, or one cannot be read.
    """
    found = [path for path in storage.rglob("*.json") if path.is_file()]
    if not found:
        raise ReportError(f"{storage}: got no stored run, needed one; store one by `{STORE}`")
    return sorted(map(read_run, found), key=lambda run: (run.at, run.path.as_posix()))


def choose_run(runs: Sequence[StoredRun], names: Sequence[str], wanted: str | None) -> StoredRun:
    """The run that is meant: by number, by the start of its file's name, or the newest.

    Args:
        runs: Oldest first, at least one.
        names: The suite's tests, of which it must hold one.
        wanted: `0007`, or None for the newest.

    Raises:
        ReportError: If there is no such run, or more than one.
    """
    if wanted is None:
        suited = [run for run in runs if run.holding(names)]
        if not suited:
            raise ReportError(
                f"got {len(runs)} stored runs of other tests, needed one of the performance "
                f"suite; store one by `{STORE}`"
            )
        return suited[-1]
    matching = [run for run in runs if run.path.name.startswith(wanted)]
    if len(matching) != 1:
        shown = ", ".join(run.path.as_posix() for run in matching or runs[-5:])
        few = f"{len(matching)} runs" if matching else "no run"
        raise ReportError(f"{wanted}: got {few} of that name, needed one; there are {shown}")
    return matching[0]


def choose_baseline(runs: Sequence[StoredRun], run: StoredRun, names: Sequence[str]) -> StoredRun:
    """The newest run before `run` of another commit on the same machine.

    Raises:
        LookupError: If there is none.
    """
    others = [
        other
        for other in runs
        if other.at < run.at
        and other.machine == run.machine
        and other.commit.id != run.commit.id
        and other.holding(names)
    ]
    if not others:
        raise LookupError("no earlier run of another commit on this machine is stored")
    return others[-1]


def runs_like(runs: Iterable[StoredRun], run: StoredRun) -> tuple[StoredRun, ...]:
    """It, and others of the very same code on the same machine: clean runs of its commit."""
    same = (
        other
        for other in runs
        if other.path != run.path
        and other.machine == run.machine
        and other.commit.id == run.commit.id
        and not (run.commit.dirty or other.commit.dirty)
    )
    return (run, *same)
