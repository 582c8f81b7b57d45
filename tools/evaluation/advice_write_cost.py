"""What writing one entry of an index costs on SQLite, in instructions of ordinary kind.

An instruction that inserts into a B-tree counts as one, and takes far longer than one that compares
two registers. The advisor weighs them by this figure: seconds for an entry in seconds for a step of
the TPC-H queries.

    python -m tools.evaluation.advice_write_cost [--scale 0.1] [--turns 5]

Entries are those of 1,000 new orders and of their rows in lineitem, with keys in the order of their
coming and without; each turn adds the rows without and with an index and takes the difference.
"""

import argparse
import sqlite3
import statistics
import sys
import time
from contextlib import closing

from tools.evaluation.tpch import generate, load_sqlite
from tools.evaluation.tpch_queries import queries

from sergas.optimizations.query_optimizer import QueryOptimizer

__all__ = ["main"]

_QUERIES = (1, 3, 6, 10, 12, 14)
_TARGETS = (
    ("orders", "o_orderkey < 4000", "o_orderkey", 10**8, "o_custkey"),
    ("orders", "o_orderkey < 4000", "o_orderkey", 10**8, "o_clerk"),
    ("lineitem", "l_orderkey < 4000", "l_orderkey", 10**8, "l_partkey"),
    ("lineitem", "l_orderkey < 4000", "l_orderkey", 10**8, "l_shipdate"),
)


def _step_s(connection: sqlite3.Connection) -> float:
    optimizer = QueryOptimizer(connection)
    rates = []
    for number in _QUERIES:
        text = queries("sqlite")[number]
        steps = optimizer.measure(text).vm_steps
        start_s = time.perf_counter()
        connection.execute(text).fetchall()
        rates.append((time.perf_counter() - start_s) / steps)
    return statistics.median(rates)


def _insert_s(connection: sqlite3.Connection, target: tuple[str, str, str, int, str]) -> float:
    """Seconds for each row; what is inserted is taken back."""
    table, condition, key, shift, _ = target
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = ", ".join(f"{each} + {shift}" if each == key else each for each in columns)
    connection.execute("BEGIN")
    start_s = time.perf_counter()
    rows = connection.execute(
        f"INSERT INTO {table} SELECT {values} FROM {table} WHERE {condition}"  # noqa: S608 ours
    ).rowcount
    taken_s = time.perf_counter() - start_s
    connection.execute("ROLLBACK")
    return taken_s / rows


def main(arguments: list[str]) -> int:
    """Print a line for each index, and the median."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args(arguments)
    with closing(sqlite3.connect("", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        load_sqlite(connection, generate(options.scale))
        step_s = _step_s(connection)
        print(f"a step: {step_s * 1e9:.1f} ns")
        all_steps = []
        for target in _TARGETS:
            table, *_, column = target
            steps = []
            for _ in range(options.turns):
                without_s = _insert_s(connection, target)
                connection.execute(f"CREATE INDEX tried ON {table} ({column})")
                steps.append((_insert_s(connection, target) - without_s) / step_s)
                connection.execute("DROP INDEX tried")
            all_steps += steps
            low, *_, high = statistics.quantiles(steps, n=4)
            print(f"{table}({column}): {statistics.median(steps):.0f} ({low:.0f} to {high:.0f})")
        print(f"median of all: {statistics.median(all_steps):.0f} steps an entry")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
