"""Single decisions of the pool, each as one story with the time passed in."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from sergas.errors import PoolClosedError, PoolError, PoolUnavailableError
from sergas.optimizations.connection_pool._limits import Limits
from sergas.optimizations.connection_pool._machine import PoolMachine
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


class Connection:
    """A connection with nothing behind it."""


Machine = PoolMachine[Connection, str]


def started(*, min_size: int = 0, max_size: int = 2, draw: float = 0.0, **options: Any) -> Machine:
    """A machine that lends."""
    switches = {key: options.pop(key) for key in ("has_check", "has_probe") if key in options}
    limits = Limits(**options)
    machine = Machine(
        min_size=min_size, max_size=max_size, limits=limits, random=lambda: draw, **switches
    )
    machine.start(0.0)
    return machine


def attempts(actions: list[Action[Connection, str]]) -> list[int]:
    """The attempts to connect among the actions."""
    return [action.attempt for action in actions if isinstance(action, Connect)]


def lent(machine: Machine, waiter: str, now_s: float = 0.0) -> Member[Connection]:
    """A connection opened for `waiter`."""
    (attempt,) = attempts(machine.request(waiter, now_s))
    (lend,) = machine.opened(attempt, Connection(), now_s)
    assert isinstance(lend, Lend)
    assert lend.waiter == waiter
    return lend.member


def returned(machine: Machine, member: Member[Connection], now_s: float) -> Any:
    """The actions when a sound connection comes back."""
    return [] if machine.give_back(member, now_s) else machine.rebalance(now_s)


def filled(machine: Machine, now_s: float = 0.0) -> list[Connection]:
    """Connections for every attempt under way."""
    connections = []
    for attempt in list(machine.attempts):
        connections.append(Connection())
        machine.opened(attempt, connections[-1], now_s)
    return connections


def test_most_recently_used_connection_is_lent_first() -> None:
    """Idle connections are a stack, so that those not needed grow old and go."""
    machine = started()
    first, second = lent(machine, "a"), lent(machine, "b")
    returned(machine, first, 1.0)
    returned(machine, second, 2.0)
    assert machine.borrow("c", 3.0) is second
    assert machine.borrow("d", 3.0) is first
    assert machine.borrow("e", 3.0) is None


def test_connections_are_opened_one_for_each_waiter_up_to_the_workers() -> None:
    """Five callers, three workers: three attempts at once, then one more for each that ends."""
    machine = started(max_size=10, num_workers=3)
    opening = [attempts(machine.request(waiter, 0.0)) for waiter in "abcde"]
    assert list(map(len, opening)) == [1, 1, 1, 0, 0]
    actions = machine.opened(1, Connection(), 0.5)
    assert [type(action) for action in actions] == [Lend, Connect]
    assert actions[0].waiter == "a"  # type: ignore[union-attr]


def test_returned_connection_serves_the_one_whose_connection_is_being_opened() -> None:
    """Whichever comes first; what is opened then serves the next, or rests."""
    machine = started()
    member = lent(machine, "a")
    assert len(attempts(machine.request("b", 1.0))) == 1
    assert returned(machine, member, 2.0) == [Lend("b", member)]
    filled(machine, 3.0)
    assert machine.stats(3.0).idle == 1


def test_connection_that_expired_on_loan_is_not_passed_on() -> None:
    """The waiter gets another, at the very moment the lifetime ends."""
    machine = started(max_size=1, max_lifetime_s=10.0)
    old = lent(machine, "a")
    assert machine.request("b", 1.0) == []
    retire, connect = returned(machine, old, 10.0)
    assert retire == Retire(old.connection)
    assert isinstance(connect, Connect)


@pytest.mark.parametrize(("draw", "ends_s"), [(0.0, 100.0), (0.5, 95.0), (0.999, 90.01)])
def test_lifetime_is_drawn_once(draw: float, ends_s: float) -> None:
    """Using a connection does not renew it: it ends at the moment drawn when it was opened."""
    machine = started(max_size=1, max_lifetime_s=100.0, lifetime_jitter=0.1, draw=draw)
    member = lent(machine, "a")
    returned(machine, member, 50.0)
    assert machine.borrow("b", ends_s - 0.001) is member
    returned(machine, member, ends_s - 0.001)
    assert machine.borrow("c", ends_s) is None
    assert Retire(member.connection) in machine.tick(ends_s)


def test_lifetimes_of_connections_opened_together_spread() -> None:
    """The jitter's whole range is used, so that they are not replaced together."""
    draws = iter([i / 100 for i in range(100)])
    limits = Limits(max_lifetime_s=1000.0, lifetime_jitter=0.25, num_workers=100)
    machine = Machine(min_size=100, max_size=100, limits=limits, random=lambda: next(draws))
    machine.start(0.0)
    filled(machine)
    ends = sorted(member.expires_s for member in machine.members.values())
    assert ends[-1] - ends[0] >= 0.24 * 1000.0
    assert all(750.0 < end <= 1000.0 for end in ends)


