"""What is known of the tables: columns, their types, whether they can be NULL, what is indexed."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sergas.errors import WorkloadError

__all__ = ["ColumnFacts", "ColumnKind", "SchemaFacts", "TableFacts", "facts_of"]

ColumnKind: TypeAlias = Literal["integer", "number", "text", "date", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """A column.

    Attributes:
        kind: What it holds.
        is_nullable: Whether it can be NULL.
        is_indexed: Whether an index begins with it.
    """

    kind: ColumnKind = "other"
    is_nullable: bool = True
    is_indexed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A table: its columns, in their order."""

    columns: Mapping[str, ColumnFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFacts:
    """The tables, by their names in lower case. What is not there is not known."""

    tables: Mapping[str, TableFacts] = field(default_factory=dict)


def facts_of(connection: Any) -> SchemaFacts:
    """Read what a connection's database knows of its tables.

    Args:
        connection: Of sqlite3 or psycopg.

    Raises:
        WorkloadError: If it is of neither.
    """
    if isinstance(connection, sqlite3.Connection):
        return _of_sqlite(connection)
    modules = {base.__module__.partition(".")[0] for base in type(connection).__mro__}
    if "psycopg" in modules and hasattr(connection, "execute"):
        return _of_postgres(connection)
    kind = type(connection)
    raise WorkloadError(
        f"facts_of: got a {kind.__module__}.{kind.__qualname__}, needed a connection of sqlite3 or "
        "psycopg"
    )


def _of_sqlite(connection: sqlite3.Connection) -> SchemaFacts:
    cursor = connection.cursor()
    cursor.row_factory = None
    listed = cursor.execute(
        'SELECT m.name, c.name, c.type, c."notnull", c.pk FROM sqlite_master AS m,'
        " pragma_table_info(m.name) AS c WHERE m.type = 'table' ORDER BY m.name, c.cid"
    ).fetchall()
    leading = set(
        cursor.execute(
            "SELECT m.name, i.name FROM sqlite_master AS m, pragma_index_list(m.name) AS l,"
            " pragma_index_info(l.name) AS i WHERE m.type = 'table' AND i.seqno = 0"
        ).fetchall()
    )
    tables: dict[str, dict[str, ColumnFacts]] = {}
    for table, column, declared, is_not_null, key in listed:
        tables.setdefault(table.lower(), {})[column.lower()] = ColumnFacts(
            kind=_sqlite_kind(declared),
            # Only an INTEGER PRIMARY KEY is never NULL; other keys may be, by an old mistake.
            is_nullable=not (is_not_null or (key == 1 and declared.upper() == "INTEGER")),
            is_indexed=(table, column) in leading or key == 1,
        )
    return SchemaFacts(tables={name: TableFacts(columns=found) for name, found in tables.items()})


def _sqlite_kind(declared: str) -> ColumnKind:
    """By the rules of affinity (SQLite, Datatypes, section 3.1)."""
    upper = declared.upper()
    if "INT" in upper:
        return "integer"
    if any(part in upper for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if any(part in upper for part in ("REAL", "FLOA", "DOUB")):
        return "number"
    return "other"


_POSTGRES_KINDS: dict[str, ColumnKind] = {
    "int2": "integer", "int4": "integer", "int8": "integer", "numeric": "number",
    "float4": "number", "float8": "number", "text": "text", "varchar": "text", "bpchar": "text",
    "date": "date", "timestamp": "date", "timestamptz": "date",
}  # fmt: skip


def _of_postgres(connection: Any) -> SchemaFacts:
    rows = connection.execute(
        """
        SELECT t.relname, a.attname, y.typname, a.attnotnull,
          EXISTS (SELECT 1 FROM pg_index AS i
            WHERE i.indrelid = t.oid AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
        FROM pg_class AS t JOIN pg_attribute AS a ON a.attrelid = t.oid
          JOIN pg_type AS y ON y.oid = a.atttypid
        WHERE t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
          AND pg_table_is_visible(t.oid)
          AND t.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        ORDER BY t.relname, a.attnum
        """
    ).fetchall()
    tables: dict[str, dict[str, ColumnFacts]] = {}
    for table, column, kind, is_not_null, is_indexed in rows:
        tables.setdefault(table.lower(), {})[column.lower()] = ColumnFacts(
            kind=_POSTGRES_KINDS.get(kind, "other"),
            is_nullable=not is_not_null,
            is_indexed=is_indexed,
        )
    return SchemaFacts(tables={name: TableFacts(columns=found) for name, found in tables.items()})
