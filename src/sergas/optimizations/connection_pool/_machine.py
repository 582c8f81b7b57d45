"""Every decision of the pool, and nothing else: no lock, no thread, no input or output, no clock.

The shell (threads today) holds one lock while it calls a method here, passes the time in, and then
does what the returned actions say: wake a waiter with its verdict, close a connection. Connecting,
checking, cleaning and closing take long and happen outside that lock; what is under way is known
here as a place that is taken.

Three invariants carry the design, and each method keeps them:

1. A place is taken *before* a connection is opened, so `idle + lent + opening` never exceeds
   `max_size` (a shrink lets loans above it run out).
2. Nobody waits while a connection is idle or a place is free. A connection or a place that becomes
   free goes to the longest waiter in the same step, so a newcomer, who only ever finds what no
   waiter wanted, cannot overtake.
3. A connection is in exactly one hand: idle here, lent, or retired once and then forgotten.

Idle connections form a stack: the most recently used is lent first and the rest may grow old.
"""

from collections import OrderedDict, deque
from enum import Enum, auto
from math import inf
from typing import Generic

from sergas.errors import ForeignConnectionError, PoolClosedError, PoolError, PoolQueueFullError
from sergas.optimizations.connection_pool._model import (
    Action,
    ConnectionT,
    Lend,
    Open,
    PoolStats,
    Refuse,
    Retire,
    WaiterT,
)

__all__ = ["Member", "PoolMachine"]


class _Phase(Enum):
    NEW = auto()
    OPEN = auto()
    CLOSED = auto()


class Member(Generic[ConnectionT]):
    """A connection of this pool, the moment its life ends, and whether somebody has it."""

    __slots__ = ("connection", "expires_s", "is_lent")

    def __init__(self, connection: ConnectionT, expires_s: float) -> None:
        self.connection = connection
        self.expires_s = expires_s
        self.is_lent = False


