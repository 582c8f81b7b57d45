"""What the connection pool costs: loans, hand-offs between threads, replacing, opening, resizing.

State is built on first use, once for each process, and not in `setup`: asv_runner times single
calls of a benchmark that has one. Connections are real SQLite connections in memory. Each call does
the same work on the same state.
"""

import asyncio
import contextlib
import functools
import sqlite3
import threading
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

from sergas.clock import FakeClock
from sergas.optimizations.connection_pool import ConnectionPool

LOANS = 50
HAND_OFFS = 64
LIFETIME_S = 10.0


def connect() -> sqlite3.Connection:
    """A database of its own."""
    return sqlite3.connect(":memory:", check_same_thread=False)


def connect_to_table() -> sqlite3.Connection:
    """A database with a table of a hundred accounts."""
    connection = connect()
    connection.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)")
    connection.executemany("INSERT INTO account VALUES (?, 0)", ((id_,) for id_ in range(100)))
    connection.commit()
    return connection


def ask(connection: sqlite3.Connection) -> None:
    """The usual check of a connection."""
    connection.execute("SELECT 1").fetchone()


@functools.cache
def plain_pool() -> ConnectionPool[sqlite3.Connection]:
    """Four idle connections."""
    pool = ConnectionPool(connect)
    pool.open()
    pool.wait()
    return pool


@functools.cache
def checked_pool() -> ConnectionPool[sqlite3.Connection]:
    """Four idle connections, each asked before it is lent."""
    pool = ConnectionPool(connect, check=ask)
    pool.open()
    pool.wait()
    return pool


@functools.cache
def single_pool() -> ConnectionPool[sqlite3.Connection]:
    """One connection, to a table."""
    pool = ConnectionPool(connect_to_table, min_size=1)
    pool.open()
    pool.wait()
    return pool


@functools.cache
def aging_pool() -> tuple[ConnectionPool[sqlite3.Connection], FakeClock]:
    """One connection that lives exactly ten seconds of a clock that moves when told."""
    clock = FakeClock()
    pool = ConnectionPool(
        connect, min_size=1, max_lifetime_s=LIFETIME_S, clock=clock, random=lambda: 0.0
    )
    pool.open()
    pool.wait()
    return pool, clock


class Loan:
    """One caller, who never has to wait."""

    def time_getconn_putconn(self) -> None:
        pool = plain_pool()
        for _ in range(LOANS):
            pool.putconn(pool.getconn())

    def time_connection_context(self) -> None:
        pool = plain_pool()
        for _ in range(LOANS):
            with pool.connection():
                pass

    def time_checked(self) -> None:
        pool = checked_pool()
        for _ in range(LOANS):
            with pool.connection():
                pass

    def time_transaction(self) -> None:
        pool = single_pool()
        for id_ in range(LOANS):
            with pool.connection() as connection:
                connection.execute("UPDATE account SET balance = balance + 1 WHERE id = ?", (id_,))


def nothing() -> None:
    """What a connection does that has nothing behind it."""


async def nothing_later() -> None:
    """The same for asyncio."""


def connect_link() -> SimpleNamespace:
    """A connection with nothing behind it: what remains is the pool."""
    return SimpleNamespace(commit=nothing, rollback=nothing, close=nothing)


async def connect_async_link() -> SimpleNamespace:
    """The same for asyncio."""
    return SimpleNamespace(commit=nothing_later, rollback=nothing_later, close=nothing_later)


def refuse() -> SimpleNamespace:
    """A server that is away."""
    raise ConnectionRefusedError


@functools.cache
def bare_pool(**options: Any) -> ConnectionPool[SimpleNamespace]:
    """Four connections with nothing behind them."""
    pool: ConnectionPool[SimpleNamespace] = ConnectionPool(connect_link, **options)
    pool.open()
    pool.wait()
    return pool


@functools.cache
def null_pool() -> Any:
    """A pool that opens and closes for every loan."""
    from sergas.optimizations.connection_pool import NullPool

    pool = NullPool(connect_link)
    pool.open()
    return pool


