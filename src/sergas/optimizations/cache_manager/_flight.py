"""Reads of slower sources that are under way, and who waits for them.

Two rules are kept here. One load at a time for a key: the first thread leads, the others wait
for its outcome (singleflight, as in Go's x/sync). And whatever is deleted or overwritten while a
read of it is under way must not be stored when the read comes back: its ticket goes stale.

Nothing here locks: the manager holds its lock around every call, and never while it waits.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from sergas.errors import RecursiveLoadError

__all__ = ["Flight", "FlightBoard", "Ticket"]

_T = TypeVar("_T", bound="Ticket")


class Ticket:
    """The right to store what was read for `key`, until the key is written by somebody else."""

    __slots__ = ("is_stale", "key")

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_stale = False


class Flight(Ticket):
    """A load under way: who leads it and, once `done` is set, how it ended."""

    __slots__ = ("done", "error", "is_abandoned", "is_level2_hit", "leader", "value")

    def __init__(self, key: str, leader: int) -> None:
        super().__init__(key)
        self.leader = leader
        self.done = threading.Event()
        self.value: object = None
        self.error: Exception | None = None
        self.is_abandoned = False
        self.is_level2_hit = False

    def outcome(self) -> object:
        """The loaded value.

        Raises:
            Exception: Whatever the loader raised, the same object for every waiter.
        """
        if self.error is not None:
            raise self.error
        return self.value


class FlightBoard:
    """All tickets and flights of one cache; not thread-safe."""

    __slots__ = ("_flights", "_tickets", "_waiting")

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._tickets: dict[str, list[Ticket]] = {}
        self._waiting: dict[int, Flight] = {}

    def open(self, key: str) -> Ticket:
        """A ticket for a read that nobody else waits for."""
        return self._register(Ticket(key))

    def close(self, ticket: Ticket) -> None:
        """The read is over."""
        tickets = self._tickets[ticket.key]
        tickets.remove(ticket)
        if not tickets:
            del self._tickets[ticket.key]

    def join(self, key: str, thread: int) -> Flight:
        """The flight for `key`: a new one that `thread` leads, or the one it must now wait for.

        Raises:
            RecursiveLoadError: If waiting could never end, because the flight waits for `thread`.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = self._register(Flight(key, thread))
            return flight
        self._refuse_cycle(flight, thread)
        self._waiting[thread] = flight
        return flight

    def leave(self, thread: int) -> None:
        """`thread` waits no more."""
        self._waiting.pop(thread, None)

    def land(self, flight: Flight) -> None:
        """The load is over: the next request starts a new one."""
        self.close(flight)
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def cancel(self, key: str) -> None:
        """What is being read for `key` must not be stored, and newcomers must not wait for it."""
        for ticket in self._tickets.get(key, ()):
            ticket.is_stale = True
        self._flights.pop(key, None)

    def cancel_if(self, is_match: Callable[[str], bool]) -> None:
        """Cancel every key that matches."""
        for key in [key for key in self._tickets if is_match(key)]:
            self.cancel(key)

    def _register(self, ticket: _T) -> _T:
        self._tickets.setdefault(ticket.key, []).append(ticket)
        return ticket

    def _refuse_cycle(self, flight: Flight, thread: int) -> None:
        """Follow who waits for whom; each thread waits for one flight at most."""
        wanted: Flight | None = flight
        while wanted is not None:
            if wanted.leader == thread:
                raise RecursiveLoadError(
                    f"get_or_load({flight.key!r}): its loader is already running and waits for"
                    f" this very call; load the inner value under a key of its own"
                )
            wanted = self._waiting.get(wanted.leader)
