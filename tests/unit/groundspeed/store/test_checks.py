import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from groundspeed.errors import UsageError
from groundspeed.model import (
    CHECK_SCHEMA,
    CheckRecord,
    Commit,
    Comparison,
    Machine,
    Outcome,
    Row,
    Settings,
    Verdict,
)
from groundspeed.store.checks import (
    encode_record,
    keep_record,
    newest_record,
    read_record,
    record_schema,
    write_atomically,
)

DOCS = Path(__file__).parents[4] / "docs" / "reference"
GOLDEN = Path(__file__).parents[3] / "golden"

# Runs with files limited to 4 kB: what a full disk does, a write that ends in the middle.
WRITE_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from groundspeed.store.checks import write_atomically

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(Path(sys.argv[1]), b"x" * 10_000)
except OSError as error:
    print(error.errno)
"""


@pytest.fixture
def record() -> CheckRecord:
    """A check with one row of every outcome."""
    return CheckRecord(
        schema=CHECK_SCHEMA,
        tool_version="0.1.0",
        started_at="2026-03-01T12:00:00+00:00",
        duration_s=2.5,
        measuring_s=2.0,
        verdict=Verdict.BLOCK,
        exit_code=1,
        reasons=("1 of 7 is slower",),
        warnings=(),
        base=Commit(name="v1", sha="a" * 40, subject="One"),
        candidate=Commit(name="main", sha="b" * 40, subject="Zwei ✓"),
        machine=Machine(
            fingerprint="0123456789ab",
            cpu="Example CPU",
            cpus=2,
            measuring_cpus=(1,),
            memory_bytes=2**33,
            system="Linux 6.1",
            python="CPython 3.12.4",
            load_average_1m=None,
            schedstat=True,
        ),
        settings=Settings(
            false_alarms=0.01,
            min_effect=0.01,
            margin=0.03,
            looks=(5, 8),
            budget_s=None,
            selection=(),
            seed=2**32 - 1,
            environment="overlay",
            environment_reason="pure Python",
        ),
        comparisons=tuple(
            Comparison(row=Row(name=f"a.time_{outcome.name}", parameters=("1",)), outcome=outcome)
            for outcome in Outcome
        ),
    )


def test_a_record_is_read_back_as_it_was_kept(record: CheckRecord, tmp_path: Path) -> None:
    """Keeping makes the folder, and reading gives the same record."""
    path = keep_record(record, tmp_path / "results" / "checks")
    assert path.name == "20260301T120000Z-aaaaaaaa-bbbbbbbb.json"
    assert read_record(path) == record


# What later fields say of a record that does not have them, for it held of all of the first ones.
HELD_OF_ALL = {
    "direction": "lower",
    "lanes": 1,
    "metric": "time",
    "quantity": "",
    "suite": "asv",
    "unit": "s",
}


def only_adds_nothing(before: Any, after: Any) -> bool:
    """Whether all of `before` is in `after` as it was, and what is new says nothing new."""
    if isinstance(before, dict):
        added = (
            value
            for name, value in after.items()
            if name not in before and HELD_OF_ALL.get(name) != value
        )
        return all(
            name in after and only_adds_nothing(value, after[name])
            for name, value in before.items()
        ) and all(value in (None, []) for value in added)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(only_adds_nothing, before, after))
    return bool(before == after)


def test_records_of_the_first_schema_are_read_for_ever() -> None:
    """A record as the first version wrote it is read; written again it says the same."""
    path = GOLDEN / "check_1.json"
    before, after = json.loads(path.read_bytes()), json.loads(encode_record(read_record(path)))
    assert only_adds_nothing(before, after)
    assert list(before) == [name for name in after if name in before]


def test_names_that_collide_get_a_number(record: CheckRecord, tmp_path: Path) -> None:
    """No record replaces another."""
    kept = [keep_record(record, tmp_path) for _ in range(3)]
    stem = "20260301T120000Z-aaaaaaaa-bbbbbbbb"
    assert [path.name for path in kept] == [f"{stem}.json", f"{stem}-2.json", f"{stem}-3.json"]


def test_the_newest_record_is_found(record: CheckRecord, tmp_path: Path) -> None:
    """The last by the time in its name; of one second, the file written last; else none."""
    assert newest_record(tmp_path / "absent") is None
    keep_record(replace(record, started_at="2026-03-02T12:00:00+00:00"), tmp_path)
    last = keep_record(replace(record, started_at="2026-03-02T12:00:00+00:00"), tmp_path)
    keep_record(record, tmp_path)
    (tmp_path / "notes.txt").write_text("not a record")
    later = last.stat().st_mtime_ns + 10**9
    os.utime(last, ns=(later, later))
    assert newest_record(tmp_path) == last


def test_a_dirty_tree_is_in_the_name(record: CheckRecord, tmp_path: Path) -> None:
    """Records of uncommitted work are told apart by their names."""
    dirty = replace(record, candidate=replace(record.candidate, dirty=True))
    assert keep_record(dirty, tmp_path).stem.endswith("-dirty")


def test_labels_are_listed_by_outcome(record: CheckRecord) -> None:
    """A reader of the JSON finds each outcome's rows without going through the comparisons."""
    document = json.loads(encode_record(record))
    for outcome in Outcome:
        assert document[outcome.name.lower()] == [f"a.time_{outcome.name}(1)"]


