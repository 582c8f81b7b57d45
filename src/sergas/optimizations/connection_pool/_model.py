"""The records of the pool: what it lends, what it counts, and what it asks its shell to do."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

from sergas.errors import PoolError

__all__ = [
    "Action",
    "ConnectionT",
    "DatabaseConnection",
    "Lend",
    "Open",
    "PoolStats",
    "Refuse",
    "Retire",
    "Verdict",
    "WaiterT",
]


class DatabaseConnection(Protocol):
    """What the pool needs of a connection: the part of PEP 249 that every driver has."""

    def commit(self) -> object:
        """Make the transaction's changes lasting."""
        ...

    def rollback(self) -> object:
        """Undo the transaction's changes; harmless when there are none."""
        ...

    def close(self) -> object:
        """Let go of the connection for good."""
        ...


ConnectionT = TypeVar("ConnectionT", bound=DatabaseConnection)
WaiterT = TypeVar("WaiterT")


@dataclass(frozen=True, slots=True)
class Lend(Generic[ConnectionT, WaiterT]):
    """Hand `connection` to `waiter`."""

    waiter: WaiterT
    connection: ConnectionT


@dataclass(frozen=True, slots=True)
class Open(Generic[WaiterT]):
    """Let `waiter` open a connection: a place is reserved for it."""

    waiter: WaiterT


@dataclass(frozen=True, slots=True)
class Refuse(Generic[WaiterT]):
    """Tell `waiter` that it gets nothing, and why."""

    waiter: WaiterT
    error: PoolError


@dataclass(frozen=True, slots=True)
class Retire(Generic[ConnectionT]):
    """Close `connection`: the pool has forgotten it."""

    connection: ConnectionT


Verdict: TypeAlias = Lend[ConnectionT, WaiterT] | Open[WaiterT] | Refuse[WaiterT]
Action: TypeAlias = Verdict[ConnectionT, WaiterT] | Retire[ConnectionT]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """One consistent look at a pool. Always `size == idle + lent + opening`.

    Attributes:
        min_size: Connections kept open.
        max_size: Connections never exceeded.
        size: Places taken now; above `max_size` only while a shrink waits for loans to return.
        idle: Connections ready to be lent.
        lent: Connections in use, or being cleaned on their way back.
        opening: Connections being opened.
        waiting: Callers in the queue.
        requests: Calls for a connection since the pool was made.
        queued: Requests that had to wait in the queue.
        wait_s_total: Seconds spent in the queue by all of them together.
        timeouts: Requests that ended in `PoolTimeoutError`.
        opened: Connections opened.
        closed: Connections the pool gave up and closed, for whatever reason.
        lost: Those of `closed` that failed their check, their rollback or their reset.
        connect_failures: Attempts to open a connection that raised.
        close_failures: Connections whose close raised.
    """

    min_size: int
    max_size: int
    size: int
    idle: int
    lent: int
    opening: int
    waiting: int
    requests: int
    queued: int
    wait_s_total: float
    timeouts: int
    opened: int
    closed: int
    lost: int
    connect_failures: int
    close_failures: int
