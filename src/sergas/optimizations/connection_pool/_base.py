"""What the pools for threads and for asyncio have in common: their options and their answers."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from operator import methodcaller
from typing import Any, Generic, TypedDict, TypeVar

from sergas.chance import draw
from sergas.clock import Clock, SystemClock
from sergas.errors import PoolTimeoutError, PoolValueError
from sergas.optimizations.connection_pool import _fork
from sergas.optimizations.connection_pool._advice import Advice, advice
from sergas.optimizations.connection_pool._limits import Limits, valid_sizes, valid_timeout_s
from sergas.optimizations.connection_pool._machine import Hand, PoolMachine
from sergas.optimizations.connection_pool._model import ConnectionT, Driver, Leak, Member, PoolStats

__all__ = ["LOG", "BasePool", "Options"]

LOG = logging.getLogger("sergas.connection_pool")
LOG.addHandler(logging.NullHandler())

_TRUST_S = 0.5  # with a driver that sees a hang-up by itself; HikariCP's figure, too

# The parts of PEP 249 that every driver has; a coroutine driver's return awaitables.
_CLOSE = methodcaller("close")
_COMMIT = methodcaller("commit")
_ROLLBACK = methodcaller("rollback")

WaiterT = TypeVar("WaiterT")


class Options(TypedDict, Generic[ConnectionT], total=False):
    """The keyword arguments of a pool, which `BasePool` and `Limits` describe."""

    min_size: int
    max_size: int | None
    name: str
    configure: Callable[[ConnectionT], object] | None
    check: Callable[[ConnectionT], object] | None
    reset: Callable[[ConnectionT], object] | None
    close: Callable[[ConnectionT], object] | None
    check_after_s: float | None
    clock: Clock
    random: Callable[[], float]
    timeout_s: float
    max_waiting: int
    max_lifetime_s: float
    lifetime_jitter: float
    max_idle_s: float
    keepalive_s: float | None
    num_workers: int
    connect_timeout_s: float
    fail_fast_after_s: float
    reconnect_delay_s: float
    reconnect_delay_max_s: float
    probe_interval_s: float
    leak_after_s: float | None
    lifo: bool


class BasePool(Generic[ConnectionT, WaiterT]):
    """Options, statistics and advice; the shells add the waiting.

    Args:
        connect: Opens a connection, each call another; or a `Driver` that says more. For a plain
            function the connections are taken to have `close`, `commit` and `rollback`.
        min_size: Connections to keep open, >= 0.
        max_size: Connections never exceeded, >= 1 and >= `min_size`; None means `min_size`.
        name: For the log.
        configure: See `Driver`; overrides the driver's, as the next three do.
        check: See `Driver`.
        reset: See `Driver`.
        close: See `Driver`.
        check_after_s: See `Limits`; None takes half a second if the driver can tell by itself that
            the other side has hung up, and otherwise 0: checked before every loan.
        clock: Where time is read.
        random: Draws from [0, 1) for lifetimes and delays.
        **limits: The numbers of `Limits`, by name.

    Raises:
        PoolValueError: If a size, a limit or a time is out of range.
        TypeError: If an option has a name that `Limits` does not know.
    """

    _is_pooling = True

    def __init__(  # noqa: PLR0913 - keyword-only options by the names users of pools know
        self,
        connect: Callable[[], Any] | Driver[ConnectionT],
        *,
        min_size: int = 4,
        max_size: int | None = None,
        name: str = "pool",
        configure: Callable[[ConnectionT], object] | None = None,
        check: Callable[[ConnectionT], object] | None = None,
        reset: Callable[[ConnectionT], object] | None = None,
        close: Callable[[ConnectionT], object] | None = None,
        check_after_s: float | None = None,
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
        random: Callable[[], float] = draw,
        **limits: Any,
    ) -> None:
        driver: Driver[ConnectionT] = (
            connect
            if isinstance(connect, Driver)
            else Driver(connect=connect, close=_CLOSE, commit=_COMMIT, rollback=_ROLLBACK)
        )
        self._driver = replace(
            driver,
            configure=configure or driver.configure,
            check=check or driver.check,
            reset=reset or driver.reset,
            close=close or driver.close,
        )
        if check_after_s is None:
            check_after_s = 0.0 if self._driver.alive is None else _TRUST_S
        self._limits = Limits(check_after_s=check_after_s, **limits)
        min_size, max_size = self._valid_sizes(min_size, max_size)
        self.name = name
        # What the hot path needs, one attribute away.
        self._now_s = _monotonic_of(clock)
        self._commit: Any = self._driver.commit
        self._rollback: Any = self._driver.rollback
        self._reset: Any = self._driver.reset
        self._alive = self._driver.alive
        self._tracks_borrowers = self._limits.leak_after_s is not None
        self._machine: PoolMachine[ConnectionT, WaiterT] = PoolMachine(
            min_size=min_size,
            max_size=max_size,
            limits=self._limits,
            random=random,
            has_check=self._driver.check is not None,
            has_probe=self._driver.probe is not None,
            is_pooling=self._is_pooling,
            has_fast_lane=_fork.HAS_INTERPRETER_LOCK,
        )
        self._popped: PoolStats | None = None
        # Threads put theirs here; a loop needs none.
        self._lock: AbstractContextManager[Any] = nullcontext()

    def advise(self, *, wait_s: float = 0.001, share: float = 0.95) -> Advice:
        """How many connections the load needs, from what this pool has measured so far.

        Args:
            wait_s: The longest wait for a connection that is all right, > 0.
            share: The share of requests that shall not wait longer, above 0 and below 1.

        Raises:
            PoolValueError: If an argument is out of range.
        """
        return advice(self.get_stats(), wait_s=wait_s, share=share)

    def _outage_level(self) -> int:
        """The first failure is news; the next of the same outage are not."""
        return logging.WARNING if self._machine.outage.since_s is None else logging.DEBUG

    def get_stats(self) -> PoolStats:
        """Sizes and counters, all of one moment."""
        with self._lock:
            return self._machine.stats(self._now_s())

    def pop_stats(self) -> PoolStats:
        """As `get_stats`, counting from the last call of this method on."""
        stats = self.get_stats()
        popped, self._popped = self._popped, stats
        return stats if popped is None else stats.since(popped)

    def _valid_sizes(self, min_size: int, max_size: int | None) -> tuple[int, int]:
        if min_size and not self._is_pooling:
            raise PoolValueError(
                f"connection pool: min_size is {min_size}, but a pool that keeps nothing needs 0"
            )
        return valid_sizes(min_size, max_size)

    def _limit_s(self, timeout_s: float | None) -> float:
        return self._limits.timeout_s if timeout_s is None else valid_timeout_s(timeout_s)

    def _refuse_return(self, member: Member[ConnectionT]) -> None:
        """A block ends whose connection is not its own any more.

        In a child that was forked inside the block, the connection is the parent's: nothing is done
        to it, and nothing is wrong.
        """
        if member.owner is not Hand.PARENT:
            raise self._machine.foreign(member.connection)

    def _log_leak(self, leak: Leak) -> None:
        file, line = leak.borrower
        LOG.warning(
            "%s: a connection borrowed at %s:%d has been out for %.1f s",
            self.name,
            file,
            line,
            leak.held_s,
        )

    def _timed_out(self, call: str, limit_s: float, stats: PoolStats) -> PoolTimeoutError:
        held = [member for member in self._machine.members.values() if member.borrower is not None]
        longest = min(held, key=lambda member: member.lent_s, default=None)
        where = (
            ""
            if longest is None or longest.borrower is None
            else (" (longest by {}:{})".format(*longest.borrower))
        )
        return PoolTimeoutError(
            f"connection pool: {call} got nothing within {limit_s:g} s: of at most "
            f"{stats.max_size} connections {stats.lent} are lent{where} and {stats.opening} being "
            f"opened, {stats.waiting} more callers wait; return connections sooner, or raise "
            "max_size or timeout_s"
        )

    def _not_filled(self, limit_s: float, stats: PoolStats) -> PoolTimeoutError:
        return PoolTimeoutError(
            f"connection pool: wait got only {stats.size - stats.opening} of {stats.min_size} "
            f"connections within {limit_s:g} s; see why in the log, or raise timeout_s"
        )


def _monotonic_of(clock: Clock) -> Callable[[], float]:
    # SystemClock's own method is a frame around this function, and a loan reads the clock twice.
    return time.monotonic if type(clock) is SystemClock else clock.monotonic_s
