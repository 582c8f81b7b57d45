"""A private copy of a SQLite database, in which indexes are built, shelved and put back.

The copy is SQLite's unnamed temporary database: it is in memory as long as it fits the cache, then
in a file that has no name and is gone when the connection is, whatever happens. The database that
it was made from is only read.

An index is built once. To take it away for a while its row is removed from the schema table: its
pages stay where they are, and to put it back is to write the row again, which takes a fraction of a
millisecond. Only in a copy that nobody writes to is that safe; writes are tried in a transaction
that is rolled back.
"""

import sqlite3
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._schema_sqlite import ordinary_tables, row_key
from sergas.optimizations.query_optimizer._statement import quoted, rows_of, translated

__all__ = ["Prepare", "Scratch", "copied", "thinned"]

Prepare = Callable[[sqlite3.Connection], object]
"""Makes a connection able to run the program's statements: registers functions and collations."""

_CACHE_KIB = 512 * 1024
_BUSY_WAIT_S = 0.1
_BUSY_WAITS_MAX = 50


def copied(source: sqlite3.Connection, prepare: Prepare | None = None) -> sqlite3.Connection:
    """A copy of what `source` sees now as its main database, with fresh statistics.

    Raises:
        QueryPlanError: If the source is busy, damaged or closed.
    """
    copy = sqlite3.connect("", isolation_level=None, cached_statements=0)
    try:
        with translated("copy", "main"):
            _copy(source, copy)
        copy.execute("PRAGMA journal_mode = MEMORY")
        copy.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if prepare is not None:
            prepare(copy)
        # What is planned without statistics is planned by rules of thumb, and stays so until then.
        copy.execute("ANALYZE")
    except BaseException:
        copy.close()
        raise
    return copy


def _copy(source: sqlite3.Connection, copy: sqlite3.Connection) -> None:
    """Copy all pages, those of an open transaction of the source too."""
    if not source.in_transaction:
        source.backup(copy, progress=_Patience(), sleep=_BUSY_WAIT_S)
        return
    # A backup waits for its own source's transaction for ever.
    if not hasattr(source, "serialize"):
        raise QueryPlanError(
            "QueryOptimizer: this SQLite copies no database in an open transaction; commit first"
        )
    pages = bytearray(source.serialize())
    pages[18:20] = b"\x01\x01"  # a copy in memory keeps no write-ahead log
    with closing(sqlite3.connect(":memory:")) as staged:
        staged.deserialize(bytes(pages))
        staged.backup(copy)


class _Patience:
    """Ends a backup that is kept waiting by another connection's lock."""

    def __init__(self) -> None:
        self._waits = 0

    def __call__(self, status: int, _remaining: int, _total: int) -> None:
        self._waits += status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        if self._waits > _BUSY_WAITS_MAX:
            raise QueryPlanError(
                f"QueryOptimizer: the database was locked by another connection for"
                f" {_BUSY_WAITS_MAX * _BUSY_WAIT_S:g} s; ask when its transaction is over"
            )


