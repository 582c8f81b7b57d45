"""What a SQLite database holds: the indexes it has, and the columns that could have one."""

import sqlite3
from dataclasses import dataclass

from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._statement import rows_of

__all__ = ["ExistingIndex", "existing_indexes", "indexable_columns", "ordinary_tables", "row_key"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingIndex:
    """An index of the schema on columns alone, of all rows.

    Attributes:
        index: Table and columns.
        name: Its name.
        is_rule: Whether it enforces uniqueness, so that it must stay even if no query uses it.
    """

    index: Index
    name: str
    is_rule: bool


def existing_indexes(connection: sqlite3.Connection) -> tuple[ExistingIndex, ...]:
    """Those of the main database, by table and name; none that is partial or on an expression."""
    found = rows_of(
        connection,
        'SELECT t.name, i.name, i."unique" FROM sqlite_master t, pragma_index_list(t.name) i'
        " WHERE t.type = 'table' AND i.partial = 0 ORDER BY 1, 2",
    )
    listed = []
    for table, name, is_unique in found:
        listing = "SELECT name FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
        columns = tuple(column for (column,) in rows_of(connection, listing, (name,)))
        if None not in columns:
            index = Index(table, columns)
            listed.append(ExistingIndex(index=index, name=name, is_rule=bool(is_unique)))
    return tuple(listed)


def indexable_columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """Columns of `table` that an index can be on: not the rowid under any of its names.

    Empty for views, virtual tables, SQLite's own tables and what is not in the main database.
    """
    if table not in ordinary_tables(connection):
        return frozenset()
    listing = "SELECT name, type, pk FROM pragma_table_xinfo(?, 'main')"
    rows = rows_of(connection, listing, (table,))
    keys = [(name, kind) for name, kind, place in rows if place]
    rowid = {name for name, kind in keys if len(keys) == 1 and kind.upper() == "INTEGER"}
    return frozenset(name for name, _, _ in rows) - rowid


def ordinary_tables(connection: sqlite3.Connection) -> frozenset[str]:
    """Tables of the main database that can have indexes."""
    rows = rows_of(
        connection,
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%'",
    )
    return frozenset(name for (name,) in rows)


def row_key(connection: sqlite3.Connection, table: str) -> str:
    """The first column of the table's primary key, "rowid" if it has none."""
    rows = rows_of(connection, "SELECT name FROM pragma_table_info(?) WHERE pk = 1", (table,))
    return str(rows[0][0]) if rows else "rowid"
