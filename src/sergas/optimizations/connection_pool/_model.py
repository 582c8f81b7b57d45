"""The records of the pool: what it lends, what it counts, and what it asks its shell to do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from typing import Generic, TypeAlias, TypeVar

from sergas.errors import PoolError
from sergas.optimizations.connection_pool._histogram import Times

__all__ = [
    "Action",
    "Borrower",
    "Connect",
    "ConnectionT",
    "Driver",
    "Inspect",
    "Leak",
    "Lend",
    "Member",
    "PoolStats",
    "Probe",
    "Refuse",
    "Retire",
    "Verdict",
    "WaiterT",
]

ConnectionT = TypeVar("ConnectionT")
WaiterT = TypeVar("WaiterT")

# The file and line that borrowed.
Borrower: TypeAlias = tuple[str, int]


# Without slots: CPython 3.11 cannot make a `Driver[X](...)` that is frozen, slotted and generic.
@dataclass(frozen=True, kw_only=True)
class Driver(Generic[ConnectionT]):
    """What a pool needs to know of a kind of connection.

    For `AsyncConnectionPool` all but `alive` are coroutine functions, or return awaitables.

    Attributes:
        connect: Opens a connection; each call must return another. Called anew each time, so it is
            the place to fetch credentials that change.
        close: Closes one for good.
        commit: Ends a block without error; None if there is nothing to end.
        rollback: Undoes what was not committed; None if there is nothing to undo.
        configure: Prepares a new connection, once.
        check: Asks the other side and raises if the connection is broken.
        reset: Cleans a connection that comes back.
        alive: Tells without asking, in about a microsecond, whether the connection looks usable:
            False if the other side has hung up.
        probe: Tells whether the server can be reached, for less than connecting costs; True lets
            the pool connect. It is asked while the server is away, many times a second.
    """

    connect: Callable[[], ConnectionT | Awaitable[ConnectionT]]
    close: Callable[[ConnectionT], object]
    commit: Callable[[ConnectionT], object] | None = None
    rollback: Callable[[ConnectionT], object] | None = None
    configure: Callable[[ConnectionT], object] | None = None
    check: Callable[[ConnectionT], object] | None = None
    reset: Callable[[ConnectionT], object] | None = None
    alive: Callable[[ConnectionT], bool] | None = None
    probe: Callable[[], object] | None = None


class Member(Generic[ConnectionT]):
    """A connection of this pool and its life.

    Attributes:
        connection: The driver's.
        expires_s: When its life ends, fixed at its birth; minus infinity if it must go.
        fresh_until_s: Until when it may be lent unchecked: `expires_s`, or minus infinity for one
            that is suspect because another was found dead.
        rested_s: When it came back last.
        proved_s: When it answered last.
        lent_s: When it was lent last.
        used_s: Seconds on loan, all loans together.
        loans: Loans that ended.
        owner: Whose it is: None exactly while it is idle.
        borrower: Where the last borrower's code is, if the pool tracks it.
        reported: The last borrower that was reported as a leak.
    """

    __slots__ = (
        "borrower",
        "connection",
        "expires_s",
        "fresh_until_s",
        "lent_s",
        "loans",
        "owner",
        "proved_s",
        "reported",
        "rested_s",
        "used_s",
    )

    def __init__(self, connection: ConnectionT, *, now_s: float, expires_s: float) -> None:
        self.connection = connection
        self.expires_s = self.fresh_until_s = expires_s
        self.rested_s = self.proved_s = self.lent_s = now_s
        self.used_s = 0.0
        self.loans = 0
        self.owner: object | None = None
        self.borrower: Borrower | None = None
        self.reported: Borrower | None = None


@dataclass(frozen=True, slots=True)
class Lend(Generic[ConnectionT, WaiterT]):
    """Hand `member` to `waiter`."""

    waiter: WaiterT
    member: Member[ConnectionT]


@dataclass(frozen=True, slots=True)
class Refuse(Generic[WaiterT]):
    """Tell `waiter` that it gets nothing, and why."""

    waiter: WaiterT
    error: PoolError


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection and report it as `attempt`."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Find out whether the server can be reached, and report it."""


@dataclass(frozen=True, slots=True)
class Inspect(Generic[ConnectionT]):
    """Check `member`, which is nobody's meanwhile, and report it."""

    member: Member[ConnectionT]


@dataclass(frozen=True, slots=True)
class Retire(Generic[ConnectionT]):
    """Close `connection`: the pool has forgotten it."""

    connection: ConnectionT


@dataclass(frozen=True, slots=True)
class Leak:
    """Report a loan that lasts too long."""

    borrower: Borrower
    held_s: float


Verdict: TypeAlias = Lend[ConnectionT, WaiterT] | Refuse[WaiterT]
Action: TypeAlias = (
    Verdict[ConnectionT, WaiterT]
    | Connect
    | Probe
    | Inspect[ConnectionT]
    | Retire[ConnectionT]
    | Leak
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStats:
    """One consistent look at a pool. Always `size == idle + lent + opening`.

    Attributes:
        min_size: Connections kept open.
        max_size: Connections never exceeded.
        size: Places taken now; above `max_size` only while a shrink waits for loans to return.
        idle: Connections ready to be lent.
        lent: Connections in use, or being checked or cleaned.
        opening: Connections being opened.
        waiting: Callers in the queue.
        is_failing_fast: Whether callers are refused at once, because the server is away.
        window_s: Seconds that the counters below cover.
        requests: Calls for a connection, however they ended.
        queued: Requests that had to wait in the queue.
        refused: Requests that got nothing: timed out, refused or cancelled.
        timeouts: Those of `refused` that ended in `PoolTimeoutError`.
        loans: Loans that ended.
        used_s_total: Seconds on loan of all of them together.
        wait_s_total: Seconds spent in the queue by all requests together.
        connect_attempts: Attempts to open a connection.
        connect_failures: Those that failed.
        opened: Connections opened.
        closed: Connections the pool gave up and closed, for whatever reason.
        lost: Those of `closed` that were broken, or failed their check or their cleaning.
        close_failures: Connections whose close raised.
        leaks: Loans reported as too long.
        wait: Times in the queue, zero for a request served at once.
        use: Times on loan. Below a millisecond one in sixteen is counted, sixteenfold.
        connect: Times that connecting took.
    """

    min_size: int
    max_size: int
    size: int
    idle: int
    lent: int
    opening: int
    waiting: int
    is_failing_fast: bool
    window_s: float
    requests: int
    queued: int
    refused: int
    timeouts: int
    loans: int
    used_s_total: float
    wait_s_total: float
    connect_attempts: int
    connect_failures: int
    opened: int
    closed: int
    lost: int
    close_failures: int
    leaks: int
    wait: Times
    use: Times
    connect: Times

    def since(self, earlier: "PoolStats") -> "PoolStats":
        """The sizes of now with what was counted after `earlier`."""
        names = [field.name for field in fields(self)]
        counters = names[names.index("window_s") : names.index("wait")]
        counted = {name: getattr(self, name) - getattr(earlier, name) for name in counters}
        times = {
            name: getattr(self, name).since(getattr(earlier, name))
            for name in ("wait", "use", "connect")
        }
        return replace(self, **counted, **times)
