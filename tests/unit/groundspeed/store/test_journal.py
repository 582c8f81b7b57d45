"""Journals in real files: written, killed, continued, damaged, removed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.model import Failure, PairSummary, ValuePair
from groundspeed.store.journal import (
    JOURNAL_SCHEMA,
    Journal,
    JournalHeader,
    Recorded,
    find_journal,
    prune,
)

KEY, OTHER = "0" * 32, "1" * 32
HEADER = JournalHeader(seed=7, started_at="2026-03-01T12:00:00+00:00", tool_version="0.1.0")
CALIBRATION = {"loops": 12, "plan": {"samples": 16}, "phase": 1}
FAILURE = Failure(side="candidate", stage="sampling", kind="OSError", message="no ✓")
VALUE = ValuePair(pair=0, base=1.5, candidate=-2.0)

# Writes a journal and waits with it open, as a check does while it measures.
WRITE_AND_WAIT = """
import sys
from pathlib import Path
from groundspeed.model import ValuePair
from groundspeed.store.journal import Journal, JournalHeader

header = JournalHeader(seed=7, started_at="2026-03-01T12:00:00+00:00", tool_version="0.1.0")
journal = Journal.begin(Path(sys.argv[1]), sys.argv[2], header)
journal.add_pair(0, {"a": ValuePair(pair=0, base=1.0, candidate=2.0)})
print("written", flush=True)
sys.stdin.read()
"""

# Files are limited to 4 kB: what a full disk does, a write that ends in the middle.
WRITE_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from groundspeed.model import ValuePair
from groundspeed.store.journal import Journal, JournalHeader

header = JournalHeader(seed=7, started_at="2026-03-01T12:00:00+00:00", tool_version="0.1.0")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
journal = Journal.begin(Path(sys.argv[1]), sys.argv[2], header)
for number in range(100):
    journal.add_pair(number, {"a": ValuePair(pair=number, base=1.0, candidate=2.0)})
print(journal.trouble)
"""


def summary(number: int) -> PairSummary:
    """What a launch pair gives of a row that is a time."""
    return PairSummary(
        pair=number,
        base_s=1e-6,
        candidate_s=1.1e-6,
        base_wall_s=1e-6,
        candidate_wall_s=1.1e-6,
        base_cpu_s=1e-6,
        candidate_cpu_s=1.1e-6,
        samples=16,
    )


def written(folder: Path, pairs: int = 3) -> Journal:
    """A journal of a check that was interrupted after so many launch pairs."""
    journal = Journal.begin(folder, KEY, HEADER)
    journal.add_calibration("a", CALIBRATION)
    for number in range(pairs):
        journal.add_pair(number, {"a": summary(number), "b": VALUE})
    journal.close()
    return journal


def found(folder: Path, key: str = KEY) -> Recorded:
    """What is there to go on with; nothing was amiss."""
    recorded = find_journal(folder, key, say=pytest.fail)
    assert recorded is not None
    return recorded


def refused(folder: Path) -> str:
    """Why nothing is there to go on with."""
    said: list[str] = []
    assert find_journal(folder, KEY, say=said.append) is None
    (sentence,) = said
    return sentence


def test_what_was_written_is_found(tmp_path: Path) -> None:
    """Header, calibrations, both kinds of launch pairs and broken rows, as they were given."""
    journal = written(tmp_path / "new" / "folder", pairs=2)
    recorded = found(tmp_path / "new" / "folder")
    assert journal.trouble is None
    assert recorded.header == HEADER
    assert recorded.calibrations == {"a": CALIBRATION}
    assert recorded.measured == {"a": {0: summary(0), 1: summary(1)}, "b": {0: VALUE, 1: VALUE}}
    assert recorded.pairs == 2
    assert recorded.broken == {}
    assert journal.path is not None
    assert recorded.size_bytes == journal.path.stat().st_size


def test_rows_may_come_one_after_another_and_break(tmp_path: Path) -> None:
    """Lanes end a launch pair's rows in any order; the last pair may lack some."""
    journal = Journal.begin(tmp_path, KEY, HEADER)
    journal.add_pair(1, {"b": summary(1)})
    journal.add_pair(0, {"a": summary(0)})
    journal.add_broken("a", [FAILURE])
    journal.add_pair(0, {"b": summary(0)})
    journal.close()
    recorded = found(tmp_path)
    assert recorded.measured == {"a": {0: summary(0)}, "b": {0: summary(0), 1: summary(1)}}
    assert recorded.broken == {"a": (FAILURE,)}
    assert recorded.pairs == 2


def test_a_value_without_a_number_in_json_is_taken_again(tmp_path: Path) -> None:
    """Infinity must not spoil what else the journal holds."""
    journal = Journal.begin(tmp_path, KEY, HEADER)
    odd = ValuePair(pair=0, base=1.0, candidate=float("inf"))
    journal.add_pair(0, {"odd": odd, "b": VALUE})
    journal.close()
    assert found(tmp_path).measured == {"b": {0: VALUE}}


