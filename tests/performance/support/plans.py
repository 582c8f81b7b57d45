"""What a store really asks its database, and which tables are read whole for it."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from sergas.optimizations.query_optimizer import QueryOptimizer, StepKind, record

__all__ = ["statements_of", "tables_scanned"]


def statements_of(store: Any, call: Callable[[], object]) -> list[tuple[str, Any]]:
    """The statements, with parameters, that a call sends on a store that nobody else uses.

    Raises:
        AssertionError: If none was seen.
    """
    with store.reading() as connection:
        only = connection  # the pool has no other as long as one thread asks
    with record(only) as recorder:
        call()
    found = [
        (seen.sql, seen.samples[0] if seen.samples else ())
        for seen in recorder.records()
        for _ in range(seen.count)
    ]
    assert found, "the store has sent nothing on its only connection"
    return found


def tables_scanned(store: Any, call: Callable[[], object]) -> int:
    """How many tables the statements of a call read from end to end without any index.

    PostgreSQL reads small tables whole by choice; it is asked with that choice taken from it, so
    that only those are left that no index can answer.
    """
    statements = statements_of(store, call)
    with store.reading() as connection:
        if isinstance(connection, sqlite3.Connection):
            return sum(_scanned_by_sqlite(connection, sql) for sql, _ in statements)
        connection.execute("SET enable_seqscan = off")
        try:
            return sum(_scanned_by_postgres(connection, *each) for each in statements)
        finally:
            connection.execute("RESET enable_seqscan")


def _scanned_by_sqlite(connection: sqlite3.Connection, sql: str) -> int:
    # The values are in the text already: that is what a plain connection tells.
    plan = QueryOptimizer(connection).plan(sql)
    bare = {step.table for step in plan.walk() if step.kind is StepKind.SCAN and step.index is None}
    return len(bare & plan.tables_scanned)


def _scanned_by_postgres(connection: Any, sql: str, parameters: Any) -> int:
    row = connection.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters or None).fetchone()
    return sum(node == "Seq Scan" for node in _nodes(row[0][0]["Plan"]))


def _nodes(plan: Any) -> Iterator[str]:
    yield plan["Node Type"]
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
