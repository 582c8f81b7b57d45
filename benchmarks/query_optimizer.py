"""What plans, exact costs and index advice cost, and what the advice is worth.

The database is in memory and made on first use, once for each process: a connection must not
cross a fork, and asv_runner times single calls of a benchmark that has a `setup`.
"""

import functools
import sqlite3

from sergas.optimizations.query_optimizer import IndexEvaluation, QueryOptimizer

ROWS = 1_000
QUERIES = {
    "scan": "SELECT id FROM accounts WHERE owner = 'owner 7' ORDER BY created_at",
    "join": (
        "SELECT a.owner, count(*), sum(d.amount) FROM accounts a"
        " JOIN deals d ON d.account_id = a.id WHERE a.status = 'open' GROUP BY a.owner"
    ),
    "cte": (
        "WITH mine AS (SELECT id FROM accounts WHERE owner = 'owner 7')"
        " SELECT d.* FROM deals d WHERE d.account_id IN (SELECT id FROM mine)"
    ),
}


@functools.cache
def connection() -> sqlite3.Connection:
    """1,000 accounts of 50 owners with two deals each; only deals(account_id) is indexed."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.executescript(
        "CREATE TABLE accounts"
        " (id INTEGER PRIMARY KEY, owner TEXT, status TEXT, created_at REAL);"
        "CREATE TABLE deals (id INTEGER PRIMARY KEY, account_id INTEGER, amount REAL);"
        "CREATE INDEX deals_account ON deals (account_id);"
    )
    made.executemany(
        "INSERT INTO accounts (owner, status, created_at) VALUES (?, ?, ?)",
        [
            (f"owner {number % 50}", ("open", "closed")[number % 2], number * 7919 % ROWS)
            for number in range(ROWS)
        ],
    )
    made.executemany(
        "INSERT INTO deals (account_id, amount) VALUES (?, ?)",
        [(number % ROWS, float(number)) for number in range(2 * ROWS)],
    )
    return made


@functools.cache
def optimizer() -> QueryOptimizer:
    """On the seeded database."""
    return QueryOptimizer(connection())


def advised() -> IndexEvaluation:
    """The best index for the scanning query."""
    return optimizer().suggest(QUERIES["scan"])[0]


class Planning:
    """Plans, without running anything."""

    params = ("join", "cte")
    param_names = ("query",)

    def time_plan(self, query: str) -> None:
        optimizer().plan(QUERIES[query])


class Measuring:
    """Runs whose every instruction is counted."""

    params = ("scan", "join")
    param_names = ("query",)

    def time_measure(self, query: str) -> None:
        optimizer().measure(QUERIES[query])


class Advice:
    """Indexes built, measured and taken back."""

    def time_evaluate_index(self) -> None:
        optimizer().evaluate_index(QUERIES["scan"], (), "accounts", ["owner"])

    def time_suggest(self) -> None:
        optimizer().suggest(QUERIES["scan"])

    def peakmem_suggest(self) -> None:
        optimizer().suggest(QUERIES["scan"])


class AdvisedSteps:
    """The exact cost of one query, without the index that is suggested for it and with it."""

    unit = "VM steps"

    def track_without_index(self) -> int:
        return advised().vm_steps_before

    def track_with_suggested_index(self) -> int:
        return advised().vm_steps_after


class AdvisedSize:
    """What the suggested index takes."""

    unit = "bytes"

    def track_suggested_index(self) -> int:
        return advised().size_bytes
