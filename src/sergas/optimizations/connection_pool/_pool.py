"""The pool for threads: a lock around the machine, and the slow things outside of it."""

import logging
import random
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from math import inf
from typing import Generic, Self

from sergas.clock import Clock, SystemClock
from sergas.errors import PoolTimeoutError
from sergas.optimizations.connection_pool._limits import (
    lifetime_s,
    valid_lifetime_s,
    valid_max_waiting,
    valid_sizes,
    valid_timeout_s,
)
from sergas.optimizations.connection_pool._loan import Loan
from sergas.optimizations.connection_pool._machine import Member, PoolMachine
from sergas.optimizations.connection_pool._model import (
    Action,
    ConnectionT,
    DatabaseConnection,
    Lend,
    Open,
    PoolStats,
    Refuse,
    Retire,
    Verdict,
)

__all__ = ["ConnectionPool"]

_LOG = logging.getLogger("sergas.connection_pool")
_LOG.addHandler(logging.NullHandler())


class _Waiter(Generic[ConnectionT]):
    """A caller that asked: what it was told and, if it had to queue, the bell that wakes it."""

    __slots__ = ("bell", "verdict")

    def __init__(self) -> None:
        self.bell: threading.Lock | None = None
        self.verdict: Verdict[ConnectionT, _Waiter[ConnectionT]] | None = None


