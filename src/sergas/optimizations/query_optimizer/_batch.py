"""Many rows written at once: inserted, updated, or either.

SQLite runs in the program: a statement that is prepared once and run for each row inside one
transaction has no way to be faster by much. PostgreSQL is across a wire: rows go by COPY, or as one
array for each column, so that a thousand rows are one round trip.
"""

import sqlite3
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from sergas.errors import BatchError

__all__ = ["insert_many", "update_many", "upsert_many"]

Row: TypeAlias = Sequence[Any]
_CHUNK = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    """Where rows go.

    Attributes:
        table: Its name.
        key: Columns that tell rows apart, the first of each row; may be none for inserts.
        columns: The other columns.
    """

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def all_columns(self) -> tuple[str, ...]:
        """As rows have them."""
        return self.key + self.columns


Write: TypeAlias = Callable[[Any, _Target, list[Row]], int]


def insert_many(
    connection: Any, table: str, columns: Sequence[str], rows: Iterable[Row], *, chunk: int = _CHUNK
) -> int:
    """Insert rows, all or none.

    Args:
        connection: Of sqlite3 or psycopg. A transaction that is open goes on; otherwise one is
            made and committed.
        table: Its name, as it is written in the schema.
        columns: The columns of each row, in its order.
        rows: Read once, a chunk at a time; may be any iterable.
        chunk: Rows sent at a time, >= 1.

    Returns:
        How many rows were inserted.

    Raises:
        BatchError: If a row cannot be written; the message says which. Nothing is written then.
    """
    target = _target(table, (), columns)
    write = _insert_sqlite if isinstance(connection, sqlite3.Connection) else _insert_postgres
    return _written(connection, target, rows, write, chunk)


def update_many(
    connection: Any,
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Row],
    *,
    chunk: int = _CHUNK,
) -> int:
    """Update rows by their keys, all or none; keys that are not there are left out.

    Args:
        connection: As in `insert_many`.
        table: Its name.
        key: Columns that tell rows apart: the first values of each row.
        columns: Columns to set: the values after them.
        rows: As in `insert_many`; each key once.
        chunk: As in `insert_many`.

    Returns:
        How many rows were updated.

    Raises:
        BatchError: If a row cannot be written; the message says which. Nothing is written then.
    """
    target = _target(table, key, columns)
    write = _update_sqlite if isinstance(connection, sqlite3.Connection) else _update_postgres
    return _written(connection, target, rows, write, chunk)


def upsert_many(
    connection: Any,
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Iterable[Row],
    *,
    chunk: int = _CHUNK,
) -> int:
    """Insert rows, or update those whose key is there, all or none.

    The key needs a unique index. Arguments, result and errors are those of `update_many`.
    """
    target = _target(table, key, columns)
    write = _upsert_sqlite if isinstance(connection, sqlite3.Connection) else _upsert_postgres
    return _written(connection, target, rows, write, chunk)


def _target(table: str, key: Sequence[str], columns: Sequence[str]) -> _Target:
    target = _Target(table=table, key=tuple(key), columns=tuple(columns))
    if not target.columns:
        raise BatchError(f"{table}: got no columns, needed at least one to write")
    if len(set(target.all_columns)) != len(target.all_columns):
        raise BatchError(f"{table}: got a column twice in {', '.join(target.all_columns)}")
    return target


def _written(
    connection: Any, target: _Target, rows: Iterable[Row], write: Write, chunk: int
) -> int:
    """Write chunk by chunk inside a savepoint, which is rolled back if one fails."""
    if chunk < 1:
        raise BatchError(f"{target.table}: got chunk={chunk}, needed 1 or more")
    is_ours = not _is_in_transaction(connection)
    if is_ours and isinstance(connection, sqlite3.Connection):
        connection.execute("BEGIN")
    savepoint = f"batch_{uuid.uuid4().hex}"
    connection.execute(f"SAVEPOINT {savepoint}")
    count, start = 0, 0
    source = iter(rows)
    try:
        while part := list(islice(source, chunk)):
            _check_widths(target, part, start)
            count += _written_or_blamed(connection, target, part, write, start)
            start += len(part)
        connection.execute(f"RELEASE SAVEPOINT {savepoint}")
    except BaseException:
        if not _has_ended(connection):
            connection.execute(f"ROLLBACK TO SAVEPOINT {savepoint}")
            connection.execute(f"RELEASE SAVEPOINT {savepoint}")
            if is_ours:
                connection.rollback()
        raise
    if is_ours:
        connection.commit()
    return count


def _has_ended(connection: Any) -> bool:
    """Whether SQLite has rolled everything back by itself, as it does on a full disk."""
    return isinstance(connection, sqlite3.Connection) and not connection.in_transaction


def _is_in_transaction(connection: Any) -> bool:
    if isinstance(connection, sqlite3.Connection):
        return connection.in_transaction
    if connection.autocommit:
        raise BatchError(
            "got a connection in autocommit mode, needed a transaction to write all rows or none; "
            "set autocommit to False"
        )
    return bool(connection.info.transaction_status.name != "IDLE")


