"""Where a project's packages lie in its source tree, so that they import without installation."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from groundspeed.measure.environments.project import Project

__all__ = ["Layout", "import_layout"]

_SETUP_PACKAGE_DIR = re.compile(r"""package_dir\s*=\s*\{\s*(["'])\1\s*:\s*["']([^"']+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The folders to import from, seen from the project's folder.

    Attributes:
        paths: Relative folders, never empty; `.` is the project's folder itself.
        problem: Why importing from them is not what an installation gives; None if it is.
    """

    paths: tuple[str, ...]
    problem: str | None = None


def import_layout(project: Project) -> Layout:
    """Where `project` says its packages are, else where they usually are."""
    readers: tuple[Callable[[Project], Layout | None], ...] = (
        _hatch,
        _setuptools,
        _poetry,
        _pdm,
        _uv,
    )
    told = (reader(project) for reader in readers)
    return next((layout for layout in told if layout is not None), _usual(project.folder))


def _usual(folder: Path) -> Layout:
    return Layout(paths=("src",) if _holds_packages(folder / "src") else (".",))


def _holds_packages(source: Path) -> bool:
    # A package that is itself called src has an __init__.py of its own.
    if not source.is_dir() or (source / "__init__.py").exists():
        return False
    return any(source.glob("*.py")) or any(source.glob("*/**/*.py"))


def _layout(paths: Iterable[str]) -> Layout | None:
    unique = dict.fromkeys(str(PurePosixPath(path)) for path in paths)
    return Layout(paths=tuple(unique)) if unique else None


def _problem(text: str) -> Layout:
    return Layout(paths=(".",), problem=text)


def _hatch(project: Project) -> Layout | None:
    build = project.table("tool", "hatch", "build")
    wheel = build | project.table("tool", "hatch", "build", "targets", "wheel")
    if wheel.get("force-include"):
        return _problem("hatch's force-include moves files while building")
    sources = wheel.get("sources", ())
    if isinstance(sources, dict):
        if any(sources.values()):
            return _problem("hatch's sources renames folders while building")
        sources = list(sources)
    packages = [str(PurePosixPath(path).parent) for path in _texts(wheel.get("packages"))]
    return _layout([*packages, *_texts(sources)])


def _setuptools(project: Project) -> Layout | None:
    table = project.table("tool", "setuptools")
    renamed = table.get("package-dir") or _setup_cfg_package_dir(project)
    if isinstance(renamed, dict) and renamed:
        return _package_dir(renamed)
    find = project.table("tool", "setuptools", "packages", "find").get("where")
    where = _texts([find] if isinstance(find, str) else find)
    where = where or project.option("options.packages.find", "where").split()
    told = _SETUP_PACKAGE_DIR.search(project.setup_py)
    return _layout(where or ([told[2]] if told else ()))


def _setup_cfg_package_dir(project: Project) -> dict[str, str]:
    lines = project.option("options", "package_dir").replace(",", "\n").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): path.strip() for name, _, path in pairs}


def _package_dir(renamed: dict[str, Any]) -> Layout:
    paths: list[str] = []
    for package, path in renamed.items():
        folder = PurePosixPath(str(path))
        parts = package.split(".") if package else []
        if tuple(parts) != folder.parts[len(folder.parts) - len(parts) :]:
            return _problem("setuptools' package-dir renames packages while building")
        paths.append(str(PurePosixPath(*folder.parts[: len(folder.parts) - len(parts)])))
    return Layout(paths=tuple(dict.fromkeys(paths)))


def _poetry(project: Project) -> Layout | None:
    packages = project.table("tool", "poetry").get("packages")
    entries = [entry for entry in packages if isinstance(entry, dict)] if packages else []
    if any(entry.get("to") for entry in entries):
        return _problem("poetry's packages move files while building")
    return _layout(str(entry.get("from", ".")) for entry in entries)


def _pdm(project: Project) -> Layout | None:
    folder = project.table("tool", "pdm", "build").get("package-dir")
    return _layout([folder]) if isinstance(folder, str) else None


def _uv(project: Project) -> Layout | None:
    root = project.table("tool", "uv", "build-backend").get("module-root")
    return _layout([root or "."]) if isinstance(root, str) else None


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