def test_idle_connections_above_the_minimum_go_one_by_one() -> None:
    """Each at its own time, and those of the minimum stay."""
    machine = started(min_size=1, max_size=3, max_idle_s=10.0)
    filled(machine)
    members = [machine.borrow("a", 0.0), lent(machine, "b"), lent(machine, "c")]
    for at_s, member in zip((0.0, 1.0, 2.0), members, strict=True):
        assert member is not None
        returned(machine, member, at_s)
    sizes = []
    for at_s in (9.9, 10.0, 11.0, 12.0, 50.0):
        machine.tick(at_s)
        sizes.append(machine.size)
    assert sizes == [3, 2, 1, 1, 1]


def test_spike_is_served_within_the_limit_and_forgotten_afterwards() -> None:
    """A hundred callers at once: never more than ten connections, and two when it is over."""
    machine = started(min_size=2, max_size=10, max_idle_s=10.0, num_workers=3)
    loans = [action for waiter in range(100) for action in machine.request(str(waiter), 0.0)]
    served = 0
    now_s = 0.0
    while machine.queue or machine.attempts:
        now_s += 0.01
        loans = []
        for attempt in list(machine.attempts):
            loans += machine.opened(attempt, Connection(), now_s)
        for member in list(machine.members.values()):
            if member.owner is not None:
                loans += returned(machine, member, now_s)
        served += sum(isinstance(action, Lend) for action in loans)
        assert machine.size <= 10
    assert served == 100
    for member in list(machine.members.values()):
        if member.owner is not None:
            returned(machine, member, now_s)
    machine.tick(now_s + 10.0)
    assert machine.size == 2


def test_tick_is_due_exactly_when_something_happens() -> None:
    """Idle time, keepalive and lifetime each set the alarm; nothing else does."""
    machine = started(max_size=1, max_idle_s=20.0, keepalive_s=5.0, has_check=True)
    assert machine.due_s(0.0) == float("inf")
    member = lent(machine, "a")
    assert machine.due_s(0.0) == member.expires_s
    returned(machine, member, 1.0)
    assert machine.due_s(1.0) == 6.0
    assert machine.tick(5.9) == []
    assert machine.tick(6.0) == [Inspect(member)]
    assert machine.inspected(member, 6.5, is_sound=True) == []
    assert machine.due_s(6.5) == 11.5
    machine.tick(21.0)
    assert machine.size == 0


def test_keepalive_that_fails_replaces_and_suspects() -> None:
    """A dead idle connection is found before anybody asks for one."""
    machine = started(min_size=2, keepalive_s=5.0, has_check=True, check_after_s=100.0)
    filled(machine)
    first, second = machine.tick(5.0)
    assert isinstance(first, Inspect)
    assert isinstance(second, Inspect)
    machine.inspected(second.member, 5.0, is_sound=True)
    retire, connect = machine.inspected(first.member, 5.1, is_sound=False)
    assert retire == Retire(first.member.connection)
    assert isinstance(connect, Connect)
    assert machine.is_due_for_check(second.member, 5.2)
    assert machine.borrow("a", 5.2) is None


def test_dead_connection_is_exchanged_ahead_of_the_queue() -> None:
    """A caller whose connection was dead is served before anybody behind it."""
    machine = started(max_size=1, has_check=True)
    broken = lent(machine, "a")
    assert machine.request("b", 1.0) == []
    retire, connect = machine.exchange("a", broken, 2.0)
    assert retire == Retire(broken.connection)
    assert isinstance(connect, Connect)
    (lend,) = machine.opened(connect.attempt, Connection(), 3.0)
    assert isinstance(lend, Lend)
    assert lend.waiter == "a"


