"""`groundspeed check --suite pytest` as a user meets it, on a project that only has pytest."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
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
    benchmark(sum, range(1_000_000))
    benchmark.extra_info.update(latency={"p99_s": toy.P99_S}, users=7)
""",
}
SLOWER = (
    "def work(): return sum(range(8000))\nasync def work_async(): return work()\nP99_S = 0.03\n"
)
LATER = "\ndef test_new(benchmark, toy): benchmark(toy.work_async)\n"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A program in a folder, with an author for git and a cache of its own."""
    identity = {
        f"GIT_{who}_{what}": "toy@example.org"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COV"))}
    environment = inherited | identity | {"XDG_CACHE_HOME": str(folder.parent / "cache")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def write(folder: Path, files: Mapping[str, str]) -> None:
    """These files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with one commit of the project."""
    folder = tmp_path / "project"
    write(folder, PROJECT)
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "first"]):
        done = run(folder, "git", *command)
        assert done.returncode == 0, done.stderr
    return folder


def checked(project: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the record."""
    done = run(project, *CHECK, *COARSE, "--output", "json:check.json", *arguments)
    path = project / "check.json"
    assert path.is_file(), done.stderr
    record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return done.returncode, record


def test_slower_code_blocks_and_the_rest_does_not(project: Path) -> None:
    """Calibrated and awaited calls and what a scenario records; each row by its node id."""
    test_file = PROJECT["tests/test_toy.py"] + LATER
    write(project, {"toy/__init__.py": SLOWER, "tests/test_toy.py": test_file})
    code, record = checked(project)
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


def test_a_test_that_old_code_cannot_run_has_no_baseline(project: Path) -> None:
    """The working tree's tests run on both sides, and that alone does not block."""
    new = "from toy import new\ndef test_new(benchmark): benchmark(new)\n"
    source = PROJECT["toy/__init__.py"] + "def new(): return 1\n"
    write(project, {"toy/__init__.py": source, "tests/test_new.py": new})
    code, record = checked(project, "--", "-k", "new or steady")
    assert code == 0
    assert record["no_baseline"] == ["tests/test_new.py::test_new"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["tests/no_such_file.py"], "file or directory not found"),
        (["--rootdir=/"], "outside the repository"),
    ],
)
def test_arguments_that_pytest_refuses_are_errors_of_usage(
    project: Path, arguments: list[str], text: str
) -> None:
    """In its own words, with exit code 2, and no folder of ours in them."""
    done = run(project, *CHECK, "HEAD", "HEAD", "--", *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "cache" not in done.stderr
