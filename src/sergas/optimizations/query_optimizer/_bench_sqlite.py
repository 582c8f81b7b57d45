"""SQLite asked what indexes would do: built in a private copy, and each plan run and counted.

SQLite tells no cost of a plan, so a query costs what it takes: the instructions of its virtual
machine. The same program over the same rows takes the same number, so each program is run once,
however many sets of indexes lead to it, and a program that takes more than it may is stopped.
"""

import itertools
import operator
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._advice import SkippedQuery
from sergas.optimizations.query_optimizer._bench import Cost, Need, Question
from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._schema_sqlite import existing_indexes, indexable_columns
from sergas.optimizations.query_optimizer._scratch import Scratch
from sergas.optimizations.query_optimizer._statement import (
    Statement,
    compiled,
    rows_of,
    translated,
)
from sergas.optimizations.query_optimizer._workload import Parameters, Workload, WorkloadQuery

__all__ = ["SqliteBench"]

_TICK = 16
"""Instructions between two calls of the handler that counts: a cost is exact but for one of them,
rounded up. A call for each instruction makes a statement about three times as slow."""
_ENTRY_STEPS = 290.0
"""What writing one entry of an index takes, in the time of so many steps of a query; measured by
tools/evaluation/advice_write_cost.py, see decision 21."""
_SAVEPOINT = "sergas_write"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A statement of the workload and what SQLite said about it."""

    query: WorkloadQuery
    statement: Statement
    rows: float


class SqliteBench:
    """A copy of the database with the workload's statements.

    Args:
        scratch: The copy.
        workload: Statements of which some may be unfit; they end up in `skipped`.
        vm_steps_max: Most instructions that one run may take.
    """

    unit = "VM steps"

    def __init__(self, scratch: Scratch, workload: Workload, vm_steps_max: int) -> None:
        self._scratch = scratch
        self._vm_steps_max = vm_steps_max
        self._steps: dict[tuple[int, int, int], float] = {}
        self._asked: list[_Asked] = []
        listed = existing_indexes(scratch.connection)
        self.existing = frozenset(each.index for each in listed)
        self.questions: list[Question] = []
        self.skipped: list[SkippedQuery] = []
        for query in workload:
            self._admit(query)

    @property
    def is_sample(self) -> bool:
        """Whether the copy has fewer rows than the database."""
        return bool(self._scratch.one_in)

    def cost(self, question: int, indexes: frozenset[Index], limit: float) -> Cost:
        """See `Bench`."""
        self._scratch.arrange(indexes)
        query = self._asked[question].query
        used: set[Index] = set()
        sum_steps = 0.0
        left = limit * len(query.samples)
        for number, parameters in enumerate(query.samples):
            with translated("compile", query.sql):
                program = rows_of(self._scratch.connection, f"EXPLAIN {query.sql}", parameters)
            used |= self._used(program)
            # The transaction names the schema's version, which is no part of the work.
            work = tuple(line for line in program if line[1] != "Transaction")
            key = (question, number, hash(work))
            if key not in self._steps:
                steps = self._run(self._asked[question], parameters, left - sum_steps)
                if steps is None:
                    return Cost(value=float("inf"), used=frozenset(used))
                self._steps[key] = steps
            sum_steps += self._steps[key]
        return Cost(value=sum_steps / len(query.samples), used=frozenset(used))

    def size_bytes(self, index: Index) -> int | None:
        """See `Bench`; whole pages, as built."""
        return self._scratch.size_bytes(index)

    def upkeep(self, index: Index) -> float:
        """See `Bench`: each row that a write touches is an entry written, two if it moves."""
        return (
            sum(
                asked.query.count * asked.rows * asked.statement.entries(index.table, index.columns)
                for asked in self._asked
            )
            * _ENTRY_STEPS
        )

    def _admit(self, query: WorkloadQuery) -> None:
        connection = self._scratch.connection
        try:
            statement = compiled(connection, query.sql, query.samples[0])
            _check_kind(statement)
            rows = 0.0
            if statement.writes_rows:
                rows = sum(_rows(connection, query.sql, each) for each in query.samples)
            asked = _Asked(query, statement, rows / len(query.samples))
            self._asked.append(asked)
            self.questions.append(self._question(asked))
            try:
                self.cost(len(self._asked) - 1, frozenset(), float("inf"))
            except QueryPlanError:
                self._asked.pop()
                self.questions.pop()
                raise
        except QueryPlanError as error:
            self.skipped.append(SkippedQuery(label=query.label, why=str(error)))

    def _question(self, asked: _Asked) -> Question:
        needs = {}
        for table, read in asked.statement.columns.items():
            if columns := indexable_columns(self._scratch.connection, table):
                seeking = frozenset(read & columns)
                needs[table] = Need(seeking=seeking, read=seeking)
        return Question(
            label=asked.query.label,
            weight=asked.query.count,
            is_write=not asked.statement.reads_only,
            needs=needs,
        )

    def _used(self, program: Sequence[tuple[Any, ...]]) -> set[Index]:
        """Those that the program looks into; a write opens all of its table to keep them up."""
        roots = self._scratch.roots
        sought = {line[2] for line in program if line[1].startswith(("Seek", "Rewind", "Last"))}
        return {
            roots[second]
            for _, operation, cursor, second, database, *_rest in program
            if database == 0
            and second in roots
            and (
                operation in {"OpenRead", "ReopenIdx"}
                or (operation == "OpenWrite" and cursor in sought)
            )
        }

    def _run(self, asked: _Asked, parameters: Parameters, limit: float) -> float | None:
        """Steps, or None if they are more than `limit`.

        Raises:
            QueryPlanError: If SQLite refuses, or `vm_steps_max` is not enough.
        """
        ticks_max = int(min(limit, self._vm_steps_max) // _TICK) + 1
        ticks = itertools.repeat(False, ticks_max)
        connection, sql = self._scratch.connection, asked.query.sql
        connection.set_progress_handler(ticks.__next__, _TICK)
        try:
            _rows(connection, sql, parameters)
        except QueryPlanError as error:
            if operator.length_hint(ticks) > 0:
                raise
            if limit < self._vm_steps_max:
                return None
            raise QueryPlanError(
                f"QueryOptimizer: {sql!r} needs more than {self._vm_steps_max} steps; give a"
                f" larger vm_steps_max"
            ) from error
        finally:
            connection.set_progress_handler(None, 0)
        return float((ticks_max - operator.length_hint(ticks) + 1) * _TICK)  # the last is begun


def _check_kind(statement: Statement) -> None:
    if not (statement.reads_only or statement.writes_rows):
        raise QueryPlanError("it neither only reads nor only changes rows")


def _rows(connection: sqlite3.Connection, sql: str, parameters: Parameters) -> int:
    """Run it to its end and undo it.

    Returns:
        How many rows it changed; one if it was recorded and its row is there already, so that it
        was refused.

    Raises:
        QueryPlanError: If SQLite refuses it for another reason, or the handler ended it.
    """
    connection.execute(f"SAVEPOINT {_SAVEPOINT}")
    try:
        with translated("run", sql):
            cursor = connection.execute(sql, parameters)
            for _ in cursor:
                pass
            return max(cursor.rowcount, 0)
    except QueryPlanError as error:
        if isinstance(error.__cause__, sqlite3.IntegrityError):
            return 1
        raise
    finally:
        if connection.in_transaction:  # else SQLite has rolled back by itself
            connection.execute(f"ROLLBACK TO {_SAVEPOINT}")
            connection.execute(f"RELEASE {_SAVEPOINT}")
