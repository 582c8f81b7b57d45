"""A project's pytest tests as the ruler of a check: where they are, and the same for both sides.

The tests as they are in the working tree measure both versions. What belongs to them is copied over
both private trees, so that a side's root is its own tree and everything that is resolved from there
(a flat layout, a conftest.py, data files) is the side's own code with the same tests.
"""

import importlib.metadata
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from groundspeed.errors import UsageError
from groundspeed.measure.environments.layout import import_layout
from groundspeed.measure.environments.model import Environments
from groundspeed.measure.environments.model import Side as SideEnvironment
from groundspeed.measure.environments.project import Project, read_project
from groundspeed.measure.pytest_config import find_config
from groundspeed.measure.pytest_ruler import Code, SelectedTests, copy_over, ruler_of
from groundspeed.measure.repository import Repository
from groundspeed.measure.scratch import explained
from groundspeed.measure.suite import SuiteConfig
from groundspeed.model import Side

__all__ = ["SharedTests", "find_tests", "share_tests", "suite_of"]

_BUILD_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_TOOLS = ("pytest", "pytest-benchmark")
_DEFAULT_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTests:
    """What the measured interpreters need to know of tests that were copied to both sides.

    Attributes:
        configuration: Of `inside.pytest_suite.PytestSuite`, the same for both sides.
        packages: Per side the top-level names that the project itself installs; empty where it is
            measured from its source tree.
    """

    configuration: Mapping[str, Any]
    packages: Mapping[Side, tuple[str, ...]]


def find_tests(start: Path, repository: Repository, arguments: Sequence[str]) -> SelectedTests:
    """The tests that `pytest ARGUMENTS` would collect in the folder `start`.

    Raises:
        UsageError: If the tests are outside the repository or a configuration cannot be read.
    """
    here = Path(os.path.normpath(start.absolute()))
    config = find_config(here, repository.root, arguments)
    return SelectedTests(
        folder=_inside(repository, here, "the current folder"),
        rootdir=_inside(repository, config.rootdir, "pytest's rootdir"),
        config=_inside(repository, config.file, "pytest's configuration") if config.file else None,
        places=tuple(_inside(repository, place, "a test path") for place in config.places),
        patterns=config.patterns,
        project_dir=_inside(repository, _project_dir(config.rootdir, repository.root), "project"),
        arguments=tuple(_without_root(a, repository.root, here) for a in arguments),
    )


def _inside(repository: Repository, path: Path, what: str) -> PurePosixPath:
    relative = repository.relative(path)
    if relative is None:
        raise UsageError(
            f"{what} is {path}, which is outside the repository {repository.root}; give paths "
            "inside it, or run groundspeed in the repository that holds the tests"
        )
    return PurePosixPath(relative.as_posix())


def _project_dir(rootdir: Path, root: Path) -> Path:
    for folder in (rootdir, *rootdir.parents):
        if any((folder / name).is_file() for name in _BUILD_FILES):
            return folder
        if folder in (root, root.resolve()):
            break
    return rootdir


def _without_root(argument: str, root: Path, start: Path) -> str:
    """The argument with an absolute path into the repository seen from `start`."""
    name, equals, value = argument.partition("=") if argument.startswith("-") else ("", "", "")
    text = value if equals else argument
    path, colons, rest = text.partition("::")
    for prefix in (root, root.resolve()):
        if Path(path).is_absolute() and Path(path).is_relative_to(prefix):
            seen = os.path.relpath(Path(path), prefix / start.relative_to(root))
            return f"{name}{equals}{seen}{colons}{rest}"
    return argument


