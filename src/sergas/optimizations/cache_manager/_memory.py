"""The first level: entries in this process, bounded in number and in age.

It has no lock: the manager holds one around every call.

Deadlines live in a heap beside the entries, so that an expired entry leaves at the next write
and is not kept until somebody asks for it. An overwritten entry leaves its old deadline in the
heap; it is recognised by comparing, and the heap is rebuilt before such leftovers outnumber the
entries.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from sergas.clock import Clock
from sergas.optimizations.cache_manager._policy import EvictionPolicy

__all__ = ["Entry", "MemoryLevel"]

_LEFTOVERS_ALLOWED = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and the moment from which it must not be served; None means it has no end."""

    value: object
    deadline_s: float | None


class MemoryLevel:
    """A bounded dict of entries with deadlines; not thread-safe."""

    __slots__ = (
        "_clock",
        "_deadlines",
        "_entries",
        "_policy",
        "entries_max",
        "evictions",
        "expirations",
    )

    def __init__(self, *, entries_max: int, policy: EvictionPolicy, clock: Clock) -> None:
        self.entries_max = entries_max
        self.evictions = 0
        self.expirations = 0
        self._policy = policy
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._deadlines: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> Entry | None:
        """The live entry under `key`; reading counts as use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.deadline_s is not None and self._clock.monotonic_s() >= entry.deadline_s:
            self.purge()
            return None
        self._policy.used(key)
        return entry

    def put(self, key: str, value: object, ttl_s: float | None) -> None:
        """Keep `value` for `ttl_s` seconds (> 0, None for ever), dropping others to make room."""
        self.purge()
        deadline_s = None if ttl_s is None else self._clock.monotonic_s() + ttl_s
        is_new = key not in self._entries
        self._entries[key] = Entry(value, deadline_s)
        if deadline_s is not None:
            heapq.heappush(self._deadlines, (deadline_s, key))
            self._drop_leftovers()
        if is_new:
            self._policy.added(key)
            self._keep_bound()
        else:
            self._policy.used(key)

    def remove(self, key: str) -> bool:
        """Drop `key`; whether it was there and alive."""
        self.purge()
        return self._drop(key)

    def remove_if(self, is_match: Callable[[str], bool]) -> None:
        """Drop every key that matches."""
        for key in [key for key in self._entries if is_match(key)]:
            self._drop(key)

    def clear(self) -> None:
        """Drop everything; the counts stay."""
        self._entries.clear()
        self._deadlines.clear()
        self._policy.clear()

    def purge(self) -> None:
        """Drop what has expired, in O(log n) for each entry dropped."""
        if not self._deadlines:
            return
        now_s = self._clock.monotonic_s()
        while self._deadlines and self._deadlines[0][0] <= now_s:
            deadline_s, key = heapq.heappop(self._deadlines)
            entry = self._entries.get(key)
            if entry is not None and entry.deadline_s == deadline_s:
                self._drop(key)
                self.expirations += 1

    def _drop(self, key: str) -> bool:
        if self._entries.pop(key, None) is None:
            return False
        self._policy.removed(key)
        return True

    def _keep_bound(self) -> None:
        while len(self._entries) > self.entries_max:
            self._drop(self._policy.victim())
            self.evictions += 1

    def _drop_leftovers(self) -> None:
        if len(self._deadlines) > 2 * len(self._entries) + _LEFTOVERS_ALLOWED:
            self._deadlines = [
                (entry.deadline_s, key)
                for key, entry in self._entries.items()
                if entry.deadline_s is not None
            ]
            heapq.heapify(self._deadlines)
