"""What a checkout costs and who gets one: the pool beside its peers, in one run.

    pip install 'groundspeed[test,peers]'
    python tools/evaluation/pool_checkout.py

Four tables. Checkout and return in one thread, and on one event loop: CPU time of the thread, in
slices of a few hundred loans, the contestants taking turns slice by slice, so that whatever the
machine does meets them all; best and median slice. A point read through pool and driver on a real
PostgreSQL, wall time as well. Loans per thread when sixteen threads share four connections.

Connections that are nothing but an object show the pool alone; peers that insist on a driver get
real psycopg or asyncpg connections, and the same row is there for ours.
"""

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import queue
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from sergas.optimizations.connection_pool import AsyncConnectionPool, ConnectionPool, Driver
from sergas.optimizations.connection_pool.drivers import (
    asyncpg_driver,
    psycopg_async_driver,
    psycopg_driver,
)
from sergas.servers import start_postgres

__all__ = ["main"]

Loop = Callable[[int], None]
AsyncLoop = Callable[[int], Awaitable[None]]
_THREADS, _CONNECTIONS, _HOLD_S = 16, 4, 0.0005
_QUERY = "SELECT 1"


def peer(name: str) -> Any:
    """A library to compare with, or the end."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        sys.exit(f"{error}: the peers are needed; pip install 'groundspeed[test,peers]'")


class Nothing:
    """A connection with nothing behind it."""

    def commit(self) -> None:
        """Nothing."""

    def rollback(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


async def make_nothing() -> Nothing:
    """The same for asyncio."""
    return Nothing()


async def close_nothing(_connection: Nothing) -> None:
    """Nothing."""


BARE = Driver(connect=Nothing, close=Nothing.close)
ASYNC_BARE: Driver[Nothing] = Driver(connect=make_nothing, close=close_nothing)


def in_with(pool: Any) -> Loop:
    """`with pool.connection()`, ours and psycopg's alike."""

    def run(loans: int) -> None:
        for _ in range(loans):
            with pool.connection():
                pass

    return run


def by_hand(pool: Any) -> Loop:
    """`getconn` and `putconn`."""

    def run(loans: int) -> None:
        for _ in range(loans):
            pool.putconn(pool.getconn())

    return run


def alchemys(pool: Any) -> Loop:
    """SQLAlchemy's checkout, in a block as it is meant to be used."""

    def run(loans: int) -> None:
        for _ in range(loans):
            with contextlib.closing(pool.connect()):
                pass

    return run


def queues(pool: "queue.Queue[Nothing]") -> Loop:
    """The standard library's queue as a pool."""

    def run(loans: int) -> None:
        for _ in range(loans):
            pool.put(pool.get(timeout=30.0))

    return run


def in_async_with(borrow: Callable[[], Any]) -> AsyncLoop:
    """`async with` around nothing."""

    async def run(loans: int) -> None:
        for _ in range(loans):
            async with borrow():
                pass

    return run


def slices_of(
    contestants: dict[str, Loop], *, slices: int, loans: int
) -> dict[str, dict[str, float]]:
    """CPU and wall microseconds for each loan, contestants in turn."""
    cpu_us: dict[str, list[float]] = {name: [] for name in contestants}
    wall_us: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run(loans)
    for _ in range(slices):
        for name, run in contestants.items():
            wall_s, cpu_s = time.perf_counter(), time.thread_time()
            run(loans)
            cpu_us[name].append((time.thread_time() - cpu_s) / loans * 1e6)
            wall_us[name].append((time.perf_counter() - wall_s) / loans * 1e6)
    return {
        name: {
            "cpu_us_best": min(cpu_us[name]),
            "cpu_us_median": statistics.median(cpu_us[name]),
            "wall_us_best": min(wall_us[name]),
            "wall_us_median": statistics.median(wall_us[name]),
        }
        for name in contestants
    }