@functools.cache
def cut_off_pool() -> tuple[ConnectionPool[SimpleNamespace], type[Exception]]:
    """A pool whose server is away, and what it tells its callers."""
    from sergas.errors import PoolUnavailableError

    pool = ConnectionPool(refuse, min_size=1, fail_fast_after_s=0.0)
    pool.open()
    try:
        pool.wait()
    except PoolUnavailableError as error:
        return pool, type(error)
    raise AssertionError("a server that is away was reached")


@functools.cache
def async_pool() -> tuple[asyncio.Runner, Any]:
    """Four connections on an event loop of their own."""
    from sergas.optimizations.connection_pool import AsyncConnectionPool

    runner = asyncio.Runner()
    pool = AsyncConnectionPool(connect_async_link)

    async def fill() -> None:
        await pool.open(wait=True)

    runner.run(fill())
    return runner, pool


class Bare:
    """The pool alone, uncontended."""

    def time_connection(self) -> None:
        pool = bare_pool()
        for _ in range(LOANS):
            with pool.connection():
                pass

    def time_getconn_putconn(self) -> None:
        pool = bare_pool()
        for _ in range(LOANS):
            pool.putconn(pool.getconn())

    def time_connection_with_borrowers_noted(self) -> None:
        pool = bare_pool(leak_after_s=3600.0)
        for _ in range(LOANS):
            with pool.connection():
                pass

    def time_null_pool(self) -> None:
        pool = null_pool()
        for _ in range(10):
            with pool.connection():
                pass

    def time_refusal_during_an_outage(self) -> None:
        pool, refusal = cut_off_pool()
        for _ in range(LOANS):
            with contextlib.suppress(refusal):
                pool.getconn()


class Seeing:
    """Statistics and advice."""

    def time_get_stats(self) -> None:
        bare_pool().get_stats()

    def time_advise(self) -> None:
        bare_pool().advise()


class Loop:
    """Tasks on one event loop."""

    def run(self, job: Coroutine[Any, Any, None]) -> None:
        async_pool()[0].run(job)

    def time_connection(self) -> None:
        pool = async_pool()[1]

        async def borrow() -> None:
            for _ in range(LOANS):
                async with pool.connection():
                    pass

        self.run(borrow())

    def time_hand_off(self) -> None:
        pool = async_pool()[1]

        async def borrow() -> None:
            for _ in range(8):
                async with pool.connection():
                    await asyncio.sleep(0)

        async def contend() -> None:
            await asyncio.gather(*(borrow() for _ in range(8)))

        self.run(contend())


class HandOff:
    """Threads that share one connection and stand in the queue for every loan."""

    params = (2, 8)
    param_names = ("threads",)

    def time_hand_off(self, threads: int) -> None:
        pool = single_pool()

        def borrow() -> None:
            for _ in range(HAND_OFFS // threads):
                pool.putconn(pool.getconn())

        crew = [threading.Thread(target=borrow) for _ in range(threads)]
        with pool.connection():
            for member in crew:
                member.start()
        for member in crew:
            member.join()


class OpenClose:
    """A pool's whole life."""

    params = (1, 16)
    param_names = ("size",)

    def time_open_close(self, size: int) -> None:
        pool = ConnectionPool(connect, min_size=size)
        pool.open()
        pool.wait()
        pool.close()


class Change:
    """Connections that come and go while the pool lives."""

    def time_expiry_replacement(self) -> None:
        pool, clock = aging_pool()
        for _ in range(4):
            clock.advance(LIFETIME_S)
            pool.putconn(pool.getconn())

    def time_resize(self) -> None:
        pool = plain_pool()
        pool.resize(12)
        pool.wait()
        pool.resize(4)


class Footprint:
    """Memory."""

    def peakmem_hundred_connections(self) -> None:
        pool = ConnectionPool(connect_to_table, min_size=100)
        pool.open()
        pool.wait()
        pool.close()


class Replacements:
    """What does not depend on the machine's speed."""

    unit = "connections"

    def track_connections_per_thousand_loans(self) -> int:
        """Loans of a second, lifetimes of ten: at best a hundred, and one ready for the next."""
        clock = FakeClock()
        pool = ConnectionPool(
            connect, min_size=1, max_lifetime_s=LIFETIME_S, clock=clock, random=lambda: 0.0
        )
        with pool:
            for _ in range(1_000):
                with pool.connection():
                    clock.advance(1.0)
        return pool.get_stats().opened
