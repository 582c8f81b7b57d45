"""A toy project as a real git repository, whose true change between commits is known exactly.

Every row does a whole number of units of identical work. The number stands in one file, so a commit
that makes a row 5 % slower is one in which that number is 105 instead of 100.

    python -m tools.evaluation.toy FOLDER
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from tools.evaluation.workloads import SLOWED

from groundspeed.measure.git import git_environment

__all__ = ["BASE", "CASES", "Case", "build_toy", "check_out", "more_work", "toy_commits"]

BASE = "base"

_TEMPLATE = Path(__file__).parent / "toy_project"
_WORK = Path("src", "toy", "work.py")
_REMARK = "\n# A remark, and nothing else that differs from the commit before.\n"
_WHEN = "2026-01-01T00:00:00+00:00"
_AUTHOR = ("groundspeed evaluation", "evaluation@example.org")
_GIT_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": _AUTHOR[0],
        "GIT_AUTHOR_EMAIL": _AUTHOR[1],
        "GIT_AUTHOR_DATE": _WHEN,
        "GIT_COMMITTER_NAME": _AUTHOR[0],
        "GIT_COMMITTER_EMAIL": _AUTHOR[1],
        "GIT_COMMITTER_DATE": _WHEN,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison with `base` of which the truth is known.

    Attributes:
        name: As it is asked for on the command line.
        tag: The git tag of its commit.
        factor: Work of a slowed row, candidate / base; 1 where nothing is slower.
        min_effect: What groundspeed is asked to find, where that is not its default: a change as
            small as its default cannot be found by it, just as asv's factor 1.05 cannot find +5 %.
    """

    name: str
    tag: str
    factor: Fraction
    min_effect: str | None = None

    @property
    def title(self) -> str:
        """As a table shows it."""
        return f"+{100 * (self.factor - 1)} %" if self.factor > 1 else "identical code"


def _plus(percent: int, *, min_effect: str | None = None) -> Case:
    name = f"plus{percent}"
    factor = Fraction(100 + percent, 100)
    return Case(name=name, tag=name, factor=factor, min_effect=min_effect)


_ALL = (
    Case(name="aa", tag="same", factor=Fraction(1)),
    _plus(1, min_effect="0.5%"),
    *map(_plus, (2, 3, 5, 20)),
)
CASES: Mapping[str, Case] = MappingProxyType({case.name: case for case in _ALL})


def more_work(source: str, factor: Fraction) -> str:
    """The source of `work.py` with the slowed rows' units multiplied by `factor`.

    Raises:
        ValueError: If a constant is missing or the product is no whole number of units.
    """
    for constant in SLOWED.values():
        found = re.search(rf"^{constant} = (\d+)$", source, re.MULTILINE)
        if found is None:
            raise ValueError(f"{_WORK} has no line '{constant} = NUMBER'")
        units = int(found[1]) * factor
        if units.denominator != 1:
            raise ValueError(
                f"{constant}: {found[1]} units x {factor} is no whole number of units; "
                "choose a number that is a multiple of 100"
            )
        source = source[: found.start(1)] + str(units.numerator) + source[found.end(1) :]
    return source


def build_toy(folder: Path) -> dict[str, str]:
    """Write the repository into `folder`, which must not exist; returns tag -> commit.

    The commits are the same at every call, hashes included. The working tree is left at `base`.
    """
    shutil.copytree(_TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "gitignore").rename(folder / ".gitignore")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _commit(folder, "Begin", tag=BASE)
    source = (folder / _WORK).read_text(encoding="utf-8")
    for case in CASES.values():
        changed = more_work(source, case.factor) if case.factor > 1 else source + _REMARK
        (folder / _WORK).write_text(changed, encoding="utf-8", newline="\n")
        _commit(folder, case.title, tag=case.tag)
        _git(folder, "checkout", "--quiet", "main")
    return toy_commits(folder)


def toy_commits(folder: Path) -> dict[str, str]:
    """Tag -> commit of a repository that `build_toy` wrote.

    Raises:
        ValueError: If `folder` is no such repository.
    """
    tags = (BASE, *(case.tag for case in CASES.values()))
    try:
        return {tag: _git(folder, "rev-parse", "--verify", f"{tag}^{{commit}}") for tag in tags}
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"{folder} is no complete toy repository; remove it") from error


def check_out(repository: Path, tag: str, folder: Path) -> None:
    """Write one commit of the repository into `folder`, as a clone of its own."""
    quietly = ("--quiet", "--config", "advice.detachedHead=false")
    _git(repository, "clone", *quietly, "--branch", tag, os.fspath(repository), os.fspath(folder))


def _commit(folder: Path, message: str, *, tag: str) -> None:
    if tag != BASE:
        _git(folder, "checkout", "--quiet", "--detach")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", f"--message={message}")
    _git(folder, "tag", tag)


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**git_environment(), **_GIT_SETTINGS},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=True,
    )
    return os.fsdecode(done.stdout).strip()


def _main() -> int:
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and one folder
        print("usage: python -m tools.evaluation.toy FOLDER", file=sys.stderr)
        return 2
    for tag, commit in build_toy(Path(sys.argv[1])).items():
        print(f"{commit[:12]}  {tag}")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
