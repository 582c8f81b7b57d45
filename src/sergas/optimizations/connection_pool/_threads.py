"""The pool for threads: a lock around the machine, and the slow things outside of it."""

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self
from warnings import warn

from sergas.errors import PoolError
from sergas.optimizations.connection_pool._base import LOG
from sergas.optimizations.connection_pool._limits import valid_timeout_s
from sergas.optimizations.connection_pool._loan import Loan
from sergas.optimizations.connection_pool._machine import Hand, Phase
from sergas.optimizations.connection_pool._model import (
    ConnectionT,
    Member,
    Refuse,
    Retire,
)
from sergas.optimizations.connection_pool._threads_work import ThreadsWork, Waiter

__all__ = ["ConnectionPool"]


class ConnectionPool(ThreadsWork[ConnectionT]):
    """Connections that threads share, first come, first served.

    Connections are opened, and checked while they are idle, by threads of the pool, which begin
    when they are first needed and end with `close`. So no caller waits longer than its timeout,
    whatever `connect` does.

    A callback that raises while it checks, cleans, replaces or closes costs the connection, not the
    caller: it is counted in `get_stats` and logged as a warning to `sergas.connection_pool`.
    """

    def open(self, *, wait: bool = False, timeout_s: float | None = None) -> None:
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
        self._do(self._machine.start, wakes=True)
        if wait:
            try:
                self.wait(timeout_s)
            except BaseException:
                self.close()
                raise

    def wait(self, timeout_s: float | None = None) -> None:
        """Return when `min_size` connections are open.

        Args:
            timeout_s: Seconds; None takes the pool's.

        Raises:
            PoolClosedError: If the pool is not open, or is closed meanwhile.
            PoolTimeoutError: If the deadline passed first.
            PoolUnavailableError: If connecting has failed for `fail_fast_after_s`; its cause is
                what `connect` raised.
        """
        limit_s = self._limit_s(timeout_s)
        deadline_s = self._now_s() + limit_s
        bell = threading.Lock()
        while True:
            with self._lock:
                machine = self._machine
                if machine.phase is not Phase.OPEN:
                    raise machine.refusal()
                if machine.is_full():
                    return
                now_s = self._now_s()
                if machine.is_failing_fast(now_s):
                    raise machine.unavailable(now_s)
                if now_s >= deadline_s:
                    raise self._not_filled(limit_s, machine.stats(now_s))
                bell.acquire(blocking=False)
                self._watchers.append(bell)
                pause_s = min(deadline_s, machine.outage.fails_fast_at_s()) - now_s
            bell.acquire(timeout=max(0.0, pause_s))

    def close(self, timeout_s: float = 5.0, *, is_graceful: bool = False) -> None:
        """Stop lending, close what is idle now and loans as they come back; end the threads.

        Args:
            timeout_s: Seconds to wait for threads, and for loans if `is_graceful`. A thread that
                hangs in `connect` longer is left behind; what it brings is closed.
            is_graceful: Whether to wait for loans to come back.
        """
        deadline_s = self._now_s() + valid_timeout_s(timeout_s)
        self._do(self._machine.close)
        if is_graceful:
            self._wait_for_loans(deadline_s)
        self._crew.end()
        if not self._crew.join(max(0.0, deadline_s - self._now_s()), self._now_s):
            LOG.warning("%s: closed while a thread was still busy connecting", self.name)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        # __init__ may have refused its arguments before anything was made.
        machine, crew = getattr(self, "_machine", None), getattr(self, "_crew", None)
        if machine is None or crew is None or machine.phase is not Phase.OPEN:
            return
        crew.end()
        for action in machine.close(self._now_s()):
            if isinstance(action, Retire):
                self._close_one(action.connection)
        warn(f"unclosed {self.name!r}: call close()", ResourceWarning, source=self, stacklevel=1)

    def connection(
        self, timeout_s: float | None = None
    ) -> AbstractContextManager[ConnectionT, None]:
        """Borrow a connection for a `with` block: commit at its end, roll back if it raises.

        Args:
            timeout_s: As for `getconn`, which says what it raises.
        """
        return Loan(self, timeout_s)

    def getconn(self, timeout_s: float | None = None) -> ConnectionT:
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
        loan = Loan(self, timeout_s)
        connection = loan.__enter__()
        if self._tracks_borrowers:
            loan.blame(sys._getframe(1))  # noqa: SLF001 - the way to a caller's file and line
        return connection

    def putconn(self, connection: ConnectionT) -> None:
        """Give a borrowed connection back; what was not committed is rolled back.

        Raises:
            ForeignConnectionError: If it is not on loan from this pool; it is left untouched.
        """
        member = self._machine.claim(connection)
        try:
            self._finish(member, is_success=False)
        except BaseException as error:
            self._salvage(member, error)
            raise

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the limits; idle connections above `max_size` are closed, loans as they return.

        What is missing to the new `min_size` is opened in the background; `wait` waits for it.

        Raises:
            PoolValueError: If a size is out of range.
            PoolClosedError: If the pool has been closed.
        """
        sizes = self._valid_sizes(min_size, max_size)
        self._do(lambda now_s: self._machine.resize(*sizes, now_s), wakes=True)

    def drain(self) -> None:
        """Replace every connection: idle ones now, loans when they come back."""
        self._do(self._machine.drain)

    def invalidate(self) -> None:
        """Lend no connection opened so far before it has been checked, or drop it without check."""
        self._do(self._machine.invalidate)

    def check(self) -> None:
        """Check every idle connection in this thread and replace those that are broken."""
        with self._lock:
            inspections = self._machine.inspect_idle()
        for inspection in inspections:
            self._inspect(inspection.member)

    # What a caller does.

    def _wait_for_one(
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
                member = self._served(waiter, deadline_s, limit_s)
                if self._is_usable(member):
                    member.owner = owner
                    return member
                self._exchange(waiter, member)
        except BaseException:
            self._abandon(waiter)
            raise

    def _exchange(self, waiter: Waiter[ConnectionT], dead: Member[ConnectionT]) -> None:
        waiter.verdict = None
        self._do(lambda now_s: self._machine.exchange(waiter, dead, now_s), wakes=True)

    def _served(
        self, waiter: Waiter[ConnectionT], deadline_s: float, limit_s: float
    ) -> Member[ConnectionT]:
        """Sleep until `waiter` has its verdict, or its time is over."""
        if not waiter.bell.acquire(timeout=max(0.0, deadline_s - self._now_s())):
            with self._lock:
                now_s = self._now_s()
                if self._machine.give_up(waiter, now_s):
                    self._machine.timeouts += 1
                    stats = self._machine.stats(now_s)
                    self._crew.wake()
                    raise self._timed_out("getconn", limit_s, stats)
        if isinstance(waiter.verdict, Refuse):
            raise waiter.verdict.error
        if waiter.verdict is None:
            raise PoolError("connection pool: a waiter was woken without a verdict; please report")
        return waiter.verdict.member

    def _is_usable(self, member: Member[ConnectionT]) -> bool:
        connection = member.connection
        if self._alive is not None and not self._alive(connection):
            LOG.info("%s: connection lost: the other side hung up", self.name)
            return False
        if not self._machine.is_due_for_check(member, self._now_s()):
            return True
        return self._answers(member)

    def _abandon(self, waiter: Waiter[ConnectionT]) -> None:
        """Leave the queue and pass on whatever an interrupted waiter was granted."""
        with self._lock:
            self._machine.give_up(waiter, self._now_s())
        self._recover(waiter)

    def _recover(self, owner: object) -> None:
        """Put to rest what belongs to a caller that was interrupted before it knew."""
        with self._lock:
            self._machine.was_interrupted = True
            members = [m for m in self._machine.members.values() if m.owner is owner]
        for member in members:
            if not self._machine.give_back(member, self._now_s()):
                self._rebalance()

    def _finish(self, member: Member[ConnectionT], *, is_success: bool) -> None:
        """End a loan: commit, whose error is the caller's, or roll back; then clean it."""
        if not is_success:
            if self._rollback is not None and not self._was_cleaned(member, self._rollback):
                return
        elif self._commit is not None:
            self._commit(member.connection)
        if self._reset is not None and not self._was_cleaned(member, self._reset):
            return
        if not self._machine.give_back(member, self._now_s()):
            self._rebalance()

    def _was_cleaned(
        self, member: Member[ConnectionT], clean: Callable[[ConnectionT], object]
    ) -> bool:
        try:
            clean(member.connection)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "broken"
            LOG.warning("%s: connection lost: cleaning it raised %r", self.name, error)
            self._do(lambda now_s: self._machine.lose(member, now_s), wakes=True)
            return False
        return True

    def _salvage(self, member: Member[ConnectionT], error: BaseException) -> None:
        """Bring a loan to its end that `error` cut short."""
        self._machine.was_interrupted = True
        try:
            if member.owner is Hand.RETURNING and isinstance(error, Exception):
                self._finish(member, is_success=False)
        finally:
            if member.owner is Hand.RETURNING:
                self._do(lambda now_s: self._machine.lose(member, now_s), wakes=True)
            else:
                self._rebalance()  # it is at rest or lost, but perhaps nobody has been told
