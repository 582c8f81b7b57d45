"""Indexes tried for real and taken back.

The index is created inside a transaction that is always rolled back, or inside a savepoint if the
caller has a transaction open; in between, SQLite itself plans and runs the query with it. Neither
the file nor the caller's transaction is different afterwards, whatever happened.
"""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._plan import QueryPlan
from sergas.optimizations.query_optimizer._statement import (
    quoted,
    rows_of,
    schema_table,
    translated,
)

__all__ = [
    "IndexEvaluation",
    "TrialIndex",
    "candidate_columns",
    "index_columns",
    "trial_index",
    "untouched",
]

_SAVEPOINT = "sergas_trial"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEvaluation:
    """What an index would do for one query, measured with the index in place.

    Attributes:
        table: The table, by its name in the schema.
        columns: The index's columns, in order.
        vm_steps_before: Virtual-machine steps of the query without it, exact.
        vm_steps_after: The same with it.
        size_bytes: What it takes in the database, in whole pages.
        saving_min: Least share of the steps that has to be saved to call it a help.
        plan_before: The plan without it.
        plan_after: The plan with it.
        index: The name that the index has in `plan_after`.
    """

    table: str
    columns: tuple[str, ...]
    vm_steps_before: int
    vm_steps_after: int
    size_bytes: int
    saving_min: float
    plan_before: QueryPlan
    plan_after: QueryPlan
    index: str

    @property
    def is_used(self) -> bool:
        """Whether SQLite's plan uses it."""
        return self.index in self.plan_after.indexes

    @property
    def saving(self) -> float:
        """Share of the steps saved, at most 1; negative if the query needs more with it."""
        return 1.0 - self.vm_steps_after / self.vm_steps_before if self.vm_steps_before else 0.0

    @property
    def helps(self) -> bool:
        """Whether the plan uses it and it saves at least `saving_min` of the steps."""
        return self.is_used and self.saving >= self.saving_min

    @property
    def ddl(self) -> str:
        """The statement that creates it, under a name made of the table's and columns' names."""
        name = "_".join([self.table, *self.columns, "idx"])
        return _create_statement(quoted(name), self.table, self.columns)


@dataclass(frozen=True, slots=True)
class TrialIndex:
    """An index that exists only for now."""

    name: str
    size_bytes: int


def index_columns(
    connection: sqlite3.Connection, table: str, columns: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """The database that holds `table`, and the columns by their names in the schema.

    SQLite would take an unknown name in double quotes for a string, so names are checked here.

    Raises:
        QueryPlanError: If there is no such table, no such column, no column at all or one twice.
    """
    database = _database_of(connection, table)
    listing = "SELECT name FROM pragma_table_xinfo(?, ?)"
    rows = rows_of(connection, listing, (table, database))
    known = {name.casefold(): name for (name,) in rows}
    wanted = [column.casefold() for column in columns]
    if not wanted or len(set(wanted)) != len(wanted) or not set(wanted) <= known.keys():
        raise QueryPlanError(
            f"index on {table!r}: got columns {list(columns)!r}, needed one or more of"
            f" {sorted(known.values())!r}, each once"
        )
    return database, tuple(known[column] for column in wanted)


@contextmanager
def trial_index(
    connection: sqlite3.Connection, table: str, columns: Sequence[str]
) -> Iterator[TrialIndex]:
    """Create the index, and undo that and everything else at the end.

    Raises:
        QueryPlanError: If there is no such table or column, or SQLite cannot create the index.
    """
    database, names = index_columns(connection, table, columns)
    name = _free_name(connection, database)
    with untouched(connection):
        statement = _create_statement(f"{quoted(database)}.{quoted(name)}", table, names)
        before = _used_bytes(connection, database)
        with translated("run", statement):
            connection.execute(statement)
        yield TrialIndex(name, _used_bytes(connection, database) - before)


@contextmanager
def untouched(connection: sqlite3.Connection) -> Iterator[None]:
    """Undo whatever the block does to the database; an open transaction goes on as it was.

    Raises:
        QueryPlanError: If no transaction can be opened.
    """
    is_inside = connection.in_transaction
    begin = f"SAVEPOINT {_SAVEPOINT}" if is_inside else "BEGIN IMMEDIATE"
    with translated("run", begin):
        connection.execute(begin)
    try:
        yield
    finally:
        if is_inside and connection.in_transaction:
            connection.execute(f"ROLLBACK TO {_SAVEPOINT}")
            connection.execute(f"RELEASE {_SAVEPOINT}")
        elif connection.in_transaction:  # else SQLite has rolled back by itself, as on a full disk
            connection.execute("ROLLBACK")


def _create_statement(index: str, table: str, columns: Sequence[str]) -> str:
    return f"CREATE INDEX {index} ON {quoted(table)} ({', '.join(map(quoted, columns))})"


def _database_of(connection: sqlite3.Connection, table: str) -> str:
    """The first database, in the order in which SQLite resolves names, that has the table."""
    names = [row[1] for row in rows_of(connection, "PRAGMA database_list")]
    for database in sorted(names, key=lambda name: name != "temp"):
        found = rows_of(
            connection,
            f"SELECT sql LIKE 'CREATE VIRTUAL%' FROM {schema_table(database)}"  # noqa: S608 quoted
            f" WHERE type = 'table' AND name = ? COLLATE NOCASE",
            (table,),
        )
        if found and not found[0][0]:
            return str(database)
    raise QueryPlanError(f"index on {table!r}: there is no table of this name that can have one")


def _free_name(connection: sqlite3.Connection, database: str) -> str:
    taken = {name for (name,) in rows_of(connection, f"SELECT name FROM {schema_table(database)}")}  # noqa: S608 quoted
    names = (f"sergas_trial_{number}" for number in itertools.count())
    return next(name for name in names if name not in taken)


def _used_bytes(connection: sqlite3.Connection, database: str) -> int:
    pages, free, page_bytes = (
        rows_of(connection, f"PRAGMA {quoted(database)}.{setting}")[0][0]
        for setting in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page_bytes)


def candidate_columns(
    connection: sqlite3.Connection, table: str, columns: Iterable[str]
) -> tuple[str, ...]:
    """Those of `columns` that an index can be on, sorted: not the rowid under any of its names.

    SQLite's own tables can have none.
    """
    if table.startswith("sqlite_"):
        return ()
    database = _database_of(connection, table)
    listing = "SELECT name, type, pk FROM pragma_table_xinfo(?, ?)"
    rows = rows_of(connection, listing, (table, database))
    keys = [(name, kind) for name, kind, place in rows if place]
    rowid = {name for name, kind in keys if len(keys) == 1 and kind.upper() == "INTEGER"}
    return tuple(sorted({name for name, _, _ in rows} & set(columns) - rowid))