def test_a_journal_is_continued_where_it_ended(tmp_path: Path) -> None:
    """Half a line is cut off, and what follows is appended to the whole ones."""
    journal = written(tmp_path)
    assert journal.path is not None
    with journal.path.open("ab") as file:
        file.write(b'{"type":"pair","num')
    journal = Journal.resume(found(tmp_path))
    journal.add_pair(3, {"a": summary(3)})
    journal.close()
    assert journal.trouble is None
    assert sorted(found(tmp_path).measured["a"]) == [0, 1, 2, 3]


def test_an_end_leaves_nothing(tmp_path: Path) -> None:
    """A check with a verdict is not resumed, nor is an older one of its key; others stay."""
    journal = written(tmp_path)
    second = Journal.begin(tmp_path, KEY, HEADER)
    other = Journal.begin(tmp_path, OTHER, HEADER)
    other.close()
    assert len({journal.path, second.path, other.path}) == 3
    second.end()
    second.end()
    assert list(tmp_path.iterdir()) == [other.path]
    second.add_pair(0, {"a": summary(0)})
    assert list(tmp_path.iterdir()) == [other.path]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    """No folder, no journal of this key."""
    assert find_journal(tmp_path / "none", KEY, say=pytest.fail) is None
    written(tmp_path)
    assert find_journal(tmp_path, OTHER, say=pytest.fail) is None


def test_of_several_the_longest_counts(tmp_path: Path) -> None:
    """Two checks of one key that ran at once were both interrupted."""
    for pairs in (1, 3, 2):
        written(tmp_path, pairs=pairs)
    assert found(tmp_path).pairs == 3


def test_every_cut_of_the_last_line_leaves_the_whole_ones(tmp_path: Path) -> None:
    """Killed at any byte of a write, a journal holds what was written before and can go on."""
    path = written(tmp_path).path
    assert path is not None
    content = path.read_bytes()
    *_, last = content.splitlines(keepends=True)
    for size in range(len(content) - len(last), len(content)):
        path.write_bytes(content[:size])
        recorded = found(tmp_path)
        assert recorded.pairs == 2
        resumed = Journal.resume(recorded)
        resumed.add_pair(2, {"a": summary(2), "b": VALUE})
        resumed.close()
        assert path.read_bytes() == content


def test_a_file_that_ends_within_its_header_is_refused(tmp_path: Path) -> None:
    """At every byte of the first line there is nothing to go on with, which is told."""
    path = written(tmp_path, pairs=0).path
    assert path is not None
    header = path.read_bytes().splitlines(keepends=True)[0]
    for size in range(len(header)):
        path.write_bytes(header[:size])
        assert refused(tmp_path).startswith(f"{path}: it does not begin with the header")


def line(**changes: Any) -> bytes:
    """A header with something else in it."""
    header = {
        "type": "header",
        "schema": JOURNAL_SCHEMA,
        "key": KEY,
        "seed": 7,
        "started_at": "x",
        "tool_version": "1",
    }
    return json.dumps(header | changes).encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "does not begin with the header"),
        (b"\n", "its line 1 is damaged"),
        (b"not json\n", "its line 1 is damaged"),
        (b"\xff\xfe\n", "its line 1 is damaged"),
        (b"[" * 100_000 + b"\n", "its line 1 is damaged"),
        (b'{"type":"broken","row":"a","failures":[]}\n', "does not begin with the header"),
        (line(schema="groundspeed.journal/2"), "of another check or version"),
        (line(key=OTHER), "of another check or version"),
        (line(more=1), "its line 1 is damaged"),
        (line() + b'{"type":"pair","number":0}\n' + b"{}\n", "its line 2 is damaged"),
        (
            line() + b'{"type":"pair","number":-1,"times":{},"values":{}}\n',
            "its line 2 is damaged",
        ),
        (line() + bytes(4096) + b"\n", "its line 2 is damaged"),
    ],
)
def test_what_is_no_journal_is_passed_over_with_a_reason(
    tmp_path: Path, content: bytes, told: str
) -> None:
    """Foreign, newer or damaged files are told of and left as they are."""
    path = tmp_path / f"{KEY}.jsonl"
    path.write_bytes(content)
    assert told in refused(tmp_path)
    assert refused(tmp_path).endswith("so nothing is taken over from it")
    assert path.read_bytes() == content


