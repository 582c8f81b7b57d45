"""Plans, exact costs and index advice for SQLite, and index advice for PostgreSQL."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._advice import Advice
from sergas.optimizations.query_optimizer._advise import (
    SqliteSearch,
    advise_postgres,
    advise_sqlite,
    size_of,
)
from sergas.optimizations.query_optimizer._extend import Limits
from sergas.optimizations.query_optimizer._health import (
    IndexFinding,
    findings,
    postgres_indexes,
    sqlite_indexes,
)
from sergas.optimizations.query_optimizer._measure import Measurement, run_counted
from sergas.optimizations.query_optimizer._plan import QueryPlan
from sergas.optimizations.query_optimizer._scratch import Prepare
from sergas.optimizations.query_optimizer._statement import (
    Statement,
    compiled,
    planned,
)
from sergas.optimizations.query_optimizer._what_if import (
    IndexEvaluation,
    candidate_columns,
    index_columns,
    trial_index,
)
from sergas.optimizations.query_optimizer._workload import Parameters, Workload

__all__ = ["QueryOptimizer"]

_WIDTH_MAX = 3
_SHARE_MIN = 0.02
"""What an advised index saves at least one statement: less is within what statistics drift."""


class QueryOptimizer:
    """Asks a database how it runs statements and what indexes would change.

    `advise` and `index_findings` are for SQLite and PostgreSQL, the rest is for SQLite. The
    database plans and runs everything itself; nothing is guessed from the text of the statement.
    Nothing is left in the database, and a transaction that the caller has open goes on as it was.
    While a method runs it uses the connection's authorizer and progress handler, of which SQLite
    has one each: those that the caller had set are gone afterwards. A cursor that the caller is
    still reading from may be ended by the roll-back of a trial index. Use it from the connection's
    thread only.

    Args:
        connection: An open `sqlite3.Connection` or `psycopg.Connection`.
        saving_min: Least share of the steps that an index must save to be called a help, in (0, 1].
        vm_steps_max: Most virtual-machine steps that one run may take, >= 1.

    Raises:
        QueryPlanError: If a number is out of its range, or it is another kind of connection.
    """

    def __init__(
        self,
        connection: Any,
        *,
        saving_min: float = 0.1,
        vm_steps_max: int = 1_000_000_000,
    ) -> None:
        if not 0 < saving_min <= 1 or vm_steps_max < 1:
            raise QueryPlanError(
                f"QueryOptimizer: got saving_min={saving_min}, vm_steps_max={vm_steps_max};"
                f" needed more than 0 up to 1, and 1 or more"
            )
        self._given = connection
        self._is_sqlite = isinstance(connection, sqlite3.Connection)
        if not self._is_sqlite and not _is_psycopg(connection):
            kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
            raise QueryPlanError(
                f"QueryOptimizer: got a {kind}, needed a sqlite3.Connection or a psycopg.Connection"
            )
        self._saving_min = saving_min
        self._vm_steps_max = vm_steps_max

    def plan(self, sql: str, params: Parameters = ()) -> QueryPlan:
        """How SQLite will run the statement, which may be a write; nothing of it is run.

        Raises:
            QueryPlanError: If SQLite refuses it.
        """
        return planned(self._connection, sql, params)

    def measure(self, sql: str, params: Parameters = ()) -> Measurement:
        """Run a query to its end and count its steps and rows.

        The count is the same each time and on each machine with this SQLite and these rows. A
        statement that can change anything is refused before any of it runs.

        Raises:
            QueryPlanError: If SQLite refuses it, it is not a pure read, or it needs more than
                `vm_steps_max` steps.
        """
        self._read(sql, params)
        return self._run(sql, params)

    def evaluate_index(
        self, sql: str, params: Parameters, table: str, columns: Sequence[str]
    ) -> IndexEvaluation:
        """What an index on these columns would do for the query, measured with it in place.

        The index is built for that, which takes the time and the write lock of building it.

        Raises:
            QueryPlanError: As for `measure`, and if the table or a column does not exist or the
                index cannot be built.
        """
        self._read(sql, params)
        _, names = index_columns(self._connection, table, columns)
        before = self._run(sql, params)
        return self._tried(planned(self._connection, sql, params), before, params, (table, names))

    def suggest(self, sql: str, params: Parameters = ()) -> tuple[IndexEvaluation, ...]:
        """The indexes that help the query, best first; each was measured, one at a time.

        Candidates are the columns that the query reads from tables that it scans. The best of
        them is widened by a further column as long as each widening saves `saving_min` more, up
        to three columns; the greedy step is that of Schlosser, Kossmann and Boissier (2019).
        Every candidate is built once, so this takes that many index builds.

        Raises:
            QueryPlanError: As for `measure`.
        """
        statement = self._read(sql, params)
        plan = planned(self._connection, sql, params)
        before = self._run(sql, params)
        helpful: list[IndexEvaluation] = []
        for table in sorted(statement.tables_scanned & statement.columns.keys()):
            columns = candidate_columns(self._connection, table, statement.columns[table])
            helpful += self._widened(plan, before, params, (table, columns))
        return tuple(sorted(helpful, key=_rank))

    def advise(
        self,
        workload: Workload,
        budget: int | str = "100MB",
        max_width: int = 3,
        *,
        worse_max: float = 0.01,
        sample_rows: int = 40_000,
        prepare: Prepare | None = None,
    ) -> Advice:
        """Indexes for a whole workload within a budget, with which no read gets worse.

        On SQLite a private copy of the main database is made, in memory or a temporary file, and
        indexes are built and statements run there: costs are exact. Writes of the workload are run
        in the copy too, and undone. On PostgreSQL the planner is asked, about indexes that HypoPG
        imagines, or without it about real ones in a transaction that is rolled back. Statements
        that cannot be judged are left out and listed in the advice. The search is Extend
        (Schlosser et al., ICDE 2019).

        Args:
            workload: What the program runs.
            budget: Size of all advised indexes together: bytes, or a text such as "100MB".
            max_width: Columns in one index, 1 or more.
            worse_max: Share by which a reading statement may get more expensive, >= 0.
            sample_rows: SQLite searches with so many rows of the largest table, >= 1; what it
                finds is then confirmed with all.
            prepare: Called with each copy, to register the functions and collations that the
                statements need; SQLite only.

        Raises:
            QueryPlanError: If a number is out of its range, no statement of the workload can be
                judged, the database cannot be read, or PostgreSQL has no HypoPG and refuses to
                build an index: the right may be missing, or a lock.
        """
        if max_width < 1 or not worse_max >= 0 or sample_rows < 1:
            raise QueryPlanError(
                f"advise: got max_width={max_width}, worse_max={worse_max},"
                f" sample_rows={sample_rows}; needed 1 or more, 0 or more, 1 or more"
            )
        limits = Limits(
            budget_bytes=size_of(budget),
            width_max=max_width,
            saving_min=_SHARE_MIN,
            worse_max=worse_max,
        )
        if not self._is_sqlite:
            return advise_postgres(self._given, workload, limits)
        search = SqliteSearch(
            sample_rows=sample_rows, vm_steps_max=self._vm_steps_max, prepare=prepare
        )
        return advise_sqlite(self._given, workload, limits, search)

    def index_findings(self, workload: Workload | None = None) -> tuple[IndexFinding, ...]:
        """Indexes that could go: twice there, the beginning of another, or never used.

        Indexes that keep a rule (a key, uniqueness) are never among them. What is unused is told
        by PostgreSQL's own counts since they were last reset, and on SQLite, which counts nothing,
        by the plans of `workload`; without one it is not told.

        Raises:
            QueryPlanError: If the database cannot be read.
        """
        if self._is_sqlite:
            return findings(sqlite_indexes(self._given, workload))
        return findings(postgres_indexes(self._given))

    @property
    def _connection(self) -> sqlite3.Connection:
        if not isinstance(self._given, sqlite3.Connection):
            raise QueryPlanError(
                "QueryOptimizer: this is for SQLite; on PostgreSQL EXPLAIN tells plans, and"
                " advise() and index_findings() work there"
            )
        return self._given

    def _widened(
        self,
        plan: QueryPlan,
        before: Measurement,
        params: Parameters,
        candidates: tuple[str, tuple[str, ...]],
    ) -> list[IndexEvaluation]:
        """The helpful indexes on one table, from single columns to wider ones."""
        table, columns = candidates
        helpful: list[IndexEvaluation] = []
        chosen: tuple[str, ...] = ()
        steps_needed = before.vm_steps
        while len(chosen) < _WIDTH_MAX:
            tried = [
                self._tried(plan, before, params, (table, (*chosen, column)))
                for column in columns
                if column not in chosen
            ]
            limit = steps_needed * (1 - self._saving_min)
            better = [trial for trial in tried if trial.helps and trial.vm_steps_after <= limit]
            if not better:
                break
            helpful += better
            best = min(better, key=_rank)
            chosen, steps_needed = best.columns, best.vm_steps_after
        return helpful

    def _tried(
        self,
        plan: QueryPlan,
        before: Measurement,
        params: Parameters,
        index: tuple[str, tuple[str, ...]],
    ) -> IndexEvaluation:
        table, columns = index
        with trial_index(self._connection, table, columns) as trial:
            plan_after = planned(self._connection, plan.sql, params)
            # A plan without the index is the plan from before, and so is its cost.
            is_used = trial.name in plan_after.indexes
            after = self._run(plan.sql, params) if is_used else before
        return IndexEvaluation(
            table=table,
            columns=columns,
            vm_steps_before=before.vm_steps,
            vm_steps_after=after.vm_steps,
            size_bytes=trial.size_bytes,
            saving_min=self._saving_min,
            plan_before=plan,
            plan_after=plan_after,
            index=trial.name,
        )

    def _read(self, sql: str, params: Parameters) -> Statement:
        statement = compiled(self._connection, sql, params)
        if not statement.reads_only:
            raise QueryPlanError(
                f"QueryOptimizer: got {sql!r}, needed a statement that only reads, because"
                f" measuring runs it; plan() explains any statement, and the SELECT that finds the"
                f" same rows can be measured"
            )
        return statement

    def _run(self, sql: str, params: Parameters) -> Measurement:
        return run_counted(self._connection, sql, params, vm_steps_max=self._vm_steps_max)


def _rank(evaluation: IndexEvaluation) -> tuple[int, int, str, tuple[str, ...]]:
    """Fewer steps first, then the smaller index, then by name so that the order is always one."""
    return (
        evaluation.vm_steps_after,
        evaluation.size_bytes,
        evaluation.table,
        evaluation.columns,
    )


def _is_psycopg(connection: object) -> bool:
    """Told by the name: psycopg is not imported for those who do not use it."""
    return any(
        kind.__module__.partition(".")[0] == "psycopg" and kind.__name__ == "Connection"
        for kind in type(connection).__mro__
    )
