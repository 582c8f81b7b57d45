"""What a pool can be asked for, checked in one place."""

import threading
from dataclasses import dataclass
from math import inf, isfinite

from sergas.errors import PoolValueError

__all__ = ["Limits", "lifetime_s", "valid_sizes", "valid_timeout_s"]


def lifetime_s(max_lifetime_s: float, jitter: float, draw: float) -> float:
    """The lifetime of one connection: `max_lifetime_s` less up to the share `jitter`.

    Args:
        max_lifetime_s: Seconds, > 0.
        jitter: From 0 to below 1.
        draw: From [0, 1).
    """
    return max_lifetime_s * (1.0 - jitter * draw)


def valid_sizes(min_size: int, max_size: int | None) -> tuple[int, int]:
    """Both limits, or why they make no pool."""
    top = min_size if max_size is None else max_size
    if not (0 <= min_size <= top and top >= 1):
        raise PoolValueError(
            f"connection pool: min_size is {min_size} and max_size {max_size}, needed 0 <= "
            "min_size <= max_size and room for at least one connection"
        )
    return min_size, top


def valid_timeout_s(timeout_s: float) -> float:
    """The same, or why nobody can wait that long."""
    if not 0 <= timeout_s <= threading.TIMEOUT_MAX:
        raise PoolValueError(
            f"connection pool: timeout_s is {timeout_s}, needed 0 to {threading.TIMEOUT_MAX:g}"
        )
    return timeout_s


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise PoolValueError(f"connection pool: {name} is {value}, needed above 0")


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise PoolValueError(f"connection pool: {name} is {value}, needed 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers of a pool.

    Attributes:
        timeout_s: Seconds within which a caller gets a connection, waiting, connecting and checking
            together; >= 0. With 0 only an idle connection will do.
        max_waiting: Callers that may wait at the same time; 0 sets no limit.
        max_lifetime_s: Seconds a connection may be used, > 0.
        lifetime_jitter: The share of it that is taken off at random, once, when the connection is
            opened; from 0 to below 1.
        max_idle_s: Seconds after which an idle connection above `min_size` is closed, > 0.
        keepalive_s: Seconds after which an idle connection is checked, > 0; None never does.
        check_after_s: A connection that came back less than these seconds ago is lent without its
            check, >= 0. What dies in silence in between reaches its borrower.
        num_workers: Connections opened at the same time, at most; >= 1.
        connect_timeout_s: Seconds after which a connection attempt counts as failed, > 0.
        fail_fast_after_s: Seconds without any connection or sign of life after which callers are
            refused at once, >= 0.
        reconnect_delay_s: Seconds between the first failed attempt and the second, > 0; doubled
            from attempt to attempt, less up to a fifth at random.
        reconnect_delay_max_s: Where the doubling ends, >= `reconnect_delay_s`. During an outage not
            more connections than one in this time reach the server in the long run, attempts and
            answered probes together, and at most four more in any one stretch.
        probe_interval_s: Seconds from one probe of an unreachable server to the next, > 0.
        leak_after_s: Seconds after which a loan is reported with its borrower's file and line, > 0;
            None tracks no borrowers.
        lifo: Whether the connection used last is lent first, so that those not needed grow idle;
            otherwise all are used in turn.
    """

    timeout_s: float = 30.0
    max_waiting: int = 0
    max_lifetime_s: float = 60 * 60.0
    lifetime_jitter: float = 0.1
    max_idle_s: float = 10 * 60.0
    keepalive_s: float | None = None
    check_after_s: float = 0.0
    num_workers: int = 3
    connect_timeout_s: float = 10.0
    fail_fast_after_s: float = 1.0
    reconnect_delay_s: float = 0.05
    reconnect_delay_max_s: float = 0.24
    probe_interval_s: float = 0.03
    leak_after_s: float | None = None
    lifo: bool = True

    def __post_init__(self) -> None:
        """Refuse what can never work.

        Raises:
            PoolValueError: If a number is out of its range; the message names it.
        """
        valid_timeout_s(self.timeout_s)
        for name in ("max_waiting", "check_after_s", "fail_fast_after_s"):
            _not_negative(name, getattr(self, name))
        for name in ("max_lifetime_s", "max_idle_s", "connect_timeout_s"):
            _positive(name, getattr(self, name))
        for name in ("keepalive_s", "leak_after_s"):
            if getattr(self, name) is not None:
                _positive(name, getattr(self, name))
        for name in ("num_workers", "reconnect_delay_s", "probe_interval_s"):
            value = getattr(self, name)
            _positive(name, value if isfinite(value) else -inf)
        if not 0 <= self.lifetime_jitter < 1:
            raise PoolValueError(
                f"connection pool: lifetime_jitter is {self.lifetime_jitter}, needed 0 to below 1"
            )
        if not self.reconnect_delay_s <= self.reconnect_delay_max_s < inf:
            raise PoolValueError(
                f"connection pool: reconnect_delay_max_s is {self.reconnect_delay_max_s}, needed "
                f"at least reconnect_delay_s ({self.reconnect_delay_s:g})"
            )
