"""A second level in one SQLite file, shared by the threads and processes of a machine.

Time here is the wall clock, because processes do not share a monotonic one across restarts. If
the wall clock is set back, an entry that seems to come from the future counts as expired.

Reading writes nothing, so the bound drops the entries written longest ago, expired ones first.
`entries_max` bounds their number and `size_bytes_max` the file (SQLite's `max_page_count`); the
write-ahead log beside it is cut back to a few megabytes by SQLite's own checkpoints. Writes are
not forced to the disk one by one: after a power cut the last of them may be undone, removals too.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sergas.clock import SystemClock, WallClock
from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager._level import StoredValue, key_matcher

__all__ = ["SqliteLevel"]

_FORMAT = 1
_SIZE_BYTES_MIN = 64 * 1024
_LOG_SIZE_BYTES_MAX = 4 * 1024 * 1024
_WAL_ATTEMPTS = 8
_SHARE_DROPPED_WHEN_FULL = 8

# The triggers keep the number of entries, which SQLite would otherwise count row by row.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    written INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    data BLOB NOT NULL,
    stored_unix_s REAL NOT NULL,
    expires_unix_s REAL
);
CREATE INDEX IF NOT EXISTS entries_expiry ON entries (expires_unix_s)
    WHERE expires_unix_s IS NOT NULL;
CREATE TABLE IF NOT EXISTS totals (entries INTEGER NOT NULL);
INSERT INTO totals SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM totals);
CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entries
    BEGIN UPDATE totals SET entries = entries + 1; END;
CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries
    BEGIN UPDATE totals SET entries = entries - 1; END;
"""
_LIVE = "stored_unix_s <= :now_s AND (expires_unix_s IS NULL OR expires_unix_s > :now_s)"
_GET = f"SELECT data, expires_unix_s FROM entries WHERE key = :key AND {_LIVE}"  # noqa: S608 constants
_DELETE_LIVE = f"DELETE FROM entries WHERE key = :key AND {_LIVE}"  # noqa: S608 constants
_DELETE = "DELETE FROM entries WHERE key = :key"
_LIVE_KEYS = f"SELECT key, {_LIVE} FROM entries"  # noqa: S608 constants
_INSERT = (
    "INSERT INTO entries (key, data, stored_unix_s, expires_unix_s)"
    " VALUES (:key, :data, :now_s, :now_s + :ttl_s)"
)
_DELETE_EXPIRED = "DELETE FROM entries WHERE expires_unix_s <= :now_s"
_DELETE_OLDEST = (
    "DELETE FROM entries WHERE written IN (SELECT written FROM entries ORDER BY written LIMIT ?)"
)


@dataclass(frozen=True, slots=True)
class _Handle:
    """A connection, its lock and the process they belong to."""

    process: int
    lock: threading.Lock
    connection: sqlite3.Connection


