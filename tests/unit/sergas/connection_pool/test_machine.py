"""Single decisions of the pool, each as one story with the time passed in."""

import pytest

from sergas.errors import PoolClosedError, PoolError
from sergas.optimizations.connection_pool._machine import PoolMachine
from sergas.optimizations.connection_pool._model import Action, Lend, Open, Refuse, Retire


class Connection:
    """A connection with nothing behind it."""

    def commit(self) -> None:
        """Nothing is written."""

    def rollback(self) -> None:
        """Nothing is undone."""

    def close(self) -> None:
        """Nothing is held."""


Machine = PoolMachine[Connection, str]


def started(*, min_size: int = 0, max_size: int = 2) -> Machine:
    """A machine that lends."""
    machine = Machine(min_size=min_size, max_size=max_size)
    machine.start()
    return machine


def lent(machine: Machine, waiter: str, *, expires_s: float = 100.0) -> Connection:
    """A connection opened for `waiter` at time 0."""
    assert machine.request(waiter, 0.0) == [Open(waiter)]
    connection = Connection()
    actions = machine.opened(waiter, connection, now_s=0.0, expires_s=expires_s)
    assert actions == [Lend(waiter, connection)]
    return connection


def given_back(
    machine: Machine, connection: Connection, now_s: float
) -> list[Action[Connection, str]]:
    """The actions when a sound connection comes back."""
    return machine.settle(machine.claim(connection), now_s, is_sound=True)


def test_most_recently_used_connection_is_lent_first() -> None:
    """Idle connections are a stack, so that those not needed grow old and go."""
    machine = started()
    first, second = lent(machine, "a"), lent(machine, "b")
    given_back(machine, first, 1.0)
    given_back(machine, second, 2.0)
    assert machine.request("c", 3.0) == [Lend("c", second)]


def test_connection_that_expired_on_loan_is_not_passed_on() -> None:
    """The waiter gets the place, not the connection, at the very moment the lifetime ends."""
    machine = started(max_size=1)
    old = lent(machine, "a", expires_s=10.0)
    assert machine.request("b", 1.0) == []
    assert given_back(machine, old, 10.0) == [Retire(old), Open("b")]


def test_idle_connection_is_retired_at_the_moment_its_lifetime_ends() -> None:
    """A lifetime of ten seconds ends at ten seconds, and a moment before it has not."""
    machine = started(max_size=1)
    given_back(machine, old := lent(machine, "a", expires_s=10.0), 1.0)
    assert machine.request("b", 9.999) == [Lend("b", old)]
    given_back(machine, old, 9.999)
    assert machine.request("c", 10.0) == [Retire(old), Open("c")]


def test_any_return_sweeps_out_idle_connections_that_expired() -> None:
    """Nobody has to ask for an old connection for it to be closed."""
    machine = started()
    old, young = lent(machine, "a", expires_s=10.0), lent(machine, "b")
    given_back(machine, old, 1.0)
    assert given_back(machine, young, 20.0) == [Retire(old)]


def test_loan_above_a_lowered_limit_is_retired_on_return() -> None:
    """A shrink never takes a connection from its borrower, and never keeps it afterwards."""
    machine = started()
    first, second = lent(machine, "a"), lent(machine, "b")
    assert machine.resize(0, 1, 1.0) == []
    assert given_back(machine, first, 2.0) == [Retire(first)]
    assert given_back(machine, second, 3.0) == []
    assert machine.stats().size == 1


def test_shrink_retires_the_coldest_idle_connection() -> None:
    """What was used last stays."""
    machine = started()
    first, second = lent(machine, "a"), lent(machine, "b")
    given_back(machine, first, 1.0)
    given_back(machine, second, 2.0)
    assert machine.resize(0, 1, 3.0) == [Retire(first)]


def test_late_connection_above_a_lowered_limit_is_retired() -> None:
    """Nobody wants it any more, and there is no room to keep it."""
    machine = started()
    lent(machine, "a")
    machine.request("b", 0.0)
    machine.resize(0, 1, 1.0)
    late = Connection()
    assert machine.opened(None, late, now_s=2.0, expires_s=100.0) == [Retire(late)]


def test_growth_lets_waiters_open_in_the_order_they_came() -> None:
    """Each new place goes to the longest waiter at once."""
    machine = started(max_size=1)
    lent(machine, "a")
    for waiter in "bcd":
        assert machine.request(waiter, 1.0) == []
    assert machine.resize(0, 3, 2.0) == [Open("b"), Open("c")]


def test_failed_check_keeps_the_turn() -> None:
    """A caller whose connection was broken opens another before anybody behind it is served."""
    machine = started(max_size=1)
    broken = lent(machine, "a")
    assert machine.request("b", 1.0) == []
    assert machine.exchange("a", broken, 2.0) == [Retire(broken), Open("a")]
    assert machine.stats().lost == 1


def test_failed_check_in_a_closed_pool_is_refused() -> None:
    """The pool was closed while the connection was being checked."""
    machine = started()
    broken = lent(machine, "a")
    machine.close(1.0)
    retire, refuse = machine.exchange("a", broken, 2.0)
    assert retire == Retire(broken)
    assert isinstance(refuse, Refuse)
    assert isinstance(refuse.error, PoolClosedError)


def test_waits_add_up_whether_served_or_not() -> None:
    """Three seconds in the queue for one caller and five for another are eight."""
    machine = started(max_size=1)
    connection = lent(machine, "a")
    machine.request("b", 1.0)
    machine.request("c", 1.0)
    given_back(machine, connection, 4.0)
    assert machine.give_up("c", 6.0)
    stats = machine.stats()
    assert (stats.requests, stats.queued, stats.wait_s_total) == (3, 2, 8.0)


def test_same_connection_twice_is_refused_without_a_trace() -> None:
    """A connect function that returns one shared connection would have it lent twice."""
    machine = started()
    shared = lent(machine, "a")
    machine.request("b", 1.0)
    before = machine.stats()
    with pytest.raises(PoolError, match="each call must open another"):
        machine.opened("b", shared, now_s=1.0, expires_s=100.0)
    assert machine.stats() == before


def test_closed_machine_cannot_start_again() -> None:
    """Closed is final, and the message says what to do."""
    machine = started()
    machine.close(0.0)
    with pytest.raises(PoolClosedError, match="make a new ConnectionPool"):
        machine.start()
    with pytest.raises(PoolClosedError):
        machine.resize(1, 1, 0.0)
