"""A project's build files, read from one source tree."""

import ast
import configparser
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundspeed.errors import BrokenError

__all__ = ["Project", "read_project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What the build files in one folder say.

    Attributes:
        folder: The folder they are in.
        pyproject: `pyproject.toml`; empty when there is none.
        setup_cfg: `setup.cfg` as sections of texts; empty when there is none.
        setup_py: The text of `setup.py`; empty when there is none.
    """

    folder: Path
    pyproject: dict[str, Any]
    setup_cfg: dict[str, dict[str, str]]
    setup_py: str

    @property
    def is_buildable(self) -> bool:
        """Whether a build front end would find anything to build."""
        return bool("project" in self.pyproject or self._has_backend or self.setup_py)

    @property
    def _has_backend(self) -> bool:
        return "build-system" in self.pyproject

    def table(self, *keys: str) -> dict[str, Any]:
        """A table of `pyproject.toml`, such as `table("tool", "hatch")`; empty when missing."""
        value: Any = self.pyproject
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def option(self, section: str, key: str) -> str:
        """A text of `setup.cfg`; empty when missing."""
        return self.setup_cfg.get(section, {}).get(key, "")

    def setup_arguments(self) -> dict[str, ast.expr]:
        """The keyword arguments of the call of `setup(...)` in `setup.py`, unevaluated."""
        try:
            tree = ast.parse(self.setup_py)
        except (SyntaxError, ValueError):
            return {}
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_setup(node)]
        return {word.arg: word.value for call in calls for word in call.keywords if word.arg}

    def setup_literal(self, name: str) -> Any:
        """The value of one argument of `setup(...)` where it is a literal, else None."""
        argument = self.setup_arguments().get(name)
        try:
            return None if argument is None else ast.literal_eval(argument)
        except (ValueError, TypeError):
            return None

    @property
    def name(self) -> str | None:
        """The distribution's name, where it is written down."""
        places = (
            self.table("project").get("name"),
            self.table("tool", "poetry").get("name"),
            self.option("metadata", "name"),
            self.setup_literal("name"),
        )
        return next((place for place in places if place and isinstance(place, str)), None)


def read_project(folder: Path) -> Project:
    """Read the build files in `folder`; each may be missing.

    Raises:
        BrokenError: If one is there and cannot be read.
    """
    return Project(
        folder=folder,
        pyproject=_read_pyproject(folder / "pyproject.toml"),
        setup_cfg=_read_setup_cfg(folder / "setup.cfg"),
        setup_py=_read(folder / "setup.py"),
    )


def _is_setup(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "setup"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError as error:
        raise BrokenError(f"{path} cannot be read: {error}") from error


def _read_pyproject(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        raise BrokenError(f"{path.name} is not valid TOML: {error}; mend it ({path})") from error


def _read_setup_cfg(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(_read(path))
    except configparser.Error as error:
        raise BrokenError(f"setup.cfg cannot be read: {error}; mend it ({path})") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}