@contextlib.contextmanager
def thread_pools(dsn: str) -> Iterator[dict[str, Any]]:
    """The pools for threads, filled."""
    options: dict[str, Any] = {"min_size": _CONNECTIONS, "max_size": _CONNECTIONS}
    psycopg_pool, sqlalchemy_pool = peer("psycopg_pool"), peer("sqlalchemy.pool")
    with (
        ConnectionPool(BARE, **options) as bare,
        ConnectionPool(Nothing, **options) as dbapi,
        ConnectionPool(psycopg_driver(dsn, autocommit=True), **options) as ours,
        psycopg_pool.ConnectionPool(dsn, kwargs={"autocommit": True}, **options) as theirs,
    ):
        for pool in (bare, dbapi, ours, theirs):
            pool.wait()
        alchemy = sqlalchemy_pool.QueuePool(
            Nothing, pool_size=_CONNECTIONS, max_overflow=0, timeout=30.0
        )
        plain: queue.Queue[Nothing] = queue.Queue()
        for _ in range(_CONNECTIONS):
            plain.put(Nothing())
        yield {
            "bare": bare,
            "dbapi": dbapi,
            "ours": ours,
            "theirs": theirs,
            "alchemy": alchemy,
            "queue": plain,
        }
        alchemy.dispose()


def checkout(pools: dict[str, Any], slices: int) -> dict[str, dict[str, float]]:
    """Checkout and return in one thread."""
    contestants = {
        "sergas, with": in_with(pools["bare"]),
        "sergas, with, DB-API commit": in_with(pools["dbapi"]),
        "sergas, getconn/putconn": by_hand(pools["bare"]),
        "sergas on psycopg, with": in_with(pools["ours"]),
        "psycopg_pool, with": in_with(pools["theirs"]),
        "psycopg_pool, getconn/putconn": by_hand(pools["theirs"]),
        "SQLAlchemy QueuePool": alchemys(pools["alchemy"]),
        "queue.Queue get/put": queues(pools["queue"]),
    }
    return slices_of(contestants, slices=slices, loans=300)


def point_read(pools: dict[str, Any], dsn: str, slices: int) -> dict[str, dict[str, float]]:
    """One row from a real PostgreSQL."""

    def through(pool: Any) -> Loop:
        def run(loans: int) -> None:
            for _ in range(loans):
                with pool.connection() as connection:
                    connection.execute(_QUERY).fetchone()

        return run

    with peer("psycopg").connect(dsn, autocommit=True) as bare:

        def direct(loans: int) -> None:
            for _ in range(loans):
                bare.execute(_QUERY).fetchone()

        contestants = {
            "psycopg alone": direct,
            "sergas": through(pools["ours"]),
            "psycopg_pool": through(pools["theirs"]),
        }
        return slices_of(contestants, slices=slices, loans=50)


def async_checkout(dsn: str, slices: int) -> dict[str, dict[str, float]]:
    """Checkout and return on one event loop."""
    options: dict[str, Any] = {"min_size": _CONNECTIONS, "max_size": _CONNECTIONS}
    psycopg_pool, asyncpg = peer("psycopg_pool"), peer("asyncpg")
    with asyncio.Runner() as runner:

        async def opened() -> tuple[dict[str, AsyncLoop], list[Any]]:
            bare = AsyncConnectionPool(ASYNC_BARE, **options)
            ours = AsyncConnectionPool(psycopg_async_driver(dsn, autocommit=True), **options)
            on_asyncpg = AsyncConnectionPool(asyncpg_driver(dsn), **options)
            theirs = psycopg_pool.AsyncConnectionPool(
                dsn, open=False, kwargs={"autocommit": True}, **options
            )
            for pool in (bare, ours, on_asyncpg, theirs):
                await pool.open(wait=True)
            asyncpgs = await asyncpg.create_pool(dsn, min_size=4, max_size=4)
            no_reset = await asyncpg.create_pool(dsn, min_size=4, max_size=4, reset=_no_reset)
            return {
                "sergas": in_async_with(bare.connection),
                "sergas on psycopg": in_async_with(ours.connection),
                "sergas on asyncpg": in_async_with(on_asyncpg.connection),
                "psycopg_pool": in_async_with(theirs.connection),
                "asyncpg, its reset": in_async_with(asyncpgs.acquire),
                "asyncpg, no reset": in_async_with(no_reset.acquire),
            }, [bare, ours, on_asyncpg, theirs, asyncpgs, no_reset]

        loops, pools = runner.run(opened())

        def stepped(loop: AsyncLoop) -> Loop:
            return lambda loans: runner.run(loop(loans))  # type: ignore[arg-type] # a coroutine

        contestants = {name: stepped(loop) for name, loop in loops.items()}
        table = slices_of(contestants, slices=slices, loans=200)

        async def closed() -> None:
            for pool in pools:
                await pool.close()

        runner.run(closed())
    return table


