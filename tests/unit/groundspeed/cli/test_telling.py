import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from groundspeed.cli.output import Output
from groundspeed.cli.telling import Telling, tell
from groundspeed.model import CheckRecord
from groundspeed.report.text import text_report
from groundspeed.store.checks import encode_record, read_record

GOLDEN = Path(__file__).parents[3] / "golden"
Texts = pytest.CaptureFixture[str]


@pytest.fixture
def record() -> CheckRecord:
    """A check that found something slower."""
    return read_record(GOLDEN / "check_1.json")


def telling(
    *outputs: Output, no_record: bool = True, exit_zero: bool = False, verbose: bool = False
) -> Telling:
    """Where a result goes; nowhere but to standard output unless said otherwise."""
    return Telling(outputs=outputs, no_record=no_record, exit_zero=exit_zero, verbose=verbose)


def test_the_result_is_on_standard_output(
    record: CheckRecord, tmp_path: Path, capsys: Texts
) -> None:
    """The plain report, nothing else, and the exit code of the verdict."""
    assert tell(record, telling(), tmp_path, again="check") == record.exit_code == 1
    told = capsys.readouterr()
    assert (told.out, told.err) == (text_report(record), "")
    assert list(tmp_path.iterdir()) == []


def test_exit_zero_reports_only(record: CheckRecord, tmp_path: Path, capsys: Texts) -> None:
    """The same report, but always a success."""
    assert tell(record, telling(exit_zero=True), tmp_path, again="check") == 0
    assert capsys.readouterr().out == text_report(record)


def test_the_record_is_kept_and_named(
    record: CheckRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Texts
) -> None:
    """The report ends with where the record is, as seen from here."""
    monkeypatch.chdir(tmp_path)
    tell(record, telling(no_record=False), tmp_path / "results" / "checks", again="check")
    (kept,) = (tmp_path / "results" / "checks").iterdir()
    assert read_record(kept) == record
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"Record: {kept.relative_to(tmp_path)}"


def test_a_record_that_cannot_be_kept_does_not_change_the_verdict(
    record: CheckRecord, tmp_path: Path, capsys: Texts
) -> None:
    """A file where the folder should be is told, and the verdict stands."""
    occupied = tmp_path / "checks"
    occupied.write_bytes(b"")
    assert tell(record, telling(no_record=False), occupied, again="check") == 1
    told = capsys.readouterr()
    assert "no record was kept" in told.err
    assert told.out == text_report(record)


def test_outputs_hold_what_was_told(record: CheckRecord, tmp_path: Path) -> None:
    """JSON is the record, text the report without any colour."""
    outputs = [Output(format=kind, path=tmp_path / kind) for kind in ("json", "text")]
    tell(record, telling(*outputs, verbose=True), tmp_path, again="check")
    assert (tmp_path / "json").read_bytes() == encode_record(record)
    assert (tmp_path / "text").read_text("utf-8") == text_report(record, verbose=True)


def test_a_pass_whose_output_is_lost_is_no_pass(
    record: CheckRecord, tmp_path: Path, capsys: Texts
) -> None:
    """Exit 5 when nobody will find the result where it was asked for; slower stays slower."""
    lost = telling(Output(format="json", path=tmp_path / "gone" / "x.json"))
    assert tell(replace(record, exit_code=0), lost, tmp_path, again="check") == 5
    assert tell(record, lost, tmp_path, again="check") == 1
    assert "x.json was not written: No such file" in capsys.readouterr().err


def test_a_reader_that_leaves_early_does_not_change_the_verdict(
    record: CheckRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`groundspeed check | head` ends with the verdict, and the other outputs are written."""
    reader, writer = os.pipe()
    os.close(reader)
    output = Output(format="json", path=tmp_path / "check.json")
    with os.fdopen(writer, "w", encoding="utf-8") as left, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", left)
        assert tell(replace(record, exit_code=3), telling(output), tmp_path, again="check") == 3
    assert output.path.exists()
