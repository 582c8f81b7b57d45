"""The pool as one thread sees it, with SQLite behind it."""

import logging
import sqlite3
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from sergas.clock import FakeClock
from sergas.errors import ForeignConnectionError, PoolClosedError, PoolTimeoutError
from sergas.optimizations.connection_pool import ConnectionPool

Connection = sqlite3.Connection


class Database(Protocol):
    """What the fixture of that name offers."""

    connections: list[Connection]

    def connect(self) -> Connection:
        """Another connection."""
        ...

    def open_count(self) -> int:
        """How many still answer."""
        ...


def in_turn(*steps: Callable[[], Connection]) -> Callable[[], Connection]:
    """A connect function that takes the next of `steps` each time."""
    turns = iter(steps)

    def connect() -> Connection:
        return next(turns)()

    return connect


def refuse(_: object = None) -> Connection:
    """A callback that always fails."""
    raise sqlite3.OperationalError("no")


@pytest.mark.parametrize(
    "options",
    [
        {"min_size": -1},
        {"min_size": 0},
        {"min_size": 3, "max_size": 2},
        {"max_size": 0, "min_size": 0},
        {"timeout_s": -1.0},
        {"timeout_s": float("nan")},
        {"timeout_s": float("inf")},
        {"max_waiting": -1},
        {"max_lifetime_s": 0.0},
        {"max_lifetime_s": float("nan")},
    ],
    ids=str,
)
def test_impossible_limits_are_refused(database: Database, options: dict[str, Any]) -> None:
    """A pool that could never work is not made, and the message names the argument."""
    with pytest.raises(ValueError, match=next(iter(options))):
        ConnectionPool(database.connect, **options)


def test_pool_opens_nothing_before_it_is_opened(database: Database) -> None:
    """Making a pool costs nothing; borrowing from it says what to do first."""
    pool = ConnectionPool(database.connect)
    with pytest.raises(PoolClosedError, match=r"call open\(\)"):
        pool.getconn()
    with pytest.raises(PoolClosedError):
        pool.wait()
    assert not database.connections


def test_open_fills_to_the_minimum(database: Database) -> None:
    """As many connections as asked for are ready, and not one more."""
    with ConnectionPool(database.connect, min_size=3, max_size=5) as pool:
        stats = pool.get_stats()
        assert (stats.size, stats.idle, len(database.connections)) == (3, 3, 3)


def test_failed_open_leaves_nothing_open(database: Database) -> None:
    """The driver's own error comes through, and the connection made before it is closed."""
    pool = ConnectionPool(in_turn(database.connect, refuse), min_size=2)
    with pytest.raises(sqlite3.OperationalError, match="no"):
        pool.open()
    assert database.open_count() == 0
    with pytest.raises(PoolClosedError):
        pool.getconn()


def test_close_closes_every_connection_and_is_final(database: Database) -> None:
    """Idle ones at once, loans when they return; afterwards nothing is lent."""
    pool = ConnectionPool(database.connect, min_size=3)
    pool.open()
    loan = pool.getconn()
    pool.close()
    pool.close()
    assert database.open_count() == 1
    pool.putconn(loan)
    assert database.open_count() == 0
    with pytest.raises(PoolClosedError, match="new ConnectionPool"):
        pool.getconn()
    with pytest.raises(PoolClosedError):
        pool.open()


def test_connection_is_opened_only_when_needed(database: Database) -> None:
    """A loan is served from what is idle; only a second one at the same time opens another."""
    with ConnectionPool(database.connect, min_size=0, max_size=2) as pool:
        with pool.connection():
            pass
        with pool.connection(), pool.connection():
            pass
        assert len(database.connections) == 2


def test_foreign_and_second_return_are_refused_untouched(database: Database) -> None:
    """Another's connection keeps its transaction, and the count of loans stays right."""
    foreign = database.connect()
    foreign.execute("CREATE TABLE t (x)")
    foreign.execute("INSERT INTO t VALUES (1)")
    with ConnectionPool(database.connect, min_size=1) as pool:
        loan = pool.getconn()
        pool.putconn(loan)
        for connection in (loan, foreign):
            with pytest.raises(ForeignConnectionError, match="not on loan"):
                pool.putconn(connection)
        assert foreign.in_transaction
        assert pool.get_stats().lent == 0


def test_return_inside_the_block_is_refused_at_its_end(database: Database) -> None:
    """The block does not commit a connection that somebody else may have by now."""
    with (
        ConnectionPool(database.connect, min_size=1) as pool,
        pytest.raises(ForeignConnectionError),
        pool.connection() as connection,
    ):
        pool.putconn(connection)


