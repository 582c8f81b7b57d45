import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest
from _pytest.config.findpaths import determine_setup
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.errors import UsageError
from groundspeed.measure.environments import prepare
from groundspeed.measure.pytest_config import find_config, paths_of
from groundspeed.measure.pytest_ruler import Code, SelectedTests, copy_over, ruler_of
from groundspeed.measure.pytest_tests import SharedTests, find_tests, share_tests, suite_of
from groundspeed.measure.repository import Repository

if TYPE_CHECKING:
    from tests.unit.groundspeed.measure.conftest import GitProject

PYPROJECT = '[project]\nname = "toy"\nversion = "1"\n'


def write(folder: Path, files: Mapping[str, str]) -> None:
    """These files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


# --- how pytest would be set up --------------------------------------------------------------

CONFIGURATIONS: Sequence[Mapping[str, str]] = [
    {},
    {"pytest.ini": ""},
    {"pytest.ini": "[pytest]\ntestpaths = tests\n"},
    {".pytest.ini": ""},
    {"pytest.toml": '[pytest]\ntestpaths = ["tests"]\n'},
    {"pyproject.toml": PYPROJECT},
    {"pyproject.toml": PYPROJECT + '[tool.pytest.ini_options]\ntestpaths = "tests"\n'},
    {"pyproject.toml": PYPROJECT + '[tool.pytest]\ntestpaths = ["tests"]\n'},
    {"tox.ini": "[tox]\n"},
    {"tox.ini": "[pytest]\ntestpaths = tests\n"},
    {"setup.cfg": "[tool:pytest]\ntestpaths = tests\n"},
    {"setup.cfg": "[metadata]\nname = toy\n", "setup.py": ""},
    {"setup.py": ""},
    {"pyproject.toml": PYPROJECT, "setup.cfg": "[tool:pytest]\n"},
    {"pyproject.toml": PYPROJECT, "tests/pytest.ini": "[pytest]\n"},
    {"tests/pyproject.toml": PYPROJECT, "tox.ini": "[pytest]\n"},
]
ARGUMENTS: Sequence[Sequence[str]] = [
    [],
    ["tests"],
    ["tests/unit/test_a.py::test_a[x]", "-q"],
    ["tests/unit", "tests/perf"],
    ["-k", "tests", "no/such/path"],
    ["--tb", "short", "tests/perf/test_b.py"],
]


@pytest.mark.parametrize("start", [".", "tests"])
@pytest.mark.parametrize("files", CONFIGURATIONS)
def test_root_and_file_are_those_that_pytest_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Mapping[str, str], start: str
) -> None:
    """Its own function is the oracle, for every way to write a configuration down."""
    write(tmp_path, {"tests/unit/test_a.py": "", "tests/perf/test_b.py": "", **files})
    here = tmp_path / start
    monkeypatch.chdir(here)
    for arguments in ARGUMENTS:
        paths = paths_of(arguments)
        rootdir, file, *_ = determine_setup(
            inifile=None,
            override_ini=None,
            args=paths,
            rootdir_cmd_arg=None,
            invocation_dir=here,
        )
        found = find_config(here, tmp_path, arguments)
        assert (found.rootdir, found.file) == (rootdir, file), arguments


def test_what_is_above_the_repository_is_not_looked_at(tmp_path: Path) -> None:
    """The private copies of both sides do not have it."""
    write(tmp_path, {"pytest.ini": "", "project/tests/test_a.py": ""})
    found = find_config(tmp_path / "project", tmp_path / "project", [])
    assert (found.rootdir, found.file) == (tmp_path / "project", None)


@pytest.mark.parametrize(
    ("settings", "places", "patterns"),
    [
        ("", ["."], ["test_*.py", "*_test.py"]),
        ("testpaths = one two\npython_files = bench_*.py", ["one", "two"], ["bench_*.py"]),
        ("testpaths =\n    t*\n    none", ["two"], ["test_*.py", "*_test.py"]),
        ("testpaths = none", ["."], ["test_*.py", "*_test.py"]),
    ],
)
def test_testpaths_count_without_paths(
    tmp_path: Path, settings: str, places: list[str], patterns: list[str]
) -> None:
    """As patterns, and only those that are there."""
    write(tmp_path, {"pytest.ini": f"[pytest]\n{settings}\n", "one/x": "", "two/x": ""})
    found = find_config(tmp_path, tmp_path, ["-q"])
    assert found.places == tuple(tmp_path / place for place in places)
    assert found.patterns == tuple(patterns)


def test_testpaths_count_only_in_the_root(tmp_path: Path) -> None:
    """Elsewhere pytest collects the folder that it is run in."""
    write(tmp_path, {"pytest.ini": "[pytest]\ntestpaths = one\n", "one/x": "", "two/x": ""})
    assert find_config(tmp_path / "two", tmp_path, []).places == (tmp_path / "two",)


@pytest.mark.parametrize(
    ("arguments", "rootdir", "file"),
    [
        (["-c", "other/my.ini"], "other", "other/my.ini"),
        (["--config-file=other/my.ini"], "other", "other/my.ini"),
        (["--rootdir", "other"], "other", "pytest.ini"),
        (["--rootdir=other", "-c", "pytest.ini"], "other", "pytest.ini"),
    ],
)
def test_options_say_where_the_root_is(
    tmp_path: Path, arguments: list[str], rootdir: str, file: str
) -> None:
    """What is said outright is not searched for."""
    files = {"pytest.ini": "", "other/my.ini": "", "other/setup.cfg": "[tool:pytest]\n"}
    write(tmp_path, files)
    found = find_config(tmp_path, tmp_path, arguments)
    assert (found.rootdir, found.file) == (tmp_path / rootdir, tmp_path / file)


def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """The file is named."""
    write(tmp_path, {"pyproject.toml": "["})
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read"):
        find_config(tmp_path, tmp_path, [])


@given(st.lists(st.sampled_from(["-q", "--tb=short", "-k", "a", "b::c", "--ignore", "--"])))
def test_a_value_of_an_option_is_no_path(arguments: list[str]) -> None:
    """No option is a path, and what follows one that takes a value is none either."""
    found = paths_of(arguments)
    assert all(path in {"a", "b", "-q", "-k", "--ignore", "--tb=short"} for path in found)
    if "--" not in arguments:
        pairs = itertools.pairwise([None, *arguments])
        loose = [
            a for before, a in pairs if a in {"a", "b::c"} and before not in {"-k", "--ignore"}
        ]
        assert len(found) >= len(loose)


# --- what belongs to the tests ----------------------------------------------------------------


def ruler(
    tree: Path,
    files: Sequence[str],
    *,
    roots: Sequence[str] = (".",),
    places: Sequence[str] = (".",),
    rootdir: str = ".",
    config: str | None = "pyproject.toml",
) -> set[str]:
    """What is replaced in a tree of these files, without what need not be there."""
    write(tree, dict.fromkeys([*files, *([config] if config else [])], ""))
    tests = SelectedTests(
        folder=PurePosixPath(rootdir),
        rootdir=PurePosixPath(rootdir),
        config=PurePosixPath(config) if config else None,
        places=tuple(map(PurePosixPath, places)),
        patterns=("test_*.py", "*_test.py"),
        project_dir=PurePosixPath(rootdir),
        arguments=(),
    )
    code = Code(tree=tree, roots=tuple(map(PurePosixPath, roots)), project="My-Bench")
    return {str(path) for path in ruler_of(tests, code) if (tree / path).exists()}


@pytest.mark.parametrize(
    ("files", "roots", "expected"),
    [
        # A folder of tests is replaced as a whole, data and helpers with it.
        (["src/pkg/a.py", "tests/unit/test_a.py", "tests/data.csv"], ["src"], {"tests"}),
        (["pkg/__init__.py", "tests/__init__.py", "tests/test_a.py"], ["."], {"tests"}),
        (["pkg/__init__.py", "benchmarks/deep/test_a.py"], ["."], {"benchmarks"}),
        # Tests in a package: their folder, never the package.
        (["pkg/__init__.py", "pkg/tests/test_a.py", "pkg/a.py"], ["."], {"pkg/tests"}),
        (["pkg/__init__.py", "pkg/testing/test_a.py"], ["."], {"pkg/testing/test_a.py"}),
        (["pkg/__init__.py", "pkg/perf/a.py", "pkg/perf/test_a.py"], ["."], {"pkg/perf/test_a.py"}),
        # Beside the modules: the file alone.
        (["src/pkg/__init__.py", "src/pkg/test_a.py"], ["src"], {"src/pkg/test_a.py"}),
        (["mod.py", "test_mod.py"], ["."], {"test_mod.py"}),
        (["src/mod.py", "src/mod_test.py"], ["src"], {"src/mod_test.py"}),
        (["src/mod.py", "test_mod.py"], ["src"], {"test_mod.py"}),
        # A folder of another name that is no package is tests as well.
        (["src/pkg/a.py", "checks/test_a.py", "checks/helper.py"], ["src"], {"checks"}),
        (["pkg/__init__.py", "checks/test_a.py", "checks/helper.py"], ["."], {"checks"}),
        # A package that is itself called like tests is what is measured.
        (["my_bench/__init__.py", "my_bench/test_a.py"], ["."], {"my_bench/test_a.py"}),
        # What holds the sources is never replaced, whatever it is called.
        (["tests/src/pkg/a.py", "tests/test_a.py"], ["tests/src"], {"tests/test_a.py"}),
        # Every conftest.py above.
        (
            ["conftest.py", "src/pkg/conftest.py", "src/pkg/x/test_a.py", "src/y/conftest.py"],
            ["src"],
            {"conftest.py", "src/pkg/conftest.py", "src/pkg/x/test_a.py"},
        ),
        # Not collected: hidden folders and what was installed.
        ([".venv/test_a.py", "node_modules/test_b.py", "tests/test_c.py"], ["."], {"tests"}),
    ],
)
def test_tests_are_replaced_and_what_they_measure_is_not(
    tmp_path: Path, files: list[str], roots: list[str], expected: set[str]
) -> None:
    """The line between them, layout by layout."""
    assert ruler(tmp_path, files, roots=roots) == {"pyproject.toml", *expected}


def test_only_collected_tests_are_replaced(tmp_path: Path) -> None:
    """A path on the command line narrows what is replaced."""
    files = ["benchmarks/test_a.py", "tests/test_b.py", "src/pkg/a.py"]
    assert ruler(tmp_path, files, roots=["src"], places=["benchmarks/test_a.py"]) == {
        "benchmarks",
        "pyproject.toml",
    }


def test_a_project_below_the_root_keeps_its_neighbours(tmp_path: Path) -> None:
    """In a repository of several projects only the one that is measured is touched."""
    files = ["tests/test_all.py", "one/tests/test_a.py", "two/tests/test_b.py", "conftest.py"]
    found = ruler(
        tmp_path, files, roots=["one/src"], rootdir="one", places=["one"], config="one/pytest.ini"
    )
    assert found == {"one/tests", "one/pytest.ini"}


def test_a_copy_is_what_the_source_is(tmp_path: Path) -> None:
    """New, changed, gone, a folder where a file was, and a link: all become the same."""
    source, target = tmp_path / "source", tmp_path / "target"
    write(source, {"tests/new.py": "1", "tests/changed.py": "new", "shape/inner": "", "file": "x"})
    write(target, {"tests/old.py": "1", "tests/changed.py": "old", "shape": "", "file/inner": ""})
    write(target, {"pkg/kept.py": "", "conftest.py": ""})
    (source / "tests" / "link.py").symlink_to("changed.py")
    ruler = [PurePosixPath(name) for name in ("tests", "shape", "file", "conftest.py")]
    copy_over(source, target, ruler)
    names = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
    assert names == {
        "tests/new.py",
        "tests/changed.py",
        "tests/link.py",
        "shape/inner",
        "file",
        "pkg/kept.py",
    }
    assert (target / "tests" / "link.py").read_text("utf-8") == "new"
    assert (target / "tests" / "link.py").readlink() == Path("changed.py")


# --- both sides -------------------------------------------------------------------------------

BASE = {
    "pyproject.toml": PYPROJECT + '[tool.pytest.ini_options]\npython_files = "old_*.py"\n',
    "toy/__init__.py": "SIDE = 'base'\n",
    "tests/test_old.py": "",
    "conftest.py": "",
    "pytest.ini": "",
}


def shared(
    project: "GitProject", scratch: Path, arguments: Sequence[str] = (), folder: str = "."
) -> tuple[SharedTests, dict[str, Path]]:
    """The tests of the working tree on both sides, against the commit."""
    repository = Repository(project.root)
    tests = find_tests(project.root / folder, repository, arguments)
    environments = prepare(
        repository,
        suite_of(tests, repository),
        base=repository.head(),
        candidate=None,
        mode="overlay",
        scratch=scratch,
        cache=scratch / "cache",
        say=lambda _: None,
    )
    trees = {"base": environments.base.tree, "candidate": environments.candidate.tree}
    return share_tests(tests, environments), trees


def test_both_sides_get_the_working_trees_tests(project: "GitProject", tmp_path: Path) -> None:
    """Changed, new and removed tests are the same on both; the project's code is each side's."""
    project.commit(BASE)
    project.write({"tests/test_new.py": "new", "toy/__init__.py": "SIDE = 'candidate'\n"})
    project.write({"pyproject.toml": PYPROJECT})
    for name in ("tests/test_old.py", "pytest.ini", "conftest.py"):
        (project.root / name).unlink()
    made, trees = shared(project, tmp_path / "scratch")
    for side, tree in trees.items():
        assert [path.name for path in (tree / "tests").iterdir()] == ["test_new.py"]
        assert not (tree / "pytest.ini").exists()
        assert not (tree / "conftest.py").exists()
        assert (tree / "pyproject.toml").read_text("utf-8") == PYPROJECT
        assert side in (tree / "toy" / "__init__.py").read_text("utf-8")
    assert made.configuration["arguments"] == ["-c", "pyproject.toml"]
    assert "tests" in made.configuration["ruler"]
    assert made.packages == {"base": (), "candidate": ()}


def test_the_users_files_are_left_alone(project: "GitProject", tmp_path: Path) -> None:
    """Only private copies are written."""
    project.commit(BASE)
    project.write({"tests/test_old.py": "changed"})
    before = project.git("status", "--porcelain")
    shared(project, tmp_path / "scratch")
    assert project.git("status", "--porcelain") == before


def test_arguments_are_seen_from_where_they_are_typed(
    project: "GitProject", tmp_path: Path
) -> None:
    """Paths into the checkout lead into each side's tree, and the configuration is named."""
    project.commit({**BASE, "tests/deep/test_it.py": ""})
    absolute = str(project.root / "tests" / "test_old.py")
    arguments = [f"{absolute}::test_it", f"--ignore={project.root}/tests/deep", "-k", "x"]
    made, _ = shared(project, tmp_path / "scratch", arguments, "tests/deep")
    assert made.configuration["folder"] == "tests/deep"
    assert made.configuration["arguments"] == [
        "../test_old.py::test_it",
        "--ignore=.",
        "-k",
        "x",
        "-c",
        "../../pytest.ini",
    ]


