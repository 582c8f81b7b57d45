"""`make check` as a developer of this project runs it: on the checkout that groundspeed lies in.

What takes the samples is then itself among the files that both sides have.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone of this repository as it is committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout, so there is no commit to compare with")
    clone = tmp_path / "checkout"
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", os.fspath(clone)], check=True
    )
    return clone


def test_a_clone_of_this_repository_is_checked(checkout: Path) -> None:
    """One row each of modules that import threads, processes and a database."""
    wanted = (
        r"parallel_processor\.Footprint",
        r"account_service\.Queries\.time_get$",
    )
    command = [
        sys.executable,
        "-P",
        "-m",
        "groundspeed.cli",
        "check",
        "HEAD",
        "--no-record",
        "--verbose",
    ]
    command += ["--min-effect", "20%", "--exit-zero", *(f"--bench={row}" for row in wanted)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # Its own groundspeed and not the one under test: that is what a developer has installed.
    environment["PYTHONPATH"] = os.fspath(checkout / "src")
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "account_service.Queries.time_get" in done.stdout
    assert "parallel_processor." in done.stdout