class ConnectionPool(Generic[ConnectionT]):
    """Database connections that threads share, first come, first served.

    The pool starts no thread. Connections are opened by `open`, `wait` and `resize` up to
    `min_size`, by `getconn` in the thread that needs one, and by `putconn`, which replaces at most
    one missing connection per call. A connection past its lifetime is never lent; an idle one is
    closed by the next `getconn` or `putconn`, so a pool that nobody touches keeps it open. Idle
    connections above `min_size` stay until their lifetime ends.

    A callback that raises while it checks, cleans, replaces or closes costs the connection, not
    the caller: it is counted in `get_stats` and logged as a warning to `sergas.connection_pool`.

    Args:
        connect: Opens a new DB-API connection; each call must return another. Sharing between
            threads is up to the driver: `sqlite3` needs `check_same_thread=False`.
        min_size: Connections to keep open, >= 0.
        max_size: Connections never exceeded, >= 1 and >= `min_size`; None means `min_size`.
        timeout_s: Seconds within which a caller gets a connection, waiting and connecting
            together; >= 0. With 0 only an idle connection will do. A `connect` under way is not
            interrupted: if it ends too late, the connection goes to the next caller.
        max_waiting: Callers that may wait at the same time; 0 sets no limit.
        max_lifetime_s: Seconds a connection may be used, > 0; up to a tenth is taken off at random.
        check: Called with an idle connection before it is lent; raises if it is broken.
        reset: Called with a connection that came back, after its commit or rollback.
        close: Closes a connection; None calls its `close()`.
        clock: Where time is read.
        random: Draws from [0, 1) for the lifetime.

    Raises:
        ValueError: If a size, a limit or a time is out of range.
    """

    def __init__(  # noqa: PLR0913 - keyword-only options by the names users of pools know
        self,
        connect: Callable[[], ConnectionT],
        *,
        min_size: int = 4,
        max_size: int | None = None,
        timeout_s: float = 30.0,
        max_waiting: int = 0,
        max_lifetime_s: float = 3600.0,
        check: Callable[[ConnectionT], object] | None = None,
        reset: Callable[[ConnectionT], object] | None = None,
        close: Callable[[ConnectionT], object] | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
        random: Callable[[], float] = random.random,
    ) -> None:
        min_size, max_size = valid_sizes(min_size, max_size)
        self._connect = connect
        self._check = check
        self._reset = reset
        self._close_connection = close or _close_itself
        self._timeout_s = valid_timeout_s(timeout_s)
        self._max_lifetime_s = valid_lifetime_s(max_lifetime_s)
        self._now_s = clock.monotonic_s
        self._random = random
        # Guards the machine and every waiter's verdict; nothing slow is done under it.
        self._lock = threading.Lock()
        self._machine: PoolMachine[ConnectionT, _Waiter[ConnectionT]] = PoolMachine(
            min_size=min_size, max_size=max_size, max_waiting=valid_max_waiting(max_waiting)
        )

    def open(self, timeout_s: float | None = None) -> None:
        """Begin to lend, with `min_size` connections open; a pool already open is only filled.

        If that fails, the pool is closed, so that nothing stays open behind the error.

        Args:
            timeout_s: As for `wait`.

        Raises:
            PoolClosedError: If the pool has been closed.
            PoolTimeoutError: If the deadline passed first.
            Exception: Whatever `connect` raises.
        """
        with self._lock:
            self._machine.start()
        try:
            self.wait(timeout_s)
        except BaseException:
            self.close()
            raise

    def wait(self, timeout_s: float | None = None) -> None:
        """Open, in this thread, the connections that are missing to `min_size`.

        Args:
            timeout_s: Seconds for all of them together; None takes the pool's `timeout_s`.

        Raises:
            PoolClosedError: If the pool is not open.
            PoolTimeoutError: If the deadline passed and connections are still missing.
            Exception: Whatever `connect` raises.
        """
        limit_s = self._timeout_s if timeout_s is None else valid_timeout_s(timeout_s)
        deadline_s = self._now_s() + limit_s
        while self._reserve():
            if self._now_s() >= deadline_s:
                self._vacate()
                raise self._timed_out("wait", limit_s)
            self._connect_for(None, inf)
        with self._lock:
            if not self._machine.is_open:
                raise self._machine.refusal()

    def close(self) -> None:
        """Close the pool for good and every idle connection; harmless when repeated.

        Callers that wait get `PoolClosedError`; a connection on loan is closed when it returns.
        """
        with self._lock:
            retired = self._carry_out(self._machine.close(self._now_s()))
        self._close_all(retired)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def getconn(self, timeout_s: float | None = None) -> ConnectionT:
        """Borrow a connection; give it back with `putconn`.

        Args:
            timeout_s: Seconds for waiting and connecting together; None takes the pool's.

        Raises:
            PoolTimeoutError: If none could be had in time.
            PoolQueueFullError: If `max_waiting` callers wait already.
            PoolClosedError: If the pool is not open, or was closed meanwhile.
            Exception: Whatever `connect` raises, if this call had to open a connection.
        """
        limit_s = self._timeout_s if timeout_s is None else valid_timeout_s(timeout_s)
        now_s = self._now_s()
        waiter: _Waiter[ConnectionT] = _Waiter()
        try:
            with self._lock:
                retired = self._carry_out(self._machine.request(waiter, now_s))
                if waiter.verdict is None:
                    waiter.bell = threading.Lock()
                    waiter.bell.acquire()
            if retired:
                self._close_all(retired)
            if waiter.bell is not None:
                self._sleep(waiter, waiter.bell, now_s + limit_s)
        except BaseException:
            self._abandon(waiter)
            raise
        if self._check is not None and isinstance(waiter.verdict, Lend):
            self._check_loan(waiter, waiter.verdict.connection, self._check)
        if isinstance(waiter.verdict, Open):
            self._connect_for(waiter, now_s + limit_s)
        verdict = waiter.verdict
        if isinstance(verdict, Lend):
            return verdict.connection
        if isinstance(verdict, Refuse):
            raise verdict.error
        raise self._timed_out("getconn", limit_s)

    def putconn(self, connection: ConnectionT) -> None:
        """Give a borrowed connection back; what was not committed is rolled back.

        Raises:
            ForeignConnectionError: If it is not on loan from this pool; it is left untouched.
        """
        self._finish(self._claim(connection), is_committed=False)

    def connection(self, timeout_s: float | None = None) -> AbstractContextManager[ConnectionT]:
        """Borrow a connection for a `with` block: commit at its end, roll back if it raises.

        Args:
            timeout_s: As for `getconn`, which sets what it raises.
        """
        return Loan(self.getconn, self._end_loan, timeout_s)

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Change the limits; idle connections above `max_size` are closed, loans as they return.

        An open pool is filled to the new `min_size` in this thread.

        Args:
            min_size: As for the pool.
            max_size: As for the pool.

        Raises:
            ValueError: If a size is out of range.
            PoolClosedError: If the pool has been closed.
            PoolTimeoutError: If filling took longer than the pool's `timeout_s`.
            Exception: Whatever `connect` raises; the new limits hold all the same.
        """
        min_size, max_size = valid_sizes(min_size, max_size)
        with self._lock:
            retired = self._carry_out(self._machine.resize(min_size, max_size, self._now_s()))
            is_open = self._machine.is_open
        self._close_all(retired)
        if is_open:
            self.wait()

    def get_stats(self) -> PoolStats:
        """Sizes and counters, all of one moment."""
        with self._lock:
            return self._machine.stats()

    def _carry_out(
        self, actions: Iterable[Action[ConnectionT, _Waiter[ConnectionT]]]
    ) -> list[ConnectionT]:
        """Tell waiters their verdicts, under the lock; returns what is to be closed after it."""
        retired = []
        for action in actions:
            if isinstance(action, Retire):
                retired.append(action.connection)
                continue
            action.waiter.verdict = action
            if action.waiter.bell is not None:
                action.waiter.bell.release()
        return retired

    def _sleep(self, waiter: _Waiter[ConnectionT], bell: threading.Lock, deadline_s: float) -> None:
        """Sleep until `waiter` has a verdict; without one at the deadline, it leaves the queue."""
        bell.acquire(timeout=max(0.0, deadline_s - self._now_s()))
        with self._lock:
            self._machine.give_up(waiter, self._now_s())
            waiter.bell = None

    def _abandon(self, waiter: _Waiter[ConnectionT]) -> None:
        """Leave the queue and pass on whatever an interrupted waiter was granted."""
        with self._lock:
            self._machine.give_up(waiter, self._now_s())
        if isinstance(waiter.verdict, Lend):
            self._hand_back(self._claim(waiter.verdict.connection), is_sound=True)
        elif isinstance(waiter.verdict, Open):
            self._vacate()

    def _check_loan(
        self,
        waiter: _Waiter[ConnectionT],
        connection: ConnectionT,
        check: Callable[[ConnectionT], object],
    ) -> None:
        """Check what `waiter` was lent; if it is broken, `waiter` is told to open another."""
        try:
            check(connection)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "broken"
            _LOG.warning("connection lost: its check raised %r", error)
            with self._lock:
                actions = self._machine.exchange(waiter, connection, self._now_s())
                retired = self._carry_out(actions)
            self._close_all(retired)
        except BaseException:
            self._hand_back(self._claim(connection), is_sound=False)
            raise

    def _connect_for(self, waiter: _Waiter[ConnectionT] | None, deadline_s: float) -> None:
        """Open a connection in a reserved place, for `waiter` or, with None, for whoever is next.

        If the deadline passes, `waiter` keeps the verdict `Open` and the next one is served.
        """
        if self._now_s() >= deadline_s:
            self._vacate()
            return
        try:
            connection = self._connect()
            now_s = self._now_s()
            expires_s = now_s + lifetime_s(self._max_lifetime_s, self._random())
            taker = waiter if now_s <= deadline_s else None
            with self._lock:
                retired = self._carry_out(
                    self._machine.opened(taker, connection, now_s=now_s, expires_s=expires_s)
                )
        except BaseException:
            with self._lock:
                self._carry_out(self._machine.open_failed(self._now_s()))
            raise
        self._close_all(retired)

    def _claim(self, connection: ConnectionT) -> Member[ConnectionT]:
        with self._lock:
            return self._machine.claim(connection)

    def _end_loan(self, connection: ConnectionT, is_success: bool) -> None:
        """End a `with` block; claimed first, so that a foreign connection is never committed."""
        member = self._claim(connection)
        is_committed = False
        try:
            if is_success:
                connection.commit()
                is_committed = True
        finally:
            self._finish(member, is_committed=is_committed)

    def _finish(self, member: Member[ConnectionT], *, is_committed: bool) -> None:
        """Clean a claimed connection, put it to use again, and replace one that is missing."""
        try:
            is_sound = self._clean(member.connection, is_committed=is_committed)
        except BaseException:
            self._hand_back(member, is_sound=False)
            raise
        if self._settle(member, is_sound=is_sound):
            self._replace()

    def _clean(self, connection: ConnectionT, *, is_committed: bool) -> bool:
        try:
            if not is_committed:
                connection.rollback()
            if self._reset is not None:
                self._reset(connection)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "broken"
            _LOG.warning("connection lost: cleaning it raised %r", error)
            return False
        return True

    def _settle(self, member: Member[ConnectionT], *, is_sound: bool) -> bool:
        """Put a claimed connection to use again; True if a place is now reserved to be filled."""
        with self._lock:
            retired = self._carry_out(
                self._machine.settle(member, self._now_s(), is_sound=is_sound)
            )
            is_reserved = self._machine.reserve()
        if retired:
            self._close_all(retired)
        return is_reserved

    def _hand_back(self, member: Member[ConnectionT], *, is_sound: bool) -> None:
        """Settle without connecting: an interrupt is on its way up."""
        if self._settle(member, is_sound=is_sound):
            self._vacate()

    def _replace(self) -> None:
        """Fill a reserved place; the caller gave a connection back and must not suffer for it."""
        try:
            self._connect_for(None, inf)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises means "not now"
            _LOG.warning("no replacement for a missing connection: connect raised %r", error)

    def _reserve(self) -> bool:
        with self._lock:
            return self._machine.reserve()

    def _vacate(self) -> None:
        with self._lock:
            self._carry_out(self._machine.vacate(self._now_s()))

    def _close_all(self, connections: Iterable[ConnectionT]) -> None:
        for connection in connections:
            try:
                self._close_connection(connection)
            except Exception as error:  # noqa: BLE001 - a broken connection may fail to close, too
                _LOG.warning("closing a connection raised %r", error)
                with self._lock:
                    self._machine.close_failures += 1

    def _timed_out(self, call: str, limit_s: float) -> PoolTimeoutError:
        with self._lock:
            self._machine.timeouts += 1
            stats = self._machine.stats()
        return PoolTimeoutError(
            f"connection pool: {call} got nothing within {limit_s:g} s: of at most "
            f"{stats.max_size} connections {stats.lent} are lent and {stats.opening} being opened, "
            f"{stats.waiting} more callers wait; return connections sooner, or raise max_size or "
            "timeout_s"
        )


def _close_itself(connection: DatabaseConnection) -> None:
    connection.close()
