"""What a project declares that it needs: to compare two versions, and to check an interpreter."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundspeed.measure.environments.project import Project

__all__ = ["Needs", "declared_needs", "dependency_inputs", "differing_inputs"]

_PROJECT_KEYS = ("dependencies", "optional-dependencies", "requires-python", "dynamic")
_OPTIONS = ("install_requires", "setup_requires", "python_requires")
_REQUIREMENT_FILE = re.compile(r"""["']([\w./-]*require[\w./-]*\.(?:txt|in))["']""")
_VERSION_NAME = re.compile(r"(?i)_*(version|release)_*(info)?_*")
_INCLUDE = re.compile(r"-(?:r|-requirement|c|-constraint)[ =]\s*(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a project needs installed to run.

    Attributes:
        requirements: Requirement lines, extras left out.
        python: The version specifier for Python itself; empty for any.
        unknown: Why `requirements` may be incomplete; None when it is not.
    """

    requirements: tuple[str, ...]
    python: str = ""
    unknown: str | None = None


def differing_inputs(base: Project, candidate: Project) -> list[str]:
    """Names of the declarations that differ between two versions, sorted."""
    before, after = dependency_inputs(base), dependency_inputs(candidate)
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def dependency_inputs(project: Project) -> dict[str, str]:
    """Everything that decides what a build of `project` installs, as comparable texts.

    A changed version number alone changes none of them.
    """
    table = project.table("project")
    found: dict[str, Any] = {f"project.{key}": table.get(key) for key in _PROJECT_KEYS}
    found["build-system"] = project.table("build-system") or None
    poetry = project.table("tool", "poetry")
    found |= {f"tool.poetry.{key}": poetry.get(key) for key in ("dependencies", "extras")}
    found["tool.setuptools.dynamic"] = _without_version(
        project.table("tool", "setuptools", "dynamic")
    )
    found |= {f"setup.cfg {key}": project.option("options", key) or None for key in _OPTIONS}
    found["setup.cfg extras_require"] = project.setup_cfg.get("options.extras_require")
    found["setup.py"] = _without_versions(project.setup_py) or None
    found |= {name: _read_lines(project.folder / name) for name in _requirement_files(project)}
    return {
        key: json.dumps(value, sort_keys=True, default=str) for key, value in found.items() if value
    }


def declared_needs(project: Project) -> Needs:
    """The requirements that `project` declares, without running any of its code."""
    for reader in (_from_project_table, _from_poetry, _from_setuptools):
        needs = reader(project)
        if needs is not None:
            return needs
    return Needs(requirements=())


def _from_project_table(project: Project) -> Needs | None:
    table = project.table("project")
    if not table:
        return None
    python = str(table.get("requires-python", ""))
    if "dependencies" not in table.get("dynamic", ()):
        return Needs(requirements=_texts(table.get("dependencies")), python=python)
    hook = project.table("tool", "hatch", "metadata", "hooks", "requirements_txt").get("files")
    files = hook or _file_of(project.table("tool", "setuptools", "dynamic").get("dependencies"))
    if files:
        lines = [line for name in files for line in _read_lines(project.folder / name)]
        return Needs(requirements=tuple(lines), python=python)
    fallback = _from_setuptools(project)
    if fallback is not None:
        return Needs(
            requirements=fallback.requirements,
            python=python or fallback.python,
            unknown=fallback.unknown,
        )
    return Needs(requirements=(), python=python, unknown="the build computes the dependencies")


def _from_poetry(project: Project) -> Needs | None:
    table = project.table("tool", "poetry", "dependencies")
    if not table:
        return None
    found = {name: _poetry_version(value) for name, value in table.items()}
    python = _poetry_specifier(found.pop("python", None) or "")
    requirements = [
        f"{name}{_poetry_specifier(version)}"
        for name, version in found.items()
        if version is not None
    ]
    return Needs(requirements=tuple(requirements), python=python)


def _from_setuptools(project: Project) -> Needs | None:
    argument = project.setup_arguments().get("install_requires")
    listed = project.option("options", "install_requires")
    if not (project.setup_py or project.setup_cfg):
        return None
    python = project.option("options", "python_requires") or project.setup_literal(
        "python_requires"
    )
    unknown = None
    lines: list[str] = []
    if listed.strip().startswith("file:"):
        names = listed.strip().removeprefix("file:").split(",")
        lines = [line for name in names for line in _read_lines(project.folder / name.strip())]
    elif listed:
        lines = [line.strip() for line in listed.splitlines() if line.strip()]
    elif argument is not None:
        literal = project.setup_literal("install_requires")
        lines = [literal] if isinstance(literal, str) else list(_texts(literal))
        unknown = None if literal is not None else "setup.py computes install_requires"
    return Needs(
        requirements=tuple(lines), python=python if isinstance(python, str) else "", unknown=unknown
    )


def _texts(value: Any) -> tuple[str, ...]:
    return (
        tuple(item for item in value if isinstance(item, str))
        if isinstance(value, list | tuple)
        else ()
    )


def _file_of(value: Any) -> list[str]:
    files = value.get("file", ()) if isinstance(value, dict) else ()
    return [files] if isinstance(files, str) else list(_texts(files))


def _requirement_files(project: Project) -> Iterator[str]:
    dynamic = project.table("tool", "setuptools", "dynamic")
    extras = dynamic.get("optional-dependencies")
    parts = [dynamic.get("dependencies"), *(extras.values() if isinstance(extras, dict) else ())]
    for part in parts:
        yield from _file_of(part)
    hook = project.table("tool", "hatch", "metadata", "hooks", "requirements_txt")
    yield from _texts(hook.get("files"))
    listed = project.option("options", "install_requires").strip()
    if listed.startswith("file:"):
        yield from (name.strip() for name in listed.removeprefix("file:").split(","))
    yield from _REQUIREMENT_FILE.findall(project.setup_py)


def _read_lines(path: Path, seen: frozenset[Path] = frozenset()) -> list[str]:
    """Requirement lines of a file and of those it includes, without comments."""
    if path in seen or not path.is_file():
        return []
    lines: list[str] = []
    for raw in path.read_text(encoding="utf-8", errors="replace").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        include = _INCLUDE.match(line)
        if include:
            lines += _read_lines(path.parent / include[1], seen | {path})
        elif line and not line.startswith("-"):
            lines.append(line.partition(" --hash")[0].rstrip("\\ "))
    return lines


def _without_version(table: Mapping[str, Any]) -> dict[str, Any] | None:
    return {key: value for key, value in table.items() if key != "version"} or None


def _without_versions(setup_py: str) -> str:
    """The program in `setup.py` without its comments and version numbers."""
    try:
        tree = ast.parse(setup_py)
    except (SyntaxError, ValueError):
        return setup_py
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [word for word in node.keywords if word.arg != "version"]
        elif isinstance(node, ast.Assign) and _names_version(node) and _is_constant(node.value):
            node.value = ast.Constant(value=None)
    return ast.dump(tree) if tree.body else ""


def _names_version(node: ast.Assign) -> bool:
    return all(isinstance(t, ast.Name) and _VERSION_NAME.fullmatch(t.id) for t in node.targets)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _poetry_version(value: Any) -> str | None:
    """The version text of a dependency; None for one that is optional or not from an index."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and not value.get("optional") and "version" in value:
        return str(value["version"])
    return None


def _poetry_specifier(version: str) -> str:
    """Poetry's `^1.2` and `~1.2` in the standard's words; the rest is standard already."""
    return ",".join(filter(None, (_poetry_clause(part.strip()) for part in version.split(","))))


def _poetry_clause(clause: str) -> str:
    release = clause[1:].strip().split(".")
    if clause in {"", "*"}:
        return ""
    if not (clause[0] in "^~" and clause[1:2] != "=" and all(map(str.isdigit, release))):
        return f"=={clause}" if clause[0].isdigit() else clause.replace(" ", "")
    numbers = [int(number) for number in release]
    if clause[0] == "^":
        kept = next((i for i, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        kept = min(1, len(numbers) - 1)
    ceiling = [*numbers[:kept], numbers[kept] + 1]
    return f">={'.'.join(release)},<{'.'.join(map(str, ceiling))}"
