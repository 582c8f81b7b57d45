"""N+1: every way to fall into it is found, and a hundred honest ways to read are let alone."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sergas.errors import NPlusOneError, WorkloadError
from sergas.optimizations.query_optimizer import (
    NPlusOne,
    NPlusOneDetector,
    RecordedConnection,
    detect_n_plus_one,
)

psycopg = pytest.importorskip("psycopg")
asyncpg = pytest.importorskip("asyncpg")

pytest_plugins = ["sergas.optimizations.query_optimizer.pytest_plugin"]

IDS = range(1, 9)
BY_ID = "SELECT * FROM deals WHERE account_id = ?"
SCHEMA = (
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, parent INTEGER)",
    "CREATE TABLE deals (id INTEGER PRIMARY KEY, account_id INTEGER, amount REAL)",
)
Case = Callable[[Any], object]


def filled(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Twenty accounts in a chain with two deals each."""
    for statement in SCHEMA:
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO accounts VALUES (?, ?, ?)",
        [(n, f"owner {n % 3}", n - 1) for n in range(1, 21)],
    )
    connection.executemany(
        "INSERT INTO deals VALUES (?, ?, ?)", [(n, n % 20 + 1, float(n)) for n in range(1, 41)]
    )
    return connection


@pytest.fixture(params=[sqlite3.Connection, RecordedConnection])
def sqlite(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """Heard through the trace callback, and by a connection that tells more."""
    connection = sqlite3.connect(":memory:", factory=request.param, check_same_thread=False)
    yield filled(connection)
    connection.close()


# Ways into it; each makes at least five lookups by different keys from one place.


def _deals_of(c: Any, account: int) -> list[Any]:
    return list(c.execute(BY_ID, (account,)))


def _loop(c: Any) -> None:
    for account in IDS:
        c.execute(BY_ID, (account,)).fetchall()


def _comprehension(c: Any) -> object:
    return [c.execute(BY_ID, (n,)).fetchall() for n in IDS]


def _generator(c: Any) -> object:
    return list(c.execute(BY_ID, (n,)).fetchall() for n in IDS)  # noqa: C400 - this is the case


def _map(c: Any) -> object:
    return list(map(lambda n: c.execute(BY_ID, (n,)).fetchall(), IDS))  # noqa: C417 - this is the case


def _helper(c: Any) -> object:
    return {n: _deals_of(c, n) for n in IDS}


def _cursor(c: Any) -> None:
    cursor = c.cursor()
    for n in IDS:
        cursor.execute(BY_ID, (n,))
        cursor.fetchall()


def _literals(c: Any) -> None:
    for n in IDS:
        c.execute(f"SELECT * FROM deals WHERE account_id = {n}").fetchall()  # noqa: S608 - the case


def _named(c: Any) -> None:
    for n in IDS:
        c.execute("SELECT * FROM deals WHERE account_id = :id", {"id": n}).fetchall()


def _numbered(c: Any) -> None:
    for n in IDS:
        c.execute("SELECT * FROM deals WHERE account_id = ?1 OR ?1 = 0", (n,)).fetchall()


def _list_of_one(c: Any) -> None:
    for n in IDS:
        c.execute("SELECT * FROM deals WHERE account_id IN (?)", (n,)).fetchall()


def _reversed_comparison(c: Any) -> None:
    for n in IDS:
        c.execute("SELECT * FROM deals WHERE ? = account_id", (n,)).fetchall()


def _with_limit(c: Any) -> None:
    for n in IDS:
        c.execute("SELECT * FROM deals WHERE account_id = ? ORDER BY amount DESC LIMIT 5", (n,))


def _count_each(c: Any) -> object:
    return [
        c.execute("SELECT count(*) FROM deals WHERE account_id = ?", (n,)).fetchone() for n in IDS
    ]


def _by_text(c: Any) -> None:
    for n in range(10):
        c.execute("SELECT * FROM accounts WHERE owner = ?", (f"owner {n}",)).fetchall()


def _in_a_join(c: Any) -> None:
    for n in IDS:
        c.execute(
            "SELECT d.* FROM accounts a JOIN deals d ON d.account_id = a.id WHERE a.id = ?", (n,)
        ).fetchall()


def _in_a_cte(c: Any) -> None:
    for n in IDS:
        c.execute(
            "WITH mine AS (SELECT * FROM deals WHERE account_id = ?) SELECT sum(amount) FROM mine",
            (n,),
        ).fetchall()


def _while_reading(c: Any) -> None:
    for (account,) in c.execute("SELECT id FROM accounts ORDER BY id").fetchall():
        c.execute(BY_ID, (account,)).fetchall()


def _recursion(c: Any) -> None:
    def up(account: int) -> None:
        row = c.execute("SELECT parent FROM accounts WHERE id = ?", (account,)).fetchone()
        if row and row[0]:
            up(row[0])

    up(9)


def _other_spelling(c: Any) -> None:
    for n in IDS:
        spaces = " " * n
        c.execute(f"SELECT *{spaces}FROM deals /* {n} */ WHERE account_id = ?", (n,))


def _lazy_property(c: Any) -> object:
    class Account:
        def __init__(self, number: int) -> None:
            self.number = number

        @property
        def deals(self) -> list[Any]:
            return _deals_of(c, self.number)

    return [len(account.deals) for account in map(Account, IDS)]


def _threads(c: Any) -> None:
    lock = threading.Lock()

    def one(n: int) -> list[Any]:
        with lock:
            return _deals_of(c, n)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, IDS))