@given(content=st.binary(max_size=300))
def test_no_content_upsets_the_search(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Whatever follows a good journal, it is found as it was or refused."""
    folder = tmp_path_factory.mktemp("journal")
    path = written(folder, pairs=1).path
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole + content)
    said: list[str] = []
    recorded = find_journal(folder, KEY, say=said.append)
    assert (recorded is None) == bool(said)
    if recorded is not None:
        assert recorded.measured["a"] == {0: summary(0)}


def test_a_damaged_file_does_not_hide_a_good_one(tmp_path: Path) -> None:
    """The other is used, and the reason told."""
    (tmp_path / f"{KEY}-9.jsonl").write_bytes(b"x\n")
    written(tmp_path)
    said: list[str] = []
    recorded = find_journal(tmp_path, KEY, say=said.append)
    assert recorded is not None
    assert recorded.pairs == 3
    assert len(said) == 1


def test_a_folder_in_its_place_is_passed_over(tmp_path: Path) -> None:
    """It cannot be opened, which is the reason."""
    (tmp_path / f"{KEY}.jsonl").mkdir()
    assert "directory" in refused(tmp_path).lower()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system kills otherwise")
def test_a_killed_check_leaves_its_journal_and_a_living_one_keeps_it(tmp_path: Path) -> None:
    """While it is written nobody takes it; after kill -9 all of it is there."""
    command = [sys.executable, "-c", WRITE_AND_WAIT, os.fspath(tmp_path), KEY]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as check:
        assert check.stdout is not None
        assert check.stdout.readline() == b"written\n"
        assert "another check writes it" in refused(tmp_path)
        beside = Journal.begin(tmp_path, KEY, HEADER)
        beside.end()
        (living,) = tmp_path.iterdir()
        check.kill()
    assert found(tmp_path).path == living
    assert found(tmp_path).measured == {"a": {0: ValuePair(pair=0, base=1.0, candidate=2.0)}}


def test_two_checks_do_not_continue_one_journal(tmp_path: Path) -> None:
    """The second goes on without one, and says so."""
    written(tmp_path)
    recorded = found(tmp_path)
    first, second = Journal.resume(recorded), Journal.resume(recorded)
    second.add_pair(3, {"b": VALUE})
    first.add_pair(3, {"a": summary(3)})
    second.end()
    first.close()
    assert first.trouble is None
    assert "another check goes on with it" in (second.trouble or "")
    assert 3 not in found(tmp_path).measured["b"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on files")
def test_a_full_disk_ends_the_journal_and_not_the_check(tmp_path: Path) -> None:
    """It says so, and what was written before can be gone on with."""
    command = [sys.executable, "-c", WRITE_UNDER_A_LIMIT, os.fspath(tmp_path), KEY]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"{tmp_path / KEY}.jsonl: File too large; what is measured from then on")
    recorded = found(tmp_path)
    assert list(recorded.measured["a"]) == list(range(recorded.pairs))
    assert 10 < recorded.pairs < 100
    assert recorded.size_bytes < recorded.path.stat().st_size == 4096


def test_a_journal_that_cannot_begin_is_no_reason_to_stop(tmp_path: Path) -> None:
    """A file where the folder should be: nothing is kept, and the reason is told once."""
    occupied = tmp_path / "file"
    occupied.write_bytes(b"")
    journal = Journal.begin(occupied, KEY, HEADER)
    trouble = journal.trouble
    assert trouble is not None
    assert trouble.startswith(f"{occupied}: ")
    journal.add_pair(0, {"a": summary(0)})
    journal.add_calibration("a", CALIBRATION)
    journal.end()
    assert journal.trouble == trouble


def test_a_journal_that_is_gone_cannot_be_continued(tmp_path: Path) -> None:
    """Somebody emptied the cache between finding and continuing; the check goes on."""
    path = written(tmp_path).path
    recorded = found(tmp_path)
    assert path is not None
    path.unlink()
    journal = Journal.resume(recorded)
    journal.add_pair(3, {"a": summary(3)})
    assert "No such file" in (journal.trouble or "")
    assert list(tmp_path.iterdir()) == []


def test_old_journals_are_removed_and_nothing_else(tmp_path: Path) -> None:
    """By when they were last written; files that are no journals stay."""
    journal = Journal.begin(tmp_path, KEY, HEADER)
    other = Journal.begin(tmp_path, OTHER, HEADER)
    foreign = tmp_path / "notes.jsonl"
    foreign.write_bytes(b"")
    for path, modified_s in ((journal.path, 1000.0), (other.path, 1100.0), (foreign, 0.0)):
        assert path is not None
        os.utime(path, (modified_s, modified_s))
    for opened in (journal, other):
        opened.close()
    assert prune(tmp_path, older_than_s=100.0, clock=lambda: 1100.0) == 0
    assert prune(tmp_path, older_than_s=100.0, clock=lambda: 1101.0) == 1
    assert sorted(tmp_path.iterdir()) == sorted([other.path or foreign, foreign])
    assert prune(tmp_path / "none", older_than_s=0.0, clock=lambda: 1e12) == 0