def test_one_deadline_covers_waiting_and_connecting(database: Database) -> None:
    """A connection that was ready too late is an error with the user's own limit in it."""
    clock = FakeClock()

    def connect_slowly() -> Connection:
        clock.advance(31.0)
        return database.connect()

    with ConnectionPool(connect_slowly, min_size=0, max_size=1, clock=clock) as pool:
        with pytest.raises(PoolTimeoutError, match="within 30 s"):
            pool.getconn()
        assert pool.get_stats().idle == 1
        assert pool.getconn(timeout_s=0) is database.connections[0]


def test_zero_timeout_takes_what_is_idle_or_fails_at_once(database: Database) -> None:
    """There is no time to connect, and nothing is opened."""
    with ConnectionPool(database.connect, min_size=0, max_size=1) as pool:
        with pytest.raises(PoolTimeoutError, match="within 0 s"):
            pool.getconn(timeout_s=0)
        stats = pool.get_stats()
        assert (stats.size, stats.timeouts, len(database.connections)) == (0, 1, 0)


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_lifetime_is_drawn_once_and_never_above_the_maximum(
    database: Database, draw: float
) -> None:
    """Using a connection does not renew it: it is replaced at the moment drawn when it opened."""
    clock = FakeClock()
    draws = iter([draw, 0.0])
    with ConnectionPool(
        database.connect,
        min_size=1,
        max_lifetime_s=100.0,
        clock=clock,
        random=lambda: next(draws),
    ) as pool:
        clock.advance(100.0 * (1 - 0.1 * draw) - 0.001)
        with pool.connection() as connection:
            assert connection is database.connections[0]
        clock.advance(0.002)
        with pool.connection() as connection:
            assert connection is database.connections[1]
        assert database.open_count() == 1


def test_minimum_is_restored_after_expiry(database: Database) -> None:
    """Each return replaces one of the connections that have gone, until the minimum is back."""
    clock = FakeClock()
    with ConnectionPool(
        database.connect, min_size=3, max_lifetime_s=10.0, clock=clock, random=lambda: 0.0
    ) as pool:
        clock.advance(10.0)
        sizes = []
        for _ in range(4):
            pool.putconn(pool.getconn())
            sizes.append(pool.get_stats().size)
        assert sizes == [2, 3, 3, 3]
        assert database.open_count() == 3


def test_check_replaces_what_is_broken_before_it_is_lent(database: Database) -> None:
    """Each connection is asked, and a dead one never reaches the caller."""
    with ConnectionPool(
        database.connect, min_size=2, check=lambda connection: connection.execute("SELECT 1")
    ) as pool:
        for connection in database.connections:
            connection.close()
        with pool.connection() as first, pool.connection() as second:
            assert first.execute("SELECT 1").fetchone() == second.execute("SELECT 1").fetchone()
        stats = pool.get_stats()
        assert (stats.size, stats.lost, stats.closed) == (2, 2, 2)


@pytest.mark.parametrize("option", ["reset", "rollback"])
def test_connection_that_cannot_be_cleaned_is_replaced(database: Database, option: str) -> None:
    """A failing reset or rollback costs the connection; the pool is whole again at once."""
    pool = ConnectionPool(database.connect, min_size=1, reset=refuse if option == "reset" else None)
    with pool:
        loan = pool.getconn()
        if option == "rollback":
            loan.close()
        pool.putconn(loan)
        stats = pool.get_stats()
        assert (stats.size, stats.idle, stats.lost, stats.opened) == (1, 1, 1, 2)
        assert pool.getconn() is not loan


def test_reset_sees_the_connection_after_its_transaction(database: Database) -> None:
    """Reset runs once per return, with nothing left open."""
    seen: list[bool] = []
    with ConnectionPool(
        database.connect,
        min_size=1,
        reset=lambda connection: seen.append(connection.in_transaction),
    ) as pool:
        loan = pool.getconn()
        loan.execute("CREATE TABLE t (x)")
        loan.execute("INSERT INTO t VALUES (1)")
        pool.putconn(loan)
    assert seen == [False]


def test_failed_commit_reaches_the_caller_and_is_rolled_back(database: Database) -> None:
    """The error of a deferred constraint comes out of the block; the connection lives on."""
    with ConnectionPool(database.connect, min_size=1) as pool:
        with pool.connection() as connection:
            connection.executescript(
                "PRAGMA foreign_keys = ON; CREATE TABLE a (id INTEGER PRIMARY KEY);"
                "CREATE TABLE b (a REFERENCES a DEFERRABLE INITIALLY DEFERRED)"
            )
        with pytest.raises(sqlite3.IntegrityError), pool.connection() as connection:
            connection.execute("INSERT INTO b VALUES (7)")
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM b").fetchone() == (0,)
        assert pool.get_stats().lost == 0


