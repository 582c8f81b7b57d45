"""`groundspeed check --suite pytest` as a user meets it, on a project that only has pytest."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("launch twins need fork", allow_module_level=True)

# Changes are large and small ones are not asked for, so that no noise can decide a test.
CHECK = [sys.executable, "-m", "groundspeed.cli", "check", "--suite", "pytest"]
COARSE = ("--min-effect", "50%")

PROJECT: Mapping[str, str] = {
    ".gitignore": "__pycache__\nresults\n",
    "pyproject.toml": (
        '[project]\nname = "toy"\nversion = "1"\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[tool.pytest.ini_options]\naddopts = "--benchmark-disable -x"\n'
        'markers = ["groundspeed: how it is judged"]\n'
    ),
    "toy/__init__.py": (
        "def work(): return sum(range(2000))\nasync def work_async(): return work()\nP99_S = 0.01\n"
    ),
    "tests/conftest.py": (
        "import pytest, toy as module\n@pytest.fixture(scope='session')\ndef toy(): return module\n"
    ),
    "tests/test_toy.py": """\
import pytest

def test_work(benchmark, toy): assert benchmark(toy.work)

def test_async(benchmark, toy): assert benchmark(toy.work_async)

def test_steady(benchmark): benchmark(sum, range(2000))

@pytest.mark.groundspeed(scenario=True)
def test_load(benchmark, toy):
    benchmark.pedantic(sum, (range(1_000_000),))
    benchmark.extra_info.update(latency={"p99_s": toy.P99_S}, users=7)
""",
}
SLOWER = (
    "def work(): return sum(range(8000))\nasync def work_async(): return work()\nP99_S = 0.03\n"
)
LATER = "\ndef test_new(benchmark, toy): benchmark(toy.work_async)\n"


RunIt = Callable[..., subprocess.CompletedProcess[str]]


class Project:
    """A repository with one commit of the project, and groundspeed run in it."""

    def __init__(self, folder: Path, run_command: RunIt) -> None:
        self.folder = folder
        self._run = run_command

    def write(self, name: str, text: str) -> None:
        """Change a file of the working tree."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def check(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`groundspeed check --suite pytest`."""
        return self._run(self.folder, *CHECK, *arguments)

    def checked(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the record."""
        done = self.check(*COARSE, "--output", "json:check.json", *arguments)
        path = self.folder / "check.json"
        assert path.is_file(), done.stderr
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return done.returncode, record


@pytest.fixture
def project(
    tmp_path: Path, run_command: RunIt, new_repository: Callable[[Path, Mapping[str, str]], None]
) -> Project:
    """The project, committed."""
    new_repository(tmp_path / "project", PROJECT)
    return Project(tmp_path / "project", run_command)


def test_slower_code_blocks_and_the_rest_does_not(project: Project) -> None:
    """Calibrated and awaited calls and what a scenario records; each row by its node id."""
    project.write("toy/__init__.py", SLOWER)
    project.write("tests/test_toy.py", PROJECT["tests/test_toy.py"] + LATER)
    code, record = project.checked()
    assert code == 1
    slower = set(record["slower"])
    assert {
        "tests/test_toy.py::test_work",
        "tests/test_toy.py::test_async",
        "tests/test_toy.py::test_new",
        "tests/test_toy.py::test_load latency.p99_s",
    } <= slower
    assert "tests/test_toy.py::test_steady" not in slower
    assert record["settings"]["suite"] == "pytest"
    assert any("users" in warning for warning in record["warnings"])


def test_a_test_that_old_code_cannot_run_has_no_baseline(project: Project) -> None:
    """The working tree's tests run on both sides, and that alone does not block."""
    project.write("toy/__init__.py", PROJECT["toy/__init__.py"] + "def new(): return 1\n")
    new = "from toy import new\ndef test_new(benchmark): benchmark(new)\n"
    project.write("tests/test_new.py", new)
    code, record = project.checked("--", "-k", "new or steady")
    assert code == 0
    assert record["no_baseline"] == ["tests/test_new.py::test_new"]


def test_a_rule_of_a_test_that_was_left_out_is_not_called_unused(project: Project) -> None:
    """Arguments of pytest may leave tests out, of which nobody knows whether a rule matches."""
    rules = PROJECT["pyproject.toml"] + (
        '[[tool.groundspeed.rules]]\nmatch = "test_work"\nmin-effect = 0.6\n'
    )
    project.write("pyproject.toml", rules)
    _, record = project.checked("--", "-k", "steady")
    assert [c["row"]["name"] for c in record["comparisons"]] == ["tests/test_toy.py::test_steady"]
    assert not any("matches no row" in warning for warning in record["warnings"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["tests/no_such_file.py"], "file or directory not found"),
        (["--rootdir=/"], "outside the repository"),
    ],
)
def test_arguments_that_pytest_refuses_are_errors_of_usage(
    project: Project, arguments: list[str], text: str
) -> None:
    """In its own words, with exit code 2, and no folder of ours in them."""
    done = project.check("HEAD", "HEAD", "--", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "cache" not in done.stderr
