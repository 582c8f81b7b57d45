"""The pools and their drivers on a real PostgreSQL: transactions, restarts, outages, cut-offs."""

import asyncio
import dataclasses
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sergas.errors import PoolTimeoutError, PoolUnavailableError
from sergas.optimizations.connection_pool import (
    AsyncConnectionPool,
    ConnectionPool,
    NullPool,
)
from sergas.optimizations.connection_pool.drivers import (
    asyncpg_driver,
    psycopg_async_driver,
    psycopg_driver,
)
from sergas.servers import PostgresServer

psycopg = pytest.importorskip("psycopg")
ASYNC_DRIVERS: list[Callable[..., Any]] = [psycopg_async_driver, asyncpg_driver]


def until(holds: Callable[[], object]) -> None:
    """Returns once something holds that others bring about."""
    give_up_s = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < give_up_s
        threading.Event().wait(0.001)


def answer(pool: ConnectionPool[Any], timeout_s: float | None = None) -> int:
    """A query through the pool."""
    with pool.connection(timeout_s) as connection:
        (number,) = connection.execute("SELECT 1").fetchone()
    return int(number)


@pytest.mark.parametrize("kind", [ConnectionPool, NullPool])
@pytest.mark.parametrize("autocommit", [True, False])
def test_blocks_are_transactions(
    postgres_dsn: str, kind: type[ConnectionPool[Any]], autocommit: bool
) -> None:
    """What a block did is there, what a failed one did is not, unless every statement commits."""
    with kind(psycopg_driver(postgres_dsn, autocommit=autocommit), min_size=0, max_size=2) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE t (x int)")
        with pytest.raises(psycopg.errors.UndefinedTable), pool.connection() as connection:
            connection.execute("INSERT INTO t VALUES (1)").connection.execute("SELECT 1 FROM u")
        with pool.connection() as connection:
            assert len(connection.execute("SELECT x FROM t").fetchall()) == autocommit
        assert pool.get_stats().lost == 0


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
def test_asyncio_blocks(postgres_dsn: str, driver: Callable[..., Any]) -> None:
    """The same for both libraries; what a block leaves open is rolled back."""

    async def run() -> None:
        async with AsyncConnectionPool[Any](driver(postgres_dsn), min_size=1) as pool:
            async with pool.connection() as connection:
                await connection.execute("CREATE TABLE t (x int)")
            with pytest.raises(LookupError):
                await fail_in_a_block(pool)
            async with pool.connection() as connection:
                rows = await connection.execute("SELECT x FROM t")
                assert rows == "SELECT 0" or await rows.fetchall() == []
            await pool.invalidate()  # the next loan is checked
            async with pool.connection():
                stats = pool.get_stats()
            assert (stats.lost, stats.opened) == (0, 1)

    asyncio.run(run())


async def fail_in_a_block(pool: AsyncConnectionPool[Any]) -> None:
    """Begin, change, fail."""
    async with pool.connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute("INSERT INTO t VALUES (1)")
        raise LookupError


def test_restart_is_no_error_and_recovery_is_quick(private_postgres: PostgresServer) -> None:
    """Connections that the server closed are replaced before anybody gets one."""
    driver = psycopg_driver(private_postgres.direct_dsn, autocommit=True)
    with ConnectionPool(driver, min_size=4) as pool:
        pool.wait()
        for _ in range(3):
            private_postgres.restart()
            assert [answer(pool) for _ in range(12)] == [1] * 12
        assert pool.get_stats().refused == 0


@pytest.mark.parametrize("driver", ASYNC_DRIVERS)
def test_restart_is_no_error_for_asyncio(
    private_postgres: PostgresServer, driver: Callable[..., Any]
) -> None:
    """The same on an event loop."""

    async def run() -> None:
        async with AsyncConnectionPool[Any](
            driver(private_postgres.direct_dsn), min_size=2
        ) as pool:
            await pool.wait()
            await asyncio.to_thread(private_postgres.restart)
            for _ in range(6):
                async with pool.connection() as connection:
                    await connection.execute("SELECT 1")
            assert pool.get_stats().refused == 0

    asyncio.run(run())


def test_outage_is_told_at_once_and_costs_few_attempts(private_postgres: PostgresServer) -> None:
    """Callers are refused in no time while the server is away, and served when it is back."""
    attempts: list[float] = []
    plain = psycopg_driver(private_postgres.direct_dsn, autocommit=True)

    def connect() -> Any:
        attempts.append(time.monotonic())
        return plain.connect()

    driver = dataclasses.replace(plain, connect=connect)
    with ConnectionPool(driver, min_size=2, fail_fast_after_s=0.05) as pool:
        pool.wait()
        private_postgres.stop()
        with pytest.raises(PoolUnavailableError) as caught:
            answer(pool)
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        attempts.clear()
        for _ in range(200):
            with pytest.raises(PoolUnavailableError):
                answer(pool)
        threading.Event().wait(0.3)  # ten probes, while a caller a millisecond would have come
        assert len(attempts) <= 2
        private_postgres.start()
        until(lambda: not pool.get_stats().is_failing_fast)
        assert answer(pool) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the proxy is for Linux")
def test_cut_off_keeps_to_the_callers_time(private_postgres: PostgresServer) -> None:
    """A server that has gone silent is found out by the check, within the caller's patience."""
    driver = psycopg_driver(private_postgres.dsn, autocommit=True, connect_timeout=2)
    with ConnectionPool(driver, min_size=1, check_after_s=0.0) as pool:
        pool.wait()
        with private_postgres.hang():
            started_s = time.monotonic()
            with pytest.raises((PoolTimeoutError, PoolUnavailableError)):
                answer(pool, timeout_s=0.5)
            assert time.monotonic() - started_s < 10.0
        until(lambda: not pool.get_stats().is_failing_fast and pool.get_stats().idle)
        assert answer(pool) == 1


def test_credentials_may_rotate(postgres: PostgresServer, postgres_dsn: str) -> None:
    """A connection string that is a function is asked for every connection."""
    asked: list[str] = []

    def conninfo() -> str:
        asked.append(postgres_dsn)
        return asked[-1]

    with ConnectionPool(psycopg_driver(conninfo), min_size=1) as pool:
        pool.wait()
        pool.drain()
        pool.wait()
    assert len(asked) == 2


def test_many_threads_share_few_connections(postgres_dsn: str) -> None:
    """Every query is answered, on no more sessions than the limit."""
    driver = psycopg_driver(postgres_dsn, autocommit=True)
    with ConnectionPool(driver, min_size=3) as pool, ThreadPoolExecutor(12) as threads:
        pids = list(threads.map(lambda _: session(pool), range(300)))
        assert len(set(pids)) <= 3
        assert pool.get_stats().loans == 300


def session(pool: ConnectionPool[Any]) -> int:
    """The server's number for the session."""
    with pool.connection() as connection:
        (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return int(pid)
