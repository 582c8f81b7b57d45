"""The pool on an event loop: cancellations, deadlines, and the loop that it belongs to."""

import asyncio
from collections.abc import Callable

import pytest

from sergas.errors import PoolError, PoolTimeoutError
from sergas.optimizations.connection_pool import AsyncConnectionPool, Driver


class Link:
    """A connection with nothing behind it."""

    is_closed = False


async def connect() -> Link:
    """Another one, after a pause."""
    await asyncio.sleep(0)
    return Link()


async def close(link: Link) -> None:
    """The end of one, after a pause."""
    await asyncio.sleep(0)
    link.is_closed = True


def driver(check: Callable[[Link], object] | None = None) -> Driver[Link]:
    """Opens, closes and checks."""
    return Driver(connect=connect, close=close, check=check)


def test_cancel_in_the_moment_of_the_hand_over_loses_nothing() -> None:
    """The connection was the waiter's already; it goes to the next, and the cancel comes out."""

    async def run() -> None:
        async with AsyncConnectionPool(driver(), min_size=1) as pool:
            loan = await pool.getconn()
            first = asyncio.create_task(pool.getconn())
            second = asyncio.create_task(pool.getconn())
            await asyncio.sleep(0)  # both run until they wait
            assert pool.get_stats().waiting == 2
            await pool.putconn(loan)
            first.cancel()
            assert await second is loan
            with pytest.raises(asyncio.CancelledError):
                await first
            await pool.putconn(loan)
            assert pool.get_stats().idle == 1

    asyncio.run(run())


def test_check_counts_towards_the_callers_time() -> None:
    """A check that hangs is cut short when the caller's time is over, and its connection goes."""
    is_hanging = False

    async def check(_link: Link) -> None:
        if is_hanging:
            await asyncio.Event().wait()

    async def run() -> None:
        nonlocal is_hanging
        async with AsyncConnectionPool(driver(check), min_size=1) as pool:
            await pool.wait()
            is_hanging = True
            with pytest.raises(PoolTimeoutError, match=r"within 0\.02 s"):
                await pool.getconn(timeout_s=0.02)
            is_hanging = False
            async with pool.connection():
                assert pool.get_stats().lost == 1

    asyncio.run(run())


def test_connect_that_hangs_is_cancelled() -> None:
    """After its time it counts as failed, and the next attempt may succeed."""
    calls = 0

    async def hang_once() -> Link:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        return Link()

    async def run() -> None:
        pool = AsyncConnectionPool(
            Driver(connect=hang_once, close=close), min_size=1, connect_timeout_s=0.02
        )
        async with pool, pool.connection():
            stats = pool.get_stats()
            assert (stats.connect_failures, stats.opened) == (1, 1)

    asyncio.run(run())


def test_pool_is_told_from_another_loop() -> None:
    """Instead of a future that nobody wakes, an error that says what to do."""
    pool = AsyncConnectionPool(driver(), min_size=0, max_size=1)

    async def leave_open() -> None:
        await pool.open()

    async def borrow() -> None:
        with pytest.raises(PoolError, match="another event loop"):
            await pool.getconn()
        await pool.close()

    asyncio.run(leave_open())
    asyncio.run(borrow())


def test_graceful_close_waits_for_loans() -> None:
    """It returns when the last one is back and closed."""

    async def run() -> None:
        pool = AsyncConnectionPool(driver(), min_size=1)
        await pool.open()
        loan = await pool.getconn()
        await pool.close(timeout_s=0.01, is_graceful=True)
        closing = asyncio.create_task(pool.close(timeout_s=20.0, is_graceful=True))
        await asyncio.sleep(0)
        await pool.putconn(loan)
        await closing
        assert loan.is_closed

    asyncio.run(run())


def test_forgotten_pool_says_so() -> None:
    """It cannot close anything without a loop, but it can tell."""

    async def run() -> None:
        pool = AsyncConnectionPool(driver(), min_size=0, max_size=1)
        await pool.open()
        with pytest.warns(ResourceWarning, match="unclosed 'pool'"):
            del pool

    asyncio.run(run())