async def _no_reset(_connection: object) -> None:
    """Clean nothing, as ours does on asyncpg unless it is asked to."""


def fairness(pools: dict[str, Any], seconds: float) -> dict[str, dict[str, float]]:
    """Loans of each thread while sixteen share four connections."""

    @contextlib.contextmanager
    def from_queue() -> Iterator[None]:
        connection = pools["queue"].get(timeout=30.0)
        yield
        pools["queue"].put(connection)

    borrowers: dict[str, Callable[[], Any]] = {
        "sergas": pools["bare"].connection,
        "psycopg_pool": pools["theirs"].connection,
        "SQLAlchemy QueuePool": lambda: contextlib.closing(pools["alchemy"].connect()),
        "queue.Queue": from_queue,
    }
    return {name: _contend(borrow, seconds) for name, borrow in borrowers.items()}


def _contend(borrow: Callable[[], Any], seconds: float) -> dict[str, float]:
    counts, longest_s = [0] * _THREADS, [0.0] * _THREADS
    start, is_over = threading.Barrier(_THREADS + 1), threading.Event()

    def work(number: int) -> None:
        start.wait()
        while not is_over.is_set():
            asked_s = time.perf_counter()
            with borrow():
                longest_s[number] = max(longest_s[number], time.perf_counter() - asked_s)
                time.sleep(_HOLD_S)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    time.sleep(seconds)
    is_over.set()
    for thread in threads:
        thread.join()
    return {
        "loans": sum(counts),
        "least": min(counts),
        "most": max(counts),
        "most_over_least": max(counts) / max(1, min(counts)),
        "wait_ms_max": max(longest_s) * 1e3,
    }


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    """A table for people."""
    columns = list(next(iter(table.values())))
    print(f"\n{title}\n{'':32}" + "".join(f"{column:>17}" for column in columns))
    for name, row in table.items():
        print(f"{name:32}" + "".join(f"{row[column]:17.2f}" for column in columns))


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--slices", type=int, default=200, help="slices of each contestant (200)")
    parser.add_argument(
        "--any-cpu", action="store_true", help="do not keep everything on one CPU (Linux)"
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="contention of each (1.5)")
    options = parser.parse_args(arguments)
    if hasattr(os, "sched_setaffinity") and not options.any_cpu:
        # The server inherits it. Where a server process runs, beside its client or on another CPU,
        # doubles or halves a point read, and differs from connection to connection.
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    told: dict[str, Any] = {"python": sys.version.split()[0], "slices": options.slices}
    with start_postgres() as server, server.new_database() as dsn:
        with thread_pools(dsn) as pools:
            told["checkout"] = checkout(pools, options.slices)
            told["point_read"] = point_read(pools, dsn, options.slices)
            told["fairness"] = fairness(pools, options.seconds)
        told["async_checkout"] = async_checkout(dsn, options.slices)
    show("Checkout and return, one thread (microseconds for one loan)", told["checkout"])
    show("Checkout and return, one event loop (microseconds for one loan)", told["async_checkout"])
    show("A point read on PostgreSQL (microseconds)", told["point_read"])
    show(f"{_THREADS} threads on {_CONNECTIONS} connections, 0.5 ms each", told["fairness"])
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
