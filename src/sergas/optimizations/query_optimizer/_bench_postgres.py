"""PostgreSQL asked what indexes would do: by HypoPG, or built in a transaction and rolled back.

Everything happens in one transaction that is rolled back, or in a savepoint if the caller has a
transaction open. With the extension HypoPG an index is only imagined: nothing is built or locked.
Without it the indexes are real until the roll-back, so their tables cannot be written to meanwhile
by others; a lock that is not had within some seconds ends the advice with an error.

What a statement does with each table is read from its own plan (`EXPLAIN VERBOSE`), in which every
column is written with its table: conditions, sort and group keys say what an index may begin with.
"""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._advice import SkippedQuery
from sergas.optimizations.query_optimizer._bench import Cost, Question
from sergas.optimizations.query_optimizer._catalog_postgres import Catalog, quoted
from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._plan_postgres import PlannedStatement, read_plan
from sergas.optimizations.query_optimizer._workload import Parameters, Workload, WorkloadQuery

__all__ = ["PostgresBench", "opened"]

_LOCK_WAIT = "5s"


@contextlib.contextmanager
def opened(connection: Any, workload: Workload) -> Iterator["PostgresBench"]:
    """A bench on the connection, as long as the block runs; nothing of it is left afterwards.

    Args:
        connection: A `psycopg.Connection`.
        workload: Statements of which some may be unfit; they end up in `skipped`.

    Raises:
        QueryPlanError: If the connection is closed or its transaction has failed.
    """
    import psycopg

    if connection.closed or connection.info.transaction_status.name == "INERROR":
        raise QueryPlanError(
            "QueryOptimizer: the connection is closed or its transaction has failed; roll back, or"
            " connect again"
        )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            maker = _Imagining(connection) if _has_hypopg(connection) else _Building(connection)
            try:
                with connection.transaction():
                    yield PostgresBench(connection, workload, maker)
            finally:
                # What HypoPG imagines belongs to the session: no roll-back takes it away.
                if not connection.closed:
                    maker.forget()
    except psycopg.Error as error:
        raise QueryPlanError(f"QueryOptimizer: PostgreSQL said: {_said(error)}") from error


class PostgresBench:
    """See `opened`."""

    unit = "planner cost"

    def __init__(self, connection: Any, workload: Workload, maker: "_Maker") -> None:
        self._connection = connection
        self._catalog = Catalog(connection)
        self._maker = maker
        self._out: dict[Index, str] = {}
        self._sizes: dict[Index, int | None] = {}
        self._asked: list[tuple[WorkloadQuery, PlannedStatement]] = []
        self.questions: list[Question] = []
        self.skipped: list[SkippedQuery] = []
        for query in workload:
            self._admit(query)
        tables = {table for question in self.questions for table in question.needs}
        self.existing = frozenset(
            each.index for each in self._catalog.indexes() if each.index.table in tables
        )
        self.notes = self._notes(tables)

    def cost(self, question: int, indexes: frozenset[Index], limit: float) -> Cost:  # noqa: ARG002 costs nothing to know
        """See `Bench`; the planner's estimate, mean over the samples."""
        self._arrange(indexes)
        query, _ = self._asked[question]
        by_name = {name: index for index, name in self._out.items()}
        total, used = 0.0, set()
        for parameters in query.samples:
            planned = read_plan(self._explained(query.sql, parameters))
            total += planned.cost
            used |= {by_name[name] for name in planned.indexes if name in by_name}
        return Cost(value=total / len(query.samples), used=frozenset(used))

    def taken_names(self) -> frozenset[str]:
        """Names that a new index must not have."""
        return self._catalog.taken_names()

    def size_bytes(self, index: Index) -> int | None:
        """See `Bench`; HypoPG's estimate, or as built."""
        if index not in self._sizes:
            self._arrange(frozenset())
            self._sizes[index] = None
            if self._made(index):
                self._sizes[index] = self._maker.size_bytes(self._out[index])
        return self._sizes[index]

    def upkeep(self, index: Index) -> float:
        """See `Bench`: the way down the tree, and one page to be written, for each row.

        After the planner's own cost of a descent (`btcostestimate`): log2(rows) comparisons and
        50 operators for each page passed. An update writes an entry to every index of its table,
        unless PostgreSQL can do without (HOT), which is not counted on.
        """
        rows_written = math.fsum(
            query.count * planned.rows_written
            for query, planned in self._asked
            if planned.table_written == index.table
        )
        if rows_written == 0:
            return 0.0
        rows = self._catalog.rows(index.table)
        height = max(1.0, math.log(max(rows, 2), 300))
        costs = self._catalog.costs
        comparisons = math.log2(max(rows, 2)) + 50 * height
        descent = comparisons * costs["cpu_operator_cost"] + costs["cpu_index_tuple_cost"]
        return rows_written * (descent + costs["seq_page_cost"])

    def _admit(self, query: WorkloadQuery) -> None:
        import psycopg

        try:
            with self._connection.transaction():
                planned = read_plan(self._explained(query.sql, query.samples[0]))
        except (psycopg.Error, QueryPlanError, ValueError, TypeError) as error:
            self.skipped.append(SkippedQuery(label=query.label, why=_said(error)))
            return
        planned = self._catalog.named(planned)
        self._asked.append((query, planned))
        self.questions.append(
            Question(
                label=query.label,
                weight=query.count,
                is_write=planned.table_written is not None,
                needs=self._catalog.needs(planned),
            )
        )

    def _explained(self, sql: str, parameters: Parameters) -> Any:
        """The plan. The extended protocol takes one statement only, so nothing can ride along."""
        import psycopg

        is_numbered = "$1" in sql and not isinstance(parameters, Mapping)
        kind = psycopg.RawCursor if is_numbered else psycopg.Cursor
        with kind(self._connection) as cursor:
            cursor.execute(
                f"EXPLAIN (VERBOSE, FORMAT JSON) {sql.strip().rstrip(';')}".encode(),
                parameters or None,
                prepare=False,
                binary=True,
            )
            row = cursor.fetchone()
        if row is None:
            raise QueryPlanError(f"QueryOptimizer: PostgreSQL has no plan for {sql!r}")
        (plan,) = row.values() if isinstance(row, dict) else row
        return json.loads(plan) if isinstance(plan, str | bytes) else plan

    def _arrange(self, indexes: frozenset[Index]) -> None:
        gone = [self._out.pop(index) for index in list(self._out) if index not in indexes]
        if gone:
            self._maker.drop(gone)
        new = sorted(indexes - self._out.keys())
        known = [index for index in new if self._sizes.get(index) is not None]
        if known:
            wanted = [(index.table, _listed(index)) for index in known]
            self._out.update(zip(known, self._maker.make(wanted), strict=True))
        for index in new:
            if index not in self._out and not self._made(index):
                raise QueryPlanError(f"QueryOptimizer: PostgreSQL cannot have an index on {index}")

    def _made(self, index: Index) -> bool:
        import psycopg

        try:
            with self._connection.transaction():
                (self._out[index],) = self._maker.make([(index.table, _listed(index))])
        except (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.ReadOnlySqlTransaction,
        ) as error:
            raise QueryPlanError(
                f"QueryOptimizer: trying an index on {index.table} needs the extension HypoPG, or"
                f" the right to create it: {_said(error)}; next: CREATE EXTENSION hypopg as"
                f" superuser, or connect as the table's owner"
            ) from error
        except psycopg.errors.LockNotAvailable as error:
            raise QueryPlanError(
                f"QueryOptimizer: {index.table} was locked by others for {_LOCK_WAIT}; next:"
                f" install HypoPG, which locks nothing, or ask when it is idle"
            ) from error
        except psycopg.Error:  # such as a type that no B-tree can order
            return False
        return True

    def _notes(self, tables: set[str]) -> tuple[str, ...]:
        bare = sorted(table for table in tables if self._catalog.rows(table) < 0)
        if not bare:
            return ()
        return (f"no statistics for {', '.join(bare)}: run ANALYZE, costs are guesses until then",)


