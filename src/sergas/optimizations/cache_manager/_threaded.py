"""The asynchronous twin of a level that has none of its own: each call in a thread."""

import asyncio
from collections.abc import Mapping, Sequence

from sergas.optimizations.cache_manager._level import Answer, CacheLevel, Claim, StoredValue

__all__ = ["ThreadedTwin"]


class ThreadedTwin:
    """An `AsyncCacheLevel` on the event loop's default executor."""

    __slots__ = ("_level",)

    def __init__(self, level: CacheLevel) -> None:
        self._level = level

    async def read(self, keys: Sequence[str]) -> Mapping[str, StoredValue]:
        """As `CacheLevel.read`."""
        return await asyncio.to_thread(self._level.read, keys)

    async def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> Mapping[str, Answer]:
        """As `CacheLevel.claim`."""
        return await asyncio.to_thread(
            self._level.claim, keys, tags=tags, lease_s=lease_s, early_s=early_s
        )

    async def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> Sequence[bool]:
        """As `CacheLevel.fulfil`."""
        return await asyncio.to_thread(self._level.fulfil, items)

    async def release(self, claims: Sequence[Claim]) -> None:
        """As `CacheLevel.release`."""
        await asyncio.to_thread(self._level.release, claims)

    async def write(self, items: Mapping[str, StoredValue]) -> None:
        """As `CacheLevel.write`."""
        await asyncio.to_thread(self._level.write, items)

    async def remove(self, keys: Sequence[str]) -> int:
        """As `CacheLevel.remove`."""
        return await asyncio.to_thread(self._level.remove, keys)

    async def remove_matching(self, pattern: str) -> int:
        """As `CacheLevel.remove_matching`."""
        return await asyncio.to_thread(self._level.remove_matching, pattern)

    async def invalidate_tag(self, tag: str) -> None:
        """As `CacheLevel.invalidate_tag`."""
        await asyncio.to_thread(self._level.invalidate_tag, tag)

    async def clear(self) -> None:
        """As `CacheLevel.clear`."""
        await asyncio.to_thread(self._level.clear)
