"""`groundspeed merge` from the command line: files in, report, record and exit code out."""

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from groundspeed.cli.main import _run
from groundspeed.cli.merge import merge_command
from groundspeed.model import CheckRecord, Outcome, Shard
from groundspeed.report.text import text_report
from groundspeed.stats import GateRule
from groundspeed.store.checks import encode_record, read_record

GOLDEN = Path(__file__).parents[3] / "golden" / "check_1.json"
Texts = pytest.CaptureFixture[str]


def shards_of(record: CheckRecord, count: int) -> list[CheckRecord]:
    """The record as so many shards of the same check would have written it."""
    rows = sorted(record.comparisons, key=lambda c: c.row.label)
    return [
        replace(
            record,
            comparisons=tuple(rows[index::count]),
            shard=Shard(index=index + 1, count=count, rows=len(rows)),
        )
        for index in range(count)
    ]


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[CheckRecord]:
    """Three shards of a check in which one row is slower; the user is beside their files."""
    whole = read_record(GOLDEN)
    made = shards_of(replace(whole, settings=replace(whole.settings, looks=GateRule().looks)), 3)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for number, record in enumerate(made, start=1):
        Path(f"shard-{number}.json").write_bytes(encode_record(record))
    return made


FILES = ["shard-3.json", "shard-1.json", "shard-2.json"]


def test_shards_become_one_report_and_its_exit_code(
    records: list[CheckRecord], capsys: Texts
) -> None:
    """Standard output is the report of the whole, standard error is empty; no record is kept."""
    assert _run(["merge", *FILES, "--no-record", "--output", "json:all.json"]) == 1
    told = capsys.readouterr()
    whole = read_record(Path("all.json"))
    assert (told.out, told.err) == (text_report(whole), "")
    assert whole.shard is None
    assert {c.row for c in whole.comparisons} == {c.row for r in records for c in r.comparisons}
    assert [c.outcome for c in whole.comparisons if c.blocking] == [Outcome.SLOWER]
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["all.json", *sorted(FILES)]


@pytest.mark.usefixtures("records")
def test_exit_zero_and_verbose_are_those_of_check(capsys: Texts) -> None:
    """Reports only, and lists unchanged rows."""
    assert _run(["merge", *FILES, "--no-record", "--exit-zero", "-v", "-o", "text:all.txt"]) == 0
    assert Path("all.txt").read_text("utf-8") == capsys.readouterr().out


@pytest.mark.usefixtures("records")
def test_the_record_is_kept_beside_the_suite(capsys: Texts) -> None:
    """Where those of checks are, also from a folder below."""
    Path("asv.conf.json").write_text('{"version": 1, "project": "toy", "repo": "."}')
    Path("benchmarks").mkdir()
    subprocess.run(["git", "init", "--quiet"], check=True)
    os.chdir("benchmarks")
    assert _run(["merge", *(os.path.join("..", name) for name in FILES)]) == 1  # noqa: PTH118 - as typed
    (kept,) = Path("../results/checks").iterdir()
    assert read_record(kept).shard is None
    assert capsys.readouterr().out.splitlines()[-1].startswith("Record: ")


@pytest.mark.usefixtures("records")
def test_without_a_suite_it_says_how_to_do_without(capsys: Texts) -> None:
    """A machine that only merges has no checkout; then nothing is merged before that is said."""
    assert _run(["merge", *FILES]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith("; to merge without keeping a record, say --no-record\n")


@pytest.mark.usefixtures("records")
@pytest.mark.parametrize(
    ("files", "told"),
    [
        (FILES[:2], "shard 2/3 of the check is missing; merge all 3 records, or measure"),
        ([*FILES, FILES[0]], "shard 3/3 is there twice: shard-3.json and shard-3.json"),
        ([*FILES, "none.json"], "none.json: not a check record"),
        ([], "Missing argument 'FILE...'"),
    ],
)
def test_what_cannot_be_merged_is_a_wrong_usage(files: list[str], told: str, capsys: Texts) -> None:
    """Exit 2, one message, no report."""
    assert _run(["merge", "--no-record", *files]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_the_whole_record_cannot_be_merged_again(records: list[CheckRecord], capsys: Texts) -> None:
    """What merge wrote is no shard."""
    whole = json.loads(encode_record(records[0])) | {"shard": None}
    Path("whole.json").write_text(json.dumps(whole))
    assert _run(["merge", "--no-record", "whole.json"]) == 2
    assert "whole.json: is the record of a whole check" in capsys.readouterr().err


@pytest.mark.usefixtures("records")
def test_a_wrong_output_is_refused_before_anything_is_merged(capsys: Texts) -> None:
    """The folder must be there; nothing is printed or written."""
    target = Path("all.json")
    assert _run(["merge", "--no-record", *FILES, "-o", "json:absent/all.json"]) == 2
    assert not target.exists()
    assert "absent is no folder" in capsys.readouterr().err


def test_every_option_is_documented() -> None:
    """cli.md lists the options of `groundspeed merge` and no other."""
    page = (Path(__file__).parents[4] / "docs" / "reference" / "cli.md").read_text("utf-8")
    section = page.partition("## groundspeed merge\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `-")]
    told = {option for cell in cells for option in re.findall(r"(?<!\w)--?[a-z][a-z-]*", cell)}
    options = [p for p in merge_command.params if p.param_type_name == "option"]
    assert told == {name for option in options for name in option.opts} | {"-h", "--help"}
