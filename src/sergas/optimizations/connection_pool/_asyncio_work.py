"""What the pool for asyncio does behind its callers' backs, in tasks of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from math import inf
from typing import Any, Generic, TypeAlias, Unpack
from weakref import ref

from sergas.optimizations.connection_pool._base import LOG, BasePool, Options
from sergas.optimizations.connection_pool._fork import watch
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

__all__ = ["AsyncWork", "Waiter", "wake"]


class Waiter(Generic[ConnectionT]):
    """A caller that asked: what it was told, and the future that wakes it."""

    __slots__ = ("future", "verdict")

    def __init__(self) -> None:
        self.future: asyncio.Future[None] | None = None
        self.verdict: Verdict[ConnectionT, Waiter[ConnectionT]] | None = None


WaiterAction: TypeAlias = Action[ConnectionT, Waiter[ConnectionT]]


class AsyncWork(BasePool[ConnectionT, "Waiter[ConnectionT]"]):
    """What happens behind the scenes of `AsyncConnectionPool`."""

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

    def _rebalance(self) -> None:
        self._do(self._machine.rebalance)

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

    def _do(
        self, event: Callable[[float], list[WaiterAction[ConnectionT]]], *, wakes: bool = False
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

    def _carry_out(self, actions: Iterable[WaiterAction[ConnectionT]]) -> None:
        for action in actions:
            if isinstance(action, Lend | Refuse):
                action.waiter.verdict = action
                if action.waiter.future is not None:
                    wake(action.waiter.future)
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
            wake(future)
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


def wake(future: asyncio.Future[None]) -> None:
    """End a wait, unless it has ended by itself."""
    if not future.done():
        future.set_result(None)


def _tend(pool_ref: "ref[AsyncWork[Any]]") -> None:
    pool = pool_ref()
    if pool is not None:
        pool._tend()  # noqa: SLF001 - this function is the pool's timer