def test_after_a_death_connecting_begins_with_one() -> None:
    """A dead server is not met by all workers at once."""
    machine = started(max_size=4, has_check=True)
    broken = lent(machine, "a")
    for waiter in "bcd":
        machine.request(waiter, 0.0)
    filled(machine)
    machine.request("e", 1.0)
    machine.request("f", 1.0)
    assert len(attempts(machine.lose(broken, 1.0))) == 1


def test_outage_is_one_attempt_at_a_time_with_growing_delays() -> None:
    """Up to 0.24 seconds: at most twenty in four seconds, the three from before included."""
    for draw in (0.0, 1.0):
        machine = started(max_size=16, draw=draw)
        for waiter in range(16):
            machine.request(str(waiter), 0.0)
        now_s, made = 0.0, 0
        while now_s < 4.0:
            for attempt in list(machine.attempts):
                made += 1
                machine.connect_failed(attempt, OSError("down"), now_s)
            now_s = max(now_s + 1e-9, machine.due_s(now_s))
            machine.tick(now_s)
        assert 12 <= made <= 20


def test_callers_are_refused_once_the_outage_has_lasted() -> None:
    """Those in the queue at the moment it has, later ones at once; the cause is the driver's."""
    machine = started(max_size=2, fail_fast_after_s=1.0)
    (attempt,) = attempts(machine.request("a", 0.0))
    down = OSError("down")
    machine.connect_failed(attempt, down, 0.1)
    machine.tick(1.0999)
    assert machine.queue
    (refusal,) = [action for action in machine.tick(1.1) if isinstance(action, Refuse)]
    assert isinstance(refusal.error, PoolUnavailableError)
    assert refusal.error.__cause__ is down
    assert isinstance(machine.request("b", 1.2)[0], Refuse)
    assert machine.stats(1.2).is_failing_fast


def test_success_ends_the_outage_and_serves() -> None:
    """The half-open attempt decides; with it everything is as before."""
    machine = started(max_size=2, fail_fast_after_s=0.0)
    machine.connect_failed(attempts(machine.request("a", 0.0))[0], OSError("down"), 0.0)
    (attempt,) = attempts(machine.tick(0.05))
    machine.opened(attempt, Connection(), 0.06)
    assert not machine.stats(0.06).is_failing_fast
    assert machine.borrow("b", 0.07) is not None


def test_waiters_are_not_refused_while_connections_come_back() -> None:
    """A server that takes no more connections still serves with those it has."""
    machine = started(max_size=2, fail_fast_after_s=1.0)
    member = lent(machine, "a")
    (attempt,) = attempts(machine.request("b", 0.0))
    machine.connect_failed(attempt, OSError("too many"), 0.0)
    for at_s in (0.9, 1.8, 2.7):
        machine.request("c", at_s)
        (lend,) = [a for a in returned(machine, member, at_s) if isinstance(a, Lend)]
        assert not machine.stats(at_s).is_failing_fast
        assert lend.member is member


def test_probe_decides_when_to_connect() -> None:
    """An unreachable server costs no attempt, and the first one after that comes without delay."""
    machine = started(max_size=2, has_probe=True, probe_interval_s=0.03, fail_fast_after_s=99.0)
    machine.connect_failed(attempts(machine.request("a", 0.0))[0], OSError("down"), 0.0)
    assert machine.tick(0.05) == [Probe()]
    assert machine.tick(0.06) == []
    for count in range(1, 100):
        at_s = 0.06 + 0.03 * count
        machine.probed(at_s, is_reachable=False)
        assert machine.due_s(at_s) == pytest.approx(at_s + 0.03)
        assert Probe() in machine.tick(at_s + 0.03)
    assert len(attempts(machine.probed(5.0, is_reachable=True))) == 1


