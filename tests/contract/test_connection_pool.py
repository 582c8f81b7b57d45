"""What every pool promises its borrowers: threads or asyncio, pooling or not, checking or not.

One set of tests for all; a pool for asyncio is driven step by step on a loop of its own.
"""

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from sergas.errors import (
    ForeignConnectionError,
    PoolClosedError,
    PoolQueueFullError,
    PoolTimeoutError,
    PoolUnavailableError,
    PoolValueError,
)
from sergas.optimizations.connection_pool import (
    AsyncConnectionPool,
    AsyncNullPool,
    ConnectionPool,
    Driver,
    NullPool,
    PoolStats,
)

T = TypeVar("T")


class Link:
    """A connection to a `Server`, with a transaction and a memory of what happened to it."""

    def __init__(self, server: "Server", number: int) -> None:
        self.server = server
        self.number = number
        self.events: list[str] = []
        self.is_dead = False

    def ask(self, event: str) -> None:
        """A round trip."""
        if self.is_dead or event in self.server.failing:
            raise ConnectionResetError(event)
        self.events.append(event)

    def is_closed(self) -> bool:
        """Whether the pool let go of it."""
        return "close" in self.events


class Server:
    """Opens links while it is up; what is in `failing` raises."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self.failing: set[str] = set()
        self.attempts = 0

    def connect(self) -> Link:
        """Another link."""
        self.attempts += 1
        if "connect" in self.failing:
            raise ConnectionRefusedError("connect")
        self.links.append(Link(self, len(self.links)))
        return self.links[-1]

    def restart(self) -> None:
        """Every link that is open now is dead."""
        for link in self.links:
            link.is_dead = True

    def open_count(self) -> int:
        """Links not closed."""
        return sum(not link.is_closed() for link in self.links)

    def call(self, event: str, link: Link) -> None:
        """A callback of the driver."""
        if event == "close":
            link.events.append(event)  # closing works on the dead, too
            if event in self.failing:
                raise OSError(event)
        else:
            link.ask(event)

    def driver(self, *events: str) -> Driver[Link]:
        """A driver with these callbacks."""
        calls: Any = {event: functools.partial(self.call, event) for event in (*events, "close")}
        return Driver(connect=self.connect, **calls)


def as_coroutines(driver: Driver[Link]) -> Driver[Link]:
    """The same driver for asyncio; every call suspends once."""

    def suspending(call: Callable[..., T]) -> Callable[..., Awaitable[T]]:
        async def run(*args: object) -> T:
            await asyncio.sleep(0)
            return call(*args)

        return run

    calls: Any = {
        name: suspending(call)
        for name in ("connect", "close", "commit", "rollback", "configure", "check", "reset")
        if (call := getattr(driver, name)) is not None
    }
    return Driver(**calls)


class Threads:
    """A `ConnectionPool` or `NullPool`."""

    def __init__(
        self, kind: type[ConnectionPool[Link]], driver: Driver[Link], **options: Any
    ) -> None:
        self.pool = kind(driver, **options)
        self.getconn, self.putconn = self.pool.getconn, self.pool.putconn
        self.open, self.wait, self.close = self.pool.open, self.pool.wait, self.pool.close
        self.resize, self.drain, self.check = self.pool.resize, self.pool.drain, self.pool.check
        self.invalidate = self.pool.invalidate

    def stats(self) -> PoolStats:
        """Now."""
        return self.pool.get_stats()

    def block(self, body: Callable[[Link], None] = lambda _: None) -> None:
        """A `with` block."""
        with self.pool.connection() as link:
            body(link)

    def block_that_returns(self) -> None:
        """A `with` block that returns its connection by hand."""
        self.block(self.putconn)

    def settle(self) -> None:
        """Returns when nothing is being opened."""
        until(lambda: self.stats().opening == 0)

    def end(self) -> None:
        """Close, whatever the test did."""
        self.pool.close()


class Coroutines:
    """An `AsyncConnectionPool` or `AsyncNullPool` on a loop that runs while it is called."""

    def __init__(
        self, kind: type[AsyncConnectionPool[Link]], driver: Driver[Link], **options: Any
    ) -> None:
        self.pool = kind(as_coroutines(driver), **options)
        self.loop = asyncio.new_event_loop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.pool, name)

        def run(*args: Any, **options: Any) -> Any:
            return self.loop.run_until_complete(method(*args, **options))

        return run

    def stats(self) -> PoolStats:
        """After what the loop still had to do."""
        self.loop.run_until_complete(asyncio.sleep(0.001))
        return self.pool.get_stats()

    def block(self, body: Callable[[Link], None] = lambda _: None) -> None:
        """An `async with` block."""

        async def run() -> None:
            async with self.pool.connection() as link:
                body(link)

        self.loop.run_until_complete(run())

    def block_that_returns(self) -> None:
        """An `async with` block that returns its connection by hand."""

        async def run() -> None:
            async with self.pool.connection() as link:
                await self.pool.putconn(link)

        self.loop.run_until_complete(run())

    def settle(self) -> None:
        """Returns when nothing is being opened."""
        until(lambda: self.stats().opening == 0)

    def end(self) -> None:
        """Close, whatever the test did."""
        self.loop.run_until_complete(self.pool.close())
        self.loop.close()


def until(holds: Callable[[], bool]) -> None:
    """Returns once something holds that other threads bring about."""
    for _ in range(20_000):
        if holds():
            return
        threading.Event().wait(0.0005)
    raise AssertionError("it did not happen within ten seconds")


KINDS: dict[str, Any] = {
    "threads": functools.partial(Threads, ConnectionPool),
    "threads, null": functools.partial(Threads, NullPool),
    "asyncio": functools.partial(Coroutines, AsyncConnectionPool),
    "asyncio, null": functools.partial(Coroutines, AsyncNullPool),
}
POOLING = ("threads", "asyncio")


class Maker:
    """Makes pools of one kind on one server and closes them all."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.is_null = kind not in POOLING
        self.server = Server()
        self.pools: list[Any] = []

    def __call__(self, *events: str, is_open: bool = True, **options: Any) -> Any:
        """A pool of up to two connections, open."""
        defaults = {"min_size": 0, "max_size": 2, "timeout_s": 20.0}
        driver = self.server.driver(*(events or ("commit", "rollback")))
        pool = KINDS[self.kind](driver, **{**defaults, **options})
        self.pools.append(pool)
        if is_open:
            pool.open()
        return pool


