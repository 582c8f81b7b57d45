import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.errors import UsageError
from groundspeed.measure.repository import Repository
from groundspeed.measure.suite import SuiteConfig, find_suite

if TYPE_CHECKING:
    from tests.unit.groundspeed.measure.conftest import GitProject


def read(toy: "GitProject", settings: dict[str, Any] | str) -> SuiteConfig:
    """The suite of `toy` under these settings."""
    text = settings if isinstance(settings, str) else json.dumps(settings)
    toy.write({"asv.conf.json": text})
    return find_suite(toy.root, Repository(toy.root))


# --- finding ----------------------------------------------------------------------------------


def test_the_nearest_file_upward_is_taken(toy: "GitProject") -> None:
    """From a folder the search goes up, and the nearer of two files wins."""
    toy.write({"part/asv.conf.json": '{"repo": ".."}', "part/benchmarks/b.py": "", "part/x/y": ""})
    repository = Repository(toy.root)
    assert find_suite(toy.root / "src" / "toy", repository).path == toy.root / "asv.conf.json"
    assert find_suite(toy.root / "part" / "x", repository).path == toy.root / "part/asv.conf.json"


def test_the_search_ends_at_the_root(toy: "GitProject", tmp_path: Path) -> None:
    """A file above the repository belongs to something else."""
    (toy.root / "asv.conf.json").unlink()
    (tmp_path / "asv.conf.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match=r"no asv\.conf\.json"):
        find_suite(toy.root, Repository(toy.root))


def test_without_a_file_it_is_told_how_to_begin(toy: "GitProject") -> None:
    """The error shows a file that would do, and it does."""
    (toy.root / "asv.conf.json").unlink()
    repository = Repository(toy.root)
    with pytest.raises(UsageError) as caught:
        find_suite(toy.root, repository)
    shown = next(line for line in str(caught.value).splitlines() if line.startswith("  {"))
    assert read(toy, shown).benchmark_dir == toy.root / "benchmarks"


def test_files_elsewhere_are_offered_as_commands(
    toy: "GitProject", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file that git knows elsewhere is shown with the option to type, and that works."""
    (toy.root / "asv.conf.json").rename(toy.root / "benchmarks" / "asv.conf.json")
    toy.write({"benchmarks/asv.conf.json": '{"repo": "..", "benchmark_dir": "."}'})
    repository = Repository(toy.root)
    start = toy.root / "src"
    with pytest.raises(UsageError, match="one of these") as caught:
        find_suite(start, repository)
    option = str(caught.value).splitlines()[-1].partition("--config ")[2]
    suite = find_suite(start, repository, config=Path(option))
    assert suite.benchmark_dir == toy.root / "benchmarks"


def test_config_names_a_file_or_its_folder(toy: "GitProject") -> None:
    """Both spellings of --config lead to the same file."""
    (toy.root / "asv.conf.json").rename(toy.root / "benchmarks" / "asv.conf.json")
    toy.write({"benchmarks/asv.conf.json": '{"repo": "..", "benchmark_dir": "."}'})
    repository = Repository(toy.root)
    paths = {
        find_suite(toy.root, repository, config=Path(typed)).path
        for typed in ("benchmarks", "benchmarks/asv.conf.json", "./src/../benchmarks/")
    }
    assert paths == {toy.root / "benchmarks" / "asv.conf.json"}


def test_a_config_that_is_not_there(toy: "GitProject") -> None:
    """A mistyped --config is named."""
    with pytest.raises(UsageError, match="nowhere"):
        find_suite(toy.root, Repository(toy.root), config=Path("nowhere.json"))


# --- reading ----------------------------------------------------------------------------------


def test_defaults_are_those_of_asv(toy: "GitProject") -> None:
    """The smallest file leaves everything at asv's defaults."""
    suite = read(toy, {})
    assert suite.benchmark_dir == toy.root / "benchmarks"
    assert suite.project_dir == toy.root
    assert suite.output_dirs == (toy.root / "results",)
    assert (suite.default_timeout_s, suite.install_timeout_s) == (60.0, 600.0)
    assert (suite.requirements, dict(suite.environment), suite.notes) == ((), {}, ())


def test_comments_and_trailing_commas_are_read(toy: "GitProject") -> None:
    """The file is JSON with comments, as asv writes it, with or without a byte order mark."""
    text = '\ufeff{// one\n"project": "x", /* two */ "default_benchmark_timeout": 7,\n}\n'
    suite = read(toy, text)
    assert (suite.project, suite.default_timeout_s) == ("x", 7.0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"project": "x",\n "repo": }', "line 2, column 10"),
        ('{"project": "x"', "line 1"),
        ("", "not valid JSON"),
        ("{'a': 1}}", "line 1"),
    ],
)
def test_broken_json_is_placed(toy: "GitProject", text: str, place: str) -> None:
    """A syntax error names the file, the line and the column."""
    with pytest.raises(UsageError, match=place) as caught:
        read(toy, text)
    assert os.fspath(toy.root / "asv.conf.json") in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null", "[" * 100_000])
def test_what_is_no_object_is_refused(toy: "GitProject", text: str) -> None:
    """Valid or absurd JSON that is not an object is a usage error."""
    with pytest.raises(UsageError):
        read(toy, text)


def test_a_file_that_is_no_text_is_refused(toy: "GitProject") -> None:
    """Bytes that are not UTF-8 are a usage error."""
    (toy.root / "asv.conf.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError, match="UTF-8"):
        find_suite(toy.root, Repository(toy.root))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("project", 3),
        ("repo", ["."]),
        ("benchmark_dir", None),
        ("benchmark_dir", "../outside"),
        ("results_dir", 1),
        ("repo_subdir", "missing"),
        ("repo_subdir", ".."),
        ("repo_subdir", "a\0b"),
        ("benchmark_dir", "\ud800"),
        ("matrix", {"env": {"A=B": "1"}}),
        ("matrix", {"env": {"A": "\0"}}),
        ("matrix", {"req": {"": "1"}}),
        ("matrix", ["numpy"]),
        ("matrix", {"req": ["numpy"]}),
        ("default_benchmark_timeout", "60"),
        ("default_benchmark_timeout", 0),
        ("default_benchmark_timeout", True),
        ("default_benchmark_timeout", 10**400),
        ("default_benchmark_timeout", float("inf")),
        ("install_timeout", -1),
    ],
)
def test_a_setting_of_a_wrong_kind_is_named(toy: "GitProject", key: str, value: object) -> None:
    """The error names the file, the key, what it holds and what it must be."""
    with pytest.raises(UsageError, match=f'"{key}" is .*; it must be') as caught:
        read(toy, {key: value})
    assert repr(value) in str(caught.value)


