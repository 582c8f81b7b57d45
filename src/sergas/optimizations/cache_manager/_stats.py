"""What a cache has counted so far."""

from dataclasses import dataclass

from sergas.optimizations.cache_manager._flight import Source

__all__ = ["CacheStats", "Counts"]


class Counts:
    """The counts of one cache that its lock guards."""

    __slots__ = (
        "level2_hits",
        "load_errors",
        "loads",
        "misses",
        "prefetches",
        "refreshes",
        "stale_hits",
        "timeouts",
        "waits",
    )

    def __init__(self) -> None:
        self.level2_hits = self.stale_hits = self.misses = self.timeouts = 0
        self.loads = self.load_errors = self.waits = self.refreshes = self.prefetches = 0

    def count(self, source: Source) -> None:
        """Count an answered request by where the answer came from."""
        if source is Source.LEVEL2:
            self.level2_hits += 1
        elif source is Source.STALE:
            self.stale_hits += 1
        else:
            self.misses += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Counts since the cache was made; one consistent moment of level 1.

    Every answered request is exactly one of `hits`, `level2_hits`, `stale_hits` and `misses`.

    Attributes:
        hits: Requests that level 1 answered.
        level2_hits: Requests that level 2 answered.
        stale_hits: Requests answered with a value past its time to live, within its stale time.
        misses: Requests that neither level could answer, those that waited for a load included.
        loads: Loader calls that returned a value.
        load_errors: Loader calls that raised.
        waits: Requests answered by a load that somebody else had under way.
        timeouts: Requests that waited as long as they might and got nothing.
        refreshes: Loads begun in the background, for a stale value or ahead of the end of one.
        prefetches: Loads begun before anybody asked.
        evictions: Entries dropped from level 1 to keep a bound, or not let in for it.
        expirations: Entries dropped from level 1 because their time was over.
        size: Entries in level 1 now.
        weight: What they weigh, in the unit of `weight_max`.
        level2_errors: Times level 2 failed, or held what could not be read.
        level2_refusals: Values that level 1 keeps alone, because the codec cannot carry them.
        level2_skips: Calls kept from level 2 because it had failed several times in a row.
        level2_owed: Removals that level 2 missed and has still to be told.
    """

    hits: int
    level2_hits: int
    stale_hits: int
    misses: int
    loads: int
    load_errors: int
    waits: int
    timeouts: int
    refreshes: int
    prefetches: int
    evictions: int
    expirations: int
    size: int
    weight: int
    level2_errors: int
    level2_refusals: int
    level2_skips: int
    level2_owed: int

    @property
    def requests(self) -> int:
        """Requests answered, by a level or by a loader or with the default."""
        return self.hits + self.level2_hits + self.stale_hits + self.misses

    @property
    def hit_ratio(self) -> float:
        """Share of requests that a level answered, in [0, 1]; 0.0 before the first request."""
        if not self.requests:
            return 0.0
        return (self.hits + self.level2_hits + self.stale_hits) / self.requests

    @property
    def level1_hit_ratio(self) -> float:
        """Share of requests that level 1 answered with a fresh value."""
        return self.hits / self.requests if self.requests else 0.0

    @property
    def level2_hit_ratio(self) -> float:
        """Share of the requests that came to level 2 which it answered."""
        asked = self.level2_hits + self.misses
        return self.level2_hits / asked if asked else 0.0
