"""What plans, exact costs and index advice cost, and what the advice is worth.

The database is in memory and made on first use, once for each process: a connection must not
cross a fork, and asv_runner times single calls of a benchmark that has a `setup`.
"""

import functools
import itertools
import sqlite3
from collections.abc import Sequence

from sergas.optimizations.query_optimizer import (
    CachedConnection,
    IndexEvaluation,
    Keyset,
    QueryOptimizer,
    RecordedConnection,
    Recorder,
    ResultCache,
    ThreadBatchLoader,
    Workload,
    detect_n_plus_one,
    fingerprint,
    insert_many,
    lint,
    record,
    upsert_many,
)

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


class WorkloadAdvice:
    """Indexes for three statements together: copy, search, and words."""

    def time_advise(self) -> None:
        optimizer().advise(Workload.of(QUERIES.values()), "1MB")


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


LOOKUP = "SELECT id, owner FROM accounts WHERE owner = ? AND status = ? ORDER BY id"


@functools.cache
def recorded() -> sqlite3.Connection:
    """As the seeded database, with a class that can tell what it executes."""
    made = sqlite3.connect(":memory:", isolation_level=None, factory=RecordedConnection)
    connection().backup(made)
    return made


@functools.cache
def recorder() -> Recorder:
    """Knows the statement already."""
    return Recorder()


class Naming:
    """What a fingerprint costs: seen before, and new each time."""

    def time_known_text(self) -> None:
        fingerprint(LOOKUP, "sqlite")

    def time_new_text_of_a_known_shape(self) -> None:
        number = next(NUMBERS)
        fingerprint(f"SELECT id FROM accounts WHERE id = {number}", "sqlite")  # noqa: S608 - a number

    def time_lint(self) -> None:
        lint(QUERIES["cte"])


class Recording:
    """A point read on a connection that can be heard: with nobody listening, and with somebody."""

    def time_unheard(self) -> None:
        recorded().execute(LOOKUP, ("owner 7", "open")).fetchall()

    def time_recorded(self) -> None:
        with record(recorded(), recorder=recorder()):
            for _ in range(10):
                recorded().execute(LOOKUP, ("owner 7", "open")).fetchall()

    def time_watched_for_n_plus_one(self) -> None:
        with detect_n_plus_one(recorded()):
            for _ in range(10):
                recorded().execute(LOOKUP, ("owner 7", "open")).fetchall()


@functools.cache
def pages() -> Keyset:
    """Fifty accounts a page."""
    return Keyset("SELECT id, owner FROM accounts", ["id"], limit=50)


@functools.cache
def first_token() -> str:
    """Of the second page."""
    token = pages().page(connection()).next
    assert token is not None
    return token


@functools.cache
def kept() -> CachedConnection:
    """A connection whose results are kept."""
    return ResultCache().on(connection())


class Reading:
    """A page by key, a result that is kept, and keys that are collected."""

    def time_page(self) -> None:
        pages().page(connection(), first_token())

    def time_kept_result(self) -> None:
        kept().query(LOOKUP, ("owner 7", "open"))

    def time_collected_keys(self) -> None:
        loader: ThreadBatchLoader[int, int] = ThreadBatchLoader(negatives, wait_s=0.0)
        loader.load_many(range(100))


def negatives(keys: Sequence[int]) -> dict[int, int]:
    """An answer for each key."""
    return {key: -key for key in keys}


class Writing:
    """A thousand rows at once, taken back."""

    def time_insert_1000(self) -> None:
        made = connection()
        made.execute("BEGIN")
        insert_many(made, "deals", ("account_id", "amount"), ROWS_TO_WRITE)
        made.rollback()

    def time_upsert_1000(self) -> None:
        made = connection()
        made.execute("BEGIN")
        upsert_many(made, "accounts", ("id",), ("owner",), ACCOUNTS_TO_WRITE)
        made.rollback()


NUMBERS = itertools.count()
ROWS_TO_WRITE = [(number, 1.0) for number in range(1_000)]
ACCOUNTS_TO_WRITE = [(number, "owner") for number in range(500, 1_500)]
