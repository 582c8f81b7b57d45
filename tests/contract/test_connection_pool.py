"""What every connection pool promises its borrower, whatever it is configured to do on the way."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from sergas.errors import ForeignConnectionError, PoolClosedError, PoolTimeoutError
from sergas.optimizations.connection_pool import ConnectionPool, DatabaseConnection

Pool: TypeAlias = ConnectionPool[sqlite3.Connection]


def ask(connection: sqlite3.Connection) -> None:
    """Raises if the connection is dead."""
    connection.execute("SELECT 1")


def end(connection: sqlite3.Connection) -> None:
    """A close function of the user's own."""
    connection.close()


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "lazy": {"min_size": 0},
    "checked": {"check": ask, "reset": ask},
    "own close": {"close": end},
    "short-lived": {"max_lifetime_s": 1e-9},
}


@pytest.fixture(params=OPTIONS.values(), ids=list(OPTIONS))
def pool(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pool]:
    """An open pool of up to two connections to one database with an empty table."""
    path = tmp_path / "pool.sqlite"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, check_same_thread=False)

    setup = connect()
    setup.execute("CREATE TABLE t (x)")
    setup.close()
    with ConnectionPool(connect, **{"min_size": 1, "max_size": 2, **request.param}) as pool:
        yield pool


def rows(pool: Pool) -> list[int]:
    """What is in the table for everybody to see."""
    with pool.connection() as connection:
        return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY x")]


def test_connections_satisfy_the_protocol(pool: Pool) -> None:
    """What is lent is what the pool's own interface asks for."""
    with pool.connection() as connection:
        neutral: DatabaseConnection = connection
        assert neutral.commit() is None


def test_block_commits(pool: Pool) -> None:
    """What a block did is there afterwards."""
    with pool.connection() as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    assert rows(pool) == [1]


def test_block_that_raises_is_rolled_back(pool: Pool) -> None:
    """What a failed block did is not there afterwards, and its error comes through."""
    with pytest.raises(sqlite3.OperationalError), pool.connection() as connection:
        connection.executescript("BEGIN; INSERT INTO t VALUES (1); SELECT * FROM missing")
    assert rows(pool) == []


def test_return_without_commit_is_rolled_back(pool: Pool) -> None:
    """The next borrower never finds another's transaction."""
    connection = pool.getconn()
    connection.execute("INSERT INTO t VALUES (1)")
    pool.putconn(connection)
    assert rows(pool) == []


def test_loans_are_distinct_and_bounded(pool: Pool) -> None:
    """Two at a time, never the same one, and the third caller times out."""
    first, second = pool.getconn(), pool.getconn()
    assert first is not second
    with pytest.raises(PoolTimeoutError):
        pool.getconn(timeout_s=0.001)
    pool.putconn(first)
    third = pool.getconn()
    assert third is not second
    pool.putconn(second)
    pool.putconn(third)


def test_return_happens_once(pool: Pool) -> None:
    """A second return is refused and changes nothing."""
    connection = pool.getconn()
    pool.putconn(connection)
    before = pool.get_stats()
    with pytest.raises(ForeignConnectionError):
        pool.putconn(connection)
    assert pool.get_stats() == before


def test_connection_broken_by_its_borrower_does_not_come_back(pool: Pool) -> None:
    """Whatever a borrower does to a connection, the next one gets one that works."""
    with pytest.raises(sqlite3.ProgrammingError), pool.connection() as connection:
        connection.close()
    assert rows(pool) == []
    assert pool.get_stats().lost == 1


@pytest.mark.parametrize(
    "borrow", [Pool.getconn, lambda pool: pool.connection().__enter__()], ids=["getconn", "with"]
)
def test_closed_pool_lends_nothing_and_keeps_nothing(
    pool: Pool, borrow: Callable[[Pool], sqlite3.Connection]
) -> None:
    """After the last return everything is closed, the loan that was out included."""
    loan = borrow(pool)
    pool.close()
    ask(loan)
    pool.putconn(loan)
    with pytest.raises(sqlite3.ProgrammingError):
        ask(loan)
    with pytest.raises(PoolClosedError):
        borrow(pool)
    stats = pool.get_stats()
    assert stats.size == 0
    assert stats.opened == stats.closed


def test_stats_are_of_one_moment(pool: Pool) -> None:
    """Sizes add up and every connection opened is either here or closed."""
    with pool.connection():
        stats = pool.get_stats()
        assert stats.lent == 1
        assert stats.size == stats.idle + stats.lent + stats.opening
        assert stats.opened == stats.closed + stats.size
