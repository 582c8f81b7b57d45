"""Accounts in PostgreSQL, deals and activities in as many hash partitions as wanted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from sergas.accounts._dialect import POSTGRES
from sergas.accounts._failures import told_as_ours
from sergas.accounts._sql_store import SqlStore, new_account_id
from sergas.accounts.migrations import pending, statements, steps
from sergas.clock import WallClock
from sergas.errors import AccountValueError, SchemaVersionError
from sergas.optimizations.connection_pool import ConnectionPool, PoolStats
from sergas.optimizations.connection_pool.drivers import psycopg_driver

__all__ = ["PostgresDatabase", "PostgresStore"]

_LOCK = 0x5E26A5
_PARTITIONS_MAX = 1024


class PostgresDatabase:
    """One database of a server, with a pool of readers and a pool of writers."""

    dialect = POSTGRES

    def __init__(self, dsn: str, *, readers: int, writers: int, partitions: int) -> None:
        if not 1 <= partitions <= _PARTITIONS_MAX:
            raise AccountValueError(
                f"PostgresStore: got partitions={partitions}, needed 1 to {_PARTITIONS_MAX}"
            )
        self._partitions = partitions
        self._version_text = "PostgreSQL"
        self._readers = ConnectionPool(
            psycopg_driver(dsn, autocommit=True),
            min_size=1,
            max_size=readers,
            name="accounts-readers",
            configure=_configure,
        )
        self._writers = ConnectionPool(
            psycopg_driver(dsn),
            min_size=0,
            max_size=writers,
            name="accounts-writers",
            configure=_configure,
        )
        self._writers.open()
        with told_as_ours(self.engine):
            try:
                self._readers.open(wait=True, timeout_s=10)
            except BaseException:
                self._writers.close()
                raise
        with self.reading() as connection:
            version = connection.execute("SHOW server_version").fetchone()[0]
        self._version_text = f"PostgreSQL {version.split()[0]}"

    @property
    def engine(self) -> str:
        """See `Database`."""
        return self._version_text

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """See `Database`."""
        with told_as_ours(self.engine), self._readers.connection() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """See `Database`."""
        with told_as_ours(self.engine), self._writers.connection() as connection:
            yield connection

    def migrate(self) -> int:
        """See `Database`."""
        with self.writing() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_steps (number integer PRIMARY KEY,"
                " name text NOT NULL, taken_at timestamptz NOT NULL DEFAULT now())"
            )
            todo = pending(steps("postgres"), _version(connection))
            for step in todo:
                for statement in statements(self._filled_in(step.sql)):
                    connection.execute(statement)
                connection.execute(
                    "INSERT INTO schema_steps (number, name) VALUES (%s, %s)",
                    (step.number, step.name),
                )
            return len(todo)

    def check(self) -> None:
        """See `Database`."""
        with self.reading() as connection:
            version = _version(connection)
        if todo := pending(steps("postgres"), version):
            raise SchemaVersionError(
                f"{self.engine}: the tables have version {version}, needed {todo[-1].number}; "
                "run `sergas seed`, or `sergas serve --migrate`"
            )

    def close(self) -> None:
        """See `Database`."""
        self._readers.close()
        self._writers.close()

    def size_bytes(self) -> int:
        """The database with everything in it."""
        with self.reading() as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            return int(row[0])

    def pool_stats(self) -> dict[str, PoolStats]:
        """What the pools counted."""
        return {"readers": self._readers.get_stats(), "writers": self._writers.get_stats()}

    def _filled_in(self, sql: str) -> str:
        """The step with the tables partitioned as wanted."""
        count = self._partitions
        parts = [
            f"CREATE TABLE {table}_{part} PARTITION OF {table}"
            f" FOR VALUES WITH (MODULUS {count}, REMAINDER {part});\n"
            for table in ("deals", "activities")
            for part in range(count)
        ]
        if count == 1:
            parts = []
        by = "PARTITION BY HASH (account_id)" if parts else ""
        return sql.replace("{partitioned}", by).replace("{partitions}", "".join(parts))


class PostgresStore(SqlStore):
    """An `AccountStore` in a PostgreSQL database.

    Reading connections are in autocommit mode, so that a read is one round trip.

    Args:
        dsn: As psycopg takes it.
        readers: Most connections that read at the same time, >= 1.
        writers: Most connections that write at the same time, >= 1.
        partitions: Hash partitions of deals and of activities when `migrate` makes the tables, 1 to
            1024; 1 is a plain table. Tables that are there stay as they are.
        secret: As for `SqlStore`.
        clock: As for `SqlStore`.
        new_id: As for `SqlStore`.

    Raises:
        AccountValueError: If a number is out of its range.
        MissingExtraError: If psycopg is not installed.
        StoreUnavailableError: If the server cannot be reached.
    """

    def __init__(  # noqa: PLR0913 keywords, each with a default
        self,
        dsn: str,
        *,
        readers: int = 8,
        writers: int = 4,
        partitions: int = 1,
        secret: bytes | None = None,
        clock: WallClock | None = None,
        new_id: Callable[[], str] = new_account_id,
    ) -> None:
        database = PostgresDatabase(dsn, readers=readers, writers=writers, partitions=partitions)
        super().__init__(database, secret=secret, clock=clock, new_id=new_id)


def _configure(connection: Any) -> None:
    from psycopg.types.json import set_json_loads

    set_json_loads(msgspec.json.decode, connection)
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _version(connection: Any) -> int:
    there = connection.execute("SELECT to_regclass('schema_steps')").fetchone()[0]
    if there is None:
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM schema_steps").fetchone()
    return int(row[0])