def test_the_json_is_for_people_too(record: CheckRecord) -> None:
    """Indented, in UTF-8, ending in a newline."""
    text = encode_record(record).decode("utf-8")
    assert text.startswith('{\n "schema": "groundspeed.check/1",\n')
    assert "Zwei ✓" in text
    assert text.endswith("}\n")


def test_the_published_schema_is_the_one_in_force() -> None:
    """The schema in the documentation is generated from the types that write the records."""
    path = DOCS / "check.schema.json"
    assert path.read_bytes() == record_schema(), (
        "write it anew: python -c 'import sys; from groundspeed.store.checks import record_schema; "
        f"sys.stdout.buffer.write(record_schema())' > {os.path.relpath(path)}"
    )


def test_every_field_is_explained() -> None:
    """Each name the schema knows has an entry in the reference."""
    text = (DOCS / "check-json.md").read_text("utf-8")
    schema = json.loads(record_schema())
    names = {name for shape in schema["$defs"].values() for name in shape.get("properties", ())}
    assert {name for name in names if f"`{name}`" not in text} == set()


def test_everything_written_is_in_the_schema(record: CheckRecord) -> None:
    """A record has exactly the fields that the schema requires or knows."""
    shape = json.loads(record_schema())["$defs"]["CheckDocument"]
    written = json.loads(encode_record(record))
    assert set(shape["required"]) <= set(written)
    assert set(written) == set(shape["properties"])
    assert {field.name for field in fields(CheckRecord)} < set(written)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"schema": 1}',
        b'{"version": 1}',
        b'{"schema": "groundspeed.check/1"}',
        b'{"schema": "\xff"}',
        b"[" * 100_000,
        b'{"schema": ' + b"[" * 100_000,
    ],
    ids=str,
)
def test_junk_is_no_record(content: bytes, tmp_path: Path) -> None:
    """Whatever the file holds, the message names it and says what was needed."""
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"record\.json: not a check record \(.+\); needed JSON"):
        read_record(path)


def test_a_record_of_another_version_is_refused(record: CheckRecord, tmp_path: Path) -> None:
    """A later schema is not read as if it were this one, even if its fields fit."""
    path = tmp_path / "later.json"
    path.write_bytes(encode_record(replace(record, schema="groundspeed.check/2")))
    with pytest.raises(UsageError, match=r"its schema is 'groundspeed\.check/2'"):
        read_record(path)


def test_a_missing_file_is_no_record(tmp_path: Path) -> None:
    """A path that is not there is the user's mistake, not a crash."""
    with pytest.raises(UsageError, match="No such file"):
        read_record(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "change", [{"exit_code": "1"}, {"comparisons": [{}]}, {"verdict": "great"}]
)
def test_a_record_with_a_wrong_value_is_refused(
    change: dict[str, Any], record: CheckRecord, tmp_path: Path
) -> None:
    """Types are checked on reading."""
    path = tmp_path / "record.json"
    path.write_text(json.dumps(json.loads(encode_record(record)) | change), "utf-8")
    with pytest.raises(UsageError, match="not a check record"):
        read_record(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """When the disk is full the old content stays and no temporary file remains."""
    path = tmp_path / "record.json"
    path.write_bytes(b"old")
    child = [sys.executable, "-c", WRITE_UNDER_A_LIMIT, os.fspath(path)]
    done = subprocess.run(child, capture_output=True, check=True, text=True)
    assert done.stdout.strip(), "the write went through"
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    assert path.read_bytes() == b"old"


def test_a_write_replaces_the_old_file(tmp_path: Path) -> None:
    """The new content is whole, readable by others, and alone in its folder."""
    path = tmp_path / "record.json"
    path.write_bytes(b"old and longer")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Writing through a link changes what it points to and leaves the link."""
    target, link = tmp_path / "target.json", tmp_path / "link.json"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """`--output json:/dev/stdout` must not put a file where the device was."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    seen: list[bytes] = []
    reader = threading.Thread(target=lambda: seen.append(path.read_bytes()))
    reader.start()
    write_atomically(path, b"content")
    reader.join()
    assert seen == [b"content"]
    assert path.is_fifo()
