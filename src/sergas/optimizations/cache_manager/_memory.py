"""The first level: entries in this process, bounded in number, in weight and in age.

Reading takes no lock: it finds an entry in a dict, looks at its time and notes the hit in a list
(`note_hit`). Everything else is called under the manager's lock and first hands the noted hits to
the policy. If there are only hits, the list is cut when it is full: the hits are counted, and the
latest of them kept for the policy.

Deadlines live in a heap beside the entries, so that an expired entry leaves at the next write
and is not kept until somebody asks for it. An overwritten entry leaves its old deadline in the
heap; it is recognised by comparing, and the heap is rebuilt before such leftovers outnumber the
entries.
"""

import heapq
import math
from collections.abc import Callable

from sergas.clock import Clock
from sergas.optimizations.cache_manager._entry import Entry
from sergas.optimizations.cache_manager._options import Life
from sergas.optimizations.cache_manager._tags import Mark, is_current
from sergas.optimizations.cache_manager.policies import READ_BUFFER_MAX, EvictionPolicy

__all__ = ["MemoryLevel"]

_LEFTOVERS_ALLOWED = 64


class MemoryLevel:
    """A bounded dict of entries with deadlines; not thread-safe, except for reading.

    Attributes:
        entries: The entries by key; readers look in without a lock.
        noted: The hits since they were last counted; readers append without a lock.
        note_hit: Appends to `noted`.
        evictions: Entries dropped to keep a bound, or not let in.
        expirations: Entries dropped because their time was over.
    """

    __slots__ = (
        "_clock",
        "_counted",
        "_deadlines",
        "_kept",
        "_policy",
        "entries",
        "evictions",
        "expirations",
        "note_hit",
        "noted",
    )

    def __init__(self, *, policy: EvictionPolicy, clock: Clock) -> None:
        self.entries: dict[str, Entry] = {}
        self.noted: list[Entry] = []
        self.note_hit = self.noted.append
        self.evictions = 0
        self.expirations = 0
        self._counted = 0
        self._kept: list[Entry] = []
        self._policy = policy
        self._clock = clock
        self._deadlines: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def weight(self) -> int:
        """The sum of the entries' weights."""
        return self._policy.total_weight

    @property
    def hits(self) -> int:
        """All hits so far."""
        return self._counted + len(self.noted)

    def cut_notes(self) -> None:
        """Count the noted hits and keep the latest; under the lock, when the list is full."""
        if len(self.noted) >= READ_BUFFER_MAX:
            self._kept = self._take_notes()

    def put(
        self,
        key: str,
        value: object,
        life: Life,
        *,
        marks: tuple[Mark, ...] | None,
        weight: int,
        now_s: float,
    ) -> None:
        """Keep `value` for its life, which began at `now_s`, dropping others to make room."""
        self.purge()
        entry = self.entries.get(key)
        if entry is None:
            entry = self.entries[key] = Entry(key, value, weight)
        entry.value = value
        entry.weight = weight
        entry.tags = marks
        entry.live(life, now_s)
        if entry.deadline_s != math.inf:
            heapq.heappush(self._deadlines, (entry.deadline_s, key))
        for victim in self._policy.admit(entry):
            del self.entries[victim.key]  # type: ignore[arg-type]  # the keys are ours
            victim.drop()  # type: ignore[attr-defined]  # the nodes are ours
            self.evictions += 1
        self._drop_leftovers()

    def place(self, key: str, table: dict[object, Entry], at: object) -> None:
        """Let a decorated function find the entry of `key` in a table of its own."""
        entry = self.entries.get(key)
        if entry is not None and entry.place is None:
            table[at] = entry
            entry.place = table, at

    def remove(self, key: str) -> bool:
        """Drop `key`; whether there was a fresh value."""
        self.purge()
        entry = self.entries.get(key)
        if entry is None:
            return False
        is_fresh = self._clock.monotonic_s() < entry.ends_s and (
            entry.tags is None or is_current(entry.tags)
        )
        self._drop(key)
        return is_fresh

    def remove_if(self, is_match: Callable[[str], bool]) -> None:
        """Drop every key that matches."""
        for key in [key for key in self.entries if is_match(key)]:
            self._drop(key)

    def resize(self, *, entries_max: int, weight_max: int | None) -> None:
        """Change the bounds.

        Raises:
            CacheValueError: If a bound is below 1.
        """
        self.purge()
        for victim in self._policy.resize(entries_max=entries_max, weight_max=weight_max):
            del self.entries[victim.key]  # type: ignore[arg-type]  # the keys are ours
            victim.drop()  # type: ignore[attr-defined]  # the nodes are ours
            self.evictions += 1

    def purge(self) -> None:
        """Tell the policy of the hits and drop what has expired, in O(log n) for each."""
        if self.noted or self._kept:
            latest = self._take_notes()
            self._policy.touch(self._kept + latest)
            self._kept = []
        if not self._deadlines:
            return
        now_s = self._clock.monotonic_s()
        while self._deadlines and self._deadlines[0][0] <= now_s:
            deadline_s, key = heapq.heappop(self._deadlines)
            entry = self.entries.get(key)
            if entry is not None and entry.deadline_s == deadline_s:
                self._drop(key)
                self.expirations += 1

    def _take_notes(self) -> list[Entry]:
        count = len(self.noted)
        notes = self.noted[:count]
        del self.noted[:count]
        self._counted += count
        return notes

    def _drop(self, key: str) -> None:
        entry = self.entries.pop(key)
        self._policy.remove(entry)
        entry.drop()

    def _drop_leftovers(self) -> None:
        if len(self._deadlines) > 2 * len(self.entries) + _LEFTOVERS_ALLOWED:
            self._deadlines = [
                (entry.deadline_s, key)
                for key, entry in self.entries.items()
                if entry.deadline_s != math.inf
            ]
            heapq.heapify(self._deadlines)
