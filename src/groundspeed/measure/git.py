"""The git program, called so that it asks nothing, fetches nothing and writes nothing unasked.

Arguments go as a list; output is bytes, so that every file name survives. Variables that a hook or
a script may have set to point git at another place are dropped: the folder alone decides.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.scratch import CACHE_VARIABLE

__all__ = ["Git", "GitFailedError", "git_environment", "without_git_location"]

_TIMEOUT_S = 900.0

# `git rev-parse --local-env-vars`, without those that only carry settings (-c key=value).
_LOCATION_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)

# What git says in a partial clone, whose files come when they are asked for: not from us.
_MISSING_OBJECT = ("unable to read", "invalid object", "promisor", "not allowed")

_SETTINGS = (
    "-c",
    f"core.hooksPath={os.devnull}",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "advice.detachedHead=false",
    "-c",
    "gc.auto=0",
)


class GitFailedError(BrokenError):
    """git ended with an error; `complaint` is what it said."""

    def __init__(self, message: str, *, complaint: str) -> None:
        super().__init__(message)
        self.complaint = complaint


def git_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment git runs in: plain English, no prompt, no network, no needless lock."""
    return without_git_location(environ) | {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
    }


def without_git_location(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without the variables by which a git hook points git at its own repository."""
    return {name: value for name, value in environ.items() if name not in _LOCATION_VARIABLES}


@dataclass(frozen=True, slots=True)
class Git:
    """git in one folder."""

    folder: Path

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What `git ARGUMENTS` writes to standard output.

        Raises:
            GitFailedError: If it does not end with 0.
            UsageError: If git is not installed.
        """
        done = self._start(arguments, stdin)
        if done.returncode != 0:
            complaint = os.fsdecode(done.stderr).strip()
            raise GitFailedError(
                _failure(self.folder, arguments, done.returncode, complaint), complaint=complaint
            )
        return done.stdout

    def line(self, *arguments: str) -> str:
        """The first line of what `git ARGUMENTS` writes, decoded as a file name is."""
        return os.fsdecode(self.run(*arguments)).removesuffix("\n")

    def ask(self, *arguments: str) -> str | None:
        """As `line`, but None where git ends with an error, as it does to say no."""
        done = self._start(arguments, b"")
        return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None

    def names(self, *arguments: str) -> list[str]:
        """The NUL-separated names that `git ARGUMENTS` writes (it must be told -z)."""
        return [os.fsdecode(name) for name in self.run(*arguments).split(b"\0") if name]

    def _start(
        self, arguments: tuple[str, ...], stdin: bytes
    ) -> subprocess.CompletedProcess[bytes]:
        command = ["git", *_SETTINGS, "-C", os.fspath(self.folder), *arguments]
        try:
            return subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                check=False,
                env=git_environment(),
                timeout=_TIMEOUT_S,
            )
        except FileNotFoundError:
            raise UsageError(
                "groundspeed reads the two versions from git, but there is no git program on PATH; "
                "install git and try again"
            ) from None
        except subprocess.TimeoutExpired as error:
            raise BrokenError(
                f"git {arguments[0]} in {self.folder} did not end within {_TIMEOUT_S:.0f} s; "
                f"try it by hand: git -C {self.folder} status"
            ) from error


def _failure(folder: Path, arguments: tuple[str, ...], code: int, complaint: str) -> str:
    last = "\n".join(complaint.splitlines()[-5:]) or "it said nothing"
    message = f"git {arguments[0]} failed in {folder} (exit {code}): {last}"
    if "No space left" in complaint or "quota exceeded" in complaint:
        return f"{message}\nfree some space, or set {CACHE_VARIABLE} to a folder on a larger disk"
    if any(sign in complaint for sign in _MISSING_OBJECT):
        remedy = "git fetch --refetch --no-filter"
        return f"{message}\nthis clone does not hold every file; in your repository run: {remedy}"
    return message
