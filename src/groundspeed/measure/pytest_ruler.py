"""What belongs to a project's tests, so that both sides are measured by the same.

The tests themselves with their helpers and data, and pytest's configuration; never a module of the
project, which is what is measured.
"""

import fnmatch
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from groundspeed.measure.pytest_config import DEDICATED_FILES

__all__ = ["Code", "SelectedTests", "copy_over", "ruler_of"]

_TEST_FOLDERS = frozenset({"tests", "test"})
_OUTSIDE_CODE = frozenset({"testing", "benchmark", "benchmarks", "bench", "perf", "performance"})
_NOT_COLLECTED = frozenset({"node_modules", "build", "dist", "venv"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedTests:
    """Which tests a check runs; paths are seen from the repository's root.

    Attributes:
        folder: Where pytest is run.
        rootdir: pytest's root.
        config: Its configuration file; None without one.
        places: Files and folders that are collected.
        patterns: What names the files with tests in them have.
        project_dir: The folder of the build files.
        arguments: Of pytest, without absolute paths into the repository.
    """

    folder: PurePosixPath
    rootdir: PurePosixPath
    config: PurePosixPath | None
    places: tuple[PurePosixPath, ...]
    patterns: tuple[str, ...]
    project_dir: PurePosixPath
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Tells the project's own modules from its tests.

    Attributes:
        tree: The working tree's copy.
        roots: Folders that the project's packages are imported from, seen from the tree.
        project: The project's name; empty if it says none.
    """

    tree: Path
    roots: tuple[PurePosixPath, ...]
    project: str

    def home_of(self, file: PurePosixPath, *, below: PurePosixPath) -> PurePosixPath:
        """The folder that is replaced because this test file is in it, or the file itself."""
        for folder in reversed(file.parents):
            if folder != below and folder.is_relative_to(below) and self._holds_tests(folder):
                return folder
        parent = file.parent
        is_own = parent == below or self._is_code(parent) or self._is_above_code(parent)
        return file if is_own or not parent.is_relative_to(below) else parent

    def _holds_tests(self, folder: PurePosixPath) -> bool:
        name = folder.name
        if self._is_above_code(folder) or (
            name == _module_name(self.project) and folder.parent in self.roots
        ):
            return False
        if name in _TEST_FOLDERS:
            return True
        named = name in _OUTSIDE_CODE or name.startswith(("tests_", "test_"))
        named = named or name.endswith(("_tests", "-tests", "_benchmarks", "-benchmarks"))
        return named and not self._is_in_package(folder.parent)

    def _is_above_code(self, folder: PurePosixPath) -> bool:
        return any(root == folder or root.is_relative_to(folder) for root in self.roots)

    def _is_code(self, folder: PurePosixPath) -> bool:
        return folder in self.roots or self._is_in_package(folder)

    def _is_in_package(self, folder: PurePosixPath) -> bool:
        """Whether the folder lies in one of the project's packages, or is one."""
        for root in self.roots:
            if folder != root and folder.is_relative_to(root):
                top = root / folder.relative_to(root).parts[0]
                return root != PurePosixPath() or (self.tree / top / "__init__.py").is_file()
        return False


def ruler_of(tests: SelectedTests, code: Code) -> list[PurePosixPath]:
    """What belongs to the tests and not to what they measure.

    Returns:
        Files and folders seen from the tree, each to be replaced as a whole (or removed, where it
        is not there): the outermost folder of tests around each test file (or the file alone, where
        it lies among the project's modules), every conftest.py from there up to pytest's root, and
        pytest's configuration.
    """
    homes = dict.fromkeys(code.home_of(f, below=tests.rootdir) for f in _test_files(tests, code))
    found = dict.fromkeys(
        [
            *homes,
            *(c for place in (*tests.places, *homes) for c in _conftests(place, tests, code)),
            *(tests.rootdir / name for name in DEDICATED_FILES),
            *([tests.config] if tests.config is not None else []),
        ]
    )
    return [path for path in found if not any(above in found for above in path.parents)]


def _conftests(place: PurePosixPath, tests: SelectedTests, code: Code) -> Iterator[PurePosixPath]:
    folders = [*([place] if (code.tree / place).is_dir() else []), *place.parents]
    return (f / "conftest.py" for f in folders if f.is_relative_to(tests.rootdir))


def _module_name(project: str) -> str:
    return project.lower().replace("-", "_").replace(".", "_")


def _test_files(tests: SelectedTests, code: Code) -> Iterator[PurePosixPath]:
    for place in tests.places:
        path = code.tree / place
        if path.is_file():
            yield place
            continue
        for folder, folders, files in os.walk(path):
            folders[:] = [f for f in folders if not f.startswith(".") and f not in _NOT_COLLECTED]
            seen_from_tree = PurePosixPath(Path(folder).relative_to(code.tree).as_posix())
            for name in _matching(files, tests.patterns):
                yield seen_from_tree / name


def _matching(names: Iterable[str], patterns: Sequence[str]) -> Iterator[str]:
    # A pattern with a folder in it is matched by its last part: more files than pytest takes.
    last = [pattern.rpartition("/")[2] for pattern in patterns]
    return (name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in last))


def copy_over(source: Path, target: Path, ruler: Sequence[PurePosixPath]) -> None:
    """Make what belongs to the tests in `target` what it is in `source`."""
    for path in ruler:
        old, new = target / path, source / path
        if old.is_symlink() or old.is_file():
            old.unlink()
        elif old.is_dir():
            shutil.rmtree(old)
        if new.is_dir() and not new.is_symlink():
            shutil.copytree(new, old, symlinks=True)
        elif new.is_symlink() or new.is_file():
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(new, old, follow_symlinks=False)