def _check_widths(target: _Target, part: list[Row], start: int) -> None:
    width = len(target.all_columns)
    for number, row in enumerate(part, start):
        if len(row) != width:
            raise BatchError(
                f"{target.table}: row {number} has {len(row)} values, needed {width}: "
                f"{', '.join(target.all_columns)}"
            )


def _written_or_blamed(
    connection: Any, target: _Target, part: list[Row], write: Write, start: int
) -> int:
    connection.execute("SAVEPOINT batch_part")
    try:
        count = write(connection, target, part)
    except Exception as error:
        if _has_ended(connection):
            raise BatchError(f"{target.table}: nothing can be written: {error}") from error
        connection.execute("ROLLBACK TO SAVEPOINT batch_part")
        number, reason = _blamed(connection, target, part, write, error)
        row = f"row {start + number}" if number is not None else "a row"
        raise BatchError(f"{target.table}: {row} cannot be written: {reason}") from error
    connection.execute("RELEASE SAVEPOINT batch_part")
    return count


def _blamed(
    connection: Any, target: _Target, part: list[Row], write: Write, error: Exception
) -> tuple[int | None, str]:
    """The first row that fails, found by halving: rows before it can be written together."""
    low, high = 0, len(part)  # part[:low] can be written, part[:high] cannot
    reason = error
    while high - low > 1:
        middle = (low + high) // 2
        try:
            write(connection, target, part[:middle])
        except Exception as failure:  # noqa: BLE001 - a driver's error
            high, reason = middle, failure
        else:
            low = middle
        connection.execute("ROLLBACK TO SAVEPOINT batch_part")
    return low, str(reason).splitlines()[0] if str(reason) else type(reason).__name__


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _listed(names: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + _quoted(name) for name in names)


# SQLite


def _insert_sqlite(connection: Any, target: _Target, part: list[Row]) -> int:
    marks = ", ".join("?" * len(target.all_columns))
    sql = f"INSERT INTO {_quoted(target.table)} ({_listed(target.all_columns)}) VALUES ({marks})"  # noqa: S608 - quoted
    return int(connection.executemany(sql, part).rowcount)


def _update_sqlite(connection: Any, target: _Target, part: list[Row]) -> int:
    keys = len(target.key)
    sets = ", ".join(f"{_quoted(c)} = ?{keys + n}" for n, c in enumerate(target.columns, 1))
    where = " AND ".join(f"{_quoted(column)} = ?{n}" for n, column in enumerate(target.key, 1))
    sql = f"UPDATE {_quoted(target.table)} SET {sets} WHERE {where}"  # noqa: S608 - quoted
    return int(connection.executemany(sql, part).rowcount)


def _upsert_sqlite(connection: Any, target: _Target, part: list[Row]) -> int:
    marks = ", ".join("?" * len(target.all_columns))
    sql = (
        f"INSERT INTO {_quoted(target.table)} ({_listed(target.all_columns)}) VALUES ({marks})"  # noqa: S608 - quoted
        f"{_on_conflict(target)}"
    )
    return int(connection.executemany(sql, part).rowcount)


def _on_conflict(target: _Target) -> str:
    sets = ", ".join(f"{_quoted(c)} = excluded.{_quoted(c)}" for c in target.columns)
    return f" ON CONFLICT ({_listed(target.key)}) DO UPDATE SET {sets}"


# PostgreSQL, by psycopg


def _insert_postgres(connection: Any, target: _Target, part: list[Row]) -> int:
    sql = f"COPY {_quoted(target.table)} ({_listed(target.all_columns)}) FROM STDIN"
    with connection.cursor() as cursor:
        with cursor.copy(sql) as copy:
            for row in part:
                copy.write_row(row)
        return int(cursor.rowcount)


def _update_postgres(connection: Any, target: _Target, part: list[Row]) -> int:
    sets = ", ".join(f"{_quoted(c)} = given.{_quoted(c)}" for c in target.columns)
    same = " AND ".join(f"known.{_quoted(c)} = given.{_quoted(c)}" for c in target.key)
    sql = (
        f"UPDATE {_quoted(target.table)} AS known SET {sets} "  # noqa: S608 - quoted
        f"FROM {_given(connection, target)} WHERE {same}"
    )
    return int(connection.execute(sql, _arrays(part)).rowcount)


def _upsert_postgres(connection: Any, target: _Target, part: list[Row]) -> int:
    names = _listed(target.all_columns)
    sql = (
        f"INSERT INTO {_quoted(target.table)} ({names}) SELECT {names} "  # noqa: S608 - quoted
        f"FROM {_given(connection, target)}{_on_conflict(target)}"
    )
    return int(connection.execute(sql, _arrays(part)).rowcount)


def _arrays(part: list[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*part, strict=True)]


def _given(connection: Any, target: _Target) -> str:
    """The rows as a table made of one array a column, of the column's own type."""
    known = dict(
        connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (_quoted(target.table),),
        ).fetchall()
    )
    unknown = [column for column in target.all_columns if column not in known]
    if unknown:
        raise BatchError(
            f"{target.table}: it has no column {', '.join(unknown)}; it has {', '.join(known)}"
        )
    arrays = ", ".join(f"%s::{known[column]}[]" for column in target.all_columns)
    return f"unnest({arrays}) AS given ({_listed(target.all_columns)})"
