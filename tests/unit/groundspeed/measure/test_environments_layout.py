from pathlib import Path

import pytest

from groundspeed.measure.environments.layout import Layout, import_layout
from groundspeed.measure.environments.project import read_project


def layout_of(folder: Path, pyproject: str = "", *files: str, **others: str) -> Layout:
    """The layout of a folder with this pyproject.toml and these empty files."""
    (folder / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    for name, text in [*((file, "") for file in files), *others.items()]:
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return import_layout(read_project(folder))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["src/toy/x.py"], "src"),
        (["src/toy/deep/x.py"], "src"),
        (["src/toy.py"], "src"),
        (["toy/x.py"], "."),
        (["toy.py"], "."),
        (["src/main.c", "toy/x.py"], "."),
        ([], "."),
    ],
)
def test_unless_told_packages_are_in_src_or_the_root(
    tmp_path: Path, files: list[str], expected: str
) -> None:
    """src/ is taken where it holds modules, else the project's folder."""
    assert layout_of(tmp_path, "", *files) == Layout(paths=(expected,))


def test_a_package_called_src_is_imported_from_the_root(tmp_path: Path) -> None:
    """A src/ that is a package itself is not a folder of packages."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").touch()
    assert layout_of(tmp_path, "", "src/toy.py") == Layout(paths=(".",))


@pytest.mark.parametrize(
    ("pyproject", "paths"),
    [
        ("[tool.hatch.build.targets.wheel]\npackages = ['src/a', 'src/b']", ("src",)),
        ("[tool.hatch.build.targets.wheel]\npackages = ['lib/x/a', 'b']", ("lib/x", ".")),
        ("[tool.hatch.build]\npackages = ['lib/a']", ("lib",)),
        ("[tool.hatch.build.targets.wheel]\nsources = ['lib']", ("lib",)),
        ("[tool.hatch.build.targets.wheel.sources]\n'lib' = ''", ("lib",)),
        ("[tool.setuptools.packages.find]\nwhere = ['lib', 'more/']", ("lib", "more")),
        ("[tool.setuptools.package-dir]\n'' = 'lib'", ("lib",)),
        ("[tool.setuptools.package-dir]\ntoy = 'lib/toy'", ("lib",)),
        ("[tool.setuptools.package-dir]\n'toy.x' = 'lib/toy/x'", ("lib",)),
        ("[tool.poetry]\npackages = [{include='a', from='lib'}, {include='b'}]", ("lib", ".")),
        ("[tool.pdm.build]\npackage-dir = 'lib'", ("lib",)),
        ("[tool.uv.build-backend]\nmodule-root = 'lib'", ("lib",)),
        ("[tool.uv.build-backend]\nmodule-root = ''", (".",)),
        ("[tool.setuptools]\npackages = ['toy']", (".",)),
    ],
)
def test_build_settings_say_where_packages_are(
    tmp_path: Path, pyproject: str, paths: tuple[str, ...]
) -> None:
    """Each build backend's setting leads to the folders to import from."""
    assert layout_of(tmp_path, pyproject) == Layout(paths=paths)


@pytest.mark.parametrize(
    "others",
    [
        {"setup__cfg": "[options]\npackage_dir =\n    = lib\n"},
        {"setup__cfg": "[options.packages.find]\nwhere = lib\n"},
        {"setup__py": "from setuptools import setup\nsetup(package_dir={'': 'lib'})"},
        {"setup__py": 'from setuptools import setup\nsetup(package_dir = { "" : "lib" })'},
    ],
)
def test_older_setuptools_settings_are_understood(tmp_path: Path, others: dict[str, str]) -> None:
    """setup.cfg and setup.py say the same in their ways."""
    assert layout_of(tmp_path, "", **others) == Layout(paths=("lib",))


@pytest.mark.parametrize(
    "pyproject",
    [
        "[tool.hatch.build.targets.wheel.force-include]\n'a.txt' = 'toy/a.txt'",
        "[tool.hatch.build.targets.wheel.sources]\n'src/a' = 'b'",
        "[tool.setuptools.package-dir]\ntoy = 'lib/other'",
        "[tool.poetry]\npackages = [{include = 'a', to = 'b'}]",
    ],
)
def test_a_build_that_moves_files_is_a_problem(tmp_path: Path, pyproject: str) -> None:
    """Where the build renames what it installs, source trees are not the same thing."""
    assert layout_of(tmp_path, pyproject).problem
