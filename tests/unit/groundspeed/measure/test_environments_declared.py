from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from groundspeed.errors import BrokenError
from groundspeed.measure.environments.declared import (
    Needs,
    declared_needs,
    dependency_inputs,
    differing_inputs,
)
from groundspeed.measure.environments.project import Project, read_project


def build_files(folder: Path, **files: str) -> Project:
    """A project with these build files; `__` in a name stands for the dot before its suffix."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return read_project(folder)


_POETRY = "[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\n"


@pytest.mark.parametrize(
    ("files", "requirements"),
    [
        ({"pyproject__toml": "[project]\ndependencies = ['a>=1', 'b']"}, ("a>=1", "b")),
        ({"pyproject__toml": "[project]\nname = 'x'"}, ()),
        (
            {
                "pyproject__toml": "[project]\ndynamic = ['dependencies']\n"
                "[tool.setuptools.dynamic]\ndependencies = {file = 'needs.txt'}",
                "needs__txt": "# why\na>=1 # here\n\n-r more.txt\n--index-url x\n",
                "more__txt": "b ; python_version > '3'\n-r needs.txt\n",
            },
            ("a>=1", "b ; python_version > '3'"),
        ),
        (
            {
                "pyproject__toml": "[project]\ndynamic = ['dependencies']\n"
                "[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ['needs.txt']",
                "needs__txt": "a",
            },
            ("a",),
        ),
        ({"setup__cfg": "[options]\ninstall_requires =\n  a>=1\n  b\n"}, ("a>=1", "b")),
        (
            {"setup__cfg": "[options]\ninstall_requires = file: needs.txt", "needs__txt": "a\n"},
            ("a",),
        ),
        ({"setup__py": "from setuptools import setup\nsetup(install_requires=['a'])"}, ("a",)),
        ({"setup__py": "import setuptools\nsetuptools.setup(install_requires='a')"}, ("a",)),
        ({"setup__py": "from setuptools import setup\nsetup()"}, ()),
        (
            {"pyproject__toml": _POETRY + "python = '^3.11'\na = '^1.2'\nb = '*'"},
            ("a>=1.2,<2", "b"),
        ),
        (
            {"pyproject__toml": _POETRY + "a = {version = '~1.2', extras = ['e']}\n"
             "b = {version = '1', optional = true}\nc = {git = 'x'}\nd = '>=1, <3'\ne = '2.0'"},
            ("a>=1.2,<1.3", "d>=1,<3", "e==2.0"),
        ),
        ({}, ()),
    ],
)  # fmt: skip
def test_needs_are_read_wherever_they_are_declared(
    tmp_path: Path, files: dict[str, str], requirements: tuple[str, ...]
) -> None:
    """Each way to declare dependencies gives the same kind of requirement lines."""
    needs = declared_needs(build_files(tmp_path, **files))
    assert (needs.requirements, needs.unknown) == (requirements, None)


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject__toml": "[project]\ndynamic = ['dependencies']"},
        {"setup__py": "from setuptools import setup\nsetup(install_requires=read())"},
        {
            "pyproject__toml": "[project]\ndynamic = ['dependencies']",
            "setup__py": "from setuptools import setup\nsetup(install_requires=read())",
        },
    ],
)
def test_needs_that_are_computed_are_not_guessed(tmp_path: Path, files: dict[str, str]) -> None:
    """Where the build computes dependencies, that they are unknown is said."""
    assert declared_needs(build_files(tmp_path, **files)).unknown


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject__toml": "[project]\nrequires-python = '>=3.11'"},
        {"setup__cfg": "[options]\npython_requires = >=3.11"},
        {"setup__py": "from setuptools import setup\nsetup(python_requires='>=3.11')"},
    ],
)
def test_the_needed_python_is_read(tmp_path: Path, files: dict[str, str]) -> None:
    """Each way to declare the Python version is understood."""
    assert declared_needs(build_files(tmp_path, **files)) == Needs(requirements=(), python=">=3.11")


@given(numbers=st.lists(st.integers(0, 30), min_size=1, max_size=3), mark=st.sampled_from("^~"))
def test_a_poetry_range_holds_its_floor_and_ends_below_the_next(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], mark: str
) -> None:
    """^ and ~ admit the version they name and its later parts, and not the next major one."""
    version = ".".join(map(str, numbers))
    folder = tmp_path_factory.getbasetemp() / "poetry"
    project = build_files(folder, pyproject__toml=f"{_POETRY}a = '{mark}{version}'")
    (line,) = declared_needs(project).requirements
    specifier = Requirement(line).specifier
    assert specifier.contains(version)
    assert specifier.contains(f"{version}.0.0.1")
    assert not specifier.contains(f"{numbers[0] + 1}.0")


_SETUP = "from setuptools import setup\n{0}\nsetup(name='x', {1} install_requires=['a'])\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            {"pyproject__toml": "[project]\nversion = '1'\ndependencies = ['a']"},
            {"pyproject__toml": "[project]\nversion = '2'\ndependencies = ['a']\n[tool.x]\ny = 1"},
        ),
        (
            {"setup__py": _SETUP.format("", "version='1',")},
            {"setup__py": _SETUP.format("", "version='2',")},
        ),
        (
            {"setup__py": _SETUP.format("__version__ = '1'", "version=__version__,")},
            {"setup__py": "# new\n" + _SETUP.format("__version__ = '2'", "version=__version__,")},
        ),
        ({"setup__cfg": "[metadata]\nversion = 1"}, {"setup__cfg": "[metadata]\nversion = 2"}),
        ({"unused__txt": "a"}, {"unused__txt": "b"}),
    ],
)
def test_a_new_version_number_changes_no_need(
    tmp_path: Path, before: dict[str, str], after: dict[str, str]
) -> None:
    """Version numbers, comments and tools' settings do not make two versions differ."""
    first, second = build_files(tmp_path / "a", **before), build_files(tmp_path / "b", **after)
    assert differing_inputs(first, second) == []


