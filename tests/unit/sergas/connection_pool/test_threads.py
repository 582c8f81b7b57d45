"""The pool between threads: who is served, who is woken, and what nobody has to wait for."""

import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeAlias

import pytest

from sergas.clock import FakeClock
from sergas.errors import PoolClosedError, PoolQueueFullError, PoolTimeoutError
from sergas.optimizations.connection_pool import ConnectionPool

Pool: TypeAlias = ConnectionPool[sqlite3.Connection]
UntilWaiting: TypeAlias = Callable[[Pool, int], None]


class Database(Protocol):
    """What the fixture of that name offers."""

    connections: list[sqlite3.Connection]

    def connect(self) -> sqlite3.Connection:
        """Another connection."""
        ...

    def open_count(self) -> int:
        """How many still answer."""
        ...


class Gate:
    """A connect function that tells when it is called and goes on when it is let."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self.connect = connect
        self.is_reached = threading.Event()
        self.may_go_on = threading.Event()
        self.error: Exception | None = None

    def __call__(self) -> sqlite3.Connection:
        """Connect, or fail if told to, but only the first time with a wait."""
        if self.is_reached.is_set():
            return self.connect()
        self.is_reached.set()
        assert self.may_go_on.wait(20.0)
        if self.error is not None:
            raise self.error
        return self.connect()


def in_turn_with(
    first: Callable[[], sqlite3.Connection], then: Callable[[], sqlite3.Connection]
) -> Callable[[], sqlite3.Connection]:
    """A connect function that changes after its first call."""
    turns = iter([first])

    def connect() -> sqlite3.Connection:
        return next(turns, then)()

    return connect


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Sixteen threads that have ended when the test has."""
    with ThreadPoolExecutor(16) as executor:
        yield executor