@pytest.fixture(params=list(KINDS))
def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Every kind of pool."""
    maker = Maker(request.param)
    yield maker
    for pool in maker.pools:
        pool.end()
    assert maker.server.open_count() == 0


@pytest.fixture(params=POOLING)
def make_pooling(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """The kinds that keep connections."""
    maker = Maker(request.param)
    yield maker
    for pool in maker.pools:
        pool.end()
    assert maker.server.open_count() == 0


def test_block_commits(make: Maker) -> None:
    """A block that ends well is committed, once, and not rolled back."""
    pool = make()
    pool.block()
    pool.stats()
    assert make.server.links[0].events == (["commit", "close"] if make.is_null else ["commit"])


def test_block_that_raises_is_rolled_back(make: Maker) -> None:
    """The block's own error comes out, and nothing of it is committed."""
    pool = make()
    error = LookupError("mine")

    def fail(_: Link) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        pool.block(fail)
    assert caught.value is error
    assert make.server.links[0].events[0] == "rollback"
    assert pool.stats().lent == 0


def test_return_is_rolled_back_and_reset(make: Maker) -> None:
    """`putconn` undoes first and resets then."""
    pool = make("commit", "rollback", "reset")
    pool.putconn(pool.getconn())
    assert make.server.links[0].events[:2] == ["rollback", "reset"]


def test_failed_commit_reaches_the_caller_and_is_rolled_back(make: Maker) -> None:
    """The caller learns that nothing is saved; the connection is fit for the next one."""
    pool = make()
    make.server.failing = {"commit"}
    with pytest.raises(ConnectionResetError):
        pool.block()
    assert make.server.links[0].events[0] == "rollback"
    assert pool.stats().lost == 0


def test_loans_are_distinct_and_bounded(make: Maker) -> None:
    """Two at a time, never the same one, and the third caller times out by its own limit."""
    pool = make()
    first, second = pool.getconn(), pool.getconn()
    assert first is not second
    with pytest.raises(PoolTimeoutError, match=r"within 0\.01 s: of at most 2 .* 2 are lent"):
        pool.getconn(timeout_s=0.01)
    assert pool.stats().timeouts == 1
    pool.putconn(first)
    third = pool.getconn()
    assert third is not second
    pool.putconn(second)
    pool.putconn(third)


