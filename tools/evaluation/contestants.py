"""The four tools: each prepared before anything is timed, then run as its users run it."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from tools.evaluation.contest import Contest
from tools.evaluation.reading import (
    ASV_FACTORS,
    FAIL_FIELDS,
    FAIL_PERCENT,
    asv_came_to_an_end,
    read_asv,
    read_asv_table,
    read_groundspeed,
    read_pytest_benchmark,
    same_regressions,
)
from tools.evaluation.records import Reading, Run, Tool
from tools.evaluation.timing import Finished, load_1m, together
from tools.evaluation.toy import BASE, Case, check_out
from tools.evaluation.workloads import KINDS

from groundspeed.errors import UsageError
from groundspeed.store.checks import read_record

__all__ = ["Judged", "prepare", "run_once"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a tool said of one case, if it said anything.

    Attributes:
        finished: What it took.
        rows: How many rows it compared.
        readings: One per rule.
        problem: Why it says nothing; None when it does.
    """

    finished: Finished
    rows: int = 0
    readings: tuple[Reading, ...] = ()
    problem: str | None = None


class Contestant(Protocol):
    """A tool that judges whether one commit is slower than another."""

    def prepare(self, contest: Contest, tag: str) -> None:
        """Build and keep what it would build when it first meets this commit."""

    def judge(self, contest: Contest, case: Case, name: str) -> Judged:
        """Judge the case; what it prints is kept under `name`."""


def prepare(contest: Contest, tools: Sequence[Tool], cases: Sequence[Case]) -> dict[str, float]:
    """Have every tool build and keep what its first run would; step -> seconds.

    Raises:
        EvaluationError: If a step fails.
    """
    contest.make_home()
    steps: dict[str, float] = {}
    for tool in tools:
        for tag in (BASE, *(case.tag for case in cases)):
            with _stopwatch(steps, f"{tool}: {tag}"):
                _CONTESTANTS[tool].prepare(contest, tag)
    return steps


