"""What SQLite makes of a statement, without running it.

Compiling under an authorizer tells which columns the statement reads, by table, and whether it
does anything but read. The compiled program (`EXPLAIN`) opens tables and indexes by the number of
their root page, so the tables that it walks are known exactly, whatever the statement calls them.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._plan import QueryPlan, plan_steps
from sergas.optimizations.query_optimizer._workload import Parameters

__all__ = [
    "Statement",
    "compiled",
    "planned",
    "quoted",
    "rows_of",
    "schema_table",
    "translated",
]

_READING = frozenset(
    {
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_RECURSIVE,
        sqlite3.SQLITE_SELECT,
    }
)
_WRITING = frozenset({sqlite3.SQLITE_DELETE, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE})
_CHANGING = frozenset({"AutoCommit", "Checkpoint", "JournalMode", "Savepoint", "Vacuum"})
_OPENING = frozenset({"OpenRead", "OpenWrite", "ReopenIdx"})
_STARTING = frozenset({"Rewind", "Last"})
_STEPPING = frozenset({"Next", "Prev"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A compiled statement.

    Attributes:
        reads_only: Whether it can change nothing: neither rows nor schema, settings or transaction.
        columns: The columns it reads, for each table or view, by their names in the schema.
        tables_scanned: The tables whose rows the program walks from one end.
        writes_rows: Whether it changes rows and nothing else.
        tables_filled: Tables that it inserts into or deletes from.
        columns_updated: The columns it updates, for each table.
    """

    reads_only: bool
    columns: Mapping[str, frozenset[str]]
    tables_scanned: frozenset[str]
    writes_rows: bool
    tables_filled: frozenset[str]
    columns_updated: Mapping[str, frozenset[str]]

    def entries(self, table: str, columns: Sequence[str]) -> int:
        """Entries of an index on these columns that are written for each row that is."""
        is_moved = not self.columns_updated.get(table, frozenset()).isdisjoint(columns)
        return (table in self.tables_filled) + 2 * is_moved


def compiled(connection: sqlite3.Connection, sql: str, params: Parameters) -> Statement:
    """Compile `sql` and look at it; nothing of it is run.

    Raises:
        QueryPlanError: If SQLite refuses it.
    """
    actions: set[int] = set()
    columns: dict[str, set[str]] = {}
    updated: dict[str, set[str]] = {}
    filled: set[str] = set()

    def note(
        action: int, first: str | None, second: str | None, _database: str | None, _: str | None
    ) -> int:
        actions.add(action)
        if action == sqlite3.SQLITE_READ and first and second:
            columns.setdefault(first, set()).add(second)
        elif action == sqlite3.SQLITE_UPDATE and first and second:
            updated.setdefault(first, set()).add(second)
        elif action in _WRITING and first:
            filled.add(first)
        return sqlite3.SQLITE_OK

    with translated("compile", sql):
        roots = _tables_by_root(connection)
        connection.set_authorizer(note)
        try:
            program = rows_of(connection, f"EXPLAIN {sql}", params)
        finally:
            connection.set_authorizer(None)
    return Statement(
        reads_only=_reads_only(actions, program),
        columns=_frozen(columns),
        tables_scanned=_tables_scanned(program, roots),
        writes_rows=bool(actions & _WRITING) and actions <= _WRITING | _READING,
        tables_filled=frozenset(filled),
        columns_updated=_frozen(updated),
    )


def _frozen(sets: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(members) for name, members in sets.items()}


def planned(connection: sqlite3.Connection, sql: str, params: Parameters) -> QueryPlan:
    """SQLite's plan for `sql`; nothing of it is run.

    Raises:
        QueryPlanError: If SQLite refuses it.
    """
    statement = compiled(connection, sql, params)
    with translated("plan", sql):
        rows = rows_of(connection, f"EXPLAIN QUERY PLAN {sql}", params)
        indexes = _index_names(connection)
    steps = plan_steps([(row[0], row[1], row[3]) for row in rows], indexes)
    return QueryPlan(sql=sql, steps=steps, tables_scanned=statement.tables_scanned)


def quoted(name: str) -> str:
    """`name` as an SQL identifier, whatever is in it.

    Raises:
        QueryPlanError: If it holds a NUL, which SQLite cannot carry.
    """
    if "\0" in name:
        raise QueryPlanError(f"identifier: got {name!r}, needed a name without NUL")
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def translated(step: str, sql: str) -> Iterator[None]:
    """SQLite's errors as `QueryPlanError`, with the statement."""
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        if isinstance(error, QueryPlanError):
            raise
        raise QueryPlanError(f"QueryOptimizer: cannot {step} {sql!r}: {error}") from error


def rows_of(
    connection: sqlite3.Connection, sql: str, params: Parameters = ()
) -> list[tuple[Any, ...]]:
    """All rows, as plain tuples."""
    cursor = connection.cursor()
    cursor.row_factory = None  # the caller's own shape of rows is not ours
    return cursor.execute(sql, params).fetchall()


def _databases(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    return [(row[0], row[1]) for row in rows_of(connection, "PRAGMA database_list")]


def _tables_by_root(connection: sqlite3.Connection) -> dict[tuple[int, int], str]:
    tables = {}
    for number, database in _databases(connection):
        listing = f"SELECT rootpage, name FROM {schema_table(database)} WHERE type = 'table'"  # noqa: S608 quoted
        for root, name in rows_of(connection, listing):
            tables[number, root] = name
    return tables


def _index_names(connection: sqlite3.Connection) -> frozenset[str]:
    names: set[str] = set()
    for _, database in _databases(connection):
        listing = f"SELECT name FROM {schema_table(database)} WHERE type = 'index'"  # noqa: S608 quoted
        names.update(name for (name,) in rows_of(connection, listing, ()))
    return frozenset(names)


def schema_table(database: str) -> str:
    """The table that lists what a database holds, ready for SQL."""
    table = "sqlite_temp_master" if database == "temp" else "sqlite_master"
    return f"{quoted(database)}.{table}"


def _reads_only(actions: Collection[int], program: Sequence[tuple[Any, ...]]) -> bool:
    """Whether a statement can change nothing.

    The authorizer is not asked about VACUUM, so the program is looked at as well, for what
    `sqlite3_stmt_readonly` looks for: a transaction that may write, or one of a few instructions.
    """
    is_changing = any(
        operation in _CHANGING or (operation == "Transaction" and second != 0)
        for _, operation, _first, second, *_rest in program
    )
    return sqlite3.SQLITE_SELECT in actions and set(actions) <= _READING and not is_changing


def _tables_scanned(
    program: Sequence[tuple[Any, ...]], tables: Mapping[tuple[int, int], str]
) -> frozenset[str]:
    opened: dict[int, set[str]] = {}
    started: set[int] = set()
    stepped: set[int] = set()
    for _, operation, first, second, third, *_rest in program:
        if operation in _OPENING and (third, second) in tables:
            opened.setdefault(first, set()).add(tables[third, second])
        elif operation in _STARTING:
            started.add(first)
        elif operation in _STEPPING:
            stepped.add(first)
        elif operation == "Count":
            started.add(first)
            stepped.add(first)
    return _all_of(opened, started & stepped)


def _all_of(opened: Mapping[int, set[str]], cursors: Collection[int]) -> frozenset[str]:
    return frozenset(name for cursor in cursors for name in opened.get(cursor, ()))