def test_failed_connect_frees_its_place(database: Database) -> None:
    """The driver's error comes through and the next caller may try again."""
    with ConnectionPool(in_turn(refuse, database.connect), min_size=0, max_size=1) as pool:
        with pytest.raises(sqlite3.OperationalError):
            pool.getconn()
        assert pool.get_stats().size == 0
        assert pool.getconn() is database.connections[0]
        assert pool.get_stats().connect_failures == 1


def test_failed_replacement_does_not_reach_the_one_who_returns(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Giving back is not the moment to learn that the server is away; the log tells."""
    connect = in_turn(database.connect, refuse, database.connect)
    with ConnectionPool(connect, min_size=1) as pool:
        loan = pool.getconn()
        loan.close()
        with caplog.at_level(logging.WARNING, logger="sergas.connection_pool"):
            pool.putconn(loan)
        assert [record.message.split(":")[0] for record in caplog.records] == [
            "connection lost",
            "no replacement for a missing connection",
        ]
        assert pool.get_stats().size == 0
        pool.wait()
        assert pool.get_stats().size == 1


def test_failing_close_is_counted_and_stops_nothing(database: Database) -> None:
    """Every connection is still given up."""
    with ConnectionPool(database.connect, min_size=3, close=refuse) as pool:
        pass
    stats = pool.get_stats()
    assert (stats.size, stats.closed, stats.close_failures) == (0, 3, 3)


def test_own_close_is_called_once_for_each_connection(database: Database) -> None:
    """Instead of the connection's close, when given."""
    closed: list[Connection] = []
    with ConnectionPool(database.connect, min_size=2, close=closed.append):
        pass
    assert sorted(map(id, closed)) == sorted(map(id, database.connections))


@pytest.mark.parametrize("option", ["connect", "check", "reset", "commit"])
def test_interrupt_in_a_callback_loses_no_place(database: Database, option: str) -> None:
    """Ctrl-C comes through, whatever was going on, and the pool's books still balance."""
    is_armed = False

    def interrupt(_: object = None) -> None:
        if is_armed:
            raise KeyboardInterrupt

    def connect() -> Connection:
        if option == "connect":
            interrupt()
        return database.connect()

    class Interrupting(sqlite3.Connection):
        def commit(self) -> None:  # type: ignore[explicit-override] # typing has it from 3.12
            if option == "commit":
                interrupt()
            super().commit()

    def connect_interrupting() -> Connection:
        connect()
        connection = sqlite3.connect(":memory:", check_same_thread=False, factory=Interrupting)
        database.connections.append(connection)
        return connection

    pool = ConnectionPool(
        connect_interrupting,
        min_size=0,
        max_size=1,
        check=interrupt if option == "check" else None,
        reset=interrupt if option == "reset" else None,
    )
    with pool:
        if option != "connect":
            pool.putconn(pool.getconn())
        is_armed = True
        with pytest.raises(KeyboardInterrupt), pool.connection():
            pass
        stats = pool.get_stats()
        assert stats.size == stats.idle
        is_armed = False
        with pool.connection():
            pass


def test_resize_grows_to_the_new_minimum_and_shrinks_to_the_new_maximum(
    database: Database,
) -> None:
    """Both limits count, and what is too much is closed."""
    with ConnectionPool(database.connect, min_size=2) as pool:
        pool.resize(4, 6)
        assert pool.get_stats().size == database.open_count() == 4
        pool.resize(1)
        assert pool.get_stats().size == database.open_count() == 1
        with pytest.raises(ValueError, match="min_size is 3 and max_size 2"):
            pool.resize(3, 2)
    with pytest.raises(PoolClosedError):
        pool.resize(1)


def test_pool_can_be_resized_before_it_is_opened(database: Database) -> None:
    """Only the limits change; opening fills to them."""
    pool = ConnectionPool(database.connect, min_size=2)
    pool.resize(3)
    assert not database.connections
    with pool:
        assert database.open_count() == 3


def test_wait_keeps_to_its_deadline(database: Database) -> None:
    """It stops between two connections, frees the place and says which limit it was."""
    clock = FakeClock()

    def connect_slowly() -> Connection:
        clock.advance(6.0)
        return database.connect()

    pool = ConnectionPool(connect_slowly, min_size=3, clock=clock)
    with pytest.raises(PoolTimeoutError, match="wait got nothing within 10 s"):
        pool.open(timeout_s=10.0)
    assert len(database.connections) == 2
    assert database.open_count() == 0


def test_error_in_the_block_comes_through(database: Database) -> None:
    """Whatever the block raises reaches the caller unchanged, and the connection is back."""
    error = LookupError("mine")
    with ConnectionPool(database.connect, min_size=1) as pool:
        with pytest.raises(LookupError) as caught, pool.connection():
            raise error
        assert caught.value is error
        assert pool.get_stats().idle == 1
