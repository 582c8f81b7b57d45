"""The cache for tasks: what `_threads` has, under names that begin with `a`."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar, cast, overload

from sergas.optimizations.cache_manager._core import Begun
from sergas.optimizations.cache_manager._flight import Outcome, Source
from sergas.optimizations.cache_manager._loading import lead
from sergas.optimizations.cache_manager._loading import load_many as load_many_of
from sergas.optimizations.cache_manager._options import DEFAULT, EntryOptions, TimeToLive
from sergas.optimizations.cache_manager._shell import Shell, batches, checked

__all__ = ["TaskMethods"]

V = TypeVar("V")
D = TypeVar("D")


class TaskMethods(Shell):
    """Reading, loading and writing from tasks."""

    @overload
    async def aget(self, key: str) -> object: ...

    @overload
    async def aget(self, key: str, default: D) -> object | D: ...

    async def aget(self, key: str, default: object = None) -> object:
        """As `get`."""
        entry = self._core.glance(checked(key))
        if entry is not None:
            return entry.value
        return (await self._arun(self._get([key]))).get(key, default)

    async def aget_many(self, keys: Iterable[str]) -> dict[str, object]:
        """As `get_many`."""
        return await self._arun(self._get([checked(key) for key in keys]))

    @overload
    async def aget_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[V]],
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
    ) -> V: ...
    @overload
    async def aget_or_load(
        self,
        key: str,
        loader: Callable[[], V],
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
    ) -> V: ...
    async def aget_or_load(
        self,
        key: str,
        loader: Callable[[], Awaitable[V]] | Callable[[], V],
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
    ) -> V:
        """As `get_or_load`; what the loader returns is awaited if it can be.

        The load runs in a task of its own: cancelling the caller, even the first one, ends nobody
        else's wait and not the load.
        """
        chosen = self._chosen(options, ttl_s, tags)
        entry = self._core.glance(checked(key))
        if entry is not None:
            return cast("V", entry.value)
        while True:
            begun = self._core.begin(key, chosen)
            if begun.is_leader and begun.flight is not None:
                self._spawn(lead(self._core, begun.flight, chosen, loader))
            outcome = begun.outcome or await self._await(begun)
            if outcome.error is not None:
                raise outcome.error
            if outcome.source is not Source.NOBODY:
                return cast("V", outcome.value)

    def aprefetch(
        self,
        key: str,
        loader: Callable[[], Awaitable[object]] | Callable[[], object],
        *,
        options: EntryOptions | None = None,
    ) -> bool:
        """As `prefetch`, in a task of the running loop; returns at once."""
        chosen = self._chosen(options)
        flight = self._core.prefetch(checked(key), chosen)
        if flight is not None:
            self._spawn(lead(self._core, flight, chosen, loader))
        return flight is not None

    async def awarm_up(
        self,
        keys: Iterable[str],
        load_many: Callable[[Sequence[str]], Awaitable[Mapping[str, object]]],
        *,
        batch: int = 100,
        options: EntryOptions | None = None,
    ) -> int:
        """As `warm_up`."""
        chosen = self._chosen(options)
        count = 0
        for part in batches([checked(key) for key in keys], batch):
            count += await self._arun(load_many_of(self._core, part, chosen, load_many))
        return count

    async def aset(
        self,
        key: str,
        value: object,
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
    ) -> None:
        """As `set`."""
        chosen = self._chosen(options, ttl_s, tags)
        await self._abring_home({checked(key): value})
        await self._arun(self._core.write({key: value}, chosen))

    async def aset_many(
        self, items: Mapping[str, object], *, options: EntryOptions | None = None
    ) -> None:
        """As `set_many`."""
        for key in items:
            checked(key)
        await self._abring_home(items)
        await self._arun(self._core.write(items, self._chosen(options)))

    async def adelete(self, key: str) -> bool:
        """As `delete`."""
        return await self._arun(self._core.remove([checked(key)])) > 0

    async def adelete_many(self, keys: Iterable[str]) -> int:
        """As `delete_many`."""
        return await self._arun(self._core.remove([checked(key) for key in keys]))

    async def ainvalidate_tag(self, tag: str) -> None:
        """As `invalidate_tag`."""
        await self._arun(self._core.invalidate_tag(checked(tag)))

    async def ainvalidate_pattern(self, pattern: str) -> None:
        """As `invalidate_pattern`."""
        await self._arun(self._core.remove_matching(checked(pattern)))

    async def aclear(self) -> None:
        """As `clear`."""
        await self._arun(self._core.clear())

    async def _abring_home(self, items: Mapping[str, object]) -> None:
        if self._writer is not None:
            await asyncio.to_thread(self._bring_home, items)

    async def _await(self, begun: Begun) -> Outcome:
        if begun.flight is None:
            raise AssertionError("who waits has a flight")
        outcome: Outcome | None
        try:
            async with asyncio.timeout(begun.wait_s):
                outcome = await asyncio.wrap_future(begun.flight.done)
        except TimeoutError:
            outcome = None
        except BaseException:
            self._core.leave(begun)
            raise
        return self._core.end(begun, outcome)
