"""`sergas` as a newcomer runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder."""
    given = {key: value for key, value in os.environ.items() if not key.startswith("SERGAS")}
    given.pop("DATABASE_URL", None)
    return subprocess.run(
        [sys.executable, "-m", "sergas.app", *arguments],
        cwd=folder,
        env=given | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_seed_and_status(tmp_path: Path) -> None:
    """The same numbers make the same rows; a second time is refused and changes nothing."""
    done = run("seed", "--accounts", "30", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("30 accounts, ")
    told = run("status", folder=tmp_path)
    assert "sqlite:///sergas.db, SQLite 3." in told.stdout
    assert "          30 accounts" in told.stdout
    again = run("seed", "--accounts", "30", folder=tmp_path)
    assert again.returncode == 1
    assert "has 30 accounts already, needed an empty one" in again.stderr
    assert run("status", folder=tmp_path).stdout == told.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["status"], {}, "there is no file sergas.db"),
        (["status", "--database", "mysql://me:pw@h/x"], {}, "got 'mysql://h/x', needed sqlite"),
        (["status", "--database", "sqlite://"], {}, "needed sqlite:///relative"),
        (["seed", "--accounts", "0"], {}, "got 0 accounts, needed 1"),
        (["seed", "--database", "sqlite:////proc/no/file.db"], {}, "/proc/no"),
        (["serve"], {}, "sergas seed"),
        (["serve"], {"SERGAS_SECRET": "short"}, "SERGAS_SECRET: got 5 bytes"),
        (["serve"], {"SERGAS_THREADS": "x"}, "SERGAS_THREADS: got 'x', needed a number"),
        (["status", "--database", "postgresql://127.0.0.1:1/x"], {}, "no connection"),
    ],
)
def test_mistakes_are_told_in_a_line(
    tmp_path: Path, arguments: list[str], environment: dict[str, str], told: str
) -> None:
    """Without a traceback, and without a file that was not there."""
    done = run(*arguments, folder=tmp_path, **environment)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    if arguments[0] == "status":
        assert list(tmp_path.iterdir()) == []