_DYNAMIC = """
[project]
dynamic = ['dependencies']
[tool.setuptools.dynamic]
dependencies = {file = ['n.txt']}
"""


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        (
            {"pyproject__toml": "[project]\ndependencies = ['a']"},
            {"pyproject__toml": "[project]\ndependencies = ['b']"},
            "project.dependencies",
        ),
        (
            {"pyproject__toml": "[project]\nrequires-python = '>=3.11'"},
            {"pyproject__toml": "[project]\nrequires-python = '>=3.12'"},
            "project.requires-python",
        ),
        (
            {"pyproject__toml": "[build-system]\nrequires = ['hatchling']"},
            {"pyproject__toml": "[build-system]\nrequires = ['flit_core']"},
            "build-system",
        ),
        (
            {"pyproject__toml": "[project.optional-dependencies]\nx = ['a']"},
            {"pyproject__toml": "[project.optional-dependencies]\nx = ['b']"},
            "project.optional-dependencies",
        ),
        (
            {"pyproject__toml": _POETRY + "a = '1'"},
            {"pyproject__toml": _POETRY + "a = '2'"},
            "tool.poetry.dependencies",
        ),
        (
            {"setup__cfg": "[options]\ninstall_requires = a"},
            {"setup__cfg": "[options]\ninstall_requires = b"},
            "setup.cfg install_requires",
        ),
        (
            {"setup__cfg": "[options.extras_require]\nx = a"},
            {"setup__cfg": "[options.extras_require]\nx = b"},
            "setup.cfg extras_require",
        ),
        (
            {"setup__py": _SETUP.format("", "")},
            {"setup__py": _SETUP.format("", "zip_safe=True,")},
            "setup.py",
        ),
        ({"setup__py": "print 'two'"}, {"setup__py": "print 'three'"}, "setup.py"),
        (
            {"pyproject__toml": _DYNAMIC, "n__txt": "a"},
            {"pyproject__toml": _DYNAMIC, "n__txt": "b"},
            "n.txt",
        ),
        (
            {"setup__py": "open('requirements.txt')", "requirements__txt": "a"},
            {"setup__py": "open('requirements.txt')", "requirements__txt": "b"},
            "requirements.txt",
        ),
        ({}, {"setup__py": _SETUP.format("", "")}, "setup.py"),
    ],
)
def test_what_differs_is_named(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], named: str
) -> None:
    """A changed declaration is found in both directions and called by its place."""
    first, second = build_files(tmp_path / "a", **before), build_files(tmp_path / "b", **after)
    assert differing_inputs(first, second) == differing_inputs(second, first) == [named]
    assert differing_inputs(first, first) == []
    assert named in dependency_inputs(second)


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"pyproject__toml": "[project"}, "pyproject.toml"),
        ({"setup__cfg": "no section"}, "setup.cfg"),
    ],
)
def test_a_broken_build_file_is_named(tmp_path: Path, files: dict[str, str], named: str) -> None:
    """A build file that cannot be parsed is broken, by its name."""
    with pytest.raises(BrokenError, match=named):
        build_files(tmp_path, **files)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"pyproject__toml": "[project]\nname = 'x'"}, "x"),
        ({"pyproject__toml": "[tool.poetry]\nname = 'x'"}, "x"),
        ({"setup__cfg": "[metadata]\nname = x"}, "x"),
        ({"setup__py": "from setuptools import setup\nsetup(name='x')"}, "x"),
        ({"setup__py": "from setuptools import setup\nsetup(name=NAME)"}, None),
        ({}, None),
    ],
)
def test_the_distributions_name_is_read(
    tmp_path: Path, files: dict[str, str], name: str | None
) -> None:
    """The name is found wherever it is written down."""
    assert build_files(tmp_path, **files).name == name
