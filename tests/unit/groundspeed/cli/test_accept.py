import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from groundspeed.cli.main import _run
from groundspeed.model import CheckRecord
from groundspeed.store.accepted import read_accepted
from groundspeed.store.checks import encode_record, keep_record, read_record

GOLDEN = Path(__file__).parents[3] / "golden" / "check_1.json"
SLOWER = "search.time_prefix(10, 'ab')"
Texts = pytest.CaptureFixture[str]


@pytest.fixture
def record() -> CheckRecord:
    """A check in which one row is slower."""
    record = read_record(GOLDEN)
    assert [c.row.label for c in record.comparisons if c.blocking] == [SLOWER]
    return record


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a suite, in a repository, which the user is in."""
    folder = tmp_path / "toy"
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "asv.conf.json").write_text('{"version": 1, "project": "toy", "repo": "."}')
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    return folder


def test_the_newest_record_is_accepted_from(
    suite: Path, record: CheckRecord, capsys: Texts
) -> None:
    """One entry, told on standard output with what to do next."""
    older = replace(record, started_at="2026-02-01T12:00:00+00:00", comparisons=())
    keep_record(record, suite / "results" / "checks")
    keep_record(older, suite / "results" / "checks")
    assert _run(["accept", SLOWER, "--reason", "it is right now"]) == 0
    told = capsys.readouterr()
    assert told.out == (
        f"accepted  {SLOWER} up to 1.058x: it is right now\n"
        f"Next: git add {os.path.join('results', 'accepted.toml')}, "  # noqa: PTH118 - as shown
        "and commit it with the change\n"
    )
    assert told.err == ""
    (entry,) = read_accepted(suite / "results" / "accepted.toml")
    assert (entry.label, entry.base, entry.candidate) == (SLOWER, record.base.sha, None)


def test_a_record_from_elsewhere_and_an_expression(suite: Path, record: CheckRecord) -> None:
    """--check names the file, --match makes NAME an expression, from a folder below too."""
    kept = suite.parent / "ci.json"
    kept.write_bytes(encode_record(record))
    os.chdir(suite / "benchmarks")
    assert _run(["accept", "--match", "^search", "--reason", "x", "--check", os.fspath(kept)]) == 0
    (entry,) = read_accepted(suite / "results" / "accepted.toml")
    assert entry.label == SLOWER


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing argument 'NAME'"),
        ([SLOWER], "Missing option '--reason'"),
        ([SLOWER, "--reason", " "], "--reason is empty; say why"),
        (["search.time_prefix", "--reason", "x"], f"did you mean {SLOWER}?"),
        (["(", "--match", "--reason", "x"], "'(' is not a regular expression"),
        ([SLOWER, "--reason", "x", "--check", "gone.json"], "gone.json: not a check record"),
        ([SLOWER, "--reason", "x", "--check", "later.json"], "its schema is 'groundspeed.check/2'"),
        ([SLOWER, "--reason", "x", "--config", "gone"], "--config"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_said_and_nothing_is_written(
    suite: Path, record: CheckRecord, arguments: list[str], complaint: str, capsys: Texts
) -> None:
    """Exit 2, one message, nothing on standard output."""
    keep_record(record, suite / "results" / "checks")
    later = json.loads(encode_record(record)) | {"schema": "groundspeed.check/2"}
    (suite / "later.json").write_text(json.dumps(later), "utf-8")
    assert _run(["accept", *arguments]) == 2
    told = capsys.readouterr()
    assert complaint in " ".join(told.err.split())
    assert "Traceback" not in told.err
    assert told.out == ""
    assert not (suite / "results" / "accepted.toml").exists()


def test_without_any_record_the_next_command_is_said(suite: Path, capsys: Texts) -> None:
    """There is nothing to accept from before the first check."""
    assert _run(["accept", "a", "--reason", "x"]) == 2
    told = capsys.readouterr().err
    assert "holds no record of a check" in told
    assert "run groundspeed check, or name a record with --check RECORD.json" in told


def test_outside_a_repository_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Texts
) -> None:
    """As with check."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    assert _run(["accept", "a", "--reason", "x"]) == 2
    assert "not inside a git work tree" in capsys.readouterr().err
