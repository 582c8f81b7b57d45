"""Reads of slower sources that are under way, and who waits for them.

Two rules are kept here. One load at a time for a key: the first caller leads, the others wait
for its outcome (singleflight, as in Go's x/sync). And whatever is deleted or overwritten while a
read of it is under way must not be stored when the read comes back: its ticket goes stale. That is
the placeholder that client-side caching needs where an invalidation can overtake a reply
(redis/redis#6833).

A load that waits for itself, directly or through others, would wait for ever. Flights know what
they wait for, whoever runs them, thread or task or a task's own subtasks: `current_flight` is a
context variable.

Nothing here locks: the manager holds its lock around every call, and never while it waits.
"""

import enum
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from sergas.errors import RecursiveLoadError
from sergas.optimizations.cache_manager._tags import Mark, is_current

__all__ = ["Flight", "FlightBoard", "Outcome", "Source", "Ticket", "current_flight"]

_T = TypeVar("_T", bound="Ticket")

current_flight: ContextVar["Flight | None"] = ContextVar("current_flight", default=None)
"""The load that runs here."""


class Source(enum.Enum):
    """Where an outcome comes from."""

    LEVEL1 = enum.auto()
    LEVEL2 = enum.auto()
    LOADER = enum.auto()
    STALE = enum.auto()
    NOBODY = enum.auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a flight ended: with a value, with an error, or with neither: then ask again."""

    source: Source
    value: object = None
    error: Exception | None = None


class Ticket:
    """The right to store what was read for `key`, until the key is written by somebody else.

    Attributes:
        key: The key.
        marks: The tags named for it, as they were when the read began.
        tag_epoch: How many tags had been invalidated by then.
        is_stale: Whether the right is lost.
    """

    __slots__ = ("is_stale", "key", "marks", "tag_epoch")

    def __init__(self, key: str, marks: tuple[Mark, ...] | None, tag_epoch: int) -> None:
        self.key = key
        self.marks = marks
        self.tag_epoch = tag_epoch
        self.is_stale = False


class Flight(Ticket):
    """A load under way.

    Attributes:
        done: How it ended, once it has. It cannot be cancelled by who waits for it.
        waiters: How many wait.
        waits_for: The flights that its loader waits for now.
        is_refresh: Whether level 1 had a value to serve when it began.
        early_s: A value of level 2 that has no more than these seconds left is to be replaced.
    """

    __slots__ = ("done", "early_s", "is_refresh", "waiters", "waits_for")

    def __init__(self, key: str, marks: tuple[Mark, ...] | None, tag_epoch: int) -> None:
        super().__init__(key, marks, tag_epoch)
        self.done: Future[Outcome] = Future()
        self.done.set_running_or_notify_cancel()
        self.waiters = 0
        self.waits_for: list[Flight] = []
        self.is_refresh = False
        self.early_s = 0.0


class FlightBoard:
    """All tickets and flights of one cache; not thread-safe."""

    __slots__ = ("_flights", "_tickets")

    def __init__(self) -> None:
        self._flights: dict[str, Flight] = {}
        self._tickets: dict[str, list[Ticket]] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    def open(self, key: str, tag_epoch: int) -> Ticket:
        """A ticket for a read or write that nobody else waits for."""
        return self._register(Ticket(key, None, tag_epoch))

    def close(self, ticket: Ticket) -> None:
        """The read is over."""
        tickets = self._tickets[ticket.key]
        tickets.remove(ticket)
        if not tickets:
            del self._tickets[ticket.key]

    def find(self, key: str) -> Flight | None:
        """The load of `key` that a newcomer may wait for."""
        flight = self._flights.get(key)
        if flight is None or (flight.marks is not None and not is_current(flight.marks)):
            return None
        return flight

    def start(self, key: str, marks: tuple[Mark, ...] | None, tag_epoch: int) -> Flight:
        """A new load of `key`, which newcomers wait for from now on."""
        flight = self._flights[key] = self._register(Flight(key, marks, tag_epoch))
        return flight

    def wait(self, flight: Flight, by: Flight | None) -> None:
        """Somebody begins to wait for `flight`, perhaps in the loader of another one.

        Raises:
            RecursiveLoadError: If waiting could never end, because `flight` waits for `by`.
        """
        if by is not None:
            _refuse_circle(flight, by)
            by.waits_for.append(flight)
        flight.waiters += 1

    def leave(self, flight: Flight, by: Flight | None) -> None:
        """Somebody waits no more."""
        flight.waiters -= 1
        if by is not None:
            by.waits_for.remove(flight)

    def land(self, flight: Flight) -> None:
        """The load is over: the next request starts a new one."""
        self.close(flight)
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def cancel(self, key: str, but: Ticket | None = None) -> None:
        """What is being read for `key` must not be stored, and newcomers must not wait for it."""
        for ticket in self._tickets.get(key, ()):
            if ticket is not but:
                ticket.is_stale = True
        self._flights.pop(key, None)

    def cancel_if(self, is_match: Callable[[str], bool]) -> None:
        """Cancel every key that matches."""
        for key in [key for key in self._tickets if is_match(key)]:
            self.cancel(key)

    def _register(self, ticket: _T) -> _T:
        self._tickets.setdefault(ticket.key, []).append(ticket)
        return ticket


def _refuse_circle(flight: Flight, by: Flight) -> None:
    seen: set[int] = set()
    to_see = [flight]
    while to_see:
        wanted = to_see.pop()
        if wanted is by:
            raise RecursiveLoadError(
                f"get_or_load({flight.key!r}): its loader is already running and waits for"
                f" this very call; load the inner value under a key of its own"
            )
        if id(wanted) not in seen:
            seen.add(id(wanted))
            to_see.extend(wanted.waits_for)
