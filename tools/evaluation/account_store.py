"""What seeding costs, and what the brief costs in one statement and step by step.

    python -m tools.evaluation.account_store [--accounts 5000] [--turns 5]

Both databases are started here or found as the tests find them. The forms of the brief take turns,
each turn on the same hundred accounts; ratios are within a turn, so that what disturbs the machine
disturbs both.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from sergas.accounts import PostgresStore, SqliteStore
from sergas.accounts.briefs import brief_step_by_step
from sergas.accounts.seeding import SeedPlan, seed
from sergas.servers import start_postgres

__all__ = ["main"]

_BRIEFS = 100


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5_000)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    plan = SeedPlan(accounts=options.accounts)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        server = stack.enter_context(start_postgres())
        dsn = stack.enter_context(server.new_database())
        stores: list[SqliteStore | PostgresStore] = [
            stack.enter_context(SqliteStore(Path(folder) / "accounts.db")),
            stack.enter_context(PostgresStore(dsn)),
        ]
        for store in stores:
            store.migrate()
            began_s = time.perf_counter()
            seeded = seed(store, plan)
            took_s = time.perf_counter() - began_s
            print(
                f"seeding   {store.engine:<18} {seeded.accounts:,} accounts,"
                f" {seeded.activities:,} activities, {seeded.deals:,} deals:"
                f" {took_s:.1f} s, {store.size_bytes() / 1e6:.0f} MB"
            )
        for store in stores:
            print(_briefs(store, options.accounts, options.turns))


def _briefs(store: SqliteStore | PostgresStore, accounts: int, turns: int) -> str:
    ids = [f"acc_{number * 37 % accounts:06d}" for number in range(_BRIEFS)]
    one, many = [], []
    for turn in range(turns + 1):
        one_s = _timed(lambda: [store.brief(each) for each in ids])
        many_s = _timed(lambda: [brief_step_by_step(store, each) for each in ids])
        if turn:  # the first fills the caches
            one.append(one_s / _BRIEFS * 1e6)
            many.append(many_s / _BRIEFS * 1e6)
    ratios = [step / whole for step, whole in zip(many, one, strict=True)]
    return (
        f"brief     {store.engine:<18} one statement {_shown(one)} us, step by step"
        f" {_shown(many)} us, ratio {_shown(ratios)}"
    )


def _timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _shown(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} [{min(values):.3g}..{max(values):.3g}]"


if __name__ == "__main__":
    main()
