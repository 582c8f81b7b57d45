"""The SQLite file: bounds, other processes, forks and files that are something else."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager import Claim, SqliteLevel, StoredValue

WRITER = """
import sys
from sergas.optimizations.cache_manager import SqliteLevel, StoredValue
name, path = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
with SqliteLevel(path, timeout_s=30.0) as level:
    for number in range(40):
        level.write({f"{name}:{number}": StoredValue(data=name.encode() * 10, ttl_s=60.0)})
        level.write({"shared": StoredValue(data=name.encode() * 10, ttl_s=None)})
        assert level.read(["shared"])["shared"].data in {b"a" * 10, b"b" * 10, b"c" * 10}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file goes."""
    return tmp_path / "cache.db"


@pytest.fixture
def clock() -> FakeClock:
    """The wall clock."""
    return FakeClock(1_000_000.0)


def put(level: SqliteLevel, key: str, data: bytes, ttl_s: float | None = None) -> None:
    """Store bytes without more ado."""
    level.write({key: StoredValue(data=data, ttl_s=ttl_s)})


def rows(path: Path) -> Iterator[str]:
    """The keys that are physically in the file."""
    connection = sqlite3.connect(path)
    try:
        yield from [
            key for (key,) in connection.execute("SELECT key FROM entries ORDER BY written")
        ]
    finally:
        connection.close()


def test_number_of_entries_is_bounded(path: Path) -> None:
    """Beyond the bound the entries written longest ago go; writing again makes young."""
    with SqliteLevel(path, entries_max=3) as level:
        for key in ["a", "b", "c", "a", "d"]:
            put(level, key, b"")
        assert list(rows(path)) == ["c", "a", "d"]


def test_expired_entries_leave_the_file(path: Path, clock: FakeClock) -> None:
    """What has expired is removed from the file by the next write, and before anything alive."""
    with SqliteLevel(path, entries_max=2, clock=clock) as level:
        put(level, "live", b"")
        put(level, "short", b"", 1.0)
        clock.advance(1.0)
        put(level, "new", b"")
        assert list(rows(path)) == ["live", "new"]


def test_size_of_the_file_is_bounded(path: Path) -> None:
    """A full file drops its oldest entries and takes the new one; it does not grow."""
    with SqliteLevel(path, size_bytes_max=128 * 1024) as level:
        for number in range(100):
            put(level, str(number), bytes(5_000))
        assert level.read(["99"]).get("99") is not None
        assert level.read(["0"]).get("0") is None
    assert path.stat().st_size <= 128 * 1024


def test_value_too_large_for_the_file_is_an_error(path: Path) -> None:
    """A value that does not fit into an empty file is refused, and the level goes on."""
    with SqliteLevel(path, size_bytes_max=128 * 1024) as level:
        with pytest.raises(CacheLevelError, match="full"):
            put(level, "key", bytes(1_000_000))
        put(level, "small", b"data")
        assert level.read(["small"]).get("small") is not None


def test_values_outlive_the_object(path: Path) -> None:
    """Another object on the same file, later, finds the value with the time it has left."""
    with SqliteLevel(path, clock=FakeClock(100.0)) as level:
        put(level, "key", b"data", 10.0)
    with SqliteLevel(path, clock=FakeClock(103.0)) as level:
        found = level.read(["key"]).get("key")
        assert found is not None
        assert found.ttl_s == pytest.approx(7.0)


def test_clock_set_back_makes_nothing_live_longer(path: Path) -> None:
    """An entry that seems to come from the future is not served."""
    with SqliteLevel(path, clock=FakeClock(1000.0)) as level:
        put(level, "key", b"data", 10.0)
    with SqliteLevel(path, clock=FakeClock(500.0)) as level:
        assert level.read(["key"]).get("key") is None
        assert not level.remove(["key"])
    assert list(rows(path)) == []


def test_processes_share_it(path: Path) -> None:
    """Processes that make and fill one file at once lose nothing and mix nothing up."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, name, os.fspath(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=60)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0, 0], "\n".join(told)
    expected = {f"{name}:{number}" for name in "abc" for number in range(40)} | {"shared"}
    assert set(rows(path)) == expected


class SlowClock:
    """A clock whose reader is held up: something else happens before it can use the time."""

    def __init__(self, clock: FakeClock, meanwhile: Callable[[], None]) -> None:
        self.clock = clock
        self.meanwhile = meanwhile

    def unix_s(self) -> float:
        """The time, which has become the past when it arrives."""
        now_s = self.clock.unix_s()
        self.clock.advance(1.0)
        # While a transaction holds the file, nobody else can do anything.
        with suppress(CacheLevelError):
            self.meanwhile()
        return now_s


def test_write_during_a_read_hides_nothing(path: Path, clock: FakeClock) -> None:
    """A value that another process replaces while it is looked up is found, old or new."""
    with SqliteLevel(path, clock=clock, timeout_s=0.001) as other:
        put(other, "key", b"old")
        slow = SlowClock(clock, lambda: put(other, "key", b"new"))
        with SqliteLevel(path, clock=slow) as level:
            for _ in range(2):
                found = level.read(["key"]).get("key")
                assert found is not None
                assert found.data in {b"old", b"new"}
            assert level.remove(["key"]) == 1


def test_claim_of_another_is_never_from_the_future(path: Path, clock: FakeClock) -> None:
    """Of two that claim a key at once, one gets it, however late the other's time arrives."""
    with SqliteLevel(path, clock=clock, timeout_s=0.001) as other:
        held: list[Claim] = []

        def claim_first() -> None:
            other.release(held)
            held[:] = [
                answer.claim
                for answer in other.claim(["key"], tags=[], lease_s=60.0).values()
                if answer.claim is not None
            ]

        with SqliteLevel(path, clock=SlowClock(clock, claim_first)) as level:
            claim = level.claim(["key"], tags=[], lease_s=60.0)["key"].claim
        assert (claim is None) == bool(held)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_fork_gets_a_connection_of_its_own(path: Path) -> None:
    """A forked child reads and writes, and the parent's connection is as good as before."""
    with SqliteLevel(path) as level:
        put(level, "parent", b"1")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                found = level.read(["parent"]).get("parent")
                put(level, "child", b"2")
                status = 0 if found is not None and found.data == b"1" else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        found = level.read(["child"]).get("child")
        assert found is not None
        put(level, "parent", b"3")


def test_other_database_is_refused_and_kept(path: Path) -> None:
    """A database that is not a cache is not touched."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE accounts (id)")
    connection.close()
    with pytest.raises(CacheLevelError, match="give another path"):
        SqliteLevel(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("accounts",)]
    connection.close()


def test_file_that_is_no_database_is_an_error(path: Path) -> None:
    """A file of other bytes is an error that names it."""
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(CacheLevelError, match=r"cache\.db"):
        SqliteLevel(path)


def test_closed_level_is_an_error(path: Path) -> None:
    """After closing, which may be done twice, use is an error."""
    level = SqliteLevel(path)
    level.close()
    level.close()
    with pytest.raises(CacheLevelError, match="closed"):
        level.read(["key"]).get("key")


@pytest.mark.parametrize(
    "bounds", [{"entries_max": 0}, {"size_bytes_max": 1000}, {"timeout_s": 0.0}]
)
def test_impossible_bounds_are_refused(path: Path, bounds: dict[str, float]) -> None:
    """Bounds that leave no room are refused before a file is made."""
    with pytest.raises(CacheLevelError, match="needed at least"):
        SqliteLevel(path, **bounds)  # type: ignore[arg-type]
    assert not path.exists()