def run_once(contest: Contest, tool: Tool, case: Case, *, turn: int, place: int) -> Run:
    """Let one tool judge one case, and read what it says.

    Raises:
        EvaluationError: If it takes too long, or prints what cannot be read.
    """
    started_at, load = datetime.now(UTC).isoformat(timespec="seconds"), load_1m()
    judged = _CONTESTANTS[tool].judge(contest, case, f"{case.name}-{turn:03}-{tool}")
    return Run(
        case=case.name,
        turn=turn,
        tool=tool,
        place=place,
        started_at=started_at,
        wall_s=judged.finished.wall_s,
        cpu_s=judged.finished.cpu_s,
        foreign_cpu_s=judged.finished.foreign_cpu_s,
        load_1m=load,
        exit_code=judged.finished.exit_code,
        rows=judged.rows,
        readings=judged.readings,
        problem=judged.problem,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groundspeed:
    """`groundspeed check`, of either suite."""

    tool: Tool

    def prepare(self, contest: Contest, tag: str) -> None:
        if tag != BASE:
            shortly = ("--no-record", "--exit-zero", "--budget", "1")
            options = (*shortly, *self._selection(contest.kinds[:1]))
            contest.must("groundspeed", "check", BASE, tag, *options, folder=contest.toy)

    def judge(self, contest: Contest, case: Case, name: str) -> Judged:
        record_path = contest.logs / f"{name}.json"
        record_path.unlink(missing_ok=True)
        options = ["--output", f"json:{record_path}"]
        if case.min_effect is not None:
            options += ["--min-effect", case.min_effect]
        if contest.budget is not None:
            options += ["--budget", contest.budget]
        options += self._selection(contest.kinds)
        finished = contest.start(
            "groundspeed", "check", BASE, case.tag, *options, folder=contest.toy
        )
        contest.log(name, finished.output)
        try:
            record = read_record(record_path)
        except UsageError:
            return Judged(finished=finished, problem=f"no record; see logs/{name}.txt")
        reading = read_groundspeed(record, self.tool)
        return Judged(finished=finished, rows=len(record.comparisons), readings=(reading,))

    def _selection(self, kinds: Sequence[str]) -> Sequence[str]:
        if self.tool == "groundspeed-pytest":
            files = _test_files(kinds)
            return ("--suite", "pytest", *(("--", *files) if files else ()))
        return _asv_selection(kinds)


class _Asv:
    """`asv continuous` at its default factor; `asv compare` reads the same results at others."""

    def prepare(self, contest: Contest, tag: str) -> None:
        if tag == BASE:
            contest.must("asv", "machine", "--yes", folder=contest.toy)
        rows = ("--quick", "--bench", rf"^{contest.kinds[0]}\.")
        contest.must("asv", "run", *rows, f"{tag}^!", folder=contest.toy)

    def judge(self, contest: Contest, case: Case, name: str) -> Judged:
        default, *others = ASV_FACTORS
        selection = _asv_selection(contest.kinds)
        finished = contest.start(
            "asv", "continuous", *selection, BASE, case.tag, folder=contest.toy
        )
        contest.log(name, finished.output)
        if not asv_came_to_an_end(finished.output):
            return Judged(finished=finished, problem=f"no verdict; see logs/{name}.txt")
        again = {
            factor: contest.must(
                "asv", "compare", f"--factor={factor}", BASE, case.tag, folder=contest.toy
            )
            for factor in others
        }
        return Judged(
            finished=finished,
            rows=max(len(tuple(read_asv_table(output))) for output in again.values()),
            readings=(
                read_asv(finished.output, default),
                *(read_asv(output, factor) for factor, output in again.items()),
            ),
        )


class _PytestBenchmark:
    """Two runs of the tests: base is saved, and the candidate compared with what was saved.

    All checks stand in one option: a second `--benchmark-compare-fail` would replace the first.
    """

    _ALONE: Mapping[str, str] = MappingProxyType({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    _PYTEST = ("python", "-m", "pytest", "-p", "pytest_benchmark.plugin")
    _FAIL = tuple(f"{field}:{FAIL_PERCENT}%" for field in FAIL_FIELDS)

    def prepare(self, contest: Contest, tag: str) -> None:
        tree = contest.tree(tag)
        if not tree.exists():
            check_out(contest.toy, tag, tree)
        contest.must(*self._PYTEST, "--benchmark-disable", folder=tree, extra=self._ALONE)

    def judge(self, contest: Contest, case: Case, name: str) -> Judged:
        storage = contest.logs / name
        shutil.rmtree(storage, ignore_errors=True)
        base = self._run(contest, BASE, storage, "--benchmark-save=base")
        compared = ("--benchmark-save=candidate", "--benchmark-compare=0001")
        finished = base
        if base.exit_code == 0:
            failing = ("--benchmark-compare-fail", *self._FAIL)
            candidate = self._run(contest, case.tag, storage, *compared, after=failing)
            finished = together(base, candidate)
        contest.log(name, finished.output)
        saved = sorted(storage.glob("*/*.json"))
        if len(saved) != 2:  # noqa: PLR2004 - base and candidate
            return Judged(finished=finished, problem=f"no two runs saved; see logs/{name}.txt")
        rows, readings = read_pytest_benchmark(*(path.read_bytes() for path in saved))
        if not same_regressions(finished.output, readings):
            problem = f"its own verdict differs from what it saved; see logs/{name}.txt"
            return Judged(finished=finished, problem=problem)
        return Judged(finished=finished, rows=rows, readings=readings)

    def _run(
        self, contest: Contest, tag: str, storage: Path, *options: str, after: Sequence[str] = ()
    ) -> Finished:
        common = ("--benchmark-only", "--benchmark-name=long", f"--benchmark-storage={storage}")
        files = _test_files(contest.kinds)
        command = (*self._PYTEST, *common, *options, *files, *after)
        return contest.start(*command, folder=contest.tree(tag), extra=self._ALONE)


_CONTESTANTS: Mapping[Tool, Contestant] = MappingProxyType(
    {
        "groundspeed": _Groundspeed(tool="groundspeed"),
        "groundspeed-pytest": _Groundspeed(tool="groundspeed-pytest"),
        "asv": _Asv(),
        "pytest-benchmark": _PytestBenchmark(),
    }
)


def _asv_selection(kinds: Sequence[str]) -> tuple[str, ...]:
    """The option that keeps asv and groundspeed to these kinds; none where that is all of them."""
    return () if set(kinds) == set(KINDS) else ("--bench", rf"^({'|'.join(kinds)})\.")


def _test_files(kinds: Sequence[str]) -> tuple[str, ...]:
    """The test files of these kinds; none where that is all of them."""
    return () if set(kinds) == set(KINDS) else tuple(f"tests/test_{kind}.py" for kind in kinds)


@contextlib.contextmanager
def _stopwatch(steps: dict[str, float], step: str) -> Iterator[None]:
    start_s = time.perf_counter()
    yield
    steps[step] = time.perf_counter() - start_s
