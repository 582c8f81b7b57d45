"""Plans, exact costs and measured index advice for SQLite."""

import sqlite3
from collections.abc import Sequence

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._measure import Measurement, run_counted
from sergas.optimizations.query_optimizer._plan import QueryPlan
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
from sergas.optimizations.query_optimizer._workload import Parameters

__all__ = ["QueryOptimizer"]

_WIDTH_MAX = 3


class QueryOptimizer:
    """Asks SQLite how it runs a statement and what an index would change.

    SQLite plans and runs everything itself; nothing is guessed from the text of the statement.
    Nothing is left in the database, and a transaction that the caller has open goes on as it was.
    While a method runs it uses the connection's authorizer and progress handler, of which SQLite
    has one each: those that the caller had set are gone afterwards. A cursor that the caller is
    still reading from may be ended by the roll-back of a trial index. Use it from the connection's
    thread only.

    Args:
        connection: An open connection.
        saving_min: Least share of the steps that an index must save to be called a help, in (0, 1].
        vm_steps_max: Most virtual-machine steps that one run may take, >= 1.

    Raises:
        QueryPlanError: If a number is out of its range.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        saving_min: float = 0.1,
        vm_steps_max: int = 50_000_000,
    ) -> None:
        if not 0 < saving_min <= 1 or vm_steps_max < 1:
            raise QueryPlanError(
                f"QueryOptimizer: got saving_min={saving_min}, vm_steps_max={vm_steps_max};"
                f" needed more than 0 up to 1, and 1 or more"
            )
        self._connection = connection
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
