"""How much work a query is: the instructions that SQLite's virtual machine executes for it.

The number is exact, not sampled. SQLite calls a connection's progress handler once for every `n`
instructions, catching up at each jump and when it returns, so with n = 1 the calls are the
instructions: the same number as `sqlite3_stmt_status(SQLITE_STMTSTATUS_VM_STEP)`, which the
standard library does not offer. It does not depend on the machine, its load or the page cache.

The handler is the `__next__` of an `itertools.repeat`: it runs no Python code, it says False ("go
on") as many times as it was made for, then ends the query, and what is left of it is the count.
"""

import itertools
import operator
import sqlite3
from dataclasses import dataclass

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._statement import translated
from sergas.optimizations.query_optimizer._workload import Parameters

__all__ = ["Measurement", "run_counted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One complete run of a query.

    Attributes:
        vm_steps: Virtual-machine instructions executed, exact.
        rows: Rows returned.
    """

    vm_steps: int
    rows: int


def run_counted(
    connection: sqlite3.Connection, sql: str, params: Parameters, *, vm_steps_max: int
) -> Measurement:
    """Run a query that reads only to its end and count.

    Raises:
        QueryPlanError: If SQLite refuses it or it needs more than `vm_steps_max` steps.
    """
    # Compiling may call the handler too; a statement that ran before is not compiled again.
    _run(connection, sql, params, vm_steps_max=vm_steps_max, is_warm_up=True)
    return _run(connection, sql, params, vm_steps_max=vm_steps_max, is_warm_up=False)


def _run(
    connection: sqlite3.Connection,
    sql: str,
    params: Parameters,
    *,
    vm_steps_max: int,
    is_warm_up: bool,
) -> Measurement:
    """Run the query, a warm-up only to its first row."""
    left = itertools.repeat(False, vm_steps_max)
    cursor = connection.cursor()
    cursor.row_factory = None
    connection.set_progress_handler(left.__next__, 1)
    try:
        with translated("run", sql):
            cursor.execute(sql, params)
            rows = 0 if is_warm_up else sum(1 for _ in cursor)
    except QueryPlanError:
        if operator.length_hint(left) == 0:
            raise QueryPlanError(
                f"QueryOptimizer: {sql!r} needs more than {vm_steps_max} steps; measure it on"
                f" fewer rows or give a larger vm_steps_max"
            ) from None
        raise
    finally:
        connection.set_progress_handler(None, 0)
        cursor.close()
    return Measurement(vm_steps=vm_steps_max - operator.length_hint(left), rows=rows)
