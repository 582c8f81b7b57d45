"""From two commits to two importable versions."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.environments.build import WheelRequest, base_interpreter
from groundspeed.measure.environments.model import Environments, Mode, Side
from groundspeed.measure.environments.overlay import (
    Assessment,
    Version,
    assess,
    bring_generated_files,
    read_version,
)
from groundspeed.measure.environments.wheels import wheel_side
from groundspeed.measure.repository import Commit, Repository
from groundspeed.measure.scratch import explained
from groundspeed.measure.suite import SuiteConfig

__all__ = ["prepare"]

_PURE = "both versions build pure Python and need the same packages, which are installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trees:
    """The copies a run works on; `base` and `candidate` lie at paths of equal length."""

    base: Path
    candidate: Path
    benchmarks: Path


def prepare(  # noqa: PLR0913 - the whole of a request, each part by name
    repository: Repository,
    suite: SuiteConfig,
    *,
    base: Commit,
    candidate: Commit | None,
    mode: Mode,
    scratch: Path,
    cache: Path,
    say: Callable[[str], None],
) -> Environments:
    """Make `base` and `candidate` importable, each on its own, and copy the benchmark files.

    Args:
        repository: The user's repository; nothing is written in it.
        suite: The benchmarks and what they need.
        base: The version to compare with.
        candidate: The version to judge; None for the working tree.
        mode: Source trees, wheels, or whichever is right.
        scratch: An empty folder that lives as long as the result is used.
        cache: Where built environments are kept.
        say: Told what is being done, a short phrase at a time.

    Raises:
        UsageError: If source trees are asked for and cannot be used, or git ignores the benchmarks.
        BrokenError: If a version cannot be checked out or built.
    """
    trees = _copy(repository, base, candidate, scratch, say)
    benchmark_dir = _benchmark_dir(trees.benchmarks, repository, suite)
    subdir = _inside(repository, suite.project_dir)
    versions = (
        _read("base", trees.base / subdir, subdir),
        _read("candidate", trees.candidate / subdir, subdir),
    )
    assessment = assess(*versions, requirements=suite.requirements, generated_in=suite.project_dir)
    overlay = _by_overlay(mode, assessment)
    if overlay:
        sides = _source_sides(trees, versions, suite)
    else:
        requests = (
            WheelRequest(label="base", commit=base, version=versions[0], tree=trees.base),
            WheelRequest(
                label="candidate", commit=candidate, version=versions[1], tree=trees.candidate
            ),
        )
        sides = [wheel_side(r, suite=suite, subdir=subdir, cache=cache, say=say) for r in requests]
    return Environments(
        kind="overlay" if overlay else "wheel",
        reason=_reason(mode, assessment),
        interpreter=Path(sys.executable) if overlay else base_interpreter(),
        isolated=not overlay,
        base=sides[0],
        candidate=sides[1],
        benchmark_dir=benchmark_dir,
        hidden_paths=_hidden(suite.project_dir, versions),
        variables=suite.environment,
    )


def _benchmark_dir(tree: Path, repository: Repository, suite: SuiteConfig) -> Path:
    folder = tree / _inside(repository, suite.benchmark_dir)
    if not folder.is_dir():
        raise UsageError(
            f"{suite.benchmark_dir} holds no file that git knows of or could add; "
            "add benchmarks, or take the folder out of .gitignore"
        )
    return folder


def _source_sides(
    trees: _Trees, versions: tuple[Version, Version], suite: SuiteConfig
) -> list[Side]:
    for version in versions:
        with explained(version.project.folder):
            bring_generated_files(version, suite.project_dir)
    return [
        Side(tree=tree, import_paths=version.import_paths)
        for tree, version in zip((trees.base, trees.candidate), versions, strict=True)
    ]


def _copy(
    repository: Repository,
    base: Commit,
    candidate: Commit | None,
    scratch: Path,
    say: Callable[[str], None],
) -> _Trees:
    trees = _Trees(
        base=scratch / "a" / "tree",
        candidate=scratch / "b" / "tree",
        benchmarks=scratch / ("b" if candidate is None else "c") / "tree",
    )
    say(f"checking out {base.name} ({base.short})")
    repository.export(base, trees.base)
    if candidate is not None:
        say(f"checking out {candidate.name} ({candidate.short})")
        repository.export(candidate, trees.candidate)
    say("copying the working tree")
    repository.snapshot(trees.benchmarks)
    return trees


def _read(label: str, folder: Path, subdir: Path) -> Version:
    if not folder.is_dir():
        raise BrokenError(
            f'{label} has no folder {subdir}, which "repo_subdir" names; compare versions that do'
        )
    try:
        return read_version(folder)
    except BrokenError as error:
        raise BrokenError(f"{label}: {error}") from error


def _inside(repository: Repository, folder: Path) -> Path:
    relative = repository.relative(folder)
    assert relative is not None, f"{folder} was found inside {repository.root}"  # noqa: S101
    return relative


def _hidden(project_dir: Path, versions: tuple[Version, Version]) -> tuple[Path, ...]:
    paths = [project_dir / path for version in versions for path in version.layout.paths]
    spelled = [os.path.normpath(path) for path in paths] + [os.path.realpath(p) for p in paths]
    return tuple(Path(path) for path in dict.fromkeys(spelled))


def _by_overlay(mode: Mode, assessment: Assessment) -> bool:
    if mode == "overlay" and assessment.obstacles:
        raise UsageError(
            f"--env overlay: the source trees cannot be measured as they are: "
            f"{_told(assessment)}; use --env wheel"
        )
    if mode == "auto":
        return not (assessment.obstacles or assessment.doubts)
    return mode == "overlay"


def _reason(mode: Mode, assessment: Assessment) -> str:
    told = _told(assessment)
    if mode == "auto":
        return told or _PURE
    return f"asked for, although {told}" if mode == "overlay" and told else "asked for"


def _told(assessment: Assessment) -> str:
    told = [*assessment.obstacles, *assessment.doubts]
    more = f" (and {len(told) - 2} more)" if len(told) > 2 else ""  # noqa: PLR2004 - a short phrase
    return "; ".join(told[:2]) + more
