"""The benchmark suite: where an `asv.conf.json` says that the benchmarks are and what they need.

Only what bears on a comparison is taken; what asv would do otherwise is told in `notes`.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import json5

from groundspeed.errors import UsageError
from groundspeed.measure.repository import Repository

__all__ = ["CONFIG_NAMES", "SuiteConfig", "find_suite"]

CONFIG_NAMES = ("asv.conf.json", "asv.conf.jsonc")

_MATRIX_KINDS = frozenset({"req", "env", "env_nobuild"})
_LONGEST_S = 7 * 24 * 3600.0
_CONDA = ("conda", "mamba", "rattler")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """What an `asv.conf.json` says about measuring.

    Attributes:
        path: The file itself.
        project: The project's name.
        benchmark_dir: The folder of the benchmark files.
        project_dir: The folder of the project's build files: the root, or `repo_subdir` below it.
        requirements: What the benchmarks need installed beside the project, as pip takes it.
        environment: Variables to set while building and measuring.
        output_dirs: Folders asv writes to; changes there do not make a working tree dirty.
        results_dir: Where asv keeps its results; one of `output_dirs`.
        default_timeout_s: How long one benchmark may take, unless it says otherwise.
        install_timeout_s: How long building an environment may take.
        notes: What the file asks for and does not get, a sentence each.
        build_notes: The same of building, which matters only where wheels are built.
    """

    path: Path
    project: str
    benchmark_dir: Path
    project_dir: Path
    requirements: tuple[str, ...] = ()
    environment: Mapping[str, str]
    output_dirs: tuple[Path, ...]
    results_dir: Path
    default_timeout_s: float = 60.0
    install_timeout_s: float = 600.0
    notes: tuple[str, ...] = ()
    build_notes: tuple[str, ...] = ()


def find_suite(start: Path, repository: Repository, *, config: Path | None = None) -> SuiteConfig:
    """The suite that serves `start`: the nearest `asv.conf.json` from there up to the root.

    Args:
        start: Where the command was typed.
        repository: The repository that holds it.
        config: The file to read instead, or its folder; seen from `start`.

    Raises:
        UsageError: If there is no such file, it cannot be read, or it describes another
            repository or a folder that is not there.
    """
    path = _search(start, repository) if config is None else _chosen(start / config)
    return _Reader(path=path, repository=repository, settings=_load(path)).suite()


def _search(start: Path, repository: Repository) -> Path:
    here = _normal(start)
    for folder in (here, *here.parents):
        found = _in_folder(folder)
        if found:
            return found
        if folder in (repository.root, repository.root.resolve()):
            break
    raise UsageError(_none_found(here, repository))


def _chosen(path: Path) -> Path:
    if path.is_file():
        return _normal(path)
    found = _in_folder(path)
    if found is None:
        raise UsageError(f"--config {path}: there is no such file; give an asv.conf.json")
    return _normal(found)


def _normal(path: Path) -> Path:
    """`path` made absolute, without `..`; links stay, so that messages show what the user typed."""
    return Path(os.path.normpath(path.absolute()))


def _in_folder(folder: Path) -> Path | None:
    return next((folder / name for name in CONFIG_NAMES if (folder / name).is_file()), None)


def _none_found(here: Path, repository: Repository) -> str:
    patterns = [f":(top,glob)**/{name}" for name in CONFIG_NAMES]
    known = repository.git.names(
        "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--full-name", *patterns
    )
    known = [name for name in known if (repository.root / name).is_file()]
    if known:
        choices = "\n".join(
            f"  groundspeed check --config {os.path.relpath(repository.root / name, here)}"
            for name in sorted(known)
        )
        return f"no asv.conf.json from {here} up to {repository.root}; one of these?\n{choices}"
    return (
        f"no asv.conf.json from {here} up to {repository.root}, so groundspeed does not know "
        "where the benchmarks are; begin with a file asv.conf.json in the root that holds\n"
        f'  {{"version": 1, "project": "{repository.root.name}", "repo": ".", '
        '"benchmark_dir": "benchmarks"}\n'
        "and functions named time_... in benchmarks/*.py"
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}; it must be UTF-8 JSON") from error
    settings = _parse(path, text)
    if not isinstance(settings, dict):
        raise UsageError(f"{path} holds a {type(settings).__name__}, not an object {{...}}")
    return settings


def _parse(path: Path, text: str) -> Any:
    try:
        # json5 is some hundred times slower and only needed for comments and trailing commas.
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(text)
        return json5.loads(text)
    except ValueError as error:
        place = re.fullmatch(r"\S+?:(\d+) (.*) at column (\d+)", str(error), re.DOTALL)
        seen = "line {0}, column {2}: {1}".format(*place.groups()) if place else str(error)
        raise UsageError(f"{path} is not valid JSON: {seen}; mend it and try again") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply to be an asv.conf.json") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """The settings of one file, read with their types checked."""

    path: Path
    repository: Repository
    settings: dict[str, Any]

    def suite(self) -> SuiteConfig:
        self._check_repository()
        requirements, requirement_notes = self._requirements()
        environment, environment_notes = self._environment()
        results_dir = self._folder("results_dir", "results")
        return SuiteConfig(
            path=self.path,
            project=self._text("project", self.repository.root.name),
            benchmark_dir=self._benchmark_dir(),
            project_dir=self._project_dir(),
            requirements=requirements,
            environment=environment,
            output_dirs=(results_dir, *self._named_output_dirs()),
            results_dir=results_dir,
            default_timeout_s=self._seconds("default_benchmark_timeout", 60.0),
            install_timeout_s=self._seconds("install_timeout", 600.0),
            notes=(*requirement_notes, *environment_notes, *self._other_notes()),
            build_notes=tuple(self._build_notes()),
        )

    def _wrong(self, key: str, need: str) -> UsageError:
        return UsageError(f'{self.path}: "{key}" is {self.settings.get(key)!r}; it must be {need}')

    def _text(self, key: str, default: str) -> str:
        value = self.settings.get(key, default)
        if not isinstance(value, str) or not _is_plain(value):
            raise self._wrong(key, "a text")
        return value

    def _seconds(self, key: str, default: float) -> float:
        value = self.settings.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number of seconds")
        if not 0 < value <= _LONGEST_S:
            raise self._wrong(key, f"above 0 and at most {_LONGEST_S:.0f} seconds")
        return float(value)

    def _folder(self, key: str, default: str) -> Path:
        return _normal(self.path.parent / self._text(key, default))

    def _named_output_dirs(self) -> Iterator[Path]:
        # Only where they are named: env/ may well be somebody's source.
        for key in ("html_dir", "env_dir"):
            if key in self.settings:
                yield self._folder(key, "")

    def _benchmark_dir(self) -> Path:
        folder = self._folder("benchmark_dir", "benchmarks")
        if self.repository.relative(folder) is None:
            raise self._wrong("benchmark_dir", f"a folder inside {self.repository.root}")
        if not folder.is_dir():
            raise UsageError(
                f"{self.path} names the benchmark folder {folder}, but there is no such folder; "
                'create it with benchmarks in it, or mend "benchmark_dir"'
            )
        return folder

    def _project_dir(self) -> Path:
        folder = self.repository.root / self._text("repo_subdir", "")
        if self.repository.relative(folder) is None or not folder.is_dir():
            raise self._wrong("repo_subdir", f"a folder inside {self.repository.root}")
        return _normal(folder)

    def _check_repository(self) -> None:
        repo = self._text("repo", ".")
        if _is_url(repo):
            if _url_key(repo) in self._remotes():
                return
            raise self._wrong(
                "repo",
                f"this repository ({self.repository.root}) or the URL of one of its remotes: "
                f"groundspeed compares the commits that are here; set it to "
                f'"{os.path.relpath(self.repository.root, self.path.parent)}"',
            )
        place = _normal(self.path.parent / repo)
        if self.repository.relative(place) is None:
            raise self._wrong(
                "repo",
                f"inside this repository ({self.repository.root}); run groundspeed in {place}, "
                "or set it to where the project is",
            )

    def _remotes(self) -> set[str]:
        told = self.repository.git.ask("config", "--get-regexp", r"^remote\..*\.url$") or ""
        return {_url_key(line.partition(" ")[2]) for line in told.splitlines()}

    def _matrix(self, kind: str) -> dict[str, Any]:
        matrix = self.settings.get("matrix", {})
        if not isinstance(matrix, dict):
            raise self._wrong("matrix", "an object")
        # Before asv 0.5 the matrix held the requirements directly.
        if not set(matrix) <= _MATRIX_KINDS:
            matrix = {"req": matrix}
        part = matrix.get(kind, {})
        if not isinstance(part, dict):
            raise self._wrong("matrix", f"an object whose {kind!r} is an object")
        if not all(name and "=" not in name and _is_plain(f"{name}{part[name]}") for name in part):
            raise self._wrong("matrix", f"an object whose {kind!r} has plain names and values")
        return part

    def _requirements(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        values = self._matrix("req")
        chosen = {name: _first(value) for name, value in values.items()}
        requirements = [_requirement(n, v) for n, v in chosen.items() if v is not None]
        notes = list(_several("matrix.req", values))
        conda = [name for name in chosen if not name.startswith("pip+")]
        if conda and self.settings.get("environment_type") in _CONDA:
            notes.append(f"{', '.join(conda)}: conda packages; pip installs them by these names")
        return tuple(requirements), tuple(notes)

    def _environment(self) -> tuple[dict[str, str], tuple[str, ...]]:
        values = self._matrix("env") | self._matrix("env_nobuild")
        chosen = {name: _first(value) for name, value in values.items()}
        kept = {name: value for name, value in chosen.items() if value is not None}
        return kept, tuple(_several("matrix.env", values))

    def _build_notes(self) -> Iterator[str]:
        for key in ("build_command", "install_command"):
            if self.settings.get(key):
                yield f"{key} is not followed; pip builds the project"

    def _other_notes(self) -> Iterator[str]:
        for key in ("include", "exclude"):
            if self.settings.get(key):
                yield f"{key} is not followed; one environment is measured"
        if self.settings.get("conda_environment_file"):
            yield "conda_environment_file is not followed; list what is needed in matrix.req"
        pythons = self.settings.get("pythons")
        running = f"{sys.version_info.major}.{sys.version_info.minor}"
        if isinstance(pythons, list) and pythons and running not in pythons:
            listed = ", ".join(map(str, pythons))
            yield f"pythons lists {listed}; the Python that runs groundspeed measures: {running}"


def _is_plain(text: str) -> bool:
    """Whether the system takes `text` as a name or a value: no NUL, no half of a character."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


def _first(value: Any) -> str | None:
    """The value asv would try first; None means: leave this one out."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if value else ""
    return None if value is None else str(value)


def _several(where: str, values: Mapping[str, Any]) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 1:
            others = len(value) - 1
            yield f"{where}: {name} is measured with {value[0]!r} only, not with {others} more"


def _requirement(name: str, version: str) -> str:
    name = name.removeprefix("pip+")
    if not version:
        return name
    return f"{name}{version}" if version[0] in "<>=!~@ " else f"{name}=={version}"


def _is_url(repo: str) -> bool:
    return "://" in repo or re.match(r"[\w.-]+@[\w.-]+:", repo) is not None


def _url_key(url: str) -> str:
    """A URL without what differs between the ways to write it: scheme, user, `.git`."""
    bare = re.sub(r"^\w[\w+.-]*://", "", url).rpartition("@")[2]
    return bare.replace(":", "/").rstrip("/").removesuffix(".git").lower()
