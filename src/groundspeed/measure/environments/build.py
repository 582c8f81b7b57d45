"""Building one environment: a virtual environment with a version's wheel and what it needs."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from groundspeed.errors import BrokenError
from groundspeed.measure.environments.overlay import Version
from groundspeed.measure.git import without_git_location
from groundspeed.measure.repository import Commit
from groundspeed.measure.scratch import CACHE_VARIABLE, explained
from groundspeed.measure.suite import SuiteConfig

__all__ = ["Recipe", "WheelRequest", "base_interpreter", "build"]

_SHOWN_LINES = 15

# What would make the installer write to another place than it is told to.
_MISLEADING = frozenset(
    {
        "PIP_PREFIX",
        "PIP_PYTHON",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
        "PYTHONHOME",
        "PYTHONPATH",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "VIRTUAL_ENV",
        "__PYVENV_LAUNCHER__",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelRequest:
    """A version to build.

    Attributes:
        label: `base` or `candidate`.
        commit: Its commit; None for the working tree.
        version: Its build files.
        tree: Its checkout; the environment is linked beside it.
    """

    label: str
    commit: Commit | None
    version: Version
    tree: Path

    @property
    def title(self) -> str:
        """How messages call it."""
        if self.commit is None:
            return f"{self.label} (working tree)"
        return f"{self.label} {self.commit.name} ({self.commit.short} {self.commit.subject!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What goes into an environment.

    Attributes:
        request: The version.
        suite: The benchmarks' needs: requirements, variables, time limit.
        project_dir: The folder to build the wheel from, inside the version's checkout.
    """

    request: WheelRequest
    suite: SuiteConfig
    project_dir: Path

    @property
    def targets(self) -> tuple[str, ...]:
        """What to install, as pip takes it; a folder without build files is not installed."""
        buildable = self.request.version.project.is_buildable
        project = (os.fspath(self.project_dir),) if buildable else ()
        return (*project, *self.suite.requirements)


def base_interpreter() -> Path:
    """The Python that virtual environments of the running one are made from."""
    # In a virtual environment sys.executable is a link that would bring its packages along.
    return Path(getattr(sys, "_base_executable", None) or sys.executable)


def build(recipe: Recipe, home: Path, log: Path, say: Callable[[str], None]) -> None:
    """Build the environment at `home`; the installer's output goes to `log`.

    The log stays when the build fails.

    Raises:
        BrokenError: If it fails, takes too long or finds no installer.
    """
    say(f"building {recipe.request.title}")
    with explained(home.parent):
        venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(home)
    if not recipe.targets:
        return
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with explained(log.parent):
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("wb")
    with output:
        command = [*_installer(python, recipe), *recipe.targets]
        code = _run(command, recipe, output.fileno())
    if code != 0:
        ended = f"ended with {code}" if code is not None else "took too long"
        raise BrokenError(_failure(recipe, f"{Path(command[0]).name} {ended}", log))
    log.unlink(missing_ok=True)


def _installer(python: Path, recipe: Recipe) -> list[str]:
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", os.fspath(python), "--compile-bytecode"]
    options = ["install", "--no-input", "--no-user", "--disable-pip-version-check"]
    options.append("--progress-bar=off")
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--python", os.fspath(python), *options]
    command = [os.fspath(python), "-m", "ensurepip", "--default-pip"]
    if _run(command, recipe, subprocess.DEVNULL) != 0:
        raise BrokenError(
            f"{recipe.request.title} has to be built, but there is no uv on PATH and no pip in "
            f"{sys.executable}; install one of them, or use --env overlay"
        )
    return [os.fspath(python), "-m", "pip", *options]


def _run(command: list[str], recipe: Recipe, output: int) -> int | None:
    """The exit code of `command`, or None when it ran out of time; it leaves no process behind."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=recipe.request.tree,
        env=_environment(os.environ) | dict(recipe.suite.environment),
        start_new_session=True,
    )
    try:
        return process.wait(recipe.suite.install_timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its children: a compiler would outlive an interrupted pip."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = without_git_location(environ)
    return {name: value for name, value in kept.items() if name not in _MISLEADING}


def _failure(recipe: Recipe, seen: str, log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-_SHOWN_LINES:]
    shown = "\n".join(f"  | {line}" for line in lines)
    if "No space left on device" in text:
        remedy = f"free some space, or set {CACHE_VARIABLE} to a folder on a larger disk"
    elif recipe.request.commit is None:
        remedy = "mend the build, or use --env overlay"
    else:
        remedy = "compare with a version that installs: groundspeed check BASE [CANDIDATE]"
    return (
        f"{recipe.request.title} did not build: {seen}\n{shown}\n"
        f"the whole output is in {log}\n{remedy}"
    )
