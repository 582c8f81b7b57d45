"""The pool for asyncio: one loop, no lock, and a cancellation at any `await` that loses nothing.

A caller awaits three things: its turn, the check of what it got, and the cleaning when it returns.
Connecting and closing are tasks of the pool, out of reach of a caller's cancellation. What a
cancelled caller was given in the same moment is found by its owner and passed on; a connection that
was being checked or cleaned is closed, since nobody knows what it is in the middle of.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self
from warnings import warn

from sergas.errors import PoolError
from sergas.optimizations.connection_pool._asyncio_work import AsyncWork, Waiter, wake
from sergas.optimizations.connection_pool._base import LOG
from sergas.optimizations.connection_pool._limits import valid_timeout_s
from sergas.optimizations.connection_pool._loan import AsyncLoan
from sergas.optimizations.connection_pool._machine import Hand, Phase
from sergas.optimizations.connection_pool._model import (
    ConnectionT,
    Member,
    Refuse,
)

__all__ = ["AsyncConnectionPool"]


class AsyncConnectionPool(AsyncWork[ConnectionT]):
    """Connections that the tasks of one event loop share, first come, first served.

    As `ConnectionPool`, with coroutines: the driver's functions return awaitables, all but `alive`.
    The pool belongs to the loop that opened it and is not to be used from other threads.
    """

    async def open(self, *, wait: bool = False, timeout_s: float | None = None) -> None:
        """Begin to lend, and to open `min_size` connections in the background.

        Args:
            wait: Whether to return only when they are open. If that fails, the pool is closed, so
                that nothing stays open behind the error.
            timeout_s: As for `wait`.

        Raises:
            PoolClosedError: If the pool has been closed.
            PoolTimeoutError: As `wait`.
            PoolUnavailableError: As `wait`.
        """
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._do(self._machine.start, wakes=True)
        if wait:
            try:
                await self.wait(timeout_s)
            except BaseException:
                await self.close()
                raise

    async def wait(self, timeout_s: float | None = None) -> None:
        """Return when `min_size` connections are open.

        Args:
            timeout_s: Seconds; None takes the pool's.

        Raises:
            PoolClosedError: If the pool is not open, or is closed meanwhile.
            PoolTimeoutError: If the deadline passed first.
            PoolUnavailableError: If connecting has failed for `fail_fast_after_s`; its cause is
                what `connect` raised.
        """
        machine = self._machine
        limit_s = self._limit_s(timeout_s)
        deadline_s = self._now_s() + limit_s
        while True:
            if machine.phase is not Phase.OPEN:
                raise machine.refusal()
            if machine.is_full():
                return
            now_s = self._now_s()
            if machine.is_failing_fast(now_s):
                raise machine.unavailable(now_s)
            if now_s >= deadline_s:
                raise self._not_filled(limit_s, machine.stats(now_s))
            await self._next_event(min(deadline_s, machine.outage.fails_fast_at_s()) - now_s)

    async def close(self, timeout_s: float = 5.0, *, is_graceful: bool = False) -> None:
        """Stop lending, close what is idle now and loans as they come back.

        Args:
            timeout_s: Seconds to wait for connections to close, and for loans if `is_graceful`.
            is_graceful: Whether to wait for loans to come back.
        """
        deadline_s = self._now_s() + valid_timeout_s(timeout_s)
        self._do(self._machine.close)
        if self._timer is not None:
            self._timer.cancel()
        while is_graceful and self._machine.members:
            pause_s = deadline_s - self._now_s()
            if pause_s <= 0:
                break
            await self._next_event(pause_s)
        for task in self._tasks:
            if task.get_name().endswith("opening"):
                task.cancel()
        if self._tasks:
            _, busy = await asyncio.wait(
                set(self._tasks), timeout=max(0.0, deadline_s - self._now_s())
            )
            for task in busy:
                LOG.warning("%s: %s was still busy when closing ended", self.name, task.get_name())
                task.cancel()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.close()

    def __del__(self) -> None:
        machine = getattr(self, "_machine", None)
        if machine is not None and machine.phase is Phase.OPEN:
            warn(
                f"unclosed {self.name!r}: await close()",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )

    def connection(
        self, timeout_s: float | None = None
    ) -> AbstractAsyncContextManager[ConnectionT, None]:
        """Borrow a connection for an `async with` block: commit at its end, else roll back.

        Args:
            timeout_s: As for `getconn`, which says what it raises.
        """
        return AsyncLoan(self, timeout_s)

    async def getconn(self, timeout_s: float | None = None) -> ConnectionT:
        """Borrow a connection; give it back with `putconn`.

        Args:
            timeout_s: Seconds for waiting, connecting and checking together; None takes the pool's.

        Raises:
            PoolTimeoutError: If none could be had in time.
            PoolUnavailableError: If the server has been away for a while; its cause is what
                `connect` raised.
            PoolQueueFullError: If `max_waiting` callers wait already.
            PoolClosedError: If the pool is not open, or was closed meanwhile.
        """
        loan = AsyncLoan(self, timeout_s)
        connection = await loan.__aenter__()
        if self._tracks_borrowers:
            loan.blame(sys._getframe(1))  # noqa: SLF001 - the way to a caller's file and line
        return connection

    async def putconn(self, connection: ConnectionT) -> None:
        """Give a borrowed connection back; what was not committed is rolled back.

        Raises:
            ForeignConnectionError: If it is not on loan from this pool; it is left untouched.
        """
        member = self._machine.claim(connection)
        try:
            await self._finish(member, is_success=False)
        except BaseException as error:
            await self._salvage(member, error)
            raise

    async def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the limits; idle connections above `max_size` are closed, loans as they return.

        What is missing to the new `min_size` is opened in the background; `wait` waits for it.

        Raises:
            PoolValueError: If a size is out of range.
            PoolClosedError: If the pool has been closed.
        """
        sizes = self._valid_sizes(min_size, max_size)
        self._do(lambda now_s: self._machine.resize(*sizes, now_s), wakes=True)

    async def drain(self) -> None:
        """Replace every connection: idle ones now, loans when they come back."""
        self._do(self._machine.drain, wakes=True)

    async def invalidate(self) -> None:
        """Lend no connection opened so far before it has been checked, or drop it without check."""
        self._do(self._machine.invalidate, wakes=True)

    async def check(self) -> None:
        """Check every idle connection and replace those that are broken."""
        inspections = [
            self._spawn(self._inspect(inspection.member), "check")
            for inspection in self._machine.inspect_idle()
        ]
        if inspections:
            await asyncio.wait(inspections)

    # What a caller does.

    async def _next_event(self, pause_s: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self._watchers.append(future)
        await asyncio.wait([future], timeout=pause_s)

    async def _wait_for_one(
        self, owner: object, timeout_s: float | None, dead: Member[ConnectionT] | None
    ) -> Member[ConnectionT]:
        """Queue up for a connection and check it; `dead` is one that proved dead at a glance."""
        limit_s = self._limit_s(timeout_s)
        deadline_s = self._now_s() + limit_s
        waiter: Waiter[ConnectionT] = Waiter()
        try:
            if dead is None:
                self._do(lambda now_s: self._machine.request(waiter, now_s))
            else:
                self._exchange(waiter, dead)
            while True:
                member = await self._served(waiter, deadline_s, limit_s)
                if await self._is_usable(member, deadline_s):
                    member.owner = owner
                    return member
                self._exchange(waiter, member)
        except BaseException:
            self._machine.give_up(waiter, self._now_s())
            self._recover(waiter)
            raise

    def _exchange(self, waiter: Waiter[ConnectionT], dead: Member[ConnectionT]) -> None:
        waiter.verdict = None
        self._do(lambda now_s: self._machine.exchange(waiter, dead, now_s), wakes=True)

    async def _served(
        self, waiter: Waiter[ConnectionT], deadline_s: float, limit_s: float
    ) -> Member[ConnectionT]:
        """Wait until `waiter` has its verdict, or its time is over."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise PoolError(
                "connection pool: used from another event loop than the one that opened it; "
                "open a pool in each loop"
            )
        pause_s = deadline_s - self._now_s()
        if waiter.verdict is None and pause_s > 0:
            waiter.future = loop.create_future()
            alarm = loop.call_later(pause_s, wake, waiter.future)
            try:
                await waiter.future
            finally:
                alarm.cancel()
        if waiter.verdict is None:
            now_s = self._now_s()
            self._machine.give_up(waiter, now_s)
            self._machine.timeouts += 1
            raise self._timed_out("getconn", limit_s, self._machine.stats(now_s))
        if isinstance(waiter.verdict, Refuse):
            raise waiter.verdict.error
        return waiter.verdict.member

    async def _is_usable(self, member: Member[ConnectionT], deadline_s: float) -> bool:
        if self._alive is not None and not self._alive(member.connection):
            LOG.info("%s: connection lost: the other side hung up", self.name)
            return False
        if not self._machine.is_due_for_check(member, self._now_s()):
            return True
        return await self._answers(member, deadline_s - self._now_s())

    def _recover(self, owner: object) -> None:
        """Put to rest what belongs to a caller that was cancelled before it knew."""
        for member in [m for m in self._machine.members.values() if m.owner is owner]:
            if not self._machine.give_back(member, self._now_s()):
                self._rebalance()

    async def _finish(self, member: Member[ConnectionT], *, is_success: bool) -> None:
        """End a loan: commit, whose error is the caller's, or roll back; then clean it."""
        if not is_success:
            if self._rollback is not None and not await self._was_cleaned(member, self._rollback):
                return
        elif self._commit is not None:
            await self._commit(member.connection)
        if self._reset is not None and not await self._was_cleaned(member, self._reset):
            return
        if not self._machine.give_back(member, self._now_s()):
            self._rebalance()

    async def _was_cleaned(
        self, member: Member[ConnectionT], clean: Callable[[ConnectionT], Any]
    ) -> bool:
        try:
            await clean(member.connection)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "broken"
            LOG.warning("%s: connection lost: cleaning it raised %r", self.name, error)
            self._do(lambda now_s: self._machine.lose(member, now_s), wakes=True)
            return False
        return True

    async def _salvage(self, member: Member[ConnectionT], error: BaseException) -> None:
        """Bring a loan to its end that `error` cut short."""
        try:
            if member.owner is Hand.RETURNING and isinstance(error, Exception):
                await self._finish(member, is_success=False)
        finally:
            if member.owner is Hand.RETURNING:
                self._do(lambda now_s: self._machine.lose(member, now_s), wakes=True)
            else:
                self._rebalance()  # it is at rest or lost, but perhaps nobody has been told