class SqliteLevel:
    """A `CacheLevel` in a SQLite file; threads share one connection, each process has its own.

    Args:
        path: The file; made if it is not there. Whoever can write it decides what is served.
        entries_max: Most entries kept, >= 1.
        size_bytes_max: Most bytes the file may have, >= 65536.
        timeout_s: How long to wait for another process's write, > 0.
        clock: The wall clock.

    Raises:
        CacheLevelError: If the file cannot be opened or is not such a cache.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        entries_max: int = 100_000,
        size_bytes_max: int = 256 * 1024 * 1024,
        timeout_s: float = 1.0,
        clock: WallClock | None = None,
    ) -> None:
        if entries_max < 1 or size_bytes_max < _SIZE_BYTES_MIN or timeout_s <= 0:
            raise CacheLevelError(
                f"SqliteLevel: got entries_max={entries_max}, size_bytes_max={size_bytes_max},"
                f" timeout_s={timeout_s}; needed at least 1, {_SIZE_BYTES_MIN} and more than 0"
            )
        self._path = os.fspath(path)
        self._entries_max = entries_max
        self._size_bytes_max = size_bytes_max
        self._timeout_s = timeout_s
        self._clock: WallClock = clock if clock is not None else SystemClock()
        self._is_closed = False
        self._of_parents: list[_Handle] = []
        self._current = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; further use is a `CacheLevelError`. Closing twice does nothing."""
        self._is_closed = True
        if self._current.process == os.getpid():
            with self._current.lock:
                self._current.connection.close()

    def get(self, key: str) -> StoredValue | None:
        """The live value under `key` with the time left to it, or None."""
        now_s = self._clock.unix_s()
        with self._connected() as connection:
            row = connection.execute(_GET, {"key": key, "now_s": now_s}).fetchone()
        if row is None:
            return None
        data, expires_s = row
        return StoredValue(data=data, ttl_s=None if expires_s is None else expires_s - now_s)

    def set(self, key: str, data: bytes, *, ttl_s: float | None) -> None:
        """Keep `data` for `ttl_s` seconds (> 0, None for ever); the oldest entries make room.

        Raises:
            CacheLevelError: If SQLite fails, or `data` does not fit into the file at all.
        """
        row = {"key": key, "data": data, "ttl_s": ttl_s, "now_s": self._clock.unix_s()}
        with self._connected() as connection:
            while True:
                try:
                    self._insert(connection, row)
                except sqlite3.OperationalError as error:
                    if not _is_full(error) or not _drop_share(connection):
                        raise
                else:
                    return

    def delete(self, key: str) -> bool:
        """Remove `key`; whether a live value was there."""
        values = {"key": key, "now_s": self._clock.unix_s()}
        with self._connected() as connection, _transaction(connection):
            was_live = connection.execute(_DELETE_LIVE, values).rowcount > 0
            connection.execute(_DELETE, values)
        return was_live

    def delete_matching(self, pattern: str) -> int:
        """Remove the keys that `key_matcher(pattern)` accepts; how many live ones there were."""
        is_match = key_matcher(pattern)
        with self._connected() as connection, _transaction(connection):
            rows = connection.execute(_LIVE_KEYS, {"now_s": self._clock.unix_s()})
            matching = [(key, is_live) for key, is_live in rows if is_match(key)]
            connection.executemany(_DELETE, [{"key": key} for key, _ in matching])
        return sum(is_live for _, is_live in matching)

    def clear(self) -> None:
        """Remove every key."""
        with self._connected() as connection, _transaction(connection):
            connection.execute("DELETE FROM entries")

    def _insert(self, connection: sqlite3.Connection, row: Mapping[str, object]) -> None:
        with _transaction(connection):
            connection.execute(_DELETE_EXPIRED, row)
            connection.execute(_DELETE, row)
            connection.execute(_INSERT, row)
            (count,) = connection.execute("SELECT entries FROM totals").fetchone()
            if count > self._entries_max:
                connection.execute(_DELETE_OLDEST, (count - self._entries_max,))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """This process's connection under its lock, with SQLite's errors translated."""
        if self._is_closed:
            raise CacheLevelError(f"SqliteLevel({self._path!r}): it is closed; make a new one")
        if self._current.process != os.getpid():
            # A connection must not cross a fork. The parent's is kept, because closing it here
            # would meddle with files that the parent has open.
            self._of_parents.append(self._current)
            self._current = self._open()
        with self._current.lock, _translated(self._path):
            yield self._current.connection

    def _open(self) -> _Handle:
        with _translated(self._path):
            connection = sqlite3.connect(
                self._path,
                timeout=self._timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return _Handle(os.getpid(), threading.Lock(), connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE_BYTES_MAX}")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {self._size_bytes_max // page_bytes}")
        with _transaction(connection):
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if found != _FORMAT and (found, tables) != (0, 0):
                raise CacheLevelError(
                    f"SqliteLevel({self._path!r}): got a database of format {found} with {tables}"
                    f" tables and indexes, needed a cache of format {_FORMAT}; give another path"
                )
            if tables == 0:
                _create(connection)


def _create(connection: sqlite3.Connection) -> None:
    statement = ""
    for line in _SCHEMA.strip().splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA user_version = {_FORMAT}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch to the log; SQLite does not wait for others here, an ordinary write does."""
    for _ in range(_WAL_ATTEMPTS - 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            with _transaction(connection):
                pass
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def _is_full(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL


def _drop_share(connection: sqlite3.Connection) -> int:
    """Drop the oldest eighth; how many entries that was."""
    with _transaction(connection):
        (count,) = connection.execute("SELECT entries FROM totals").fetchone()
        share = -(-count // _SHARE_DROPPED_WHEN_FULL)
        return connection.execute(_DELETE_OLDEST, (share,)).rowcount


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite may have rolled back by itself
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, UnicodeEncodeError, OverflowError) as error:
        raise CacheLevelError(f"SqliteLevel({path!r}): {error}") from error