def thinned(copy: sqlite3.Connection, rows_max: int) -> Mapping[str, int]:
    """Delete rows of a copy until its largest table has about `rows_max`; nothing if none has more.

    Tables with more rows keep one in so many. Which rows stay is decided by a hash of the first
    column of the table's key: rows of several tables with the same key stay or go together, so
    that an order keeps its items and joins keep their shape. Smaller tables stay whole.

    Returns:
        One row in how many stayed, for each table that lost some.
    """
    rows = {
        table: rows_of(copy, f"SELECT count(*) FROM {quoted(table)}")[0][0]  # noqa: S608 quoted
        for table in ordinary_tables(copy)
    }
    one_in = -(-max(rows.values(), default=0) // rows_max)
    if one_in <= 1:
        return {}
    copy.create_function("sergas_hash", 1, _hash, deterministic=True)
    triggers = rows_of(copy, "SELECT name FROM sqlite_master WHERE type = 'trigger'")
    copy.execute("PRAGMA foreign_keys = OFF")
    copy.execute("BEGIN")
    for (name,) in triggers:  # they answer for changes of the program, of which this is none
        copy.execute(f"DROP TRIGGER {quoted(name)}")
    larger = sorted(table for table in rows if rows[table] > rows_max)
    for table in larger:
        key = quoted(row_key(copy, table))
        copy.execute(
            f"DELETE FROM {quoted(table)} WHERE sergas_hash({key}) % {one_in} <> 0"  # noqa: S608
        )
    copy.execute("COMMIT")
    copy.execute("VACUUM")
    copy.execute("ANALYZE")
    return dict.fromkeys(larger, one_in)


def _hash(value: object) -> int:
    return zlib.crc32(repr(value).encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class _Shelved:
    """An index that was built: its row of the schema, and its size."""

    name: str
    row: tuple[str, str, str, int, str]
    size_bytes: int


@dataclass(slots=True)
class Scratch:
    """The copy and the indexes that were built in it; those that are out can be seen by queries.

    Attributes:
        connection: The copy.
        one_in: What `thinned` says of it, to scale sizes by.
    """

    connection: sqlite3.Connection
    one_in: Mapping[str, int] = field(default_factory=dict)
    _built: dict[Index, _Shelved | None] = field(default_factory=dict)
    _out: frozenset[Index] = frozenset()

    def size_bytes(self, index: Index) -> int | None:
        """What it takes, or would take on all rows; None if it cannot be built."""
        built = self._building(index)
        return None if built is None else built.size_bytes * self.one_in.get(index.table, 1)

    def arrange(self, indexes: frozenset[Index]) -> None:
        """Let queries see exactly these.

        Raises:
            QueryPlanError: If one of them cannot be built.
        """
        for index in sorted(indexes):
            if self._building(index) is None:
                raise QueryPlanError(f"QueryOptimizer: SQLite cannot build an index on {index}")
        self._show(indexes)

    @property
    def roots(self) -> Mapping[int, Index]:
        """The indexes that are out, by the number of their root page."""
        return {
            built.row[3]: index for index in self._out if (built := self._built[index]) is not None
        }

    def _building(self, index: Index) -> _Shelved | None:
        if index not in self._built:
            self._show(frozenset())
            self._built[index] = self._build(index, f"sergas_{len(self._built)}")
            if self._built[index] is not None:
                self._out = frozenset({index})
        return self._built[index]

    def _build(self, index: Index, name: str) -> _Shelved | None:
        columns = ", ".join(map(quoted, index.columns))
        before = self._used_bytes()
        try:
            self.connection.execute(f"CREATE INDEX {name} ON {quoted(index.table)} ({columns})")
        except sqlite3.Error:
            return None
        size_bytes = self._used_bytes() - before
        with suppress(sqlite3.OperationalError):  # a table that is empty has no statistics
            self.connection.execute(f"ANALYZE {name}")
        (row,) = rows_of(
            self.connection,
            "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE name = ?",
            (name,),
        )
        return _Shelved(name, row, size_bytes)

    def _show(self, indexes: frozenset[Index]) -> None:
        """Write the schema table; SQLite reads it anew before the next statement."""
        if indexes == self._out:
            return
        self.connection.execute("PRAGMA writable_schema = ON")
        for index in self._out - indexes:
            if (built := self._built[index]) is not None:
                self.connection.execute("DELETE FROM sqlite_master WHERE name = ?", (built.name,))
        for index in sorted(indexes - self._out):
            if (built := self._built[index]) is not None:
                self.connection.execute("INSERT INTO sqlite_master VALUES (?,?,?,?,?)", built.row)
        self.connection.execute("PRAGMA writable_schema = RESET")
        self._out = indexes

    def _used_bytes(self) -> int:
        pages, free, page_bytes = (
            rows_of(self.connection, f"PRAGMA {setting}")[0][0]
            for setting in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page_bytes)