class Wire:
    """What a pool meets during an outage, on a clock of its own.

    Attributes:
        reached_s: When connections were made: answered probes, and attempts that were accepted.
        asked_s: When the pool probed or attempted at all.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.now_s = 0.0
        self.reached_s: list[float] = []
        self.asked_s: list[float] = []
        self.actions: list[Action[Connection, str]] = machine.request("a", 0.0)

    def pass_time(self, until_s: float, says: Callable[[], str | None]) -> None:
        """Go on with a server that `says` why it hangs up, or refuses connections if None."""
        while True:
            while self.actions:
                action = self.actions.pop(0)
                if not isinstance(action, Probe | Connect):
                    continue
                word = says()
                self.asked_s.append(self.now_s)
                if word is not None:
                    self.reached_s.append(self.now_s)
                if isinstance(action, Probe):
                    self.actions += self.machine.probed(self.now_s, is_reachable=word is not None)
                else:
                    error = OSError(word or "refused")
                    self.actions += self.machine.connect_failed(action.attempt, error, self.now_s)
            due_s = max(self.now_s + 1e-9, self.machine.due_s(self.now_s))
            if due_s >= until_s:
                self.now_s = until_s
                return
            self.now_s = due_s
            self.actions += self.machine.tick(due_s)

    def most_in(self, seconds: float) -> int:
        """Connections in the worst window of that length."""
        return max(
            sum(begin_s <= at_s < begin_s + seconds for at_s in self.reached_s)
            for begin_s in self.reached_s
        )


@pytest.mark.parametrize("has_probe", [True, False])
@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
def test_server_that_hangs_up_meets_at_most_twenty_connections_in_four_seconds(
    draw: float, has_probe: bool
) -> None:
    """Probes and attempts together, and a try in nearly every quarter of a second."""
    wire = Wire(started(draw=draw, has_probe=has_probe))
    wire.pass_time(60.0, lambda: "hung up")
    assert wire.most_in(4.0) <= 20
    gaps_s = [after - before for before, after in pairwise(wire.asked_s)]
    # More only after a try that was probed in vain: the second and, rarely, a later one.
    assert sum(gap_s > 0.24 * 1.2 + 1e-6 for gap_s in gaps_s) <= 1 + 60 / (20 * 0.24)
    assert max(gaps_s) <= 0.24 * 2.2 + 1e-6


@pytest.mark.parametrize("seed", range(40))
def test_no_server_is_met_twenty_one_times_in_four_seconds(seed: int) -> None:
    """Not even one that hangs up and refuses by turns, or has another excuse each time."""
    random = Random(seed)
    wire = Wire(started(draw=random.choice([0.0, 0.5, 1.0]), has_probe=True))
    mean_s = random.choice([0.03, 0.1, 0.4, 1.1])
    excuses = random.choice([1, 2, 1000])
    says: Callable[[], str | None] = lambda: "hung up"  # noqa: E731 - replaced below
    while wire.now_s < 60.0:
        wire.pass_time(wire.now_s + random.uniform(0.5, 1.5) * mean_s, says)
        says = random.choice([lambda: None, lambda: f"hung up {random.randrange(excuses)}"])
    assert wire.most_in(4.0) <= 20


def test_server_that_is_starting_up_is_asked_again_soon() -> None:
    """However long it was unreachable before: 0.05 s later, once more before a quarter is over."""
    for down_s in (0.3, 3.0):
        wire = Wire(started(has_probe=True))
        wire.pass_time(down_s, lambda: None)
        wire.pass_time(down_s + 5.0, lambda: "starting up")
        first_s = wire.reached_s[0]
        soon = [at_s - first_s for at_s in wire.reached_s[:4]]
        assert soon[:3] == pytest.approx([0.0, 0.0, 0.05], abs=1e-6)
        assert soon[3] <= 0.24 + 1e-6


def test_server_that_goes_down_after_it_has_hung_up_is_probed_again() -> None:
    """The next attempt fails in another way, and from then on a probe is never long ago."""
    wire = Wire(started(has_probe=True))
    wire.pass_time(2.0, lambda: "shutting down")
    wire.pass_time(10.0, lambda: None)
    asked_s = [at_s for at_s in wire.asked_s if at_s >= 2.6]
    assert max(after - before for before, after in pairwise(asked_s)) < 0.031
    attempts_before = wire.machine.stats(10.0).connect_attempts
    wire.pass_time(10.04, lambda: "starting up")
    assert wire.machine.stats(10.04).connect_attempts == attempts_before + 1


def test_server_that_went_down_between_probe_and_attempt_is_probed_again() -> None:
    """Although its attempts then all fail alike."""
    wire = Wire(started(has_probe=True))
    answers = iter([None, "for the probe only"])
    wire.pass_time(60.0, lambda: next(answers, None))
    assert wire.machine.stats(60.0).connect_attempts <= 2 + 20


def test_connect_that_hangs_is_an_outage() -> None:
    """After `connect_timeout_s` callers are refused, and nobody else is sent into the same trap."""
    machine = started(max_size=3, connect_timeout_s=5.0, fail_fast_after_s=1.0)
    machine.request("a", 0.0)
    assert machine.due_s(0.0) == 5.0
    actions = machine.tick(5.0)
    assert [type(action) for action in actions] == [Refuse]
    assert "within 5 s" in str(actions[0].error)  # type: ignore[union-attr]
    assert [type(action) for action in machine.request("b", 6.0)] == [Refuse]
    machine.opened(1, Connection(), 60.0)
    assert machine.borrow("c", 60.0) is not None


def test_long_loan_is_reported_once() -> None:
    """With its borrower; the next loan of the same connection is another matter."""
    machine = started(max_size=1, leak_after_s=10.0)
    member = lent(machine, "a")
    member.borrower = ("app.py", 7)
    assert machine.tick(9.9) == []
    assert machine.tick(10.0) == [Leak(("app.py", 7), 10.0)]
    assert machine.tick(11.0) == []
    returned(machine, member, 12.0)
    assert machine.borrow("b", 12.0) is member
    member.borrower = ("app.py", 9)
    assert machine.tick(22.0) == [Leak(("app.py", 9), 10.0)]
    assert machine.stats(22.0).leaks == 2


def test_loan_above_a_lowered_limit_is_retired_on_return() -> None:
    """A shrink never takes a connection from its borrower, and never keeps it afterwards."""
    machine = started()
    first, second = lent(machine, "a"), lent(machine, "b")
    assert machine.resize(0, 1, 1.0) == []
    assert returned(machine, first, 2.0) == [Retire(first.connection)]
    assert returned(machine, second, 3.0) == []
    assert machine.size == 1


def test_growth_opens_for_waiters_in_order() -> None:
    """Each new place goes to the longest waiter."""
    machine = started(max_size=1)
    lent(machine, "a")
    for waiter in "bcd":
        assert machine.request(waiter, 1.0) == []
    assert len(attempts(machine.resize(0, 3, 2.0))) == 2
    lends = [machine.opened(attempt, Connection(), 3.0)[0] for attempt in (2, 3)]
    assert [lend.waiter for lend in lends] == ["b", "c"]  # type: ignore[union-attr]


def test_waits_add_up_whether_served_or_not() -> None:
    """Three seconds in the queue for one caller and five for another are eight."""
    machine = started(max_size=1)
    member = lent(machine, "a")
    machine.request("b", 1.0)
    machine.request("c", 1.0)
    returned(machine, member, 4.0)
    assert machine.give_up("c", 6.0)
    stats = machine.stats(6.0)
    assert (stats.requests, stats.queued, stats.wait_s_total) == (3, 3, 8.0)
    assert stats.used_s_total == 4.0


def test_interrupted_borrower_leaves_nothing_for_ever() -> None:
    """What an interrupt took out of `idle` and dropped is back after half a minute, not before."""
    machine = started(max_size=1)
    member = lent(machine, "a")
    returned(machine, member, 0.0)
    machine._take()
    machine.was_interrupted = True
    machine.tick(1.0)
    machine.tick(20.0)
    assert not machine.idle
    assert machine.due_s(20.0) <= 50.0
    machine.tick(31.0)
    assert list(machine.idle) == [member]
    assert not machine.was_interrupted


def test_same_connection_twice_is_refused_without_a_trace() -> None:
    """A connect function that returns one shared connection would have it lent twice."""
    machine = started()
    shared = lent(machine, "a")
    (attempt,) = attempts(machine.request("b", 1.0))
    before = machine.stats(1.0)
    with pytest.raises(PoolError, match="each call must open another"):
        machine.opened(attempt, shared.connection, 1.0)
    assert machine.stats(1.0) == before


def test_closed_machine_cannot_start_again() -> None:
    """Closed is final, and the message says what to do."""
    machine = started()
    machine.close(0.0)
    with pytest.raises(PoolClosedError, match="make a new pool"):
        machine.start(0.0)
    with pytest.raises(PoolClosedError):
        machine.resize(1, 1, 0.0)
    assert machine.tick(1.0) == []
