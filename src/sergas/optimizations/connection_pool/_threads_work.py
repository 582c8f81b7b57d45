"""What the pool for threads does behind its callers' backs, in threads of its own."""

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Generic, TypeAlias, Unpack

from sergas.optimizations.connection_pool._base import LOG, BasePool, Options
from sergas.optimizations.connection_pool._crew import Crew
from sergas.optimizations.connection_pool._fork import watch
from sergas.optimizations.connection_pool._machine import Phase
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

__all__ = ["ThreadsWork", "Waiter"]


class Waiter(Generic[ConnectionT]):
    """A caller that asked: what it was told, and the bell that wakes it."""

    __slots__ = ("bell", "verdict")

    def __init__(self) -> None:
        self.bell = threading.Lock()
        self.bell.acquire()
        self.verdict: Verdict[ConnectionT, Waiter[ConnectionT]] | None = None


WaiterAction: TypeAlias = Action[ConnectionT, Waiter[ConnectionT]]


class ThreadsWork(BasePool[ConnectionT, "Waiter[ConnectionT]"]):
    """What happens behind the scenes of `ConnectionPool`."""

    def __init__(
        self,
        connect: Callable[[], ConnectionT] | Driver[ConnectionT],
        **options: Unpack[Options[ConnectionT]],
    ) -> None:
        super().__init__(connect, **options)
        self._set_up()
        watch(self)

    def _set_up(self) -> None:
        # Guards the machine and every waiter's verdict; nothing slow is done under it.
        self._lock = threading.Lock()
        self._crew = Crew(self, self._limits.num_workers + 1)
        self._watchers: list[threading.Lock] = []  # bells to ring at the next event

    def _after_fork(self) -> list[Member[ConnectionT]]:
        self._set_up()
        return self._machine.orphan()

    def _rebalance(self) -> None:
        self._do(self._machine.rebalance)

    def _answers(self, member: Member[ConnectionT]) -> bool:
        """Check a connection, which is nobody's meanwhile."""
        check: Any = self._driver.check
        try:
            check(member.connection)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "broken"
            LOG.warning("%s: connection lost: its check raised %r", self.name, error)
            return False
        except BaseException:
            self._do(lambda now_s: self._machine.lose(member, now_s), wakes=True)
            raise
        with self._lock:
            self._machine.vouch(member, self._now_s())
        return True

    def _do(
        self, event: Callable[[float], list[WaiterAction[ConnectionT]]], *, wakes: bool = False
    ) -> None:
        """Let `event` happen and carry out what follows; `wakes` if something is due sooner now."""
        with self._lock:
            actions = event(self._now_s())
            self._tell(actions)
        self._perform(actions, self._close_one)
        if wakes:
            self._crew.wake()

    def _tend(self) -> float:
        """Do what is due; returns in how many seconds something is due again."""
        with self._lock:
            now_s = self._now_s()
            actions = self._machine.tick(now_s)
            pause_s = self._machine.due_s(now_s) - now_s
            self._tell(actions)
        self._perform(
            actions, lambda connection: self._crew.do(partial(self._close_one, connection))
        )
        return pause_s

    def _tell(self, actions: Iterable[WaiterAction[ConnectionT]]) -> None:
        """Give waiters their verdicts, under the lock."""
        for action in actions:
            if isinstance(action, Lend | Refuse):
                action.waiter.verdict = action
                action.waiter.bell.release()
        if self._watchers:
            for bell in self._watchers:
                bell.release()
            self._watchers.clear()

    def _perform(
        self, actions: Iterable[WaiterAction[ConnectionT]], close: Callable[[ConnectionT], None]
    ) -> None:
        for action in actions:
            if isinstance(action, Retire):
                close(action.connection)
            elif isinstance(action, Connect):
                self._crew.do(partial(self._open_one, action.attempt))
            elif isinstance(action, Probe):
                self._crew.do(self._probe)
            elif isinstance(action, Inspect):
                self._crew.do(partial(self._inspect, action.member))
            elif isinstance(action, Leak):
                self._log_leak(action)

    def _open_one(self, attempt: int) -> None:
        """Open a connection, in a thread of the pool, and report it."""
        try:
            connection = self._connected()
            self._do(lambda now_s: self._machine.opened(attempt, connection, now_s), wakes=True)
        except BaseException as error:  # noqa: BLE001 - it must not end the thread; it is reported
            failure = error
            LOG.log(self._outage_level(), "%s: connecting failed: %r", self.name, error)
            self._do(
                lambda now_s: self._machine.connect_failed(attempt, failure, now_s), wakes=True
            )

    def _connected(self) -> ConnectionT:
        if self._machine.phase is not Phase.OPEN:
            raise self._machine.refusal()
        connect: Any = self._driver.connect
        connection: ConnectionT = connect()
        try:
            if self._driver.configure is not None:
                self._driver.configure(connection)
            if self._driver.check is not None:
                self._driver.check(connection)
        except BaseException:
            self._close_one(connection)
            raise
        return connection

    def _probe(self) -> None:
        probe: Any = self._driver.probe
        try:
            is_reachable = bool(probe())
        except Exception:  # noqa: BLE001 - whatever it raises means "no"
            is_reachable = False
        self._do(lambda now_s: self._machine.probed(now_s, is_reachable=is_reachable), wakes=True)

    def _inspect(self, member: Member[ConnectionT]) -> None:
        is_sound = self._alive is None or self._alive(member.connection)
        if is_sound and self._driver.check is not None:
            is_sound = self._answers(member)
        self._do(lambda now_s: self._machine.inspected(member, now_s, is_sound=is_sound))

    def _close_one(self, connection: ConnectionT) -> None:
        try:
            self._driver.close(connection)
        except Exception as error:  # noqa: BLE001 - a broken connection may fail to close, too
            LOG.warning("%s: closing a connection raised %r", self.name, error)
            with self._lock:
                self._machine.close_failures += 1

    def _wait_for_loans(self, deadline_s: float) -> None:
        bell = threading.Lock()
        while True:
            with self._lock:
                pause_s = deadline_s - self._now_s()
                if not self._machine.members or pause_s <= 0:
                    return
                bell.acquire(blocking=False)
                self._watchers.append(bell)
            bell.acquire(timeout=pause_s)
