"""Every decision of the pool, and nothing else: no lock, no thread, no input or output, no clock.

A shell (threads or asyncio) calls one method at a time, under its lock if it has one, passes the
time in, and does what the returned actions say: wake a waiter with its verdict, open, check or
close a connection. What takes long happens outside the lock and is reported back.

The invariants, which `_react` restores at the end of every method:

1. `idle + lent + opening` never exceeds `max_size`: an attempt to connect counts from its start (a
   shrink lets loans above the limit run out).
2. Nobody waits while a connection is idle, and whoever waits longest is served first.
3. A connection is in exactly one hand: `owner` says whose, and None means idle.

**The fast lane.** `borrow` and `give_back` are the only methods that are called without the lock,
by any number of threads. They take from and add to `idle`, a deque, whose operations are atomic,
and they are used only while `is_clear`: no waiter, nothing to trim. They equal `request` and
`rebalance` under the lock:

- `borrow` reads `is_clear` first: that is the moment at which the caller arrives. Whoever is in the
  queue by then sends it there too. A waiter that queues up later came later, and may be overtaken.
- `give_back` adds the connection first and reads `is_clear` afterwards; a waiter first clears
  `is_clear` and then looks at `idle`. Whichever order these four steps take, one sees the other,
  so no connection stays idle beside a waiter.
- A connection that needs more than a glance at the clock goes back to `idle` and its caller to
  `request`.

Without the interpreter's lock, which makes each attribute's write visible at once, the fast lane
stays shut. A signal handler that raises between the two halves of `borrow` leaves a connection that
is nobody's; the shell notes the interrupt, and half a minute later `tick` returns it.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum, auto
from math import inf
from typing import Generic

from sergas.errors import PoolClosedError, PoolError, PoolQueueFullError, PoolUnavailableError
from sergas.optimizations.connection_pool._histogram import LogHistogram
from sergas.optimizations.connection_pool._limits import Limits
from sergas.optimizations.connection_pool._model import (
    Action,
    Connect,
    ConnectionT,
    Lend,
    Member,
    PoolStats,
    Probe,
    Refuse,
    Retire,
    WaiterT,
)
from sergas.optimizations.connection_pool._outage import Outage

__all__ = ["Hand", "Phase", "PoolState"]

# A loan this long is recorded by itself; of shorter ones, one in sixteen for all sixteen.
_EXACT_FROM_S = 0.001
_SAMPLED = 16


class Phase(Enum):
    """The life of a pool."""

    NEW = auto()
    OPEN = auto()
    CLOSED = auto()


class Hand(Enum):
    """Owners that are no borrower."""

    RETURNING = auto()  # being cleaned by its borrower
    INSPECTED = auto()  # being checked by the pool
    PARENT = auto()  # left behind in the parent by a fork


class PoolState(Generic[ConnectionT, WaiterT]):
    """What is where in one pool, and the rules that hold after each event.

    Args:
        min_size: Connections to keep, 0 <= `min_size` <= `max_size`.
        max_size: Connections never exceeded, >= 1.
        limits: The other numbers.
        random: Draws from [0, 1) for lifetimes and delays.
        has_check: Whether a suspect connection can be checked; without, it is dropped.
        has_probe: Whether the server can be probed.
        is_pooling: False closes what comes back instead of keeping it.
        has_fast_lane: Whether `borrow` may ever lend.
    """

    def __init__(  # noqa: PLR0913 - keyword-only, and each is a fact about the pool
        self,
        *,
        min_size: int,
        max_size: int,
        limits: Limits,
        random: Callable[[], float],
        has_check: bool = False,
        has_probe: bool = False,
        is_pooling: bool = True,
        has_fast_lane: bool = True,
    ) -> None:
        self.min_size = min_size
        self.max_size = max_size
        self.limits = limits
        self._random = random
        self.has_check = has_check
        self._has_probe = has_probe
        self._is_pooling = is_pooling
        self._has_fast_lane = has_fast_lane and is_pooling
        # A connection that rested longer than this needs its check first.
        self.trust_s = (limits.check_after_s or 0.0) if has_check else inf
        self.phase = Phase.NEW
        self.outage = Outage(limits)
        self.wait, self.use, self.connect = LogHistogram(), LogHistogram(), LogHistogram()
        self.opened_s = 0.0
        self._queued = self._unserved = self._attempts_made = self._connect_failures = 0
        self._opened = self._closed = self._lost = self._leaks = 0
        self._wait_s_total = self._used_s_past = 0.0
        self._loans_past = 0
        self.timeouts = self.close_failures = 0
        self._empty()

    def _empty(self) -> None:
        self.is_clear = False
        self.members: dict[int, Member[ConnectionT]] = {}  # by identity: drivers may redefine ==
        self.idle: deque[Member[ConnectionT]] = deque()
        self._take = self.idle.pop if self.limits.lifo else self.idle.popleft
        self.queue: OrderedDict[WaiterT, float] = OrderedDict()  # waiter -> when it came
        self.attempts: dict[int, float] = {}  # attempt -> when it began
        self._is_probing = False
        self._is_wary = False  # a connection was found dead: the next attempt goes alone
        self._is_leaving = False  # a loan that must not come back is out
        self.was_interrupted = False  # a borrower was, perhaps half-way through `borrow`
        self._strays: dict[Member[ConnectionT], float] = {}  # suspected to be nobody's, since when

    # -- the fast lane: the only methods called without the shell's lock

    def borrow(self, owner: object, now_s: float) -> Member[ConnectionT] | None:
        """An idle connection that needs no check for `owner`, or None: then `request` one."""
        if not self.is_clear:
            return None
        try:
            member = self._take()
        except IndexError:
            return None
        member.owner = owner
        if now_s < member.fresh_until_s and now_s - member.rested_s <= self.trust_s:
            member.lent_s = now_s
            return member
        member.owner = None
        self.idle.append(member)
        return None

    def give_back(self, member: Member[ConnectionT], now_s: float) -> bool:
        """Put a sound and clean connection to rest; if False, `rebalance` is due."""
        used_s = now_s - member.lent_s
        member.used_s += used_s
        member.loans = loans = member.loans + 1
        if used_s >= _EXACT_FROM_S:
            self.use.add(used_s)
        elif not loans % _SAMPLED:
            self.use.add(used_s, _SAMPLED)
        member.rested_s = now_s
        member.owner = None
        self.idle.append(member)
        return self.is_clear

    # -- a look from outside

    @property
    def size(self) -> int:
        """Places taken."""
        return len(self.members) + len(self.attempts)

    def refusal(self) -> PoolClosedError:
        """Why a pool that is not open lends nothing."""
        if self.phase is Phase.NEW:
            return PoolClosedError(
                "connection pool: it is not open yet; call open() or use it in a with statement"
            )
        return PoolClosedError("connection pool: it is closed; make a new pool")

    def stats(self, now_s: float) -> PoolStats:
        """The counters and sizes now."""
        members = list(self.members.values())
        idle = len(self.idle)
        loans = self._loans_past + sum(member.loans for member in members)
        lent = len(members) - idle
        requests = loans + self._unserved + len(self.queue)
        requests += sum(member.owner not in (None, Hand.INSPECTED) for member in members)
        return PoolStats(
            min_size=self.min_size,
            max_size=self.max_size,
            size=self.size,
            idle=idle,
            lent=lent,
            opening=len(self.attempts),
            waiting=len(self.queue),
            is_failing_fast=self.is_failing_fast(now_s),
            window_s=0.0 if self.phase is Phase.NEW else now_s - self.opened_s,
            requests=requests,
            queued=self._queued,
            refused=self._unserved,
            timeouts=self.timeouts,
            loans=loans,
            used_s_total=self._used_s_past + sum(member.used_s for member in members),
            wait_s_total=self._wait_s_total,
            connect_attempts=self._attempts_made,
            connect_failures=self._connect_failures,
            opened=self._opened,
            closed=self._closed,
            lost=self._lost,
            close_failures=self.close_failures,
            leaks=self._leaks,
            # What the fast lane served has not been noted, because it did not wait.
            wait=self.wait.look(zeros=max(0, requests - len(self.queue) - self.wait.look().count)),
            use=self.use.look(),
            connect=self.connect.look(),
        )

    def is_failing_fast(self, now_s: float) -> bool:
        """Whether callers are refused at once."""
        return now_s >= self.outage.fails_fast_at_s()

    # -- the rules, restored after each event

    def _react(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        self._signal()  # before `idle` is looked at: what comes back afterwards calls `rebalance`
        actions: list[Action[ConnectionT, WaiterT]] = []
        if self.phase is Phase.CLOSED:
            while self.queue:
                actions.append(self._refuse_next(self.refusal(), now_s))
            self._retire_idle(actions)
        else:
            self._let_leave(actions)
            while self.size > self.max_size and (member := self._pop_coldest()) is not None:
                actions.append(self._retire(member))
            self._serve(now_s, actions)
            if not self._is_pooling:
                self._retire_idle(actions)
            if self.outage.since_s is not None:
                self._weather(now_s, actions)
            self._stock(now_s, actions)
        self._signal()
        return actions

    def _signal(self) -> None:
        """Open or shut the fast lane; connections that come back are looked at while it is shut."""
        self.is_clear = (
            self._has_fast_lane
            and self.phase is Phase.OPEN
            and not self.queue
            and not self._is_leaving
            and self.size <= self.max_size
        )

    def _pop_coldest(self) -> Member[ConnectionT] | None:
        try:  # others take without the lock, so asking first whether it is empty is no use
            member = self.idle.popleft()
        except IndexError:
            return None
        member.owner = Hand.INSPECTED
        return member

    def _retire_idle(self, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        while (member := self._pop_coldest()) is not None:
            actions.append(self._retire(member))

    def _let_leave(self, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        """Retire what must go and has come back."""
        if not self._is_leaving:
            return
        for _ in range(len(self.idle)):
            member = self._pop_coldest()
            if member is None:
                break
            if member.expires_s == -inf:
                actions.append(self._retire(member))
            else:
                self._to_rest(member)
        self._is_leaving = any(member.expires_s == -inf for member in self.members.values())

    def _serve(self, now_s: float, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        """Lend what is idle to whoever waits, longest first."""
        while self.queue:
            try:
                member = self._take()
            except IndexError:
                return
            is_suspect = now_s >= member.fresh_until_s and not self.has_check
            is_used = bool(member.loans) and not self._is_pooling
            if now_s >= member.expires_s or is_suspect or is_used:
                actions.append(self._retire(member))
            else:
                waiter, came_s = self.queue.popitem(last=False)
                self._note_wait(now_s - came_s)
                member.owner = waiter
                member.lent_s = now_s
                actions.append(Lend(waiter, member))

    def _weather(self, now_s: float, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        """Get through an outage: let nobody wait for what cannot come."""
        if len(self.members) >= self.max_size:
            self.outage.end()  # all are open: none needs to be connected
        while self.queue and self.is_failing_fast(now_s):
            actions.append(self._refuse_next(self.unavailable(now_s), now_s))

    def _stock(self, now_s: float, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        """Open what is missing: to `min_size`, and one for each waiter."""
        is_out = self.outage.since_s is not None
        together = 1 if is_out or self._is_wary else self.limits.num_workers
        while self.size < self.max_size and len(self.attempts) < together:
            is_missing = self.size < self.min_size or len(self.attempts) < len(self.queue)
            # During an outage nobody waits, and yet somebody must find out when it is over.
            if not is_missing and not (is_out and not self.attempts):
                return
            if is_out and not self._may_try_again(now_s, actions):
                return
            self._attempts_made += 1
            self.attempts[self._attempts_made] = now_s
            actions.append(Connect(self._attempts_made))

    def _may_try_again(self, now_s: float, actions: list[Action[ConnectionT, WaiterT]]) -> bool:
        if self._is_probing or now_s < self.outage.attempt_at_s:
            return False
        if self._has_probe and self.outage.needs_probe:
            self._is_probing = True
            actions.append(Probe())
            return False
        return True

    # -- small steps

    def _to_rest(self, member: Member[ConnectionT]) -> None:
        member.owner = None
        self.idle.append(member)

    def _refuse_next(self, error: PoolError, now_s: float) -> Refuse[WaiterT]:
        waiter, came_s = self.queue.popitem(last=False)
        self._note_wait(now_s - came_s)
        self._unserved += 1
        return Refuse(waiter, error)

    def _retire(self, member: Member[ConnectionT]) -> Retire[ConnectionT]:
        del self.members[id(member.connection)]
        member.owner = None
        self._closed += 1
        self._loans_past += member.loans
        self._used_s_past += member.used_s
        return Retire(member.connection)

    def _lose(self, member: Member[ConnectionT]) -> Retire[ConnectionT]:
        """Let a dead connection go, and trust none of the others: they had the same server."""
        self._lost += 1
        self._is_wary = True
        retired = self._retire(member)
        self.suspect_all()
        return retired

    def _note_wait(self, wait_s: float) -> None:
        self._wait_s_total += wait_s
        self.wait.add(wait_s)

    def suspect_all(self) -> None:
        """Lend no connection before it has been checked, or dropped where there is no check."""
        for member in list(self.members.values()):
            member.fresh_until_s = -inf

    def _queue_full(self) -> PoolQueueFullError:
        return PoolQueueFullError(
            f"connection pool: {len(self.queue)} callers wait already and max_waiting is "
            f"{self.limits.max_waiting}; come back later, or raise max_size ({self.max_size})"
        )

    def unavailable(self, now_s: float) -> PoolUnavailableError:
        since_s = self.outage.since_s
        lasts_s = 0.0 if since_s is None else now_s - since_s
        error = PoolUnavailableError(
            f"connection pool: connecting has failed for {lasts_s:.1f} s ({self.outage.error!r}) "
            "and no connection is usable; the pool keeps trying, callers may come back later"
        )
        error.__cause__ = self.outage.error
        return error
