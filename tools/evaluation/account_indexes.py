"""Which indexes the query optimizer advises for the account service, and what they are worth.

    python -m tools.evaluation.account_indexes [--accounts 5000] [--advise 1000] [--turns 5]

`--advise N` records the workload on N accounts without any index and prints the advice. Then the
queries are timed on `--accounts` accounts with the indexes of the migrations and without them, in
turns; ratios are within a turn.
"""

import argparse
import random
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sergas.accounts import PostgresStore, SqliteStore
from sergas.accounts._sql_store import SqlStore
from sergas.accounts.migrations import steps
from sergas.accounts.seeding import SeedPlan, seed
from sergas.accounts.workload import OPERATIONS, Draw, ask
from sergas.optimizations.query_optimizer import (
    QueryOptimizer,
    RecordedConnection,
    Recorder,
    Workload,
    record,
)
from sergas.servers import start_postgres

__all__ = ["main"]

_READS = tuple(o for o in OPERATIONS if o.name.startswith("Q"))
_OTHER_ROWS = 2
"""Seeds rows that the advice has not seen."""
_INDEX = re.compile(r"CREATE INDEX (\w+)")


def main() -> None:
    """Print the advice, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--advise", type=int, default=0)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    for kind in ("sqlite", "postgres"):
        if options.advise:
            _print_advice(kind, options.advise)
        _print_worth(kind, options.accounts, options.turns)


@contextmanager
def _store(kind: str, plan: SeedPlan, *, has_indexes: bool) -> Iterator[SqlStore]:
    """A seeded store."""
    with ExitStack() as stack:
        store: SqlStore
        if kind == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            path = Path(folder) / "accounts.db"
            store = stack.enter_context(SqliteStore(path, factory=RecordedConnection))
        else:
            server = stack.enter_context(start_postgres())
            store = stack.enter_context(PostgresStore(stack.enter_context(server.new_database())))
        store.migrate()
        if not has_indexes:
            with store.writing() as connection:
                for name in _advised(store):
                    connection.execute(f"DROP INDEX {name}")
        seed(store, plan)
        yield store


def _advised(store: SqlStore) -> list[str]:
    """The names of the indexes that the advice made."""
    (step,) = (each for each in steps(store.dialect.name) if each.name == "indexes")
    return _INDEX.findall(step.sql)


def _print_advice(kind: str, accounts: int) -> None:
    plan = SeedPlan(accounts=accounts)
    with _store(kind, plan, has_indexes=False) as store:
        workload = _recorded(store, plan)
        with store.writing() as connection:
            if kind == "sqlite":  # what it copies must not be in a transaction
                connection.execute("COMMIT")
            advice = QueryOptimizer(connection).advise(workload, budget="100MB")
            if kind == "sqlite":
                connection.execute("BEGIN")
        print(f"== advice for {store.engine}, {len(workload)} statements, {accounts:,} accounts")
        for index in advice:
            print(f"{index.ddl};  -- {index.size_bytes / 1e6:.2f} MB")
        for skipped in advice.skipped:
            print(f"not judged: {skipped.label[:60]}: {skipped.why}")


def _recorded(store: SqlStore, plan: SeedPlan) -> Workload:
    """A thousand requests of a day, as the database hears them."""
    recorder = Recorder()
    database: Any = store._database  # noqa: SLF001 its connections are listened to
    reading, writing = database.reading, database.writing

    @contextmanager
    def heard(open_one: Any) -> Iterator[Any]:
        with open_one() as connection, record(connection, recorder=recorder):
            yield connection

    database.reading = lambda: heard(reading)
    database.writing = lambda: heard(writing)
    for _ in ask(store, plan, requests=1000):
        pass
    database.reading, database.writing = reading, writing
    return recorder.workload()


def _print_worth(kind: str, accounts: int, turns: int) -> None:
    plan = SeedPlan(accounts=accounts, seed=_OTHER_ROWS)
    with (
        _store(kind, plan, has_indexes=True) as advised,
        _store(kind, plan, has_indexes=False) as bare,
    ):
        sizes = [store.size_bytes() / 1e6 for store in (advised, bare)]
        print(
            f"== {advised.engine}, {accounts:,} accounts: {sizes[0]:.0f} MB with the advised"
            f" indexes, {sizes[1]:.0f} MB without"
        )
        print(f"{'query':<10} {'with, ms':>24} {'without, ms':>24} {'ratio':>22}")
        every = []
        for operation in _READS:
            pairs = []
            for turn in range(turns + 1):
                seconds = []
                for store in (advised, bare):
                    # The same parameters on both sides of a turn.
                    draw = Draw(random.Random(turn), plan)  # noqa: S311 parameters, not secrets
                    began_s = time.perf_counter()
                    operation.call(store, draw)
                    seconds.append((time.perf_counter() - began_s) * 1e3)
                if turn:  # the first fills the caches
                    pairs.append(seconds)
            with_ms, without_ms = ([pair[side] for pair in pairs] for side in (0, 1))
            ratios = [pair[1] / pair[0] for pair in pairs]
            every.append(statistics.median(ratios))
            print(
                f"{operation.name:<10} {_shown(with_ms):>24} {_shown(without_ms):>24}"
                f" {_shown(ratios):>22}"
            )
        print(f"geometric mean of the ratios: {statistics.geometric_mean(every):.3g}")


def _shown(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} [{min(values):.3g}..{max(values):.3g}]"


if __name__ == "__main__":
    main()