def _with_repeats(c: Any) -> None:
    for n in [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]:
        c.execute(BY_ID, (n,)).fetchall()


SEEDED: tuple[Case, ...] = (
    _loop, _comprehension, _generator, _map, _helper, _cursor, _literals, _named, _numbered,
    _list_of_one, _reversed_comparison, _with_limit, _count_each, _in_a_join, _in_a_cte,
    _while_reading, _recursion, _other_spelling, _lazy_property, _threads, _with_repeats, _by_text,
)  # fmt: skip


@pytest.mark.parametrize("case", SEEDED, ids=lambda case: case.__name__.strip("_"))
def test_every_seeded_case_is_found_once(case: Case, sqlite: sqlite3.Connection) -> None:
    """With the place in this file and the number of keys."""
    with detect_n_plus_one(sqlite) as detector:
        case(sqlite)
    (found,) = detector.found
    assert found.keys >= 5
    assert found.site[0].file == __file__
    assert "one by one" in str(found)


# Honest ways to read


def _in_lists(c: Any, size: int) -> None:
    for start in range(0, 20, size):
        marks = ", ".join("?" * size)
        keys = tuple(range(start, start + size))
        c.execute(f"SELECT * FROM deals WHERE account_id IN ({marks})", keys).fetchall()  # noqa: S608


def _pages(c: Any, size: int) -> None:
    last = 0
    while rows := c.execute(
        "SELECT id FROM deals WHERE id > ? ORDER BY id LIMIT ?", (last, size)
    ).fetchall():
        last = rows[-1][0]


def _pages_of_one_account(c: Any, size: int) -> None:
    last = 0
    while rows := c.execute(
        "SELECT id FROM deals WHERE account_id = 3 AND id > ? ORDER BY id LIMIT ?", (last, size)
    ).fetchall():
        last = rows[-1][0]


def _offsets(c: Any, size: int) -> None:
    for start in range(0, 40, size):
        c.execute("SELECT * FROM deals ORDER BY id LIMIT ? OFFSET ?", (size, start)).fetchall()


def _ranges(c: Any, size: int) -> None:
    for low in range(0, 40, size):
        c.execute("SELECT * FROM deals WHERE amount BETWEEN ? AND ?", (low, low + size)).fetchall()


def _same_key(c: Any, times: int) -> None:
    for _ in range(times):
        c.execute(BY_ID, (7,)).fetchall()


def _below_the_threshold(c: Any, times: int) -> None:
    for n in range(times % 5):
        c.execute(BY_ID, (n,)).fetchall()


def _writes(c: Any, times: int) -> None:
    for n in range(times):
        c.execute("UPDATE deals SET amount = ? WHERE id = ?", (float(n), n))


def _one_join(c: Any, limit: int) -> None:
    for _ in range(limit):
        c.execute(
            "SELECT a.id, d.amount FROM accounts a JOIN deals d ON d.account_id = a.id LIMIT ?",
            (limit,),
        ).fetchall()


def _batches(c: Any, times: int) -> None:
    for _ in range(times):
        c.executemany("INSERT INTO deals (account_id, amount) VALUES (?, ?)", [(1, 2.0)] * 10)


HONEST = (
    _in_lists, _pages, _pages_of_one_account, _offsets, _ranges, _same_key, _below_the_threshold,
    _writes, _one_join, _batches,
)  # fmt: skip


@pytest.mark.parametrize("size", range(2, 12))
@pytest.mark.parametrize("way", HONEST, ids=lambda way: way.__name__.strip("_"))
def test_a_hundred_honest_ways_raise_no_alarm(
    way: Callable[[Any, int], None], size: int, sqlite: sqlite3.Connection
) -> None:
    """Batches, pages, ranges, repeats of one key, writes, and less than the threshold."""
    with detect_n_plus_one(sqlite) as detector:
        way(sqlite, size)
    assert detector.found == ()


def test_the_same_lookup_from_different_places_is_none(sqlite: sqlite3.Connection) -> None:
    """Each place asks once."""
    with detect_n_plus_one(sqlite) as detector:
        _deals_of(sqlite, 1)
        _deals_of(sqlite, 2)
        _deals_of(sqlite, 3)
        _deals_of(sqlite, 4)
        _deals_of(sqlite, 5)
        _deals_of(sqlite, 6)
    assert detector.found == ()


