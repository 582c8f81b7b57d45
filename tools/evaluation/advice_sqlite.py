"""Index advice on SQLite beside that of SQLite's own shell, on TPC-H, in one run.

Both advise on the same database, and their indexes are then created in copies of it, with fresh
statistics everywhere. Costs are instructions of SQLite's virtual machine, counted in thousands,
which are the same on each machine; seconds are those of the same single runs, and are not.

    python -m tools.evaluation.advice_sqlite [--scale 0.1] [--budget 42MB]

`.expert` is asked once for each query, as its manual says, by the program `sqlite3` on PATH.
Without --budget ours gets half of what the shell's indexes take.
"""

import argparse
import itertools
import math
import operator
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

from tools.evaluation.tpch import generate, load_sqlite
from tools.evaluation.tpch_queries import ADVISED, queries

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer import QueryOptimizer, Workload, WorkloadQuery

__all__ = ["main"]

_TICK = 1000
_MB = 1e6
_WORSE = 1.01


def expert(database: Path, texts: Iterable[str]) -> list[str]:
    """Statements that create what the shell proposes, each once, in its order."""
    found: dict[str, None] = {}
    for text in texts:
        done = subprocess.run(
            ["sqlite3", database],
            input=f".expert\n{text};\n",
            capture_output=True,
            text=True,
            check=True,
        )
        found.update(
            dict.fromkeys(line for line in done.stdout.splitlines() if line.startswith("CREATE"))
        )
    return list(found)


class Measured:
    """A copy of the database with some indexes: its size, and steps and seconds of each query."""

    def __init__(self, database: Path, ddl: Iterable[str], texts: Mapping[int, str]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.db"
            shutil.copy(database, copy)
            with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                for statement in ddl:
                    connection.execute(statement)
                connection.execute("ANALYZE")
                self.size_bytes = copy.stat().st_size
                runs = {number: _run(connection, text) for number, text in texts.items()}
        self.steps = {number: steps for number, (steps, _) in runs.items()}
        self.seconds = {number: seconds for number, (_, seconds) in runs.items()}


def _run(connection: sqlite3.Connection, text: str) -> tuple[int, float]:
    """Steps, to the next thousand, and seconds."""
    ticks = itertools.repeat(False, sys.maxsize)
    connection.set_progress_handler(ticks.__next__, _TICK)
    start_s = time.perf_counter()
    connection.execute(text).fetchall()
    taken_s = time.perf_counter() - start_s
    connection.set_progress_handler(None, 0)
    return (sys.maxsize - operator.length_hint(ticks) + 1) * _TICK, taken_s


def _geometric(ratios: Iterable[float]) -> float:
    logs = [math.log(ratio) for ratio in ratios]
    return math.exp(math.fsum(logs) / len(logs))


def _line(name: str, count: int, advice_s: float, with_: Measured, without: Measured) -> str:
    ratios = {number: with_.steps[number] / without.steps[number] for number in without.steps}
    worse = [f"Q{number} x{ratio:.2f}" for number, ratio in ratios.items() if ratio > _WORSE]
    total = sum(with_.steps.values()) / sum(without.steps.values())
    extra = (with_.size_bytes - without.size_bytes) / _MB
    wall = sum(with_.seconds.values())
    return (
        f"| {name} | {count} | {extra:.1f} | {_geometric(ratios.values()):.3f} | {total:.3f} |"
        f" {wall:.2f} | {', '.join(worse) or 'none'} | {advice_s:.1f} |"
    )


def main(arguments: list[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--budget")
    chosen = parser.parse_args(arguments)
    texts = {number: queries("sqlite")[number] for number in ADVISED}
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "tpch.db"
        with closing(sqlite3.connect(database)) as connection:
            load_sqlite(connection, generate(chosen.scale))
            connection.execute("ANALYZE")
        without = Measured(database, (), texts)
        print(
            f"{len(texts)} queries, {without.size_bytes / _MB:.1f} MB,"
            f" {sum(without.steps.values()):,} steps, {sum(without.seconds.values()):.2f} s"
        )
        print("| advisor | indexes | MB | geometric mean | sum | wall s | worse | advice s |")
        print("|---|---|---|---|---|---|---|---|", flush=True)
        start_s = time.perf_counter()
        proposed = expert(database, texts.values())
        advice_s = time.perf_counter() - start_s
        by_expert = Measured(database, proposed, texts)
        print(_line("sqlite3 .expert", len(proposed), advice_s, by_expert, without), flush=True)
        half = (by_expert.size_bytes - without.size_bytes) // 2
        workload = Workload(
            queries=tuple(
                WorkloadQuery(sql=text, fingerprint=f"Q{number}") for number, text in texts.items()
            )
        )
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            start_s = time.perf_counter()
            try:
                advice = QueryOptimizer(connection).advise(workload, chosen.budget or half)
            except QueryPlanError as error:
                print(error, file=sys.stderr)
                return 1
            advice_s = time.perf_counter() - start_s
        ours = Measured(database, [index.ddl for index in advice], texts)
        print(_line("sergas", len(advice), advice_s, ours, without))
        for index in advice:
            print(f"{index.size_bytes / _MB:6.1f} MB  {index.table}({', '.join(index.columns)})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
