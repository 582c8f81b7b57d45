"""Whether a source tree imports as it is, or needs a build first."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from groundspeed.measure.environments.layout import Layout
from groundspeed.measure.environments.project import Project

__all__ = ["build_steps", "compiled_parts", "generated_files", "reads_own_metadata"]

_COMPILED_SUFFIXES = frozenset(
    {
        ".c",
        ".cc",
        ".cpp",
        ".cu",
        ".cxx",
        ".f",
        ".f03",
        ".f08",
        ".f77",
        ".f90",
        ".f95",
        ".for",
        ".pxd",
        ".pxi",
        ".pyx",
        ".rs",
    }
)
_COMPILERS = frozenset(
    {
        "cffi",
        "cython",
        "hatch-cython",
        "hatch-mypyc",
        "maturin",
        "meson-python",
        "mypy",
        "mypyc",
        "nanobind",
        "numpy",
        "py-build-cmake",
        "pybind11",
        "pythran",
        "scikit-build",
        "scikit-build-core",
        "setuptools-rust",
        "sip",
    }
)
_EXTENSIONS = re.compile(
    r"\b(ext_modules|ext-modules|cythonize|cffi_modules|rust_extensions|mypycify)\b"
    r"|\b(Extension|RustExtension|CMakeExtension)\s*\("
)
_WRITTEN = re.compile(r"""["']?(?:write_to|version_file)["']?\s*[:=]\s*["']([^"']+)["']""")
_METADATA = re.compile(
    r"\bimportlib[._]metadata\b|\bfrom importlib import metadata\b|\bpkg_resources\b"
)
_HOOKS_THAT_WRITE_A_VERSION = frozenset({"vcs", "version"})


def compiled_parts(project: Project, layout: Layout, files: Iterable[str]) -> Iterator[str]:
    """What shows that `project` holds code that a compiler must turn into modules.

    Args:
        project: Its build files.
        layout: Where its packages are.
        files: Names of its tracked files, seen from the project's folder.
    """
    requires = project.table("build-system").get("requires", ())
    for requirement in requires if isinstance(requires, list) else ():
        name = re.split(r"[^\w.-]", str(requirement).strip(), maxsplit=1)[0]
        if re.sub(r"[-_.]+", "-", name).lower() in _COMPILERS:
            yield f"{name} is among the build requirements"
    told = _EXTENSIONS.search(project.setup_py)
    if told:
        yield f"setup.py has {told[0].rstrip('( ')}"
    if project.table("tool", "setuptools").get("ext-modules"):
        yield "pyproject.toml has ext-modules"
    source = next(
        (n for n in _package_files(layout, files) if _suffix(n) in _COMPILED_SUFFIXES), None
    )
    if source:
        yield f"{source} needs a compiler"


def build_steps(project: Project) -> Iterator[str]:
    """Steps of the build that may make or change files in a way that cannot be known here."""
    for hook in _hatch_hooks(project):
        if hook not in _HOOKS_THAT_WRITE_A_VERSION:
            yield f"the hatch build hook {hook!r} may generate files"
    poetry = project.table("tool", "poetry").get("build")
    if poetry:
        yield "poetry runs a build script"
    if project.table("tool", "pdm", "build").get("run-setuptools"):
        yield "pdm runs setuptools"
    if "cmdclass" in project.setup_arguments() and "versioneer" not in project.setup_py:
        yield "setup.py replaces build commands (cmdclass)"


def generated_files(project: Project) -> list[str]:
    """Names of version files that the build writes, seen from the project's folder."""
    hatch = ("tool", "hatch", "build")
    hooks = ((*hatch, "hooks"), (*hatch, "targets", "wheel", "hooks"))
    told = [
        *(project.table(*hook, "vcs").get("version-file") for hook in hooks),
        *(project.table(*hook, "version").get("path") for hook in hooks),
        project.table("tool", "setuptools_scm").get("write_to"),
        project.table("tool", "setuptools_scm").get("version_file"),
        project.table("tool", "pdm", "version").get("write_to"),
        project.table("tool", "versioningit", "write").get("file"),
        *_WRITTEN.findall(project.setup_py),
    ]
    return [name for name in dict.fromkeys(told) if isinstance(name, str)]


def reads_own_metadata(project: Project, layout: Layout, files: Iterable[str]) -> str | None:
    """The first package file that asks for installed distributions' metadata, or None."""
    for name in _package_files(layout, files):
        if name.endswith(".py") and _METADATA.search(_text(project.folder / name)):
            return name
    return None


def _hatch_hooks(project: Project) -> list[str]:
    build = project.table("tool", "hatch", "build", "hooks")
    wheel = project.table("tool", "hatch", "build", "targets", "wheel", "hooks")
    return sorted(build.keys() | wheel.keys())


def _package_files(layout: Layout, files: Iterable[str]) -> Iterator[str]:
    """Those of `files` that lie in a package; beside packages lie docs, tests and tools."""
    known = list(files)
    packages = {str(PurePosixPath(name).parent) for name in known if name.endswith("/__init__.py")}
    for name in known:
        for root in layout.paths:
            inside = PurePosixPath(name)
            if root != "." and not inside.is_relative_to(root):
                continue
            parts = inside.relative_to(root).parts
            if root != "." or len(parts) == 1 or parts[0] in packages:
                yield name
                break


def _suffix(name: str) -> str:
    return PurePosixPath(name.removesuffix(".in")).suffix.lower()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