def test_a_missing_benchmark_folder_is_named(toy: "GitProject") -> None:
    """A benchmark folder that is not there is a usage error with both names."""
    with pytest.raises(UsageError, match="no such folder") as caught:
        read(toy, {"benchmark_dir": "bench"})
    assert os.fspath(toy.root / "bench") in str(caught.value)


def test_the_project_may_lie_below_the_root(toy: "GitProject") -> None:
    """repo_subdir moves the project, seen from the root."""
    toy.write({"python/pyproject.toml": ""})
    assert read(toy, {"repo_subdir": "python"}).project_dir == toy.root / "python"


def test_output_folders_are_those_that_are_named(toy: "GitProject") -> None:
    """Folders asv writes to count only where the file names them: env/ may be source."""
    suite = read(toy, {"results_dir": "out/results", "html_dir": "out/html", "env_dir": "out/env"})
    assert suite.output_dirs == tuple(toy.root / "out" / n for n in ("results", "html", "env"))
    assert suite.results_dir == suite.output_dirs[0]


# --- repo -------------------------------------------------------------------------------------


@pytest.mark.parametrize("repo", [".", "./", "src"])
def test_this_repository_is_accepted(toy: "GitProject", repo: str) -> None:
    """A path inside this repository is this repository."""
    assert read(toy, {"repo": repo}).project_dir == toy.root


def test_another_folder_is_refused(toy: "GitProject", tmp_path: Path) -> None:
    """A path to another repository says where to run instead."""
    with pytest.raises(UsageError, match="run groundspeed in") as caught:
        read(toy, {"repo": "../other"})
    assert os.fspath(tmp_path / "other") in str(caught.value)


_SPELLINGS = (
    "https://example.org/group/toy.git",
    "https://example.org/group/toy",
    "https://user@example.org/group/toy/",
    "git@example.org:group/toy.git",
    "ssh://git@example.org/group/toy.git",
    "git+https://EXAMPLE.org/group/toy.git",
)