def test_foreign_and_second_return_are_refused_untouched(make: Maker) -> None:
    """A connection is taken back once, from its borrower; another's is left alone."""
    pool = make()
    loan = pool.getconn()
    pool.putconn(loan)
    foreign = Link(make.server, -1)
    for link in (loan, foreign):
        with pytest.raises(ForeignConnectionError, match="not on loan"):
            pool.putconn(link)
    assert foreign.events == []
    assert pool.stats().lent == 0


def test_return_inside_the_block_is_refused_at_its_end(make: Maker) -> None:
    """The block does not commit a connection that somebody else may have by now."""
    pool = make()
    with pytest.raises(ForeignConnectionError):
        pool.block_that_returns()
    assert "commit" not in make.server.links[0].events


def test_closed_pool_lends_nothing_and_keeps_nothing(make: Maker) -> None:
    """The loan that was out works on, and is closed when it comes back."""
    pool = make()
    loan = pool.getconn()
    pool.close()
    loan.ask("still here")
    pool.putconn(loan)
    assert pool.stats().size == 0
    assert loan.is_closed()
    for borrow in (pool.getconn, pool.block):
        with pytest.raises(PoolClosedError, match="make a new pool"):
            borrow()
    with pytest.raises(PoolClosedError):
        pool.open()


def test_pool_that_is_not_open_lends_nothing(make: Maker) -> None:
    """Making a pool connects to nothing, and the error says what to do."""
    pool = make(is_open=False)
    for use in (pool.getconn, pool.wait):
        with pytest.raises(PoolClosedError, match=r"call open\(\)"):
            use()
    assert make.server.attempts == 0


def test_failing_callbacks_cost_the_connection_and_not_the_caller(make: Maker) -> None:
    """A rollback, reset or close that raises is counted; the next caller gets a new connection."""
    pool = make("commit", "rollback", "reset")
    for event in ("rollback", "reset"):
        loan = pool.getconn()
        make.server.failing = {event, "close"}
        pool.putconn(loan)
        assert pool.stats().idle == 0
        make.server.failing = set()
    stats = pool.stats()
    assert (stats.lost, stats.close_failures, stats.opened) == (2, 2, 2)
    assert pool.getconn().number == 2
    pool.putconn(make.server.links[2])


def test_books_balance(make: Maker) -> None:
    """Requests, loans and connections add up at any moment."""
    pool = make()
    for _ in range(5):
        pool.block()
    held = pool.getconn()
    pool.resize(0, 1)
    with pytest.raises(PoolTimeoutError):
        pool.getconn(timeout_s=0)
    stats = pool.stats()
    assert (stats.requests, stats.loans, stats.refused, stats.lent) == (7, 5, 1, 1)
    assert stats.size == stats.idle + stats.lent + stats.opening
    assert stats.opened == stats.closed + stats.size - stats.opening
    assert stats.wait.count == stats.requests
    pool.putconn(held)


def test_failing_connect_is_no_wait_for_ever(make: Maker) -> None:
    """After a while callers are refused at once, with the driver's error as the cause."""
    make.server.failing = {"connect"}
    pool = make(fail_fast_after_s=0.02)
    with pytest.raises(PoolUnavailableError, match="ConnectionRefusedError") as caught:
        pool.getconn()
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    for _ in range(50):
        with pytest.raises(PoolUnavailableError):
            pool.getconn()
    stats = pool.stats()
    assert stats.is_failing_fast
    assert stats.refused == 51
    assert make.server.attempts < 10


def test_pool_recovers_by_itself(make: Maker) -> None:
    """Once the server is back, the next callers are served, and a patient one never knew."""
    make.server.failing = {"connect"}
    pool = make(fail_fast_after_s=0.02, reconnect_delay_max_s=0.05)
    with pytest.raises(PoolUnavailableError):
        pool.getconn()
    make.server.failing = set()
    until(lambda: not pool.stats().is_failing_fast)
    pool.block()


