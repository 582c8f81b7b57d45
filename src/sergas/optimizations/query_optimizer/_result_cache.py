"""Results of reads, kept until a write touches a table that they came from.

The key of a result holds how often each of its tables had been written to when the read began. A
write raises that number when it is committed. So a result that was read before cannot be found
after, not even one whose read was still under way while the write was committed.
"""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, cast

from sergas.optimizations.cache_manager import CacheManager
from sergas.optimizations.query_optimizer._fingerprint import fingerprint
from sergas.optimizations.query_optimizer._shape import Dialect, shape_of, sqlglot_module

__all__ = ["CachedConnection", "ResultCache"]

_PARSED_KEPT = 4096
# What gives another answer each time although nothing was written.
_VOLATILE = frozenset(
    {
        "random", "randomblob", "rand", "changes", "total_changes", "last_insert_rowid", "now",
        "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp",
        "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday", "nextval",
        "currval", "lastval", "gen_random_uuid", "uuid_generate_v4", "pg_backend_pid",
        "txid_current",
        "pg_sleep", "setval", "date", "datetime", "time", "julianday", "strftime", "unixepoch",
    }
)  # fmt: skip

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]
Rows: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """What matters of a statement.

    Attributes:
        kind: Whether it reads or writes; "unknown" may do anything.
        tables: Those it reads or writes, in lower case, sorted.
        text: Its shape, which with all of its values tells it from others.
        is_volatile: Whether the same read may give another answer without a write.
    """

    kind: Literal["read", "write", "begin", "commit", "rollback", "unknown"]
    tables: tuple[str, ...] = ()
    text: str = ""
    is_volatile: bool = False


