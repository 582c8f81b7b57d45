"""The pool for asyncio: one loop, no lock, and a cancellation at any `await` that loses nothing.

A caller awaits three things: its turn, the check of what it got, and the cleaning when it returns.
Connecting and closing are tasks of the pool, out of reach of a caller's cancellation. What a
cancelled caller was given in the same moment is found by its owner and passed on; a connection that
was being checked or cleaned is closed, since nobody knows what it is in the middle of.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Any, Generic, Self, TypeAlias, Unpack
from warnings import warn
from weakref import ref

from sergas.errors import PoolError
from sergas.optimizations.connection_pool._base import LOG, BasePool, Options
from sergas.optimizations.connection_pool._fork import watch
from sergas.optimizations.connection_pool._limits import valid_timeout_s
from sergas.optimizations.connection_pool._loan import AsyncLoan
from sergas.optimizations.connection_pool._machine import Hand, Phase
from sergas.optimizations.connection_pool._model import (
    Action,
    Connect,
    ConnectionT,
    Driver,
    Inspect,
    Leak,
    Lend,
    Member,
    Probe,
    Refuse,
    Retire,
    Verdict,
)

__all__ = ["AsyncConnectionPool"]


class _Waiter(Generic[ConnectionT]):
    """A caller that asked: what it was told, and the future that wakes it."""

    __slots__ = ("future", "verdict")

    def __init__(self) -> None:
        self.future: asyncio.Future[None] | None = None
        self.verdict: Verdict[ConnectionT, _Waiter[ConnectionT]] | None = None


_Action: TypeAlias = Action[ConnectionT, _Waiter[ConnectionT]]


class AsyncConnectionPool(BasePool[ConnectionT, "_Waiter[ConnectionT]"]):
    """Connections that the tasks of one event loop share, first come, first served.

    As `ConnectionPool`, with coroutines: the driver's functions return awaitables, all but `alive`.
    The pool belongs to the loop that opened it and is not to be used from other threads.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[ConnectionT]] | Driver[ConnectionT],
        **options: Unpack[Options[ConnectionT]],
    ) -> None:
        super().__init__(connect, **options)
        self._set_up()
        watch(self)

    def _set_up(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._watchers: list[asyncio.Future[None]] = []  # to be woken at the next event

    def _after_fork(self) -> list[Member[ConnectionT]]:
        self._set_up()  # the parent's loop does not run here
        return self._machine.orphan()

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
        waiter: _Waiter[ConnectionT] = _Waiter()
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

    def _exchange(self, waiter: _Waiter[ConnectionT], dead: Member[ConnectionT]) -> None:
        waiter.verdict = None
        self._do(lambda now_s: self._machine.exchange(waiter, dead, now_s), wakes=True)

    async def _served(
        self, waiter: _Waiter[ConnectionT], deadline_s: float, limit_s: float
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
            alarm = loop.call_later(pause_s, _wake, waiter.future)
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

    async def _answers(self, member: Member[ConnectionT], timeout_s: float | None) -> bool:
        """Check a connection, which is nobody's meanwhile."""
        check: Any = self._driver.check
        try:
            async with asyncio.timeout(timeout_s):
                await check(member.connection)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "broken"
            LOG.warning("%s: connection lost: its check raised %r", self.name, error)
            return False
        except BaseException:
            self._do(lambda now_s: self._machine.lose(member, now_s), wakes=True)
            raise
        self._machine.vouch(member, self._now_s())
        return True

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

    def _rebalance(self) -> None:
        self._do(self._machine.rebalance)

    # What the pool does.

    def _do(
        self, event: Callable[[float], list[_Action[ConnectionT]]], *, wakes: bool = False
    ) -> None:
        """Let `event` happen and carry out what follows; `wakes` if something is due sooner now."""
        self._carry_out(event(self._now_s()))
        if wakes:
            self._arm()

    def _arm(self) -> None:
        """Set the timer to when something is due; it does not keep a forgotten pool alive."""
        if self._timer is not None:
            self._timer.cancel()
        now_s = self._now_s()
        pause_s = self._machine.due_s(now_s) - now_s
        if self._loop is not None and pause_s < inf:
            self._timer = self._loop.call_later(max(0.0, pause_s), _tend, ref(self))

    def _tend(self) -> None:
        self._do(self._machine.tick, wakes=True)

    def _carry_out(self, actions: Iterable[_Action[ConnectionT]]) -> None:
        for action in actions:
            if isinstance(action, Lend | Refuse):
                action.waiter.verdict = action
                if action.waiter.future is not None:
                    _wake(action.waiter.future)
            elif isinstance(action, Retire):
                self._close_soon(action.connection)
            elif isinstance(action, Connect):
                self._spawn(self._open_one(action.attempt), "opening")
            elif isinstance(action, Probe):
                self._spawn(self._probe(), "probe")
            elif isinstance(action, Inspect):
                self._spawn(self._inspect(action.member), "check")
            elif isinstance(action, Leak):
                self._log_leak(action)
        for future in self._watchers:
            _wake(future)
        self._watchers.clear()

    def _spawn(self, job: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(job, name=f"{self.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _open_one(self, attempt: int) -> None:
        """Open a connection, in a task of the pool, and report it."""
        try:
            connection = await self._connected()
            self._do(lambda now_s: self._machine.opened(attempt, connection, now_s), wakes=True)
        except BaseException as error:
            failure = error
            LOG.log(self._outage_level(), "%s: connecting failed: %r", self.name, error)
            self._do(
                lambda now_s: self._machine.connect_failed(attempt, failure, now_s), wakes=True
            )
            if not isinstance(error, Exception):
                raise

    async def _connected(self) -> ConnectionT:
        connect: Any = self._driver.connect
        async with asyncio.timeout(self._limits.connect_timeout_s):
            connection: ConnectionT = await connect()
            try:
                for prepare in (self._driver.configure, self._driver.check):
                    call: Any = prepare
                    if call is not None:
                        await call(connection)
            except BaseException:
                self._close_soon(connection)
                raise
        return connection

    async def _probe(self) -> None:
        probe: Any = self._driver.probe
        is_reachable = False
        try:
            async with asyncio.timeout(self._limits.connect_timeout_s):
                is_reachable = bool(await probe())
        except Exception as error:  # noqa: BLE001 - whatever it raises means "no"
            LOG.debug("%s: probe: %r", self.name, error)
        finally:
            self._do(
                lambda now_s: self._machine.probed(now_s, is_reachable=is_reachable), wakes=True
            )

    async def _inspect(self, member: Member[ConnectionT]) -> None:
        is_sound = self._alive is None or self._alive(member.connection)
        if is_sound and self._driver.check is not None:
            is_sound = await self._answers(member, self._limits.connect_timeout_s)
        self._do(
            lambda now_s: self._machine.inspected(member, now_s, is_sound=is_sound), wakes=True
        )

    def _close_soon(self, connection: ConnectionT) -> None:
        self._spawn(self._close_one(connection), "closing")

    async def _close_one(self, connection: ConnectionT) -> None:
        close: Any = self._driver.close
        try:
            await close(connection)
        except Exception as error:  # noqa: BLE001 - a broken connection may fail to close, too
            LOG.warning("%s: closing a connection raised %r", self.name, error)
            self._machine.close_failures += 1


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _tend(pool_ref: "ref[AsyncConnectionPool[Any]]") -> None:
    pool = pool_ref()
    if pool is not None:
        pool._tend()  # noqa: SLF001 - this function is the pool's timer