class _Imagining:
    """Indexes of HypoPG, which exist for EXPLAIN in this session only."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._oids: dict[str, int] = {}

    def make(self, wanted: Sequence[tuple[str, str]]) -> list[str]:
        """One round trip for all: the search changes them several thousand times."""
        statements = [f"CREATE INDEX ON {table} ({columns})" for table, columns in wanted]
        (made,) = _row(
            self._connection,
            "SELECT json_agg(json_build_array(made.indexrelid, made.indexname) ORDER BY place)"
            " FROM unnest(%s::text[]) WITH ORDINALITY AS asked (statement, place),"
            " LATERAL hypopg_create_index(statement) AS made",
            (statements,),
        )
        self._oids.update({name: int(oid) for oid, name in made})
        return [str(name) for _, name in made]

    def drop(self, names: Sequence[str]) -> None:
        _row(
            self._connection,
            "SELECT bool_and(hypopg_drop_index(made)) FROM unnest(%s::oid[]) AS made",
            ([self._oids.pop(name) for name in names],),
        )

    def forget(self) -> None:
        if self._oids:
            self.drop(list(self._oids))

    def size_bytes(self, name: str) -> int:
        return int(
            _row(self._connection, "SELECT hypopg_relation_size(%s)", (self._oids[name],))[0]
        )


class _Building:
    """Real indexes that the end of the transaction takes back."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._schemas: dict[str, str] = {}
        self._count = 0

    def make(self, wanted: Sequence[tuple[str, str]]) -> list[str]:
        return [self._made(table, columns) for table, columns in wanted]

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            self._connection.execute(f"DROP INDEX {self._schemas.pop(name)}.{name}")

    def forget(self) -> None:
        """The roll-back does it."""

    def _made(self, table: str, columns: str) -> str:
        self._count += 1
        name = f"sergas_what_if_{self._count}"
        schema = _row(
            self._connection,
            "SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = %s::regclass",
            (table,),
        )[0]
        self._connection.execute(f"CREATE INDEX {name} ON {table} ({columns})")
        self._schemas[name] = schema
        return name

    def size_bytes(self, name: str) -> int:
        relation = f"{self._schemas[name]}.{name}"
        return int(_row(self._connection, "SELECT pg_relation_size(%s::regclass)", (relation,))[0])


_Maker = _Imagining | _Building


def _listed(index: Index) -> str:
    return ", ".join(map(quoted, index.columns))


def _has_hypopg(connection: Any) -> bool:
    """Whether HypoPG is there, or can be for the time of this transaction."""
    import psycopg

    installed, available = _row(
        connection,
        "SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'hypopg'),"
        " EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg')",
    )
    if installed or not available:
        return bool(installed)
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION hypopg")
    except psycopg.Error:
        return False
    return True


def _row(connection: Any, sql: str, parameters: tuple[object, ...] = ()) -> tuple[Any, ...]:
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(sql, parameters or None).fetchone()
    assert row is not None  # noqa: S101 every statement above has a row
    return tuple(row)


def _said(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
