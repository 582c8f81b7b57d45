"""What PostgreSQL's catalog says about tables, columns and indexes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sergas.optimizations.query_optimizer._bench import Need
from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._plan_postgres import PlannedStatement

__all__ = ["Catalog", "PostgresIndex", "quoted"]

_COSTS = ("cpu_operator_cost", "cpu_index_tuple_cost", "seq_page_cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresIndex:
    """A valid B-tree index on columns alone, of all rows.

    Attributes:
        index: Table, as SQL writes it here, and columns.
        name: As SQL writes it here.
        is_rule: Whether it enforces a constraint.
        scans: How often it was used since the statistics were reset.
        size_bytes: What it takes.
    """

    index: Index
    name: str
    is_rule: bool
    scans: int
    size_bytes: int


def quoted(name: str) -> str:
    """`name` as an SQL identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


class Catalog:
    """Asked once for each table.

    Args:
        connection: A `psycopg.Connection`.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._names: dict[tuple[str, str], str | None] = {}
        self._rows: dict[str, float] = {}
        self.costs = {name: float(self._all(f"SHOW {name}")[0][0]) for name in _COSTS}

    def name(self, relation: tuple[str, str]) -> str | None:
        """The table as SQL writes it under this search path; None if it can have no index."""
        if relation not in self._names:
            found = self._all(
                "SELECT c.oid::regclass::text, c.reltuples FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'm', 'p')"
                " AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
                relation,
            )
            self._names[relation] = found[0][0] if found else None
            if found:
                self._rows[found[0][0]] = float(found[0][1])
        return self._names[relation]

    def rows(self, table: str) -> float:
        """Rows by the statistics, negative if there are none."""
        return self._rows.get(table, -1.0)

    def named(self, planned: PlannedStatement) -> PlannedStatement:
        """The same with the name of the table that is written."""
        if planned.written is None:
            return planned
        schema, name = planned.written
        return replace(planned, table_written=self.name(planned.written) or f"{schema}.{name}")

    def needs(self, planned: PlannedStatement) -> Mapping[str, Need]:
        """What the statement does with each table that could have an index."""
        return {
            table: Need(
                seeking=frozenset(planned.sought[relation]), read=frozenset(planned.read[relation])
            )
            for relation in sorted(planned.read)
            if (table := self.name(relation)) is not None
        }

    def indexes(self) -> tuple[PostgresIndex, ...]:
        """All of them outside the system's schemas, by table and name."""
        listed = self._all(
            "SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text,"
            " array_agg(a.attname::text ORDER BY k.place),"
            " i.indisunique OR i.indisexclusion OR EXISTS"
            " (SELECT 1 FROM pg_constraint WHERE conindid = i.indexrelid),"
            " coalesce(pg_stat_get_numscans(i.indexrelid), 0), pg_relation_size(i.indexrelid)"
            " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (attribute, place)"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attribute"
            " WHERE i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL"
            " AND k.place <= i.indnkeyatts"
            " AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
            " GROUP BY i.indexrelid, i.indrelid, i.indisunique, i.indisexclusion ORDER BY 1, 2"
        )
        return tuple(
            PostgresIndex(
                index=Index(table, tuple(columns)),
                name=name,
                is_rule=is_rule,
                scans=scans,
                size_bytes=size_bytes,
            )
            for table, name, columns, is_rule, scans, size_bytes in listed
        )

    def taken_names(self) -> frozenset[str]:
        """Names of all relations, which a new index must not have."""
        return frozenset(name for (name,) in self._all("SELECT relname::text FROM pg_class"))

    def _all(self, sql: str, parameters: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        from psycopg.rows import tuple_row

        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return list(cursor.execute(sql, parameters or None).fetchall())
