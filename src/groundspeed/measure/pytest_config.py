"""How pytest would be set up for a command: its root, its configuration file, what it collects.

The rules are pytest's own (its reference, "Initialization: determining rootdir and configfile"),
followed without importing it: the Python that runs groundspeed need not have it. Nothing above the
repository is looked at.
"""

import configparser
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundspeed.errors import UsageError

__all__ = ["DEDICATED_FILES", "PytestConfig", "find_config", "paths_of"]

DEDICATED_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
_CONFIG_FILES = (*DEDICATED_FILES, "pyproject.toml", "tox.ini", "setup.cfg")

# Options whose value is the next argument, so that it is no path to collect.
_WITH_VALUE_TEXT = (
    "-c -k -m -n -o -p -r -W --assert --basetemp --capture --color --confcutdir --config-file "
    "--deselect --dist --durations --durations-min --ignore --ignore-glob --import-mode "
    "--junit-prefix --junit-xml --junitxml --log-cli-level --log-file --log-level --maxfail "
    "--override-ini --pythonwarnings --rootdir --show-capture --tb --timeout --verbosity "
    "--benchmark-calibration-precision --benchmark-columns --benchmark-compare-fail "
    "--benchmark-group-by --benchmark-max-time --benchmark-min-rounds --benchmark-min-time "
    "--benchmark-name --benchmark-save --benchmark-sort --benchmark-storage --benchmark-timer "
    "--benchmark-warmup-iterations"
)
_WITH_VALUE = frozenset(_WITH_VALUE_TEXT.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class PytestConfig:
    """What pytest would find.

    Attributes:
        rootdir: Its root.
        file: Its configuration file; None without one.
        places: Files and folders to collect; each is there.
        patterns: What names the files with tests in them have.
    """

    rootdir: Path
    file: Path | None
    places: tuple[Path, ...]
    patterns: tuple[str, ...]


def find_config(start: Path, root: Path, arguments: Sequence[str]) -> PytestConfig:
    """What pytest would find when it is run in `start` with `arguments`.

    Args:
        start: Where it is run, inside `root`.
        root: The repository's root; a configuration above it counts as none.
        arguments: Of the command line.

    Raises:
        UsageError: If a configuration file cannot be read.
    """
    named = [start / path for path in paths_of(arguments)]
    places = [_normal(path) for path in named if path.exists()]
    rootdir, file = _stated(start, arguments, _located(start, root, places))
    settings = (_settings(file) if file is not None else None) or {}
    if not named:
        # As pytest does: testpaths count only where it is run in its root.
        testpaths = _list(settings.get("testpaths")) if start == rootdir else []
        places = [_normal(p) for pattern in testpaths for p in _matching(rootdir, pattern)]
        places = places or [start]
    return PytestConfig(
        rootdir=rootdir,
        file=file,
        places=tuple(dict.fromkeys(places)),
        patterns=tuple(_list(settings.get("python_files")) or ["test_*.py", "*_test.py"]),
    )


def paths_of(arguments: Sequence[str]) -> list[str]:
    """The files and folders among pytest's arguments, without `::test`."""
    found, is_value, only_paths = [], False, False
    for argument in arguments:
        if is_value:
            is_value = False
        elif argument == "--":
            only_paths = True
        elif only_paths or not argument.startswith("-"):
            found.append(argument.partition("::")[0])
        else:
            is_value = argument in _WITH_VALUE
    return [path for path in found if path]


def _stated(
    start: Path, arguments: Sequence[str], located: tuple[Path, Path | None]
) -> tuple[Path, Path | None]:
    """What `-c` and `--rootdir` say, and where they say nothing what was located."""
    file = _value(arguments, "-c", "--config-file")
    rootdir = _value(arguments, "--rootdir")
    path = _normal(start / file) if file else located[1]
    if rootdir:
        return _normal(start / rootdir), path
    return (path.parent, path) if file and path is not None and path.is_file() else located


def _value(arguments: Sequence[str], *names: str) -> str | None:
    found = None
    for position, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names:
            following = arguments[position + 1 : position + 2]
            found = value if equals else (following[0] if following else None)
    return found


def _located(start: Path, root: Path, places: Sequence[Path]) -> tuple[Path, Path | None]:
    folders = [place if place.is_dir() else place.parent for place in places]
    ancestor = Path(os.path.commonpath(folders)) if folders else start
    setup = next((f for f in _upwards(ancestor, root) if (f / "setup.py").is_file()), None)
    found = _search([ancestor], root)
    if found is None and setup is None:
        found = _search(folders, root)
    if found is not None:
        return found.parent, found
    return setup or Path(os.path.commonpath([start, ancestor])), None


def _search(folders: Sequence[Path], root: Path) -> Path | None:
    """The nearest file that configures pytest; without one, the nearest pyproject.toml."""
    above = [upper for folder in folders for upper in _upwards(folder, root)]
    configured = (file for folder in above if (file := _config_in(folder)) is not None)
    bare = (folder / "pyproject.toml" for folder in above)
    return next(configured, None) or next((file for file in bare if file.is_file()), None)


def _config_in(folder: Path) -> Path | None:
    candidates = (folder / name for name in _CONFIG_FILES)
    return next((p for p in candidates if p.is_file() and _settings(p) is not None), None)


def _upwards(folder: Path, root: Path) -> Iterator[Path]:
    for above in (folder, *folder.parents):
        yield above
        if above in (root, root.resolve()):
            return


def _settings(file: Path) -> Mapping[str, Any] | None:
    """What the file says about pytest; None if it does not mean to."""
    try:
        if file.suffix == ".toml":
            return _toml_settings(file)
        return _ini_settings(file)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, configparser.Error) as error:
        raise UsageError(f"{file} cannot be read: {error}; mend it and try again") from error


def _toml_settings(file: Path) -> Mapping[str, Any] | None:
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    if file.name in DEDICATED_FILES:
        return _table(document, "pytest") or {}
    tool = _table(_table(document, "tool"), "pytest")
    return _table(tool, "ini_options") or tool or _table(document, "pytest") or None


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _ini_settings(file: Path) -> Mapping[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(file.read_text(encoding="utf-8"))
    section = "tool:pytest" if file.suffix == ".cfg" else "pytest"
    if parser.has_section(section):
        return dict(parser.items(section))
    return {} if file.name in DEDICATED_FILES else None


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _matching(rootdir: Path, pattern: str) -> list[Path]:
    if (rootdir / pattern).exists():
        return [rootdir / pattern]
    try:
        return sorted(rootdir.glob(pattern))
    except (ValueError, NotImplementedError):  # an absolute pattern
        return []


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))
