"""The most hits that any cache could have had, knowing the future."""

import heapq
from collections.abc import Hashable, Sequence

__all__ = ["optimal_hits"]


def optimal_hits(keys: Sequence[Hashable], capacity: int) -> int:
    """Hits of Belady's optimum: of newcomer and cached, the one wanted again last is left out.

    Args:
        keys: The requests, in order.
        capacity: Entries, >= 1.

    Returns:
        The hits, in [0, len(keys)]. O(n log n) time, O(n) memory.

    References:
        Belady (1966); with leaving the newcomer out, Mattson et al. (1970).
    """
    following = _next_uses(keys)
    cached: dict[Hashable, int] = {}
    heap: list[tuple[int, Hashable]] = []
    hits = 0
    for key, following_use in zip(keys, following, strict=True):
        if key in cached:
            hits += 1
        elif len(cached) >= capacity:
            latest = _latest(heap, cached)
            if cached[latest] <= following_use:
                continue
            del cached[latest]
        cached[key] = following_use
        heapq.heappush(heap, (-following_use, key))
    return hits


def _next_uses(keys: Sequence[Hashable]) -> list[int]:
    """Of each request the index of the next one for its key; one past the end for none."""
    following = [len(keys)] * len(keys)
    seen: dict[Hashable, int] = {}
    for index in range(len(keys) - 1, -1, -1):
        following[index] = seen.get(keys[index], len(keys))
        seen[keys[index]] = index
    return following


def _latest(heap: list[tuple[int, Hashable]], cached: dict[Hashable, int]) -> Hashable:
    """The cached key that is wanted again last; drops what is out of date before it."""
    while True:
        following_use, key = heap[0]
        if cached.get(key) == -following_use:
            return key
        heapq.heappop(heap)
