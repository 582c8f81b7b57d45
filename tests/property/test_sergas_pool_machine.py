"""The pool's decisions under any order of events, checked against a model after every step."""

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sergas.errors import ForeignConnectionError, PoolClosedError, PoolQueueFullError
from sergas.optimizations.connection_pool._machine import Member, PoolMachine
from sergas.optimizations.connection_pool._model import Action, Lend, Open, Refuse, Retire


class Connection:
    """A connection that knows when it must be gone."""

    def __init__(self, expires_s: float) -> None:
        self.expires_s = expires_s

    def commit(self) -> None:
        """Nothing is written."""

    def rollback(self) -> None:
        """Nothing is undone."""

    def close(self) -> None:
        """Nothing is held."""


SIZES = st.tuples(st.integers(0, 4), st.integers(1, 5)).map(lambda pair: (min(pair), max(pair)))


class PoolLife(RuleBasedStateMachine):
    """Callers come, give up and return things; connecting succeeds late, fails, or never ends."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.callers = 0
        self.queue: list[int] = []
        self.openers: list[int | None] = []
        self.on_loan: dict[int, Connection] = {}
        self.cleaning: list[Member[Connection]] = []
        self.opened: list[Connection] = []
        self.retired: list[Connection] = []
        self.overhang = 0
        self.is_closed = False

    @initialize(sizes=SIZES, max_waiting=st.integers(0, 3))
    def make(self, sizes: tuple[int, int], max_waiting: int) -> None:
        """Limits of every shape, with and without a limit on the queue."""
        self.min_size, self.max_size = sizes
        self.max_waiting = max_waiting
        self.machine: PoolMachine[Connection, int] = PoolMachine(
            min_size=self.min_size, max_size=self.max_size, max_waiting=max_waiting
        )
        self.machine.start()

    def observe(self, actions: Iterable[Action[Connection, int]], newcomer: int = -1) -> None:
        """Play the shell: follow each action, and see that it was allowed."""
        for action in actions:
            if isinstance(action, Retire):
                assert action.connection not in self.retired
                assert action.connection not in self.on_loan.values()
                self.retired.append(action.connection)
                continue
            self.leave_queue(action.waiter, newcomer)
            if isinstance(action, Open):
                self.openers.append(action.waiter)
            elif isinstance(action, Lend):
                assert action.connection not in self.on_loan.values()
                assert action.connection not in self.retired
                assert action.connection.expires_s > self.now_s
                self.on_loan[action.waiter] = action.connection

    def leave_queue(self, waiter: int, newcomer: int) -> None:
        """Only the head of the queue is served, or the one caller the event is about."""
        if waiter in self.queue:
            assert self.queue.pop(0) == waiter
        else:
            assert waiter == newcomer

    @rule()
    def arrive(self) -> None:
        """A newcomer is served only if nobody waits, and queues only if there is room."""
        self.callers += 1
        caller = self.callers
        actions = self.machine.request(caller, self.now_s)
        verdicts = [action for action in actions if not isinstance(action, Retire)]
        refusals = [action.error for action in verdicts if isinstance(action, Refuse)]
        self.observe(actions, newcomer=caller)
        if not verdicts:
            self.queue.append(caller)
        elif isinstance(verdicts[0], Lend | Open):
            assert not self.queue
        elif refusals and self.is_closed:
            assert isinstance(refusals[0], PoolClosedError)
        elif refusals:
            assert isinstance(refusals[0], PoolQueueFullError)
            assert len(self.queue) == self.max_waiting

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A waiter leaves from anywhere in the queue, once."""
        caller = data.draw(st.sampled_from(self.queue))
        self.queue.remove(caller)
        assert self.machine.give_up(caller, self.now_s)
        assert not self.machine.give_up(caller, self.now_s)

    @rule()
    def restock(self) -> None:
        """A place is reserved exactly when connections are missing to the minimum."""
        is_short = not self.is_closed and self.machine.stats().size < self.min_size
        assert self.machine.reserve() == is_short
        if is_short:
            self.openers.append(None)

    @precondition(lambda self: self.openers)
    @rule(data=st.data(), lifetime_s=st.integers(1, 6), is_late=st.booleans())
    def connect(self, data: st.DataObject, lifetime_s: int, *, is_late: bool) -> None:
        """A connection is opened, in time for its caller or too late."""
        opener = data.draw(st.sampled_from(self.openers))
        self.openers.remove(opener)
        connection = Connection(self.now_s + lifetime_s)
        self.opened.append(connection)
        taker = None if is_late else opener
        self.observe(
            self.machine.opened(
                taker, connection, now_s=self.now_s, expires_s=connection.expires_s
            ),
            newcomer=-1 if taker is None else taker,
        )

    @precondition(lambda self: self.openers)
    @rule(data=st.data(), is_failure=st.booleans())
    def do_not_connect(self, data: st.DataObject, *, is_failure: bool) -> None:
        """Connecting raises, or its caller has no time left for it."""
        self.openers.remove(data.draw(st.sampled_from(self.openers)))
        free = self.machine.open_failed if is_failure else self.machine.vacate
        self.observe(free(self.now_s))

    @precondition(lambda self: self.on_loan)
    @rule(data=st.data())
    def hand_in(self, data: st.DataObject) -> None:
        """A loan comes back and cannot come back a second time."""
        connection = self.on_loan.pop(data.draw(st.sampled_from(sorted(self.on_loan))))
        self.cleaning.append(self.machine.claim(connection))
        self.assert_foreign(connection)

    @precondition(lambda self: self.cleaning)
    @rule(data=st.data(), is_sound=st.booleans())
    def settle(self, data: st.DataObject, *, is_sound: bool) -> None:
        """Cleaning ends; what it found broken is retired."""
        member = data.draw(st.sampled_from(self.cleaning))
        self.cleaning.remove(member)
        self.observe(self.machine.settle(member, self.now_s, is_sound=is_sound))
        assert is_sound or member.connection in self.retired

    @precondition(lambda self: self.on_loan)
    @rule(data=st.data())
    def fail_check(self, data: st.DataObject) -> None:
        """A loan fails its check; its caller keeps its turn."""
        caller = data.draw(st.sampled_from(sorted(self.on_loan)))
        connection = self.on_loan.pop(caller)
        self.observe(self.machine.exchange(caller, connection, self.now_s), newcomer=caller)
        assert connection in self.retired

    @rule()
    def return_what_is_not_on_loan(self) -> None:
        """Another's connection and a retired one are refused."""
        self.assert_foreign(Connection(0.0))
        for connection in self.retired:
            self.assert_foreign(connection)

    @rule(seconds=st.integers(0, 4))
    def pass_time(self, seconds: int) -> None:
        """Connections grow old."""
        self.now_s += seconds

    @precondition(lambda self: not self.is_closed)
    @rule(sizes=SIZES)
    def resize(self, sizes: tuple[int, int]) -> None:
        """The limits change; loans above them run out, nothing new is added."""
        self.min_size, self.max_size = sizes
        self.observe(self.machine.resize(*sizes, self.now_s))
        self.overhang = max(0, self.machine.stats().size - self.max_size)

    @precondition(lambda self: self.callers > 15)
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
        if not self.callers:
            return
        stats = self.machine.stats()
        assert stats.lent == len(self.on_loan) + len(self.cleaning)
        assert stats.opening == len(self.openers)
        assert stats.size == stats.lent + stats.opening + stats.idle
        excess = max(0, stats.size - self.max_size)
        assert excess <= self.overhang
        assert not (excess and stats.idle)
        self.overhang = excess

    @invariant()
    def nobody_waits_needlessly(self) -> None:
        """No caller waits while a connection is idle or a place is free."""
        if not self.callers:
            return
        stats = self.machine.stats()
        assert stats.waiting == len(self.queue)
        if self.queue:
            assert stats.idle == 0
            assert stats.size >= stats.max_size

    @invariant()
    def books_balance(self) -> None:
        """Opened less closed is what is here."""
        if not self.callers:
            return
        stats = self.machine.stats()
        assert stats.opened == len(self.opened)
        assert stats.closed == len(self.retired)
        assert stats.opened - stats.closed == stats.idle + stats.lent

    # typing.override came with Python 3.12.
    def teardown(self) -> None:  # type: ignore[explicit-override]
        """However the story went: after close and the last return, all is closed, each once."""
        if not self.callers:
            return
        self.observe(self.machine.close(self.now_s))
        for connection in self.on_loan.values():
            self.cleaning.append(self.machine.claim(connection))
        self.on_loan.clear()
        for member in self.cleaning:
            self.observe(self.machine.settle(member, self.now_s, is_sound=True))
        for opener in self.openers:
            connection = Connection(self.now_s + 1)
            self.opened.append(connection)
            self.observe(
                self.machine.opened(opener, connection, now_s=self.now_s, expires_s=self.now_s + 1),
                newcomer=-1 if opener is None else opener,
            )
        assert sorted(map(id, self.retired)) == sorted(map(id, self.opened))
        assert self.machine.stats().size == 0


def test_pool_keeps_its_invariants_in_any_order_of_events() -> None:
    """Bounded, fair, nothing lent twice, nothing idle while somebody waits, all closed once."""
    run_state_machine_as_test(
        PoolLife, settings=settings(max_examples=200, stateful_step_count=50, deadline=None)
    )
