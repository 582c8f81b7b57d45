"""Every decision of the cache, for threads and tasks alike; `_manager` carries them out.

One lock guards level 1, the flights, the tags and the counts. It is never held during a load, a
wait or a call of level 2, and a hit in level 1 does not take it.

Why a deleted value cannot come back. Every write of a key goes through level 1, then level 2, then
level 1 again. The first step makes the tickets of all reads under way stale, so that they store
nothing; the last does the same to reads that began meanwhile and may have seen level 2 as it was.
Loads by other processes are held off by claims (`_level`), and copies in their level 1 by what the
level tells its listeners before a removal returns. Two writes of one key at the same time leave it
to level 2 which was the last: level 1 keeps neither.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sergas.clock import Clock
from sergas.errors import LoadTimeoutError
from sergas.optimizations.cache_manager._entry import Entry, Freshness, freshness
from sergas.optimizations.cache_manager._flight import (
    Flight,
    FlightBoard,
    Outcome,
    Source,
    Ticket,
    current_flight,
)
from sergas.optimizations.cache_manager._level import key_matcher
from sergas.optimizations.cache_manager._memory import MemoryLevel
from sergas.optimizations.cache_manager._options import EntryOptions, Life, life_of
from sergas.optimizations.cache_manager._second import Found, SecondLevel
from sergas.optimizations.cache_manager._stats import Counts
from sergas.optimizations.cache_manager._steps import Operation
from sergas.optimizations.cache_manager._tags import TagBook, is_current
from sergas.optimizations.cache_manager.policies import READ_BUFFER_MAX

__all__ = ["Begun", "CacheCore"]

_SAME_END_S = 0.05


@dataclass(frozen=True, slots=True)
class Begun:
    """How a request goes on.

    Attributes:
        outcome: What to serve at once; None if the flight must be waited for.
        flight: The load to wait for, or to lead; None if there is none.
        is_leader: Whether the caller must see to it that the flight is led.
        fallback: A stale entry to serve if the wait takes too long.
        wait_s: How long to wait; None without end.
    """

    outcome: Outcome | None
    flight: Flight | None = None
    is_leader: bool = False
    fallback: Entry | None = None
    wait_s: float | None = None


class CacheCore:
    """The state of one cache and what may be done with it.

    Attributes:
        guard: Whether level 1 may be served from, None if always; set by the manager.
        counts: What has been counted, apart from hits in level 1.
    """

    def __init__(
        self,
        *,
        memory: MemoryLevel,
        second: SecondLevel | None,
        weigh: Callable[[str, object], int],
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        self.memory = memory
        self.second = second
        self.guard: Callable[[], bool] | None = None
        self.lock = threading.Lock()
        self.board = FlightBoard()
        self.tags = TagBook()
        self.counts = Counts()
        self.now_s = clock.monotonic_s
        self._weigh = weigh
        self.draw = draw

    # Reading

    def glance(self, key: str) -> Entry | None:
        """The entry under `key` if it is fresh beyond doubt; takes no lock."""
        entry = self.memory.entries.get(key)
        if (
            entry is not None
            and (self.guard is None or self.guard())  # first: it may drop the entry
            and self.now_s() < entry.fresh_until_s
            and (entry.tags is None or is_current(entry.tags))
        ):
            self.memory.note_hit(entry)
            if len(self.memory.noted) >= READ_BUFFER_MAX:
                self.cut_notes()
            return entry
        return None

    def peek(self, key: str) -> Outcome | None:
        """What level 1 may serve under `key`; None if nothing. For the path without a loader."""
        is_trusted = self.guard is None or self.guard()
        with self.lock:
            entry = self.memory.entries.get(key) if is_trusted else None
            if entry is None:
                return None
            state = freshness(entry, self.now_s(), self.draw)
            if state is not Freshness.FRESH and state is not Freshness.EARLY:
                return None
            self.memory.note_hit(entry)
            return Outcome(Source.LEVEL1, entry.value)

    def read(self, keys: Sequence[str], beta: float) -> Operation[dict[str, object]]:
        """What level 2 holds under keys that level 1 has not, moved up."""
        values: dict[str, object] = {}
        if self.second is not None and keys:
            now_s = self.now_s()
            with self.lock:
                tickets = {key: self._ticket(key) for key in keys}
            try:
                found = yield from self.second.read(list(tickets), beta)
                for key, item in found.items():
                    self.promote(tickets[key], item, now_s)
                    if item.is_fresh:
                        values[key] = item.value
            finally:
                with self.lock:
                    for ticket in tickets.values():
                        self.board.close(ticket)
        with self.lock:
            self.counts.level2_hits += len(values)
            self.counts.misses += len(keys) - len(values)
        return values

    # Loading

    def begin(self, key: str, options: EntryOptions) -> Begun:
        """How a request for `key`, which level 1 could not serve at a glance, goes on.

        Raises:
            RecursiveLoadError: If it would wait for itself.
        """
        is_trusted = self.guard is None or self.guard()
        with self.lock:
            entry = self.memory.entries.get(key) if is_trusted else None
            state = Freshness.OVER if entry is None else freshness(entry, self.now_s(), self.draw)
            if entry is not None and state is Freshness.FRESH:
                self.memory.note_hit(entry)
                return Begun(Outcome(Source.LEVEL1, entry.value))
            flight = self.board.find(key)
            is_leader = flight is None
            if entry is not None and (
                state is Freshness.EARLY
                or (state is Freshness.STALE and options.soft_timeout_s == 0)
            ):
                if flight is None:
                    return self._at_once(entry, state, self._start(key, options, entry))
                return self._at_once(entry, state, None)
            if flight is None:
                flight = self._start(key, options, entry if state is Freshness.STALE else None)
            self.board.wait(flight, current_flight.get())
            if state is Freshness.STALE:
                return Begun(None, flight, is_leader, entry, options.soft_timeout_s)
            return Begun(None, flight, is_leader, None, options.hard_timeout_s)

    def end(self, begun: Begun, outcome: Outcome | None) -> Outcome:
        """What to serve after waiting; `outcome` is None if the wait took too long.

        Raises:
            LoadTimeoutError: If it took too long and there is nothing else to serve.
        """
        flight = begun.flight
        if flight is None:
            raise AssertionError("only who waited ends")
        with self.lock:
            self.board.leave(flight, current_flight.get())
            if outcome is None and begun.fallback is not None and self._may_serve(begun.fallback):
                outcome = Outcome(Source.STALE, begun.fallback.value)
            if outcome is None:
                self.counts.timeouts += 1
                raise LoadTimeoutError(
                    f"get_or_load({flight.key!r}): no value after {begun.wait_s} s, the wait"
                    f" allowed; the load goes on, ask again or raise hard_timeout_s"
                )
            if outcome.source is not Source.NOBODY:
                self.counts.count(outcome.source)
                self.counts.waits += not begun.is_leader
        return outcome

    def leave(self, begun: Begun) -> None:
        """The caller was interrupted while it waited."""
        if begun.flight is not None:
            with self.lock:
                self.board.leave(begun.flight, current_flight.get())

    def prefetch(self, key: str, options: EntryOptions) -> Flight | None:
        """A flight to lead for a key that nobody has asked for yet; None if there is no need."""
        is_trusted = self.guard is None or self.guard()
        with self.lock:
            entry = self.memory.entries.get(key) if is_trusted else None
            if entry is not None and freshness(entry, self.now_s(), self.draw) is Freshness.FRESH:
                return None
            if self.board.find(key) is not None:
                return None
            self.counts.prefetches += 1
            return self._start(key, options)

    # Writing

    def write(self, items: Mapping[str, object], options: EntryOptions) -> Operation[None]:
        """Put values into both levels.

        Raises:
            CacheLevelError: If level 2 failed; level 1 has the values then.
        """
        lives = {
            key: life_of(options, value, cost_s=0.0, draw=self.draw) for key, value in items.items()
        }
        over = [key for key, life in lives.items() if life is None]
        if over:
            yield from self.remove(over)
        kept = {key: (items[key], life) for key, life in lives.items() if life is not None}
        weights = {key: self._weigh(key, value) for key, (value, _) in kept.items()}
        now_s = self.now_s()
        with self.lock:
            tickets = []
            marks = self.tags.marks(options.tags)
            for key, (value, life) in kept.items():
                self.board.cancel(key)
                tickets.append(self._ticket(key))
                self.memory.put(key, value, life, marks=marks, weight=weights[key], now_s=now_s)
        try:
            if self.second is not None and kept:
                yield from self.second.write(kept, options.tags)
        finally:
            with self.lock:
                for ticket in tickets:
                    self._settle(ticket, kept[ticket.key][0])

    def remove(self, keys: Sequence[str]) -> Operation[int]:
        """Remove keys from both levels; how many of them had a fresh value.

        Raises:
            CacheLevelError: If level 2 failed.
        """
        with self.lock:
            there = {key for key in keys if self._forget(key)}
        if self.second is None:
            return len(there)
        try:
            count = yield from self.second.remove(keys)
        finally:
            with self.lock:
                for key in keys:
                    self._forget(key)
        return max(count, len(there))

    def remove_matching(self, pattern: str) -> Operation[None]:
        """Remove the keys that fit from both levels.

        Raises:
            CacheLevelError: If level 2 failed.
        """
        self.forget_matching(pattern)
        if self.second is not None:
            try:
                yield from self.second.remove_matching(pattern)
            finally:
                self.forget_matching(pattern)

    def invalidate_tag(self, tag: str) -> Operation[None]:
        """Let what has the tag be over in both levels.

        Raises:
            CacheLevelError: If level 2 failed.
        """
        self.forget_tag(tag)
        if self.second is not None:
            try:
                yield from self.second.invalidate_tag(tag)
            finally:
                self.forget_tag(tag)

    def clear(self) -> Operation[None]:
        """Remove everything from both levels.

        Raises:
            CacheLevelError: If level 2 failed.
        """
        self.forget_all()
        if self.second is not None:
            try:
                yield from self.second.clear()
            finally:
                self.forget_all()

    # Listening: changes that others made

    def forget_keys(self, keys: Sequence[str]) -> None:
        """These keys were changed."""
        with self.lock:
            for key in keys:
                self._forget(key)

    def forget_matching(self, pattern: str) -> None:
        """The keys that fit were removed."""
        is_match = key_matcher(pattern)
        with self.lock:
            self.board.cancel_if(is_match)
            self.memory.remove_if(is_match)

    def forget_tag(self, tag: str) -> None:
        """What has the tag is over."""
        with self.lock:
            self.tags.invalidate(tag)

    def forget_all(self) -> None:
        """Everything was removed or may have changed."""
        with self.lock:
            self.board.cancel_if(lambda _: True)
            self.memory.remove_if(lambda _: True)

    # Under the lock

    def _at_once(self, entry: Entry, state: Freshness, flight: Flight | None) -> Begun:
        source = Source.STALE if state is Freshness.STALE else Source.LEVEL1
        if source is Source.LEVEL1:
            self.memory.note_hit(entry)
        else:
            self.counts.count(source)
        self.counts.refreshes += flight is not None
        return Begun(Outcome(source, entry.value), flight, flight is not None)

    def _start(self, key: str, options: EntryOptions, entry: Entry | None = None) -> Flight:
        flight = self.board.start(key, self.tags.marks(options.tags), self.tags.epoch)
        if entry is not None:
            left_s = entry.ends_s - self.now_s()
            flight.is_refresh = entry.deadline_s > self.now_s()
            # Level 2 may have the same value, whose end comes at the same moment, give or take.
            flight.early_s = (
                max(0.0, left_s + max(entry.cost_s, _SAME_END_S)) if left_s > 0 else 0.0
            )
        return flight

    def _ticket(self, key: str) -> Ticket:
        return self.board.open(key, self.tags.epoch)

    def _may_serve(self, entry: Entry) -> bool:
        return freshness(entry, self.now_s(), lambda: 0.0) is not Freshness.OVER

    def _forget(self, key: str) -> bool:
        self.board.cancel(key)
        return self.memory.remove(key)

    def _settle(self, ticket: Ticket, value: object) -> None:
        """A write of both levels is over: level 1 keeps it only if it was alone."""
        self.board.close(ticket)
        self.board.cancel(ticket.key)
        entry = self.memory.entries.get(ticket.key)
        if entry is not None and (ticket.is_stale or entry.value is not value):
            self.memory.remove(ticket.key)

    def promote(self, ticket: Ticket, found: Found, now_s: float) -> None:
        """Keep in level 1 what was read from level 2 at `now_s`, unless it was changed since."""
        weight = self._weigh(ticket.key, found.value)
        with self.lock:
            if ticket.is_stale or (ticket.marks is not None and not is_current(ticket.marks)):
                return
            if found.tags and ticket.tag_epoch != self.tags.epoch:
                return
            marks = self.tags.marks(found.tags)
            self.memory.put(
                ticket.key, found.value, found.life, marks=marks, weight=weight, now_s=now_s
            )

    # What loading needs (`_loading`)

    def keep(self, flight: Flight, value: object, life: Life | None, now_s: float) -> None:
        """Keep in level 1 what was loaded, unless the key was written since the load began."""
        weight = 0 if life is None else self._weigh(flight.key, value)
        with self.lock:
            if flight.is_stale or (flight.marks is not None and not is_current(flight.marks)):
                return
            if life is None:
                self.memory.remove(flight.key)
            else:
                self.memory.put(
                    flight.key, value, life, marks=flight.marks, weight=weight, now_s=now_s
                )

    def life(self, options: EntryOptions, value: object, cost_s: float) -> Life | None:
        """The times of a value that was loaded or written now; None if it is not to be kept."""
        return life_of(options, value, cost_s=cost_s, draw=self.draw)

    def spare(self, key: str) -> Entry | None:
        """The entry of `key` if it may be served where there is nothing better; under the lock."""
        entry = self.memory.entries.get(key)
        return entry if entry is not None and self._may_serve(entry) else None

    def land(self, flight: Flight, outcome: Outcome) -> None:
        """A load has ended: tell everybody who waits."""
        with self.lock:
            self.board.land(flight)
        flight.done.set_result(outcome)

    def cut_notes(self) -> None:
        """The list of hits in level 1 is full."""
        with self.lock:
            self.memory.cut_notes()

    def place(self, key: str, table: dict[object, Entry], at: object) -> None:
        """Let a decorated function find the entry of `key` in a table of its own."""
        with self.lock:
            self.memory.place(key, table, at)
