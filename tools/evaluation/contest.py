"""The two gates in one place: prepared alike, then run as their users run them."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tools.evaluation.reading import (
    ASV_FACTORS,
    asv_came_to_an_end,
    read_asv,
    read_asv_table,
    read_groundspeed,
)
from tools.evaluation.records import EvaluationError, Reading, Run, Tool
from tools.evaluation.timing import Finished, load_1m, run_timed
from tools.evaluation.toy import BASE, Case, build_toy, toy_commits

from groundspeed.errors import UsageError
from groundspeed.measure.git import without_git_location
from groundspeed.store.checks import read_record

__all__ = ["TIMEOUT_S", "Contest", "private_environment"]

TIMEOUT_S = 1800.0
"""How long one start of a tool may take before the evaluation is given up."""

_ONE_ROW = "plain.time_count"
# pip's settings, which building an environment may need.
_LENT = (".config", ".pip")
_PRIVATE = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_OF_OTHERS = ("PYTHON", "GROUNDSPEED_", "ASV_")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """What a tool said of one case, if it said anything."""

    finished: Finished
    rows: int = 0
    readings: tuple[Reading, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The toy project and both gates, in one folder.

    Attributes:
        out: Holds `toy/`, `logs/` and `home/`, both tools' home, so that none of the user's
            files is touched.
    """

    out: Path

    @property
    def toy(self) -> Path:
        """The repository that both gates compare commits of."""
        return self.out / "toy"

    @property
    def home(self) -> Path:
        """The home folder of both tools."""
        return self.out / "home"

    def commits(self) -> dict[str, str]:
        """Tag -> commit of the toy project, which is written first if it is not there.

        Raises:
            EvaluationError: If what is there is something else.
        """
        if not self.toy.exists():
            return build_toy(self.toy)
        try:
            return toy_commits(self.toy)
        except ValueError as error:
            raise EvaluationError(str(error)) from error

    def prepare(self, cases: Sequence[Case]) -> dict[str, float]:
        """Build and keep whatever either tool would build at its first run; step -> seconds.

        Raises:
            EvaluationError: If a step fails.
        """
        self._make_home()
        steps: dict[str, float] = {}
        with _stopwatch(steps, "asv machine file"):
            self._must("asv", "machine", "--yes")
        for tag in (BASE, *(case.tag for case in cases)):
            with _stopwatch(steps, f"asv build of {tag}"):
                self._must("asv", "run", "--quick", "--bench", f"^{_ONE_ROW}$", f"{tag}^!")
        for case in cases:
            with _stopwatch(steps, f"groundspeed sources of {case.tag}"):
                one_row = ("--bench", f"^{_ONE_ROW}$", "--no-record", "--exit-zero")
                self._must("groundspeed", "check", *one_row, BASE, case.tag)
        return steps

    def run(self, tool: Tool, case: Case, turn: int, *, went_first: bool) -> Run:
        """Let one tool judge one case, and read what it says.

        Raises:
            EvaluationError: If it takes too long, or prints what cannot be read.
        """
        judges: Mapping[Tool, Callable[[Case, str], _Judged]]
        judges = {"groundspeed": self._groundspeed, "asv": self._asv}
        started_at, load = datetime.now(UTC).isoformat(timespec="seconds"), load_1m()
        judged = judges[tool](case, f"{case.name}-{turn:03}-{tool}")
        return Run(
            case=case.name,
            turn=turn,
            tool=tool,
            went_first=went_first,
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

    def _groundspeed(self, case: Case, name: str) -> _Judged:
        path = self.out / "logs" / f"{name}.json"
        path.unlink(missing_ok=True)
        finished = self._start("groundspeed", "check", BASE, case.tag, "--output", f"json:{path}")
        self._log(name, finished)
        try:
            record = read_record(path)
        except UsageError:
            return _Judged(finished=finished, problem=f"no record; see logs/{name}.txt")
        return _Judged(
            finished=finished, rows=len(record.comparisons), readings=(read_groundspeed(record),)
        )

    def _asv(self, case: Case, name: str) -> _Judged:
        default, *others = ASV_FACTORS
        finished = self._start("asv", "continuous", BASE, case.tag)
        self._log(name, finished)
        if not asv_came_to_an_end(finished.output):
            return _Judged(finished=finished, problem=f"no verdict; see logs/{name}.txt")
        again = {f: self._must("asv", "compare", f"--factor={f}", BASE, case.tag) for f in others}
        return _Judged(
            finished=finished,
            rows=max(len(tuple(read_asv_table(output))) for output in again.values()),
            readings=(
                read_asv(finished.output, default),
                *(read_asv(output, factor) for factor, output in again.items()),
            ),
        )

    def _start(self, program: str, *arguments: str) -> Finished:
        programs = Path(sys.executable).parent
        return run_timed(
            [os.fspath(programs / program), *arguments],
            folder=self.toy,
            environment=private_environment(os.environ, home=self.home, programs=programs),
            timeout_s=TIMEOUT_S,
        )

    def _must(self, program: str, *arguments: str) -> str:
        finished = self._start(program, *arguments)
        if finished.exit_code:
            said = "\n".join(finished.output.splitlines()[-20:])
            raise EvaluationError(
                f"{program} {' '.join(arguments)} in {self.toy}: exit {finished.exit_code}, "
                f"needed 0; it said\n{said}"
            )
        return finished.output

    def _log(self, name: str, finished: Finished) -> None:
        path = self.out / "logs" / f"{name}.txt"
        path.write_text(finished.output, encoding="utf-8")

    def _make_home(self) -> None:
        self.home.mkdir(exist_ok=True)
        for name in _LENT:
            own, link = Path.home() / name, self.home / name
            if own.exists() and not link.is_symlink():
                link.symlink_to(own)


def private_environment(
    environ: Mapping[str, str], *, home: Path, programs: Path
) -> dict[str, str]:
    """The variables both tools run with: the user's, but no place of the user's to write to.

    Args:
        environ: The user's variables.
        home: The home folder to use instead.
        programs: The folder of both programs; comes first on PATH, as in an activated environment.
    """
    kept = {
        name: value
        for name, value in without_git_location(environ).items()
        if name not in _PRIVATE and not name.startswith(_OF_OTHERS)
    }
    path = os.pathsep.join((os.fspath(programs), environ.get("PATH", os.defpath)))
    return kept | {"HOME": os.fspath(home), "PATH": path}


@contextlib.contextmanager
def _stopwatch(steps: dict[str, float], step: str) -> Iterator[None]:
    start_s = time.perf_counter()
    yield
    steps[step] = time.perf_counter() - start_s