def test_a_configuration_that_the_user_names_is_kept(project: "GitProject", tmp_path: Path) -> None:
    """It is not named twice."""
    project.commit({**BASE, "my.ini": "[pytest]\n"})
    made, _ = shared(project, tmp_path / "scratch", ["-c", "my.ini"])
    assert made.configuration["arguments"] == ["-c", "my.ini"]
    assert "my.ini" in made.configuration["ruler"]


def test_without_a_configuration_an_older_one_is_not_found(
    project: "GitProject", tmp_path: Path
) -> None:
    """The base may have one that the working tree has no more."""
    project.commit({"toy.py": "", "test_toy.py": "", "tox.ini": "[pytest]\n"})
    (project.root / "tox.ini").unlink()
    made, _ = shared(project, tmp_path / "scratch")
    assert made.configuration["arguments"] == ["-c", os.devnull]


def test_tests_outside_the_repository_are_refused(project: "GitProject", tmp_path: Path) -> None:
    """They have no copy on either side."""
    project.commit(BASE)
    write(tmp_path, {"elsewhere/test_it.py": ""})
    with pytest.raises(UsageError, match="outside the repository"):
        find_tests(project.root, Repository(project.root), [str(tmp_path / "elsewhere")])


def test_a_suite_needs_pytest_as_it_runs_here(project: "GitProject") -> None:
    """A wheel's environment gets the same versions."""
    project.commit(BASE)
    repository = Repository(project.root)
    suite = suite_of(find_tests(project.root, repository, []), repository)
    assert suite.requirements[0] == f"pytest=={pytest.__version__}"
    assert suite.requirements[1].startswith("pytest-benchmark==")
    assert suite.project == "toy"
    assert (suite.benchmark_dir, suite.project_dir) == (project.root, project.root)
    assert suite.default_timeout_s > 0


GROUPS = """
[project.optional-dependencies]
load = ["httpx"]

[dependency-groups]
Perf_Tests = ["numpy", {include-group = "more"}]
more = ["rich", {include-group = "perf-tests"}]
"""


@pytest.mark.parametrize(
    ("group", "needed"),
    [("perf-tests", ["numpy", "rich"]), ("load", ["httpx"]), ("MORE", ["rich", "numpy"])],
)
def test_groups_and_extras_add_what_tests_need(
    project: "GitProject", group: str, needed: list[str]
) -> None:
    """By any spelling, with the groups that they include, once each."""
    project.commit({**BASE, "pyproject.toml": PYPROJECT + GROUPS})
    repository = Repository(project.root)
    suite = suite_of(find_tests(project.root, repository, []), repository, groups=[group, group])
    assert list(suite.requirements[2:]) == needed


def test_an_unknown_group_is_told_with_those_there_are(project: "GitProject") -> None:
    """The error lists groups and extras."""
    project.commit({**BASE, "pyproject.toml": PYPROJECT + GROUPS})
    repository = Repository(project.root)
    tests = find_tests(project.root, repository, [])
    with pytest.raises(UsageError, match="Perf_Tests, more, load"):
        suite_of(tests, repository, groups=["tets"])