def test_what_is_allowed_passes_and_what_is_not_raises(sqlite: sqlite3.Connection) -> None:
    """By a part of the fingerprint."""
    with detect_n_plus_one(sqlite, allowed=["FROM deals"]) as detector:
        _loop(sqlite)
    detector.assert_none()
    with detect_n_plus_one(sqlite, allowed=["FROM accounts"], threshold=8) as detector:
        _loop(sqlite)
    with pytest.raises(NPlusOneError, match=r"8 x SELECT \* FROM deals WHERE account_id = \?"):
        detector.assert_none()


def test_two_detectors_on_one_connection_hear_the_same(sqlite: sqlite3.Connection) -> None:
    """And the connection is as before when both are done."""
    with detect_n_plus_one(sqlite) as outer:
        with detect_n_plus_one(sqlite) as inner:
            _loop(sqlite)
        assert [one.count for one in inner.found] == [8]
        _loop(sqlite)
    _loop(sqlite)
    assert [one.count for one in outer.found] == [8, 8]  # two lines of this test called the loop


def test_a_threshold_of_one_and_a_stranger_are_refused() -> None:
    """With what was seen and needed."""
    with pytest.raises(WorkloadError, match="threshold: got 1"):
        NPlusOneDetector(threshold=1)
    with pytest.raises(
        WorkloadError, match=r"got a builtins\.dict, needed a connection of sqlite3"
    ):
        detect_n_plus_one({}).__enter__()


# Real servers


async def _each_psycopg(c: Any) -> None:
    for n in IDS:
        await (await c.execute("SELECT %s::int WHERE 1 = %s", (n, n))).fetchall()


def test_psycopg_is_heard(postgres_dsn: str) -> None:
    """Both kinds of connection, with the parameters."""
    with psycopg.connect(postgres_dsn) as connection:
        before = connection.cursor_factory
        with detect_n_plus_one(connection) as detector:
            for n in IDS:
                connection.execute("SELECT %s::int WHERE 1 = %s", (n, n)).fetchall()
        assert connection.cursor_factory is before
    assert [(one.count, one.keys) for one in detector.found] == [(8, 8)]

    async def main() -> tuple[NPlusOne, ...]:
        async with await psycopg.AsyncConnection.connect(postgres_dsn) as connection:
            with detect_n_plus_one(connection) as detector:
                await _each_psycopg(connection)
            return detector.found

    assert [(one.count, one.keys) for one in asyncio.run(main())] == [(8, 8)]


async def _one_by_one(c: Any) -> None:
    for n in IDS:
        await c.fetch("SELECT $1::int WHERE 1 = $1", n)


async def _gathered(pool: Any, connections: list[Any]) -> None:
    async def one(n: int) -> None:
        await connections[n % len(connections)].fetchval("SELECT $1::int WHERE 1 = $1", n)

    for n in IDS:
        await asyncio.create_task(one(n))


async def _batched(c: Any) -> None:
    for _ in IDS:
        await c.fetch("SELECT 1 WHERE 1 = ANY($1::int[])", list(IDS))


@pytest.mark.parametrize(("way", "found"), [(_one_by_one, 1), (_batched, 0)])
def test_asyncpg_is_heard(
    way: Callable[[Any], Coroutine[Any, Any, None]], found: int, postgres_dsn: str
) -> None:
    """A connection of its own and one lent by a pool; its class is its own again afterwards."""

    async def main() -> list[int]:
        connection = await asyncpg.connect(postgres_dsn)
        kind = type(connection)
        with detect_n_plus_one(connection) as alone:
            await way(connection)
        assert type(connection) is kind
        await connection.close()
        async with asyncpg.create_pool(postgres_dsn, min_size=1) as pool, pool.acquire() as lent:
            with detect_n_plus_one(lent) as pooled:
                await way(lent)
        return [len(alone.found), len(pooled.found)]

    assert asyncio.run(main()) == [found, found]


def test_tasks_are_heard_with_their_place(postgres_dsn: str) -> None:
    """Each lookup in a task of its own."""

    async def main() -> tuple[NPlusOne, ...]:
        connection = await asyncpg.connect(postgres_dsn)
        with detect_n_plus_one(connection) as detector:
            await _gathered(None, [connection])
        await connection.close()
        return detector.found

    (found,) = asyncio.run(main())
    assert found.count == 8
    assert found.site[0].function == "one"


# Fixtures


def test_fixtures_hold_a_test_to_its_statements(
    sqlite: sqlite3.Connection, assert_query_count: Any, no_n_plus_one: Any
) -> None:
    """They fail with the statements, and pass in silence."""
    with assert_query_count(sqlite, 2), no_n_plus_one(sqlite):
        _deals_of(sqlite, 1)
        sqlite.execute("PRAGMA user_version")
        sqlite.execute("DELETE FROM deals WHERE id = 1")
        sqlite.rollback()
    with assert_query_count(sqlite, at_most=3):
        _deals_of(sqlite, 1)
    failing = pytest.fail.Exception
    with (
        pytest.raises(failing, match=r"8 statements were executed, 1 expected:"),
        assert_query_count(sqlite, 1),
    ):
        _loop(sqlite)
    with (
        pytest.raises(failing, match="lookups were made one by one"),
        no_n_plus_one(sqlite),
    ):
        _loop(sqlite)
