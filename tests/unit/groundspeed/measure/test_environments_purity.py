from pathlib import Path

import pytest

from groundspeed.measure.environments.layout import Layout
from groundspeed.measure.environments.project import Project, read_project
from groundspeed.measure.environments.purity import (
    build_steps,
    compiled_parts,
    generated_files,
    reads_own_metadata,
)

SRC, ROOT = Layout(paths=("src",)), Layout(paths=(".",))


def read(folder: Path, pyproject: str = "", setup_py: str = "") -> Project:
    """A project with these build files."""
    (folder / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    (folder / "setup.py").write_text(setup_py, encoding="utf-8")
    return read_project(folder)


@pytest.mark.parametrize(
    ("layout", "name", "compiled"),
    [
        (SRC, "src/toy/fast.pyx", True),
        (SRC, "src/toy/fast.PYX.in", True),
        (SRC, "src/fast.c", True),
        (SRC, "src/toy/lib.rs", True),
        (SRC, "src/toy/solve.f90", True),
        (SRC, "tests/example.c", False),
        (SRC, "docs/example.c", False),
        (SRC, "src/toy/slow.py", False),
        (SRC, "src/toy/data.json", False),
        (ROOT, "toy/fast.cpp", True),
        (ROOT, "fast.c", True),
        (ROOT, "examples/fast.c", False),
    ],
)
def test_sources_for_a_compiler_count_inside_packages(
    tmp_path: Path, layout: Layout, name: str, *, compiled: bool
) -> None:
    """A compiled language's file in a package needs a build; beside packages it does not."""
    files = ["toy/__init__.py", "src/toy/__init__.py", name]
    assert bool(list(compiled_parts(read(tmp_path), layout, files))) is compiled


@pytest.mark.parametrize(
    ("pyproject", "setup_py"),
    [
        ("[build-system]\nrequires = ['Cython>=3']", ""),
        ("[build-system]\nrequires = ['meson_python']", ""),
        ("[build-system]\nrequires = ['maturin>=1,<2']", ""),
        ("[build-system]\nrequires = ['scikit-build-core[pyproject]']", ""),
        ("[build-system]\nrequires = ['numpy ; python_version > \"3\"']", ""),
        ("[[tool.setuptools.ext-modules]]\nname = 'x'", ""),
        ("", "setup(ext_modules=modules)"),
        ("", "from Cython.Build import cythonize"),
        ("", "setup(cffi_modules=['build.py:ffi'])"),
        ("", "modules = [Extension ('x', ['x.c'])]"),
        ("", "from mypyc.build import mypycify"),
    ],
)
def test_build_files_betray_a_compiler(tmp_path: Path, pyproject: str, setup_py: str) -> None:
    """Build requirements and setup.py show a compiled project without its files."""
    assert list(compiled_parts(read(tmp_path, pyproject, setup_py), SRC, []))


@pytest.mark.parametrize(
    ("pyproject", "setup_py"),
    [
        ("[build-system]\nrequires = ['hatchling']", ""),
        ("[build-system]\nrequires = ['setuptools>=64', 'setuptools-scm', 'wheel']", ""),
        ("", "from setuptools import setup\nsetup(name='extension_of_something')"),
        ("", "import versioneer\nfrom setuptools import setup\nsetup(cmdclass=versioneer.get())"),
        ("[tool.hatch.build.hooks.vcs]\nversion-file = 'src/toy/_version.py'", ""),
    ],
)
def test_a_pure_build_has_no_step_and_no_compiler(
    tmp_path: Path, pyproject: str, setup_py: str
) -> None:
    """Common pure builds, version tools among them, raise no doubt."""
    project = read(tmp_path, pyproject, setup_py)
    assert list(compiled_parts(project, SRC, ["src/toy/__init__.py"])) == []
    assert list(build_steps(project)) == []


@pytest.mark.parametrize(
    ("pyproject", "setup_py"),
    [
        ("[tool.hatch.build.hooks.custom]", ""),
        ("[tool.hatch.build.targets.wheel.hooks.jupyter-builder]", ""),
        ("[tool.poetry.build]\nscript = 'build.py'", ""),
        ("[tool.poetry]\nbuild = 'build.py'", ""),
        ("[tool.pdm.build]\nrun-setuptools = true", ""),
        ("", "from setuptools import setup\nsetup(cmdclass={'build_py': Generate})"),
    ],
)
def test_steps_that_may_generate_files_are_told(
    tmp_path: Path, pyproject: str, setup_py: str
) -> None:
    """A build that runs code of its own is not taken for a copy."""
    assert list(build_steps(read(tmp_path, pyproject, setup_py)))


@pytest.mark.parametrize(
    ("pyproject", "setup_py"),
    [
        ("[tool.hatch.build.hooks.vcs]\nversion-file = 'toy/_v.py'", ""),
        ("[tool.hatch.build.targets.wheel.hooks.vcs]\nversion-file = 'toy/_v.py'", ""),
        ("[tool.setuptools_scm]\nwrite_to = 'toy/_v.py'", ""),
        ("[tool.setuptools_scm]\nversion_file = 'toy/_v.py'", ""),
        ("[tool.pdm.version]\nwrite_to = 'toy/_v.py'", ""),
        ("[tool.versioningit.write]\nfile = 'toy/_v.py'", ""),
        ("", "setup(use_scm_version={'write_to': 'toy/_v.py'})"),
        ("", 'setup(use_scm_version=dict(version_file = "toy/_v.py"))'),
    ],
)
def test_generated_version_files_are_known(tmp_path: Path, pyproject: str, setup_py: str) -> None:
    """Each tool's setting names the file that a build would write."""
    assert generated_files(read(tmp_path, pyproject, setup_py)) == ["toy/_v.py"]


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("from importlib.metadata import version", True),
        ("import importlib.metadata as m", True),
        ("from importlib import metadata", True),
        ("import importlib_metadata", True),
        ("import pkg_resources", True),
        ("metadata = {}\nimport importlib", False),
    ],
)
def test_use_of_installed_metadata_is_seen(tmp_path: Path, source: str, *, reads: bool) -> None:
    """A package that asks for its own version needs to be installed."""
    (tmp_path / "src" / "toy").mkdir(parents=True)
    (tmp_path / "src" / "toy" / "__init__.py").write_text(source, encoding="utf-8")
    found = reads_own_metadata(
        read(tmp_path), SRC, ["src/toy/__init__.py", "src/toy/deleted.py", "setup.py"]
    )
    assert found == ("src/toy/__init__.py" if reads else None)
