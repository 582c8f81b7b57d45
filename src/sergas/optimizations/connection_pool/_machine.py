"""What can happen to a pool, event by event; the rules behind are in `_state`."""

from math import inf

from sergas.errors import ForeignConnectionError, PoolError
from sergas.optimizations.connection_pool._limits import lifetime_s
from sergas.optimizations.connection_pool._model import (
    Action,
    ConnectionT,
    Inspect,
    Leak,
    Member,
    Refuse,
    WaiterT,
)
from sergas.optimizations.connection_pool._state import Hand, Phase, PoolState

__all__ = ["Hand", "Phase", "PoolMachine"]

_SWEEP_S = 1.0  # when to look again after a connection that should go and is on loan
_STRAY_S = 30.0  # how long a connection must have been nobody's, after an interrupt


class PoolMachine(PoolState[ConnectionT, WaiterT]):
    """The events of one pool. Each returns what its shell has to do."""

    # -- the life of the pool

    def start(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Begin to lend.

        Raises:
            PoolClosedError: If the pool was closed: it cannot be opened again.
        """
        if self.phase is Phase.CLOSED:
            raise self.refusal()
        if self.phase is Phase.NEW:
            self.phase = Phase.OPEN
            self.opened_s = now_s
        return self._react(now_s)

    def close(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Stop lending: refuse who waits, retire what is idle and, as it comes back, the rest."""
        self.phase = Phase.CLOSED
        return self._react(now_s)

    def orphan(self) -> list[Member[ConnectionT]]:
        """Forget all connections in a forked child; they are the parent's and must live on."""
        parents = list(self.members.values())
        for member in parents:
            member.owner = Hand.PARENT
        self._empty()
        self.outage.end()
        return parents

    # -- borrowers

    def request(self, waiter: WaiterT, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Ask for a connection; without a verdict for `waiter` among the actions, it is queued."""
        if self.phase is not Phase.OPEN:
            self._unserved += 1
            return [Refuse(waiter, self.refusal())]
        self.queue[waiter] = now_s
        actions = self._react(now_s)
        if waiter not in self.queue:
            return actions
        if 0 < self.limits.max_waiting < len(self.queue):
            self.queue.popitem()
            self._unserved += 1
            actions.append(Refuse(waiter, self._queue_full()))
        else:
            self._queued += 1
        return actions

    def give_up(self, waiter: WaiterT, now_s: float) -> bool:
        """Leave the queue.

        Returns:
            True if `waiter` was still in it; False if a verdict came first, which then stands.
        """
        came_s = self.queue.pop(waiter, None)
        if came_s is None:
            return False
        self._note_wait(now_s - came_s)
        self._unserved += 1
        self._signal()
        return True

    def is_due_for_check(self, member: Member[ConnectionT], now_s: float) -> bool:
        """Whether a connection just lent should be asked first."""
        if not self.has_check:
            return False
        proved_s = max(member.rested_s, member.proved_s)
        return now_s >= member.fresh_until_s or now_s - proved_s > self.trust_s

    def vouch(self, member: Member[ConnectionT], now_s: float) -> None:
        """A connection answered its check."""
        member.fresh_until_s = member.expires_s
        member.proved_s = now_s
        self._is_wary = False
        self.outage.proved(now_s)

    def exchange(
        self, waiter: WaiterT, member: Member[ConnectionT], now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """Retire what was lent to `waiter` and proved dead; it waits on, ahead of everybody."""
        retired = self._lose(member)
        self.queue[waiter] = now_s
        self.queue.move_to_end(waiter, last=False)
        return [retired, *self._react(now_s)]

    def claim(self, connection: ConnectionT) -> Member[ConnectionT]:
        """Take a connection back from its borrower, to be cleaned.

        Raises:
            ForeignConnectionError: If the pool has not lent it: another's, or returned before.
        """
        member = self.members.get(id(connection))
        if member is None or member.owner is None or isinstance(member.owner, Hand):
            raise self.foreign(connection)
        member.owner = Hand.RETURNING
        return member

    def foreign(self, connection: ConnectionT) -> ForeignConnectionError:
        """Why a connection is not taken back."""
        return ForeignConnectionError(
            f"connection pool: got back {connection!r}, which is not on loan from this pool; "
            "return each connection once, to the pool that lent it"
        )

    def rebalance(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """See to what `give_back` could not."""
        if self.queue:
            self.outage.proved(now_s)
        return self._react(now_s)

    def lose(self, member: Member[ConnectionT], now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Let a broken connection go; from now on, none is lent before it has been checked."""
        if member.owner is not Hand.INSPECTED:
            member.loans += 1
        return [self._lose(member), *self._react(now_s)]

    # -- connecting

    def opened(
        self, attempt: int, connection: ConnectionT, now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """An attempt brought a connection, for whoever is next.

        Raises:
            PoolError: If the pool already holds this very connection; the attempt goes on.
        """
        if id(connection) in self.members:
            raise PoolError(
                "connection pool: connect() returned a connection the pool already holds, but each "
                "call must open another; have it call the driver's connect() every time"
            )
        self.connect.add(now_s - self.attempts.pop(attempt))
        self._opened += 1
        self.outage.end()
        self._is_wary = False
        life_s = lifetime_s(self.limits.max_lifetime_s, self.limits.lifetime_jitter, self._random())
        member = Member(connection, now_s=now_s, expires_s=now_s + life_s)
        self.members[id(connection)] = member
        self.idle.append(member)
        return self._react(now_s)

    def connect_failed(
        self, attempt: int, error: BaseException, now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """An attempt brought nothing."""
        self.connect.add(now_s - self.attempts.pop(attempt))
        self._connect_failures += 1
        if self.phase is Phase.OPEN:
            self.outage.failed(error, now_s, self._random())
        return self._react(now_s)

    def probed(self, now_s: float, *, is_reachable: bool) -> list[Action[ConnectionT, WaiterT]]:
        """A probe came back."""
        self._is_probing = False
        self.outage.probed(now_s, is_reachable=is_reachable)
        return self._react(now_s)

    # -- upkeep

    def resize(
        self, min_size: int, max_size: int, now_s: float
    ) -> list[Action[ConnectionT, WaiterT]]:
        """Change the limits: waiters get the new places, idle connections above them go.

        Raises:
            PoolClosedError: If the pool is closed.
        """
        if self.phase is Phase.CLOSED:
            raise self.refusal()
        self.min_size, self.max_size = min_size, max_size
        return self._react(now_s) if self.phase is Phase.OPEN else []

    def drain(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Replace every connection there is: idle ones now, loans when they come back."""
        for member in self.members.values():
            member.expires_s = member.fresh_until_s = -inf
        self._is_leaving = True
        return self._react(now_s)

    def invalidate(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Trust none of the connections there are."""
        self.suspect_all()
        return self._react(now_s)

    def is_full(self) -> bool:
        """Whether `min_size` connections are open."""
        return len(self.members) >= self.min_size

    def tick(self, now_s: float) -> list[Action[ConnectionT, WaiterT]]:
        """Look after everything that is due."""
        if self.phase is not Phase.OPEN:
            return []
        actions: list[Action[ConnectionT, WaiterT]] = []
        self._overdue_attempts(now_s)
        self._return_strays(now_s)
        self._tend_idle(now_s, actions)
        self._report_leaks(now_s, actions)
        return [*actions, *self._react(now_s)]

    def due_s(self, now_s: float) -> float:
        """When `tick` should be called next, if nothing else happens."""
        if self.phase is not Phase.OPEN:
            return inf
        due_s = now_s + _STRAY_S if self.was_interrupted else inf
        for member in self.members.values():
            due_s = min(due_s, self._member_due_s(member, now_s))
        for started_s in self.attempts.values():
            overdue_s = started_s + self.limits.connect_timeout_s
            if overdue_s > now_s:
                due_s = min(due_s, overdue_s)
        if self.outage.since_s is not None:
            if not self.attempts and not self._is_probing:
                due_s = min(due_s, self.outage.attempt_at_s)
            if self.queue:
                due_s = min(due_s, self.outage.fails_fast_at_s())
        if self.limits.leak_after_s is not None and self.members:
            due_s = min(due_s, now_s + self.limits.leak_after_s / 2)
        return due_s

    def _member_due_s(self, member: Member[ConnectionT], now_s: float) -> float:
        dues_s = [member.expires_s]
        if member.owner is None:
            if self.size > self.min_size:
                dues_s.append(member.rested_s + self.limits.max_idle_s)
            if self.has_check and self.limits.keepalive_s is not None:
                dues_s.append(max(member.rested_s, member.proved_s) + self.limits.keepalive_s)
        # What should have happened waits for a connection to come back: look again soon.
        return min(due_s if due_s > now_s else now_s + _SWEEP_S for due_s in dues_s)

    def _overdue_attempts(self, now_s: float) -> None:
        for started_s in self.attempts.values():
            if now_s - started_s >= self.limits.connect_timeout_s:
                self.outage.overdue(started_s)

    def _return_strays(self, now_s: float) -> None:
        """Return what an interrupt took out of `idle` and left; see the module `_state`.

        Another thread may be in the middle of `borrow` at this very moment, so a stray must have
        been one for half a minute.
        """
        if not self.was_interrupted:
            return
        resting = set(self.idle.copy())
        strays = {
            member: self._strays.get(member, now_s)
            for member in self.members.values()
            if member.owner is None and member not in resting
        }
        for member in [m for m, since_s in strays.items() if now_s - since_s >= _STRAY_S]:
            del strays[member]
            self.idle.append(member)
        self._strays = strays
        self.was_interrupted = bool(strays)

    def _tend_idle(self, now_s: float, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        """Retire what is too old or idle for too long, and check what has been idle for a while."""
        keepalive_s = self.limits.keepalive_s
        for _ in range(len(self.idle)):
            member = self._pop_coldest()
            if member is None:
                return
            rest_s = now_s - member.rested_s
            is_idle = rest_s >= self.limits.max_idle_s and self.size > self.min_size
            if is_idle or now_s >= member.expires_s:
                actions.append(self._retire(member))
            elif (
                keepalive_s is not None
                and self.has_check
                and min(rest_s, now_s - member.proved_s) >= keepalive_s
            ):
                actions.append(Inspect(member))
            else:
                self._to_rest(member)

    def _report_leaks(self, now_s: float, actions: list[Action[ConnectionT, WaiterT]]) -> None:
        leak_after_s = self.limits.leak_after_s
        if leak_after_s is None:
            return
        for member in self.members.values():
            borrower, held_s = member.borrower, now_s - member.lent_s
            if (
                borrower is not None
                and borrower is not member.reported
                and held_s >= leak_after_s
                and member.owner not in (None, Hand.INSPECTED)
            ):
                member.reported = borrower
                self._leaks += 1
                actions.append(Leak(borrower, held_s))

    def inspect_idle(self) -> list[Inspect[ConnectionT]]:
        """Take out every idle connection for a check."""
        inspections: list[Inspect[ConnectionT]] = []
        while (member := self._pop_coldest()) is not None:
            inspections.append(Inspect(member))
        return inspections

    def inspected(
        self, member: Member[ConnectionT], now_s: float, *, is_sound: bool
    ) -> list[Action[ConnectionT, WaiterT]]:
        """A connection that was taken out for a check comes back, or not."""
        if not is_sound:
            return self.lose(member, now_s)
        if self.has_check:
            self.vouch(member, now_s)
        self._to_rest(member)
        return self._react(now_s)
