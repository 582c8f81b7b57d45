"""The folder in which all tools judge the same commits, and the environment they run in."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.evaluation.records import EvaluationError
from tools.evaluation.timing import Finished, run_timed
from tools.evaluation.toy import build_toy, toy_commits

from groundspeed.measure.git import without_git_location

__all__ = ["TIMEOUT_S", "Contest", "private_environment"]

TIMEOUT_S = 1800.0
"""How long one start of a tool may take before the evaluation is given up."""

# pip's settings, which building an environment may need.
_LENT = (".config", ".pip")
_PRIVATE = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
_OF_OTHERS = ("PYTHON", "PYTEST", "GROUNDSPEED_", "ASV_")
_LAST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The toy project and all tools, in one folder.

    Attributes:
        out: Holds `toy/`, `trees/`, `logs/` and `home/`, the tools' home, so that none of the
            user's files is touched.
        kinds: The kinds of work whose rows are measured.
        budget: Seconds after which a check of groundspeed ends; None: when it is decided.
    """

    out: Path
    kinds: tuple[str, ...]
    budget: str | None = None

    @property
    def toy(self) -> Path:
        """The repository that the tools compare commits of."""
        return self.out / "toy"

    @property
    def logs(self) -> Path:
        """What the tools printed and wrote."""
        return self.out / "logs"

    @property
    def home(self) -> Path:
        """The home folder of every tool."""
        return self.out / "home"

    def tree(self, tag: str) -> Path:
        """A checkout of one commit, for a tool that knows no commits."""
        return self.out / "trees" / tag

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

    def start(
        self, *command: str, folder: Path, extra: Mapping[str, str] | None = None
    ) -> Finished:
        """Run one of the programs beside this interpreter, as its user would, in `folder`.

        Raises:
            EvaluationError: If it takes too long.
        """
        programs = Path(sys.executable).parent
        program, *arguments = command
        environment = private_environment(os.environ, home=self.home, programs=programs)
        return run_timed(
            [os.fspath(programs / program), *arguments],
            folder=folder,
            environment=environment | dict(extra or {}),
            timeout_s=TIMEOUT_S,
        )

    def must(self, *command: str, folder: Path, extra: Mapping[str, str] | None = None) -> str:
        """The same, of a program that has to succeed; returns what it printed.

        Raises:
            EvaluationError: If it takes too long, or fails.
        """
        finished = self.start(*command, folder=folder, extra=extra)
        if finished.exit_code:
            said = "\n".join(finished.output.splitlines()[-_LAST_LINES:])
            raise EvaluationError(
                f"{' '.join(command)} in {folder}: exit {finished.exit_code}, needed 0; "
                f"it said\n{said}"
            )
        return finished.output

    def log(self, name: str, output: str) -> None:
        """Keep what a tool printed."""
        (self.logs / f"{name}.txt").write_text(output, encoding="utf-8")

    def make_home(self) -> None:
        """Make the tools' home folder, which lends the user's settings of pip."""
        self.home.mkdir(exist_ok=True)
        for name in _LENT:
            own, link = Path.home() / name, self.home / name
            if own.exists() and not link.is_symlink():
                link.symlink_to(own)


def private_environment(
    environ: Mapping[str, str], *, home: Path, programs: Path
) -> dict[str, str]:
    """The variables all tools run with: the user's, but no place of the user's to write to.

    Args:
        environ: The user's variables.
        home: The home folder to use instead.
        programs: The folder of the programs; comes first on PATH, as in an activated environment.
    """
    kept = {
        name: value
        for name, value in without_git_location(environ).items()
        if name not in _PRIVATE and not name.startswith(_OF_OTHERS)
    }
    path = os.pathsep.join((os.fspath(programs), environ.get("PATH", os.defpath)))
    return kept | {"HOME": os.fspath(home), "PATH": path}
