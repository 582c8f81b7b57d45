"""What a cache has counted so far."""

from dataclasses import dataclass

__all__ = ["CacheStats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """Counts since the cache was made; one consistent moment of level 1.

    Every answered request is exactly one of `hits`, `level2_hits` and `misses`.

    Attributes:
        hits: Requests that level 1 answered.
        level2_hits: Requests that level 2 answered.
        misses: Requests that neither level could answer, those that waited for a load included.
        loads: Loader calls that returned a value.
        load_errors: Loader calls that raised.
        waits: Requests answered by a load that another thread had under way.
        evictions: Live entries dropped from level 1 to keep its bound.
        expirations: Entries dropped from level 1 because their time was over.
        size: Live entries in level 1 now.
        level2_errors: Times level 2 failed, or held what could not be read.
        level2_refusals: Values that level 1 keeps alone, because the codec cannot carry them.
    """

    hits: int
    level2_hits: int
    misses: int
    loads: int
    load_errors: int
    waits: int
    evictions: int
    expirations: int
    size: int
    level2_errors: int
    level2_refusals: int

    @property
    def requests(self) -> int:
        """Requests answered, by a level or by a loader or with the default."""
        return self.hits + self.level2_hits + self.misses

    @property
    def hit_ratio(self) -> float:
        """Share of requests that a level answered, in [0, 1]; 0.0 before the first request."""
        return (self.hits + self.level2_hits) / self.requests if self.requests else 0.0