def test_waiters_are_served_in_the_order_they_came(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """One connection goes through all hands, first come, first served."""
    served: list[int] = []
    with ConnectionPool(database.connect, min_size=1) as pool:

        def borrow(number: int) -> None:
            with pool.connection():
                served.append(number)

        loan = pool.getconn()
        borrowers = []
        for number in range(10):
            borrowers.append(threads.submit(borrow, number))
            until_waiting(pool, number + 1)
        pool.putconn(loan)
        for borrower in borrowers:
            borrower.result(20.0)
        assert served == list(range(10))
        stats = pool.get_stats()
        assert (stats.requests, stats.queued, stats.opened) == (11, 10, 1)
        assert stats.wait_s_total > 0


def test_newcomer_cannot_overtake_a_waiter(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """A returned connection belongs to the waiter before its thread has even woken up."""
    with ConnectionPool(database.connect, min_size=1) as pool:
        loan = pool.getconn()
        waiter = threads.submit(pool.getconn)
        until_waiting(pool, 1)
        pool.putconn(loan)
        with pytest.raises(PoolTimeoutError):
            pool.getconn(timeout_s=0)
        assert waiter.result(20.0) is loan


def test_nobody_waits_while_somebody_connects(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """Returning, borrowing and looking all go on behind a connect that takes for ever."""
    gate = Gate(database.connect)
    with ConnectionPool(in_turn_with(database.connect, gate), min_size=1, max_size=2) as pool:
        loan = pool.getconn()
        slow = threads.submit(pool.getconn)
        assert gate.is_reached.wait(20.0)
        assert pool.get_stats().opening == 1
        pool.putconn(loan)
        assert pool.getconn(timeout_s=0) is loan
        gate.may_go_on.set()
        assert slow.result(20.0) is database.connections[1]


def test_failed_connect_wakes_a_waiter_to_try(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """The one who failed gets the error; the next in the queue opens in the place it left."""
    gate = Gate(database.connect)
    gate.error = sqlite3.OperationalError("server away")
    with ConnectionPool(gate, min_size=0, max_size=1) as pool:
        unlucky = threads.submit(pool.getconn)
        assert gate.is_reached.wait(20.0)
        waiter = threads.submit(pool.getconn)
        until_waiting(pool, 1)
        gate.may_go_on.set()
        with pytest.raises(sqlite3.OperationalError, match="server away"):
            unlucky.result(20.0)
        assert waiter.result(20.0) is database.connections[0]


def test_waiting_and_connecting_share_one_deadline(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """Twenty seconds in the queue and fifteen to connect are more than thirty."""
    clock = FakeClock()

    def connect_slowly() -> sqlite3.Connection:
        clock.advance(15.0)
        return database.connect()

    pool = ConnectionPool(connect_slowly, min_size=1, clock=clock)
    with pool:
        loan = pool.getconn()
        waiter = threads.submit(pool.getconn)
        until_waiting(pool, 1)
        clock.advance(20.0)
        loan.close()
        pool.putconn(loan)
        with pytest.raises(PoolTimeoutError, match="within 30 s"):
            waiter.result(20.0)
        assert pool.get_stats().idle == 1


def test_late_connection_goes_to_the_next_waiter(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """What came too late for one caller is not thrown away."""
    clock = FakeClock()
    gate = Gate(database.connect)
    with ConnectionPool(gate, min_size=0, max_size=1, clock=clock) as pool:
        slow = threads.submit(pool.getconn, 10.0)
        assert gate.is_reached.wait(20.0)
        waiter = threads.submit(pool.getconn, 60.0)
        until_waiting(pool, 1)
        clock.advance(11.0)
        gate.may_go_on.set()
        with pytest.raises(PoolTimeoutError, match="within 10 s"):
            slow.result(20.0)
        assert waiter.result(20.0) is database.connections[0]


def test_waiter_whose_time_is_up_leaves_the_queue(database: Database) -> None:
    """The error carries the user's limit, and the next return finds nobody waiting."""
    with ConnectionPool(database.connect, min_size=1) as pool:
        loan = pool.getconn()
        with pytest.raises(PoolTimeoutError, match=r"within 0\.01 s: of at most 1 .* 1 are lent"):
            pool.getconn(timeout_s=0.01)
        pool.putconn(loan)
        stats = pool.get_stats()
        assert (stats.waiting, stats.idle, stats.timeouts) == (0, 1, 1)


def test_full_queue_refuses_at_once(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """One may wait; the second is told so without waiting."""
    with ConnectionPool(database.connect, min_size=1, max_waiting=1) as pool:
        loan = pool.getconn()
        waiter = threads.submit(pool.getconn)
        until_waiting(pool, 1)
        with pytest.raises(PoolQueueFullError, match="max_waiting is 1"):
            pool.getconn()
        pool.putconn(loan)
        assert waiter.result(20.0) is loan


def test_close_wakes_every_waiter(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """Nobody sleeps on in a pool that will never lend again."""
    with ConnectionPool(database.connect, min_size=1) as pool:
        loan = pool.getconn()
        waiters = [threads.submit(pool.getconn) for _ in range(4)]
        until_waiting(pool, 4)
        pool.close()
        for waiter in waiters:
            with pytest.raises(PoolClosedError):
                waiter.result(20.0)
        pool.putconn(loan)
    assert database.open_count() == 0


def test_connection_that_arrives_after_close_is_closed(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """The caller that was connecting is refused, and nothing stays open."""
    gate = Gate(database.connect)
    pool = ConnectionPool(gate, min_size=0, max_size=1)
    pool.open()
    late = threads.submit(pool.getconn)
    assert gate.is_reached.wait(20.0)
    pool.close()
    gate.may_go_on.set()
    with pytest.raises(PoolClosedError):
        late.result(20.0)
    assert len(database.connections) == 1
    assert database.open_count() == 0


def test_growth_lets_waiters_connect(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """Room made by a resize is used by those who wait, in their own threads."""
    with ConnectionPool(database.connect, min_size=1) as pool:
        loan = pool.getconn()
        waiters = [threads.submit(pool.getconn) for _ in range(2)]
        until_waiting(pool, 2)
        pool.resize(1, 3)
        loans = {id(loan), *(id(waiter.result(20.0)) for waiter in waiters)}
        assert len(loans) == 3


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals one thread: POSIX only")
def test_interrupted_waiter_leaves_no_trace(
    database: Database, threads: ThreadPoolExecutor, until_waiting: UntilWaiting
) -> None:
    """Ctrl-C while waiting comes through, and the connection is not sent to a dead waiter."""
    main = threading.main_thread().ident
    assert main is not None
    with ConnectionPool(database.connect, min_size=1) as pool:
        loan = pool.getconn()

        def interrupt() -> None:
            until_waiting(pool, 1)
            signal.pthread_kill(main, signal.SIGINT)

        interrupter: Future[None] = threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            pool.getconn()
        interrupter.result(20.0)
        pool.putconn(loan)
        stats = pool.get_stats()
        assert (stats.waiting, stats.idle, stats.lent) == (0, 1, 0)


@pytest.mark.parametrize("is_broken", [False, True], ids=["connection", "place"])
def test_interrupt_after_the_grant_passes_it_on(database: Database, *, is_broken: bool) -> None:
    """Ctrl-C that comes when the waiter has been served, but not woken yet, loses nothing."""
    trap: list[sqlite3.Connection] = []

    class TrappedClock(FakeClock):
        """Gives the loan back when the queued caller looks at the time, then interrupts it."""

        # typing.override came with Python 3.12.
        def monotonic_s(self) -> float:  # type: ignore[explicit-override]
            if trap and pool.get_stats().waiting:
                pool.putconn(trap.pop())
                raise KeyboardInterrupt
            return super().monotonic_s()

    pool = ConnectionPool(database.connect, min_size=0, max_size=1, clock=TrappedClock())
    with pool:
        loan = pool.getconn()
        if is_broken:
            loan.close()
        trap.append(loan)
        with pytest.raises(KeyboardInterrupt):
            pool.getconn()
        stats = pool.get_stats()
        assert (stats.waiting, stats.lent, stats.opening) == (0, 0, 0)
        assert stats.size == stats.idle == (0 if is_broken else 1)


def test_many_threads_share_few_connections(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    """No connection is ever in two hands, none above the limit is opened, and the books balance."""
    barrier = threading.Barrier(16)
    in_use: set[int] = set()
    with ConnectionPool(database.connect, min_size=1, max_size=3) as pool:

        def work() -> int:
            barrier.wait(20.0)
            clashes = 0
            for _ in range(50):
                with pool.connection() as connection:
                    clashes += id(connection) in in_use
                    in_use.add(id(connection))
                    assert connection.execute("SELECT 1").fetchone() == (1,)
                    in_use.discard(id(connection))
            return clashes

        workers = [threads.submit(work) for _ in range(16)]
        assert sum(worker.result(60.0) for worker in workers) == 0
        stats = pool.get_stats()
        assert (stats.requests, stats.lent, stats.waiting) == (800, 0, 0)
        assert len(database.connections) == stats.size <= 3
    assert database.open_count() == 0
