"""The file behind `SqliteLevel`: its tables, a connection for each process, and a signal.

The signal is eight bytes in a file beside the database that every process has mapped into its
memory: the number of the last change. It is written inside the transaction that makes the change,
so it never falls behind what has been committed, and looking at it costs no system call.
"""

import mmap
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sergas.errors import CacheLevelError

__all__ = ["Signal", "SqliteFile", "is_full", "transaction"]

_FORMAT = 2
_LOG_SIZE_BYTES_MAX = 4 * 1024 * 1024
_WAL_ATTEMPTS = 8

# The triggers keep the number of entries, which SQLite would otherwise count row by row.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    written INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    data BLOB NOT NULL,
    stored_unix_s REAL NOT NULL,
    ends_unix_s REAL,
    expires_unix_s REAL,
    cost_s REAL NOT NULL,
    tags TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_expiry ON entries (expires_unix_s)
    WHERE expires_unix_s IS NOT NULL;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    tags TEXT NOT NULL,
    taken_unix_s REAL NOT NULL,
    ends_unix_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    name TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    kind TEXT NOT NULL,
    what TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS totals (entries INTEGER NOT NULL, fence INTEGER NOT NULL);
INSERT INTO totals SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM totals);
CREATE TRIGGER IF NOT EXISTS entry_added AFTER INSERT ON entries
    BEGIN UPDATE totals SET entries = entries + 1; END;
CREATE TRIGGER IF NOT EXISTS entry_removed AFTER DELETE ON entries
    BEGIN UPDATE totals SET entries = entries - 1; END;
"""


@dataclass(frozen=True, slots=True)
class _Handle:
    """A connection, its lock and the process they belong to."""

    process: int
    lock: threading.RLock
    connection: sqlite3.Connection


class SqliteFile:
    """Opens the file and lends the connection of this process, one thread at a time.

    Args:
        path: The file; made if it is not there.
        size_bytes_max: Most bytes the file may have.
        timeout_s: How long to wait for another process's write.

    Raises:
        CacheLevelError: If the file cannot be opened or is not such a cache.
    """

    def __init__(self, path: str, *, size_bytes_max: int, timeout_s: float) -> None:
        self.path = path
        self._size_bytes_max = size_bytes_max
        self._timeout_s = timeout_s
        self._is_closed = False
        self._of_parents: list[_Handle] = []
        self._current = self._open()

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        self._is_closed = True
        if self._current.process == os.getpid():
            with self._current.lock:
                self._current.connection.close()

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """This process's connection under its lock, with SQLite's errors translated."""
        if self._is_closed:
            raise CacheLevelError(f"SqliteLevel({self.path!r}): it is closed; make a new one")
        if self._current.process != os.getpid():
            # A connection must not cross a fork. The parent's is kept, because closing it here
            # would meddle with files that the parent has open.
            self._of_parents.append(self._current)
            self._current = self._open()
        with self._current.lock, _translated(self.path):
            yield self._current.connection

    def _open(self) -> _Handle:
        with _translated(self.path):
            connection = sqlite3.connect(
                self.path,
                timeout=self._timeout_s,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        return _Handle(os.getpid(), threading.RLock(), connection)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_SIZE_BYTES_MAX}")
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {self._size_bytes_max // page_bytes}")
        with transaction(connection):
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if found != _FORMAT and (found, tables) != (0, 0):
                raise CacheLevelError(
                    f"SqliteLevel({self.path!r}): got a database of format {found} with {tables}"
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
            with transaction(connection):
                pass
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


def is_full(error: sqlite3.OperationalError) -> bool:
    """Whether SQLite failed because the file may not grow."""
    return error.sqlite_errorcode == sqlite3.SQLITE_FULL


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, alone among the processes."""
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


class Signal:
    """The number of the last change, shared by all processes that have the file open.

    Args:
        path: The file; made if it is not there.

    Raises:
        CacheLevelError: If it cannot be opened.
    """

    __slots__ = ("_map", "number")

    def __init__(self, path: str) -> None:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                if os.fstat(handle).st_size < mmap.PAGESIZE:
                    os.ftruncate(handle, mmap.PAGESIZE)
                self._map = mmap.mmap(handle, mmap.PAGESIZE)
            finally:
                os.close(handle)
        except OSError as error:
            raise CacheLevelError(
                f"SqliteLevel: cannot map the signal {path!r}: {error}"
            ) from error
        self.number = memoryview(self._map).cast("Q")

    def close(self) -> None:
        """Let go of the file."""
        self.number.release()
        self._map.close()