def test_bad_numbers_are_refused(make: Maker) -> None:
    """A pool that could never work is not made, and the message names the argument."""
    for options in (
        {"min_size": -1},
        {"max_size": 0},
        {"min_size": 3, "max_size": 2},
        {"timeout_s": -1.0},
        {"timeout_s": float("nan")},
        {"timeout_s": float("inf")},
        {"max_waiting": -1},
        {"max_lifetime_s": 0.0},
        {"max_lifetime_s": float("nan")},
        {"lifetime_jitter": 1.0},
        {"max_idle_s": 0.0},
        {"keepalive_s": 0.0},
        {"check_after_s": -1.0},
        {"num_workers": 0},
        {"connect_timeout_s": 0.0},
        {"fail_fast_after_s": -0.1},
        {"reconnect_delay_s": 0.0},
        {"reconnect_delay_s": 1.0},
        {"probe_interval_s": float("inf")},
        {"leak_after_s": 0.0},
    ):
        with pytest.raises(PoolValueError, match=next(iter(options))):
            make(is_open=False, **options)
    with pytest.raises(TypeError, match="no_such_option"):
        make(is_open=False, no_such_option=1)
    pool = make()
    for timeout_s in (-1.0, float("nan")):
        with pytest.raises(PoolValueError, match="timeout_s"):
            pool.getconn(timeout_s)
        with pytest.raises(PoolValueError, match="timeout_s"):
            pool.close(timeout_s)
    with pytest.raises(PoolValueError, match="min_size"):
        pool.resize(3, 2)


def test_connect_that_returns_one_connection_twice_is_found_out(make: Maker) -> None:
    """A shared connection would have two borrowers; the second request fails and says why."""
    shared = Link(make.server, 0)
    make.server.connect = lambda: shared  # type: ignore[method-assign]
    pool = make(fail_fast_after_s=0.0)
    loan = pool.getconn()
    with pytest.raises((PoolUnavailableError, PoolTimeoutError)):
        pool.getconn(timeout_s=0.1)
    pool.putconn(loan)
    stats = pool.stats()
    assert stats.connect_failures >= 1
    assert stats.opened == 1


def test_full_queue_refuses(make: Maker) -> None:
    """`max_waiting` callers wait, the next is told so at once."""
    pool = make(max_size=1, max_waiting=1)
    loan = pool.getconn()
    if isinstance(pool, Threads):
        with ThreadPoolExecutor(1) as threads:
            waiter = threads.submit(pool.getconn)
            until(lambda: pool.stats().waiting == 1)
            with pytest.raises(PoolQueueFullError, match="max_waiting is 1"):
                pool.getconn()
            pool.putconn(loan)
            pool.putconn(waiter.result(20.0))
    else:
        task = pool.loop.create_task(pool.pool.getconn())
        assert pool.stats().waiting == 1
        with pytest.raises(PoolQueueFullError, match="max_waiting is 1"):
            pool.getconn()
        pool.putconn(loan)
        pool.putconn(pool.loop.run_until_complete(task))


# Those that keep connections.


def test_open_fills_to_the_minimum(make_pooling: Maker) -> None:
    """As many connections as asked for are ready, and not one more."""
    pool = make_pooling(min_size=2, max_size=4, is_open=False)
    pool.open(wait=True)
    assert (pool.stats().idle, len(make_pooling.server.links)) == (2, 2)


def test_failed_open_leaves_nothing_open(make_pooling: Maker) -> None:
    """Waiting for a server that is away ends with its error, and the pool is closed."""
    make_pooling.server.failing = {"connect"}
    pool = make_pooling(min_size=2, fail_fast_after_s=0.02, is_open=False)
    with pytest.raises(PoolUnavailableError, match="ConnectionRefusedError"):
        pool.open(wait=True)
    with pytest.raises(PoolClosedError):
        pool.getconn()


def test_wait_keeps_to_its_deadline(make_pooling: Maker) -> None:
    """It says how far it came."""
    make_pooling.server.failing = {"connect"}
    pool = make_pooling(min_size=1, fail_fast_after_s=60.0)
    with pytest.raises(PoolTimeoutError, match=r"only 0 of 1 connections within 0\.02 s"):
        pool.wait(timeout_s=0.02)


def test_restart_is_no_error(make_pooling: Maker) -> None:
    """With a check, dead connections are replaced before anybody gets one, and each is closed."""
    pool = make_pooling("check", min_size=2, is_open=False)
    pool.open(wait=True)
    make_pooling.server.restart()
    for _ in range(4):
        pool.block(lambda link: link.ask("query"))
    pool.settle()
    stats = pool.stats()
    assert (stats.lost, stats.refused, stats.size) == (2, 0, 2)


def test_death_of_one_makes_the_others_suspect(make_pooling: Maker) -> None:
    """Without a check, connections older than one found dead are dropped, not lent."""
    pool = make_pooling("rollback", min_size=2, is_open=False)
    pool.open(wait=True)
    loan = pool.getconn()
    make_pooling.server.restart()
    pool.putconn(loan)
    for _ in range(4):
        pool.block(lambda link: link.ask("query"))
    assert pool.stats().lost == 1