class ResultCache:
    """Results of reads by statement and parameters, for any number of connections to one database.

    Only writes that go through its connections are seen. Tell with `touches` what a write changes
    besides the tables it names: by triggers, cascades or views.

    Args:
        cache: Where results are kept, one load at a time for a key; None makes one of 1,000
            results.
        dialect: Whose SQL it is.
        touches: Table -> tables and views that change when it is written to.
    """

    def __init__(
        self,
        cache: CacheManager | None = None,
        *,
        dialect: Dialect = "sqlite",
        touches: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.cache = cache or CacheManager(entries_max=1000)
        self.dialect = dialect
        self._touches = {
            table.lower(): tuple(name.lower() for name in names)
            for table, names in (touches or {}).items()
        }
        self._lock = threading.Lock()
        self._written: dict[str, int] = {}
        self._all_written = 0

    def on(self, connection: Any) -> "CachedConnection":
        """A connection of sqlite3 or psycopg whose reads are kept and whose writes are seen."""
        return CachedConnection(self, connection)

    def parsed(self, sql: str) -> _Parsed:
        """What matters of a statement."""
        return _parsed(sql, self.dialect)

    def versions(self, tables: Sequence[str]) -> tuple[int, ...]:
        """How often each table was written to, after how often all were."""
        with self._lock:
            return (self._all_written, *(self._written.get(table, 0) for table in tables))

    def note_written(self, tables: Sequence[str] | None) -> None:
        """A write was committed; None means that nobody knows to what."""
        with self._lock:
            if tables is None:
                self._all_written += 1
                return
            touched: set[str] = set().union(*map(self._all_touched, tables))
            for table in touched:
                self._written[table] = self._written.get(table, 0) + 1

    def _all_touched(self, table: str) -> set[str]:
        found, ahead = {table}, [table]
        while ahead:
            for name in self._touches.get(ahead.pop(), ()):
                if name not in found:
                    found.add(name)
                    ahead.append(name)
        return found


class CachedConnection:
    """One connection behind a `ResultCache`; used by one thread at a time, like the connection.

    Reads that may see something else than others do are fetched and not kept: inside a
    transaction that has written, inside any of SQLite, and at isolation levels above READ
    COMMITTED.
    """

    def __init__(self, results: ResultCache, connection: Any) -> None:
        self._results = results
        self._connection = connection
        self._dirty: set[str] | None = set()  # None: unknown tables were written to

    def query(self, sql: str, parameters: Parameters = ()) -> Rows:
        """All rows of a read, kept or fetched; do not change them.

        A statement that may write is executed and its rows are returned.
        """
        parsed = self._results.parsed(sql)
        if parsed.kind != "read" or parsed.is_volatile or self._sees_something_else:
            return self._fetched(sql, parameters, parsed)
        versions = self._results.versions(parsed.tables)
        key = _key(parsed, parameters, versions)
        if key is None:
            return self._fetched(sql, parameters, parsed)
        load: Callable[[], Rows] = lambda: self._fetched(sql, parameters, parsed)  # noqa: E731
        return self._results.cache.get_or_load(key, load)

    def execute(self, sql: str, parameters: Parameters = ()) -> Any:
        """Execute a statement, and see what it writes; the driver's cursor."""
        parsed = self._results.parsed(sql)
        cursor = self._connection.execute(sql, parameters)
        self._see(parsed)
        return cursor

    def executemany(self, sql: str, parameters: Any) -> Any:
        """Execute a statement for many sets of parameters, and see what it writes."""
        parsed = self._results.parsed(sql)
        cursor = self._connection.cursor()
        cursor.executemany(sql, parameters)
        self._see(parsed)
        return cursor

    def commit(self) -> None:
        """Commit; results of the tables that were written to are found no more."""
        try:
            self._connection.commit()
        finally:
            # Whether a commit that failed has reached the server is not known.
            self._settle(is_written=True)

    def rollback(self) -> None:
        """Roll back; nothing was written."""
        self._connection.rollback()
        self._settle(is_written=False)

    @property
    def _sees_something_else(self) -> bool:
        """Whether reads here may differ from what others see: own writes, or an older state."""
        if self._dirty is None or self._dirty:
            return True
        if isinstance(self._connection, sqlite3.Connection):
            return self._connection.in_transaction
        # In READ COMMITTED every statement sees what is committed; above, what once was.
        level = getattr(self._connection, "isolation_level", None)
        return level is not None and getattr(level, "name", "") != "READ_COMMITTED"

    def _fetched(self, sql: str, parameters: Parameters, parsed: _Parsed) -> Rows:
        cursor = self._connection.execute(sql, parameters)
        rows = tuple(cursor.fetchall()) if cursor.description is not None else ()
        self._see(parsed)
        return rows

    def _see(self, parsed: _Parsed) -> None:
        if parsed.kind == "write" and self._dirty is not None:
            self._dirty.update(parsed.tables)
        elif parsed.kind == "unknown":
            self._dirty = None
        elif parsed.kind == "rollback":
            self._settle(is_written=False)
        if parsed.kind == "commit" or (parsed.kind in ("write", "unknown") and self._is_autocommit):
            self._settle(is_written=True)

    def _settle(self, *, is_written: bool) -> None:
        dirty, self._dirty = self._dirty, set()
        if is_written and dirty is None:
            self._results.note_written(None)
        elif is_written and dirty:
            self._results.note_written(sorted(dirty))

    @property
    def _is_autocommit(self) -> bool:
        """Whether no transaction is open, so that what was written is there for all."""
        if isinstance(self._connection, sqlite3.Connection):
            return not self._connection.in_transaction
        return bool(self._connection.info.transaction_status.name == "IDLE")


def _key(parsed: _Parsed, parameters: Parameters, versions: tuple[int, ...]) -> str | None:
    """What the result is kept under; None if a parameter has no certain text."""
    values = sorted(parameters.items()) if isinstance(parameters, Mapping) else list(parameters)
    texts = []
    for value in values:
        name, inner = value if isinstance(parameters, Mapping) else ("", value)
        if not isinstance(inner, str | bytes | int | float | bool | None) and not _is_plain(inner):
            return None
        texts.append(f"{name}={type(inner).__name__}:{inner!r}")
    return "\x1f".join([parsed.text, *texts, *map(str, versions)])


def _is_plain(value: object) -> bool:
    module = type(value).__module__
    return module in ("datetime", "decimal", "uuid")


@lru_cache(maxsize=_PARSED_KEPT)
def _parsed(sql: str, dialect: Dialect) -> _Parsed:
    """What matters of a statement; of what is not understood, that it may do anything."""
    sqlglot = sqlglot_module()
    exp = sqlglot.exp
    shape = shape_of(sql, dialect)
    first = sql.split(None, 1)[0].upper().rstrip(";") if sql.strip() else ""
    control = {
        "BEGIN": "begin", "START": "begin", "COMMIT": "commit", "END": "commit",
        "ROLLBACK": "rollback", "SAVEPOINT": "begin", "RELEASE": "begin",
    }  # fmt: skip
    if first in control:
        kind = control[first]
        if first == "ROLLBACK" and " TO " in f" {sql.upper()} ":
            kind = "begin"  # to a savepoint: what was written before it still is
        return _Parsed(kind=cast("Any", kind))
    named = fingerprint(sql, dialect)
    if not named.is_parsed or named.kind == "other":
        return _Parsed(kind="unknown")
    try:
        # Placeholders of psycopg are no SQL; the shape has each as a plain one.
        tree = sqlglot.parse_one(shape.text, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return _Parsed(kind="unknown")
    hidden = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    tables = {table.name.lower() for table in tree.find_all(exp.Table)}
    return _Parsed(
        kind=cast("Any", named.kind),
        tables=tuple(sorted(name for name in tables if name and name not in hidden)),
        text=_with_literals(sql, dialect),
        is_volatile=bool(_VOLATILE & _functions(tree, exp)),
    )


def _with_literals(sql: str, dialect: Dialect) -> str:
    """The statement without spacing and comments, with its values."""
    tokens = sqlglot_module().tokenize(sql, dialect=dialect)
    return "\x1e".join(f"{token.token_type.name}:{token.text}" for token in tokens)


def _functions(tree: Any, exp: Any) -> set[str]:
    return {
        (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
        for node in tree.find_all(exp.Func)
    }