def suite_of(
    tests: SelectedTests, repository: Repository, *, groups: Sequence[str] = ()
) -> SuiteConfig:
    """The tests as a suite that `environments.prepare` understands.

    Args:
        tests: Which.
        repository: That holds them.
        groups: Dependency groups or extras of the project that the tests need.

    Raises:
        UsageError: If the project has no such group or extra.
        BrokenError: If its build files cannot be read.
    """
    root, rootdir = repository.root, repository.root / tests.rootdir
    project = read_project(root / tests.project_dir)
    needed = [line for group in groups for line in _group(project, group)]
    output = (rootdir / ".benchmarks", rootdir / ".pytest_cache")
    return SuiteConfig(
        path=root / tests.config if tests.config else rootdir / "pyproject.toml",
        project=project.name or root.name,
        benchmark_dir=rootdir,
        project_dir=project.folder,
        requirements=tuple(dict.fromkeys([*map(_as_running, _TOOLS), *needed])),
        environment={},
        output_dirs=output,
        results_dir=output[0],
        default_timeout_s=_DEFAULT_TIMEOUT_S,
    )


def _as_running(name: str) -> str:
    """The requirement for the version that is installed here, if any is."""
    try:
        return f"{name}=={importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return name


def _group(project: Project, name: str) -> Iterator[str]:
    groups = project.table("dependency-groups")
    extras = project.table("project", "optional-dependencies")
    wanted = _canonical(name)
    for held in (groups, extras):
        for known, lines in held.items():
            if _canonical(known) == wanted:
                yield from _requirements(project, lines, above=(wanted,))
                return
    known = ", ".join([*groups, *extras]) or "none"
    raise UsageError(
        f"{project.folder / 'pyproject.toml'}: there is no dependency group or extra {name!r}; "
        f"there are: {known}"
    )


def _requirements(project: Project, lines: Any, *, above: Sequence[str]) -> Iterator[str]:
    for line in lines if isinstance(lines, list) else ():
        if isinstance(line, str):
            yield line
        elif isinstance(line, dict) and isinstance(line.get("include-group"), str):
            included = _canonical(line["include-group"])
            if included not in above:
                found = {_canonical(n): v for n, v in project.table("dependency-groups").items()}
                yield from _requirements(project, found.get(included), above=(*above, included))


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def share_tests(tests: SelectedTests, environments: Environments) -> SharedTests:
    """Copy the working tree's tests over both sides' trees.

    Args:
        tests: Which.
        environments: Both sides, as `prepare` made them for `suite_of` of these tests.

    Raises:
        BrokenError: If a file cannot be copied.
    """
    source = environments.benchmark_dir
    for _ in tests.rootdir.parts:
        source = source.parent
    sides: Mapping[Side, SideEnvironment]
    sides = {"base": environments.base, "candidate": environments.candidate}
    project = read_project(source / tests.project_dir)
    roots = [_joined(tests.project_dir, path) for path in import_layout(project).paths]
    code = Code(tree=source, roots=tuple(roots), project=project.name or "")
    ruler = ruler_of(tests, code)
    for side in sides.values():
        if side.tree != source:
            with explained(side.tree):
                copy_over(source, side.tree, ruler)
    arguments = tests.arguments
    if not any(a == "-c" or a.startswith(("-c=", "--config-file")) for a in arguments):
        arguments = (*arguments, "-c", _config_argument(tests))
    return SharedTests(
        configuration={
            "folder": str(tests.folder),
            "rootdir": str(tests.rootdir),
            "arguments": list(arguments),
            "ruler": [str(path) for path in ruler],
        },
        packages={name: _installed(side, project.name) for name, side in sides.items()},
    )


def _config_argument(tests: SelectedTests) -> str:
    # Without one a side's own, older configuration must not be found either.
    if tests.config is None:
        return os.devnull
    return os.path.relpath(tests.config, tests.folder)


def _joined(folder: PurePosixPath, path: str) -> PurePosixPath:
    return PurePosixPath(os.path.normpath(folder / path))


def _installed(side: SideEnvironment, project: str | None) -> tuple[str, ...]:
    """The top-level names that the project's own installation provides."""
    if not side.site_dirs or not project:
        return ()
    places = [os.fspath(folder) for folder in side.site_dirs]
    names = set()
    for distribution in importlib.metadata.distributions(name=project, path=places):
        for file in distribution.files or ():
            top = file.parts[0]
            if top != ".." and not top.endswith((".dist-info", ".data", ".pth")):
                names.add(top.partition(".")[0])
    return tuple(sorted(names - {"__pycache__"}))
