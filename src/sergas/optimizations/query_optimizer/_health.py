"""Indexes that a database pays for and could do without."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._catalog_postgres import Catalog
from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._schema_sqlite import existing_indexes
from sergas.optimizations.query_optimizer._statement import planned, quoted
from sergas.optimizations.query_optimizer._workload import Workload

__all__ = ["IndexFinding", "KnownIndex", "findings", "postgres_indexes", "sqlite_indexes"]

FindingKind = Literal["duplicate", "redundant", "unused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIndex:
    """An index on columns alone, of all rows.

    Attributes:
        index: Table and columns.
        name: As SQL writes it.
        is_rule: Whether it enforces a rule, so that it must stay.
        uses: How often it is known to have been used; None if that is not known.
        size_bytes: What it takes; None if that is not known.
    """

    index: Index
    name: str
    is_rule: bool
    uses: int | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFinding:
    """An index that could go.

    Attributes:
        kind: "duplicate" has the same columns as another, "redundant" is the beginning of another,
            "unused" was not used.
        name: The index, as SQL writes it.
        table: Its table.
        columns: Its columns, in order.
        size_bytes: What it takes; None on SQLite, which does not tell.
        why: The reason, in a sentence.
        ddl: The statement that drops it.
    """

    kind: FindingKind
    name: str
    table: str
    columns: tuple[str, ...]
    size_bytes: int | None
    why: str
    ddl: str


def findings(indexes: Iterable[KnownIndex]) -> tuple[IndexFinding, ...]:
    """Those that could go all at once: what another is redundant for is not called unused."""
    # Of two that are equal the one that keeps a rule stays, then the first by name.
    listed = sorted(indexes, key=lambda each: (each.index, not each.is_rule, each.name))
    found: list[IndexFinding] = []
    leaned_on: set[Index] = set()
    for place, known in enumerate(listed):
        twins = [other for other in listed[:place] if other.index == known.index]
        wider = [
            other
            for other in listed
            if other.index != known.index and known.index.begins(other.index)
        ]
        if known.is_rule or not (twins or wider):
            continue
        if twins:
            found.append(_finding("duplicate", known, f"it is {twins[0].name} again"))
        else:
            widest = max(wider, key=lambda other: (len(other.index.columns), other.index))
            leaned_on.add(widest.index)
            columns = ", ".join(widest.index.columns)
            why = f"{widest.name} ({columns}) begins with its columns"
            found.append(_finding("redundant", known, why))
    gone = {finding.name for finding in found}
    found += [
        _finding("unused", known, "nothing has used it")
        for known in listed
        if known.uses == 0 and not (known.is_rule or known.name in gone or known.index in leaned_on)
    ]
    return tuple(sorted(found, key=lambda finding: finding.name))


def sqlite_indexes(
    connection: sqlite3.Connection, workload: Workload | None
) -> tuple[KnownIndex, ...]:
    """Indexes of the main database; their uses are the statements of the workload that use them.

    A statement that SQLite refuses uses none.
    """
    uses: dict[str, int] = {}
    for query in workload or ():
        try:
            names = planned(connection, query.sql, query.samples[0]).indexes
        except QueryPlanError:
            continue
        for name in names:
            uses[name] = uses.get(name, 0) + 1
    return tuple(
        KnownIndex(
            index=each.index,
            name=quoted(each.name),
            is_rule=each.is_rule,
            uses=None if workload is None else uses.get(each.name, 0),
            size_bytes=None,
        )
        for each in existing_indexes(connection)
    )


def postgres_indexes(connection: Any) -> Sequence[KnownIndex]:
    """Indexes of all schemas but the system's, with the server's own counts of their uses.

    Raises:
        QueryPlanError: If the server refuses.
    """
    import psycopg

    try:
        with connection.transaction():
            listed = Catalog(connection).indexes()
    except psycopg.Error as error:
        raise QueryPlanError(f"QueryOptimizer: cannot list indexes: {error}") from error
    return tuple(
        KnownIndex(
            index=each.index,
            name=each.name,
            is_rule=each.is_rule,
            uses=each.scans,
            size_bytes=each.size_bytes,
        )
        for each in listed
    )


def _finding(kind: FindingKind, known: KnownIndex, why: str) -> IndexFinding:
    return IndexFinding(
        kind=kind,
        name=known.name,
        table=known.index.table,
        columns=known.index.columns,
        size_bytes=known.size_bytes,
        why=why,
        ddl=f"DROP INDEX {known.name}",
    )