def test_connection_checked_just_now_is_not_checked_again(make_pooling: Maker) -> None:
    """Within `check_after_s` of its return a connection is lent unasked."""
    pool = make_pooling("check", min_size=1, check_after_s=60.0, is_open=False)
    pool.open(wait=True)
    for _ in range(3):
        pool.block()
    assert make_pooling.server.links[0].events == ["check"]


def test_factory_of_dead_connections_is_a_failing_factory(make_pooling: Maker) -> None:
    """With a check, a new connection that does not answer is closed and never lent."""
    make_pooling.server.failing = {"check"}
    pool = make_pooling("check", fail_fast_after_s=0.0)
    with pytest.raises(PoolUnavailableError):
        pool.getconn()
    pool.settle()
    assert make_pooling.server.open_count() == 0


def test_drain_replaces_every_connection(make_pooling: Maker) -> None:
    """Idle ones go at once, a loan when it comes back."""
    pool = make_pooling(min_size=2, is_open=False)
    pool.open(wait=True)
    old = list(make_pooling.server.links)
    loan = pool.getconn()
    pool.drain()
    pool.wait()
    assert [link.is_closed() for link in old] == [link is not loan for link in old]
    pool.putconn(loan)
    pool.settle()
    assert loan.is_closed()
    assert pool.stats().size == 2
    fresh = pool.getconn()
    assert fresh not in old
    pool.putconn(fresh)


def test_resize_grows_and_shrinks(make_pooling: Maker) -> None:
    """Both limits count; a loan above them is closed when it comes back."""
    pool = make_pooling(min_size=1, max_size=4, is_open=False)
    pool.open(wait=True)
    pool.resize(3, 3)
    pool.wait()
    assert pool.stats().idle == 3
    loans = [pool.getconn(), pool.getconn()]
    pool.resize(1)
    assert pool.stats().size == 2
    for loan in loans:
        pool.putconn(loan)
    assert pool.stats().size == make_pooling.server.open_count() == 1


def test_check_replaces_what_is_broken(make_pooling: Maker) -> None:
    """Asked to, the pool checks all that is idle."""
    pool = make_pooling("check", min_size=2, is_open=False)
    pool.open(wait=True)
    make_pooling.server.links[0].is_dead = True
    pool.check()
    pool.settle()
    pool.wait()
    assert make_pooling.server.links[0].is_closed()
    stats = pool.stats()
    assert (stats.idle, stats.lost) == (2, 1)


@pytest.mark.parametrize(("lifo", "used"), [(True, {1}), (False, {0, 1})])
def test_order_of_use(make_pooling: Maker, lifo: bool, used: set[int]) -> None:
    """The connection used last, so that the rest may go; or each in its turn."""
    pool = make_pooling(min_size=2, lifo=lifo, num_workers=1, is_open=False)
    pool.open(wait=True)
    for _ in range(6):
        pool.block()
    numbers = {link.number for link in make_pooling.server.links if "commit" in link.events}
    assert numbers == used


def test_pop_stats_counts_from_the_last_pop(make_pooling: Maker) -> None:
    """Counters begin anew, sizes do not."""
    pool = make_pooling(min_size=1, is_open=False)
    pool.open(wait=True)
    pool.block()
    assert pool.pool.pop_stats().loans == 1
    stats = pool.pool.pop_stats()
    assert (stats.loans, stats.requests, stats.opened, stats.size) == (0, 0, 0, 1)
    assert stats.use.count == stats.wait.count == 0


def test_leak_report_names_the_borrower(
    make_pooling: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    """Who keeps a connection too long is named once, with file and line; so is it in a timeout."""
    pool = make_pooling("rollback", max_size=1, leak_after_s=0.01)
    with caplog.at_level("WARNING", logger="sergas.connection_pool"):
        loan = pool.getconn()
        until(lambda: pool.stats().leaks == 1)
    with pytest.raises(PoolTimeoutError, match=r"1 are lent \(longest by .*\.py:\d+\)"):
        pool.getconn(timeout_s=0.05)
    pool.putconn(loan)
    if isinstance(pool, Threads):
        assert f"borrowed at {__file__}:" in caplog.text
    assert caplog.text.count("has been out for") == 1