@pytest.mark.parametrize("spelling", _SPELLINGS)
def test_the_url_of_a_remote_is_this_repository(toy: "GitProject", spelling: str) -> None:
    """However a URL is spelt, a remote of the same name makes it this repository."""
    toy.git("remote", "add", "upstream", "git@example.org:group/toy.git")
    assert read(toy, {"repo": spelling}).project_dir == toy.root


@pytest.mark.parametrize("spelling", _SPELLINGS)
def test_any_other_url_is_refused(toy: "GitProject", spelling: str) -> None:
    """A URL that is no remote of this repository says what to write instead."""
    toy.git("remote", "add", "origin", "https://example.org/group/other.git")
    with pytest.raises(UsageError, match=r'set it to "\."'):
        read(toy, {"repo": spelling})


# --- matrix -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "requirements"),
    [
        ({"req": {"numpy": ["1.26", "2.0"]}}, ("numpy==1.26",)),
        ({"numpy": ["1.26"]}, ("numpy==1.26",)),
        ({"req": {"numpy": [""]}}, ("numpy",)),
        ({"req": {"numpy": []}}, ("numpy",)),
        ({"req": {"numpy": ""}}, ("numpy",)),
        ({"req": {"numpy": "2.0"}}, ("numpy==2.0",)),
        ({"req": {"numpy": [2.0]}}, ("numpy==2.0",)),
        ({"req": {"numpy": [None]}}, ()),
        ({"req": {"numpy": None}}, ()),
        ({"req": {"pip+emcee": [">=3,<4"]}}, ("emcee>=3,<4",)),
        ({"req": {"a": [""], "pip+b": ["1"]}}, ("a", "b==1")),
        ({"env": {"X": ["1"]}}, ()),
        ({}, ()),
    ],
)
def test_requirements_are_the_matrixs_first(
    toy: "GitProject", matrix: dict[str, Any], requirements: tuple[str, ...]
) -> None:
    """Of each requirement the first value is taken, in both spellings of the matrix."""
    assert read(toy, {"matrix": matrix}).requirements == requirements


def test_variables_are_the_matrixs_first(toy: "GitProject") -> None:
    """Variables for building and for running are both taken; null leaves one out."""
    matrix = {"env": {"A": ["1", "2"], "B": [None]}, "env_nobuild": {"C": "3"}}
    suite = read(toy, {"matrix": matrix})
    assert dict(suite.environment) == {"A": "1", "C": "3"}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"matrix": {"req": {"numpy": ["1", "2", "3"]}}}, "not with 2 more"),
        ({"matrix": {"env": {"A": ["1", "2"]}}}, "not with 1 more"),
        ({"environment_type": "conda", "matrix": {"req": {"mkl": [""]}}}, "mkl: conda"),
        ({"exclude": [{"python": "3.8"}]}, "exclude is not followed"),
        ({"conda_environment_file": "e.yml"}, "conda_environment_file is not followed"),
        ({"pythons": ["2.7"]}, "pythons lists 2.7"),
    ],
)
def test_what_is_not_followed_is_told(
    toy: "GitProject", settings: dict[str, Any], told: str
) -> None:
    """Whatever the file asks for and does not get is a note."""
    assert [note for note in read(toy, settings).notes if told in note]


@pytest.mark.parametrize("key", ["build_command", "install_command"])
def test_what_bears_on_building_only_is_told_apart(toy: "GitProject", key: str) -> None:
    """Commands to build are no news to someone whose sources are overlaid."""
    suite = read(toy, {key: ["make"]})
    assert suite.notes == ()
    assert [note for note in suite.build_notes if key in note]


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_KEYS = (
    "project",
    "matrix",
    "pythons",
    "exclude",
    "build_command",
    "environment_type",
    "default_benchmark_timeout",
    "install_timeout",
    "conda_environment_file",
    "html_dir",
    "benchmark_dir",
    "repo",
    "repo_subdir",
)


@given(settings=st.dictionaries(st.sampled_from(_KEYS), _json_values))
def test_any_settings_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, settings: dict[str, Any]
) -> None:
    """No content of the file ends in anything but a suite or a usage error."""
    root = tmp_path_factory.getbasetemp() / "any-settings"
    (root / "benchmarks").mkdir(parents=True, exist_ok=True)
    (root / "asv.conf.json").write_text(json.dumps(settings), encoding="utf-8")
    try:
        suite = find_suite(root, Repository(root))
    except UsageError as error:
        assert os.fspath(root) in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert suite.default_timeout_s > 0
