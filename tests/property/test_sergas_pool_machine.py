"""The pool's decisions in any order of events, against a model of what happened.

Borrowers take the fast lane in its single steps, with anything else happening in between: that is
what threads do to each other.
"""

from collections import deque
from math import inf

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sergas.errors import (
    ForeignConnectionError,
    PoolClosedError,
    PoolQueueFullError,
    PoolUnavailableError,
)
from sergas.optimizations.connection_pool._limits import Limits
from sergas.optimizations.connection_pool._machine import Hand, Phase, PoolMachine
from sergas.optimizations.connection_pool._model import (
    Action,
    Connect,
    Inspect,
    Leak,
    Lend,
    Member,
    Probe,
    Refuse,
    Retire,
)

SIZES = st.tuples(st.integers(0, 3), st.integers(1, 4)).map(lambda s: (min(s), max(1, *s)))


class Connection:
    """A connection with nothing behind it."""


class PoolLife(RuleBasedStateMachine):
    """One pool, its waiters, loans and half-done steps."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.callers = 0
        self.is_closed = False
        self.queue: deque[int] = deque()  # the model of who waits
        self.loans: list[Member[Connection]] = []
        self.cleaning: list[Member[Connection]] = []
        self.inspecting: list[Member[Connection]] = []
        self.attempts: list[int] = []
        self.probes = 0
        self.taken: list[Member[Connection]] = []  # popped, and not yet its borrower's
        self.returned = 0  # callers that put a connection to rest and have not looked up yet
        self.opened: list[Connection] = []
        self.retired: list[Connection] = []
        self.connects_this_outage = 0

    @initialize(
        sizes=SIZES,
        max_waiting=st.integers(0, 3),
        has_check=st.booleans(),
        has_probe=st.booleans(),
        lifo=st.booleans(),
        is_pooling=st.booleans(),
        keepalive_s=st.sampled_from([None, 2.0]),
    )
    def make(  # noqa: D102, PLR0917 - named by its decorator, which calls it by keywords
        self,
        sizes: tuple[int, int],
        max_waiting: int,
        has_check: bool,
        has_probe: bool,
        lifo: bool,
        is_pooling: bool,
        keepalive_s: float | None,
    ) -> None:
        min_size, self.max_size = sizes if is_pooling else (0, sizes[1])
        self.has_check, self.is_pooling = has_check, is_pooling
        self.limits = Limits(
            max_waiting=max_waiting,
            max_lifetime_s=6.0,
            max_idle_s=5.0,
            keepalive_s=keepalive_s,
            check_after_s=1.0,
            num_workers=2,
            connect_timeout_s=4.0,
            reconnect_delay_max_s=2.0,
            reconnect_delay_s=0.5,
            leak_after_s=3.0,
            lifo=lifo,
        )
        self.machine: PoolMachine[Connection, int] = PoolMachine(
            min_size=min_size,
            max_size=self.max_size,
            limits=self.limits,
            random=lambda: 0.0,
            has_check=has_check,
            has_probe=has_probe,
            is_pooling=is_pooling,
        )
        self.overhang = 0
        self.observe(self.machine.start(0.0))

    def observe(self, actions: list[Action[Connection, int]], newcomer: int | None = None) -> None:
        """Do what the pool asks, and hold it to the order of the queue."""
        if newcomer is not None:
            self.queue.append(newcomer)
        for action in actions:
            match action:
                case Lend(waiter, member):
                    assert waiter == self.queue.popleft()
                    assert member.owner is waiter or member.owner == waiter
                    assert self.now_s < member.expires_s
                    assert self.has_check or self.now_s < member.fresh_until_s
                    assert member.connection not in self.retired
                    self.loans.append(member)
                case Refuse(waiter, error):
                    self.refused(waiter, error)
                case Connect(attempt):
                    self.attempts.append(attempt)
                case Probe():
                    self.probes += 1
                case Inspect(member):
                    assert member.owner is Hand.INSPECTED
                    self.inspecting.append(member)
                case Retire(connection):
                    assert connection not in self.retired
                    self.retired.append(connection)
                case Leak(borrower, held_s):
                    assert borrower[0] == "here.py"
                    assert held_s >= 3.0

    def refused(self, waiter: int, error: Exception) -> None:
        """A refusal has its reason."""
        self.queue.remove(waiter)
        if isinstance(error, PoolQueueFullError):
            assert len(self.queue) >= self.limits.max_waiting > 0
        elif isinstance(error, PoolUnavailableError):
            assert self.machine.outage.since_s is not None
        else:
            assert isinstance(error, PoolClosedError)
            assert self.is_closed

    # Borrowing and returning, the fast lane in its steps.

    @rule()
    def request(self) -> None:
        """A caller asks under the lock."""
        self.callers += 1
        self.observe(self.machine.request(self.callers, self.now_s), newcomer=self.callers)

    @rule()
    def begin_to_borrow(self) -> None:
        """A caller in the fast lane finds it clear, and takes what is on top: one atomic step."""
        if self.machine.is_clear and self.machine.idle:
            assert not self.queue
            self.taken.append(self.machine._take())

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def go_on_borrowing(self, data: st.DataObject) -> None:
        """It keeps what is fresh, or puts it back and asks under the lock."""
        member = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        machine, now_s = self.machine, self.now_s
        self.callers += 1
        if now_s < member.fresh_until_s and now_s - member.rested_s <= machine.trust_s:
            member.owner, member.lent_s = self.callers, now_s
            member.borrower = ("here.py", self.callers)
            self.loans.append(member)
        else:
            machine.idle.append(member)
            self.observe(machine.request(self.callers, now_s), newcomer=self.callers)

    @rule()
    def borrow(self) -> None:
        """The steps at once are `borrow`."""
        self.callers += 1
        member = self.machine.borrow(self.callers, self.now_s)
        if member is not None:
            assert not self.queue
            assert self.now_s < member.fresh_until_s <= member.expires_s
            assert member.owner == self.callers
            self.loans.append(member)

    @precondition(lambda self: self.loans)
    @rule(data=st.data(), is_claimed=st.booleans())
    def hand_in(self, data: st.DataObject, is_claimed: bool) -> None:
        """A loan ends, for cleaning or straight to rest; it cannot end twice."""
        member = self.loans.pop(data.draw(st.integers(0, len(self.loans) - 1)))
        assert self.machine.claim(member.connection) is member
        self.assert_foreign(member.connection)
        if is_claimed:
            self.cleaning.append(member)
        else:
            self.returned += not self.machine.give_back(member, self.now_s)

    @precondition(lambda self: self.cleaning)
    @rule(data=st.data(), is_sound=st.booleans())
    def finish_cleaning(self, data: st.DataObject, is_sound: bool) -> None:
        """Cleaning ends; what it found broken is retired."""
        member = self.cleaning.pop(data.draw(st.integers(0, len(self.cleaning) - 1)))
        if is_sound:
            self.returned += not self.machine.give_back(member, self.now_s)
        else:
            self.observe(self.machine.lose(member, self.now_s))
            assert member.connection in self.retired

    @precondition(lambda self: self.returned)
    @rule()
    def look_up(self) -> None:
        """A caller that was told to, rebalances."""
        self.returned -= 1
        self.observe(self.machine.rebalance(self.now_s))

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A waiter leaves from anywhere in the queue, once."""
        caller = data.draw(st.sampled_from(self.queue))
        self.queue.remove(caller)
        assert self.machine.give_up(caller, self.now_s)
        assert not self.machine.give_up(caller, self.now_s)

    @precondition(lambda self: self.loans and not self.is_closed)
    @rule(data=st.data(), is_sound=st.booleans())
    def check_loan(self, data: st.DataObject, is_sound: bool) -> None:
        """A caller checks what it got; if that is dead, it is the first to be served again."""
        member = self.loans.pop(data.draw(st.integers(0, len(self.loans) - 1)))
        if is_sound:
            self.machine.vouch(member, self.now_s)
            self.loans.append(member)
            return
        self.callers += 1
        self.queue.appendleft(self.callers)
        self.observe(self.machine.exchange(self.callers, member, self.now_s))
        assert member.connection in self.retired

    # Connecting.

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), is_success=st.booleans())
    def finish_connecting(self, data: st.DataObject, is_success: bool) -> None:
        """An attempt ends one way or the other."""
        attempt = self.attempts.pop(data.draw(st.integers(0, len(self.attempts) - 1)))
        if not is_success:
            self.observe(self.machine.connect_failed(attempt, OSError("no"), self.now_s))
            return
        self.opened.append(Connection())
        self.observe(self.machine.opened(attempt, self.opened[-1], self.now_s))

    @precondition(lambda self: self.probes)
    @rule(is_reachable=st.booleans())
    def finish_probing(self, is_reachable: bool) -> None:
        """A probe comes back."""
        self.probes -= 1
        self.observe(self.machine.probed(self.now_s, is_reachable=is_reachable))

    # Upkeep.

    @precondition(lambda self: self.inspecting)
    @rule(data=st.data(), is_sound=st.booleans())
    def finish_inspecting(self, data: st.DataObject, is_sound: bool) -> None:
        """A check of an idle connection ends."""
        member = self.inspecting.pop(data.draw(st.integers(0, len(self.inspecting) - 1)))
        self.observe(self.machine.inspected(member, self.now_s, is_sound=is_sound))

    @rule()
    def inspect_idle(self) -> None:
        """Somebody asks for a check of all that is idle."""
        self.observe(list(self.machine.inspect_idle()))

    @rule(seconds=st.sampled_from([0.1, 0.6, 2.0, 4.0]))
    def pass_time(self, seconds: float) -> None:
        """Connections grow old, and the keeper looks after them whenever it should."""
        self.now_s += seconds
        if self.machine.due_s(self.now_s - seconds) <= self.now_s:
            self.observe(self.machine.tick(self.now_s))
        assert self.machine.due_s(self.now_s) > self.now_s or self.machine.outage.since_s

    @rule()
    def tick(self) -> None:
        """Looking after things is allowed at any time."""
        self.observe(self.machine.tick(self.now_s))

    @precondition(lambda self: not self.is_closed)
    @rule(sizes=SIZES)
    def resize(self, sizes: tuple[int, int]) -> None:
        """The limits change; loans above them run out."""
        self.max_size = sizes[1]
        min_size = sizes[0] if self.is_pooling else 0
        self.observe(self.machine.resize(min_size, sizes[1], self.now_s))
        self.overhang = max(0, self.machine.size - self.max_size)

    @rule(is_drain=st.booleans())
    def doubt(self, is_drain: bool) -> None:
        """Everything is replaced, or trusted no more."""
        machine = self.machine
        self.observe((machine.drain if is_drain else machine.invalidate)(self.now_s))

    @precondition(lambda self: self.callers > 20)
    @rule()
    def close(self) -> None:
        """Nobody waits for a closed pool."""
        self.is_closed = True
        self.observe(self.machine.close(self.now_s))
        assert not self.queue

    def assert_foreign(self, connection: Connection) -> None:
        """The connection is refused."""
        try:
            self.machine.claim(connection)
        except ForeignConnectionError:
            return
        raise AssertionError("a connection that was not on loan was taken back")

    @invariant()
    def size_is_bounded(self) -> None:
        """Places are never more than allowed, and each is accounted for."""
        if not hasattr(self, "machine"):
            return
        stats = self.machine.stats(self.now_s)
        away = [*self.loans, *self.cleaning, *self.inspecting, *self.taken]
        assert stats.lent == len(away)
        assert len(set(map(id, [*away, *self.machine.idle]))) == len(away) + stats.idle
        assert stats.size == stats.idle + stats.lent + stats.opening
        assert stats.opening == len(self.attempts)
        excess = max(0, stats.size - self.max_size)
        assert excess <= self.overhang
        self.overhang = excess

    @invariant()
    def nobody_waits_needlessly(self) -> None:
        """Once every return is through, no caller waits beside an idle connection."""
        if not hasattr(self, "machine"):
            return
        machine = self.machine
        assert list(machine.queue) == list(self.queue)
        if self.queue:
            assert not machine.is_clear
            assert not machine.idle or self.returned
            wanted = machine.size < machine.max_size and machine.outage.since_s is None
            assert not wanted or self.attempts or self.returned

    @invariant()
    def attempts_are_few(self) -> None:
        """Two at a time, and only one more while connecting fails."""
        if hasattr(self, "machine"):
            assert len(self.attempts) <= self.limits.num_workers

    @invariant()
    def books_balance(self) -> None:
        """Opened less closed is what is here; what is idle is alive and nobody's."""
        if not hasattr(self, "machine"):
            return
        stats = self.machine.stats(self.now_s)
        assert stats.opened == len(self.opened)
        assert stats.closed == len(self.retired)
        assert stats.opened - stats.closed == stats.idle + stats.lent
        for member in self.machine.idle:
            assert member.owner is None
            assert member.connection not in self.retired
        if self.is_closed and not self.returned:
            assert stats.idle == 0

    # typing.override came with Python 3.12.
    def teardown(self) -> None:  # type: ignore[explicit-override]
        """However the story went: after close and the last return, all is closed, each once."""
        if not hasattr(self, "machine"):
            return
        self.is_closed = True
        self.observe(self.machine.close(self.now_s))
        assert self.machine.phase is Phase.CLOSED
        for member in [*self.loans, *self.cleaning, *self.inspecting, *self.taken]:
            member.owner = Hand.RETURNING
            self.machine.give_back(member, self.now_s)
            self.observe(self.machine.rebalance(self.now_s))
        for attempt in self.attempts:
            self.opened.append(Connection())
            self.observe(self.machine.opened(attempt, self.opened[-1], self.now_s))
        self.observe(self.machine.rebalance(self.now_s))
        assert sorted(map(id, self.retired)) == sorted(map(id, self.opened))
        assert self.machine.size == 0
        assert self.machine.due_s(self.now_s) == inf


def test_pool_keeps_its_invariants_in_any_order_of_events() -> None:
    """Bounded, fair, nothing lent twice, nothing idle while somebody waits, all closed once."""
    run_state_machine_as_test(
        PoolLife, settings=settings(max_examples=120, stateful_step_count=50, deadline=None)
    )
