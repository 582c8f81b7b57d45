"""Accounts in one SQLite file, which threads and processes share."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sergas.accounts._dialect import SQLITE
from sergas.accounts._failures import told_as_ours
from sergas.accounts._sql_store import SqlStore, new_account_id
from sergas.accounts.migrations import pending, statements, steps
from sergas.clock import WallClock
from sergas.errors import SchemaVersionError
from sergas.optimizations.connection_pool import ConnectionPool, PoolStats
from sergas.optimizations.connection_pool.drivers import sqlite_driver

__all__ = ["SqliteDatabase", "SqliteStore"]

_BUSY_TIMEOUT_S = 5.0
_CACHE_KIB = 4_096


class SqliteDatabase:
    """One file, with a pool of readers and a pool of one writer."""

    dialect = SQLITE

    def __init__(self, path: Path, readers: int, factory: type[sqlite3.Connection]) -> None:
        self.path = path
        with told_as_ours(self.engine):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                _prepare_file(self.path)
            except OSError as error:
                raise sqlite3.OperationalError(f"{self.path}: {error.strerror}") from error
        driver = sqlite_driver(
            self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, factory=factory
        )
        self._readers = ConnectionPool(
            driver, min_size=1, max_size=readers, name="accounts-readers", configure=_configure
        )
        self._writer = ConnectionPool(
            driver, min_size=1, max_size=1, name="accounts-writer", configure=_configure
        )
        self._readers.open()
        self._writer.open()

    @property
    def engine(self) -> str:
        """See `Database`."""
        return f"SQLite {sqlite3.sqlite_version}"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See `Database`."""
        with told_as_ours(self.engine), self._readers.connection() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """See `Database`."""
        with told_as_ours(self.engine), self._writer.connection() as connection:
            # At once, so that what is read inside is what will be changed.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # A full disk has ended the transaction already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def migrate(self) -> int:
        """See `Database`."""
        with self.writing() as connection:
            todo = pending(steps("sqlite"), _version(connection))
            for step in todo:
                for statement in statements(step.sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {step.number}")
            return len(todo)

    def check(self) -> None:
        """See `Database`."""
        with self.reading() as connection:
            version = _version(connection)
        if todo := pending(steps("sqlite"), version):
            raise SchemaVersionError(
                f"{self.path}: the tables have version {version}, needed {todo[-1].number}; "
                "run `sergas seed`, or `sergas serve --migrate`"
            )

    def close(self) -> None:
        """See `Database`."""
        self._readers.close()
        self._writer.close()

    def size_bytes(self) -> int:
        """The file and its log."""
        files = (self.path, Path(f"{self.path}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def pool_stats(self) -> dict[str, PoolStats]:
        """What the pools counted."""
        return {"readers": self._readers.get_stats(), "writer": self._writer.get_stats()}


class SqliteStore(SqlStore):
    """An `AccountStore` in a file, in WAL mode: readers do not wait for the writer.

    SQLite has one writer at a time. Writers of this process queue in a pool of one connection,
    first come, first served; those of other processes are waited for by SQLite's own polling.

    Args:
        path: The file; made if it is not there, its folder as well.
        readers: Most connections that read at the same time, >= 1.
        factory: What makes connections, such as `RecordedConnection`, which can be listened to.
        secret: As for `SqlStore`.
        clock: As for `SqlStore`.
        new_id: As for `SqlStore`.

    Raises:
        StoreError: If the file cannot be opened, or is no database.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        readers: int = 8,
        factory: type[sqlite3.Connection] = sqlite3.Connection,
        secret: bytes | None = None,
        clock: WallClock | None = None,
        new_id: Callable[[], str] = new_account_id,
    ) -> None:
        database = SqliteDatabase(Path(path), readers, factory)
        super().__init__(database, secret=secret, clock=clock, new_id=new_id)
        self.path = database.path


def _prepare_file(path: Path) -> None:
    """Make the file, in WAL mode, which it keeps."""
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