class PoolMachine(Generic[ConnectionT, WaiterT]):
    """The state of one pool; see the module for the rules.

    Args:
        min_size: Connections to keep, 0 <= `min_size` <= `max_size`.
        max_size: Connections never exceeded, >= 1.
        max_waiting: Callers allowed in the queue; 0 sets no limit.
    """

    def __init__(self, *, min_size: int, max_size: int, max_waiting: int = 0) -> None:
        self._min_size = min_size
        self._max_size = max_size
        self._max_waiting = max_waiting
        self._phase = _Phase.NEW
        self._members: dict[int, Member[ConnectionT]] = {}  # by identity: drivers may redefine ==
        self._idle: deque[Member[ConnectionT]] = deque()
        self._queue: OrderedDict[WaiterT, float] = OrderedDict()  # waiter -> when it came
        self._size = 0
        self._opening = 0
        self._next_expiry_s = inf  # no idle connection expires before it
        self._requests = self._queued = self._opened = self._closed = self._lost = 0
        self._connect_failures = 0
        self._wait_s_total = 0.0
        self.timeouts = 0
        self.close_failures = 0

    @property
    def is_open(self) -> bool:
        """Whether the pool lends."""
        return self._phase is _Phase.OPEN

    def start(self) -> None:
        """Begin to lend.

        Raises:
            PoolClosedError: If the pool was closed: it cannot be opened again.
        """
        if self._phase is _Phase.CLOSED:
            raise self.refusal()
        self._phase = _Phase.OPEN

    def refusal(self) -> PoolClosedError:
        """Why a pool that is not open lends nothing."""
        if self._phase is _Phase.NEW:
            return PoolClosedError(
                "connection pool: it is not open yet; call open() or use it in a with statement"
            )
        return PoolClosedError("connection pool: it is closed; make a new ConnectionPool")

    def request(self, waiter: WaiterT, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Ask for a connection; without a verdict for `waiter` among the actions, it is queued."""
        self._requests += 1
        if self._phase is not _Phase.OPEN:
            return [Refuse(waiter, self.refusal())]
        actions = self._retire_expired(now_s)
        if self._idle:
            actions.append(self._lend(self._idle.pop(), waiter))
        elif self._size < self._max_size:
            self._take_place()
            actions.append(Open(waiter))
        elif 0 < self._max_waiting <= len(self._queue):
            actions.append(Refuse(waiter, self._queue_full()))
        else:
            self._queued += 1
            self._queue[waiter] = now_s
        return actions

    def give_up(self, waiter: WaiterT, now_s: float) -> bool:
        """Leave the queue.

        Returns:
            True if `waiter` was still in it; False if a verdict came first, which then stands.
        """
        came_s = self._queue.pop(waiter, None)
        if came_s is None:
            return False
        self._wait_s_total += now_s - came_s
        return True

    def reserve(self) -> bool:
        """Take a place for a connection that is missing to `min_size`; False if none is."""
        if self._phase is not _Phase.OPEN or self._size >= self._min_size:
            return False
        self._take_place()
        return True

    def opened(
        self, waiter: WaiterT | None, connection: ConnectionT, *, now_s: float, expires_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """Fill a reserved place with a new connection, for `waiter` or for whoever is next.

        Raises:
            PoolError: If the pool already holds this very connection; nothing has changed then.
        """
        if id(connection) in self._members:
            raise PoolError(
                "connection pool: connect() returned a connection the pool already holds, but each "
                "call must open another; have it call the driver's connect() every time"
            )
        self._opening -= 1
        self._opened += 1
        member = self._members[id(connection)] = Member(connection, expires_s)
        if self._phase is not _Phase.OPEN:
            refused = [] if waiter is None else [Refuse(waiter, self.refusal())]
            return [*self._retire(member, now_s), *refused]
        if waiter is not None:
            return [self._lend(member, waiter)]
        return (self._retire if self._size > self._max_size else self._offer)(member, now_s)

    def open_failed(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Free a reserved place because connecting raised."""
        self._connect_failures += 1
        return self.vacate(now_s)

    def vacate(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Free a reserved place that nobody will fill; the longest waiter may have it."""
        self._opening -= 1
        self._size -= 1
        return self._grant_places(now_s)

    def claim(self, connection: ConnectionT) -> Member[ConnectionT]:
        """Take a connection back from its borrower; its place stays taken until `settle`.

        Raises:
            ForeignConnectionError: If the pool has not lent it: another's, or returned before.
        """
        member = self._members.get(id(connection))
        if member is None or not member.is_lent:
            raise ForeignConnectionError(
                f"connection pool: got back {connection!r}, which is not on loan from this pool; "
                "return each connection once, to the pool that lent it"
            )
        member.is_lent = False
        return member

    def settle(
        self, member: Member[ConnectionT], now_s: float, *, is_sound: bool
    ) -> list[Action[ConnectionT, WaiterT]]:
        """Put a claimed connection to use again, or let it go if it is broken, old or too many."""
        actions = self._retire_expired(now_s)
        self._lost += not is_sound
        is_kept = (
            is_sound
            and self._phase is _Phase.OPEN
            and self._size <= self._max_size
            and now_s < member.expires_s
        )
        return actions + (self._offer if is_kept else self._retire)(member, now_s)

    def exchange(
        self, waiter: WaiterT, connection: ConnectionT, now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """Retire what was lent to `waiter` and failed its check.

        The waiter keeps the place and opens another in it: it has had its turn in the queue and
        must not stand in it twice.
        """
        member = self.claim(connection)
        self._lost += 1
        if self._phase is not _Phase.OPEN:
            return [*self._retire(member, now_s), Refuse(waiter, self.refusal())]
        self._forget(member)
        self._opening += 1
        return [Retire(connection), Open(waiter)]

    def resize(
        self, min_size: int, max_size: int, now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """Change the limits: waiters get the new places, idle connections above them go.

        Raises:
            PoolClosedError: If the pool is closed.
        """
        if self._phase is _Phase.CLOSED:
            raise self.refusal()
        self._min_size, self._max_size = min_size, max_size
        actions = self._grant_places(now_s)
        while self._idle and self._size > max_size:
            actions += self._retire(self._idle.popleft(), now_s)
        return actions

    def close(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Stop lending: refuse who waits, retire what is idle and, as it comes back, the rest."""
        self._phase = _Phase.CLOSED
        actions: list[Action[ConnectionT, WaiterT]] = []
        while self._queue:
            actions.append(Refuse(self._next_waiter(now_s), self.refusal()))
        while self._idle:
            actions += self._retire(self._idle.pop(), now_s)
        return actions

    def stats(self) -> PoolStats:
        """The counters and sizes now."""
        return PoolStats(
            min_size=self._min_size,
            max_size=self._max_size,
            size=self._size,
            idle=len(self._idle),
            lent=self._size - len(self._idle) - self._opening,
            opening=self._opening,
            waiting=len(self._queue),
            requests=self._requests,
            queued=self._queued,
            wait_s_total=self._wait_s_total,
            timeouts=self.timeouts,
            opened=self._opened,
            closed=self._closed,
            lost=self._lost,
            connect_failures=self._connect_failures,
            close_failures=self.close_failures,
        )

    def _take_place(self) -> None:
        self._size += 1
        self._opening += 1

    def _lend(self, member: Member[ConnectionT], waiter: WaiterT) -> Lend[ConnectionT, WaiterT]:
        member.is_lent = True
        return Lend(waiter, member.connection)

    def _next_waiter(self, now_s: float) -> WaiterT:
        waiter, came_s = self._queue.popitem(last=False)
        self._wait_s_total += now_s - came_s
        return waiter

    def _offer(
        self, member: Member[ConnectionT], now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        if self._queue:
            return [self._lend(member, self._next_waiter(now_s))]
        self._idle.append(member)
        self._next_expiry_s = min(self._next_expiry_s, member.expires_s)
        return []

    def _grant_places(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        actions: list[Action[ConnectionT, WaiterT]] = []
        while self._queue and self._size < self._max_size:
            self._take_place()
            actions.append(Open(self._next_waiter(now_s)))
        return actions

    def _forget(self, member: Member[ConnectionT]) -> None:
        del self._members[id(member.connection)]
        self._closed += 1

    def _retire(
        self, member: Member[ConnectionT], now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        self._forget(member)
        self._size -= 1
        return [Retire(member.connection), *self._grant_places(now_s)]

    def _retire_expired(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        if now_s < self._next_expiry_s:
            return []
        expired = [member for member in self._idle if member.expires_s <= now_s]
        self._idle = deque(member for member in self._idle if member.expires_s > now_s)
        self._next_expiry_s = min((member.expires_s for member in self._idle), default=inf)
        return [action for member in expired for action in self._retire(member, now_s)]

    def _queue_full(self) -> PoolQueueFullError:
        return PoolQueueFullError(
            f"connection pool: {len(self._queue)} callers wait already and max_waiting is "
            f"{self._max_waiting}; come back later, or raise max_size ({self._max_size})"
        )
