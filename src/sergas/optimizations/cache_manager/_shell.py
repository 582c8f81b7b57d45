"""What the methods for threads and for tasks share: the state, and how operations are done."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from sergas.errors import CacheValueError, UncacheableError
from sergas.optimizations.cache_manager._background import BackgroundThreads
from sergas.optimizations.cache_manager._core import CacheCore
from sergas.optimizations.cache_manager._flight import Flight, Outcome, Source
from sergas.optimizations.cache_manager._level import CacheLevel
from sergas.optimizations.cache_manager._loading import lead
from sergas.optimizations.cache_manager._options import (
    DEFAULT,
    EntryOptions,
    TimeToLive,
    resolved,
)
from sergas.optimizations.cache_manager._steps import Operation, carry_out, carry_out_async
from sergas.optimizations.cache_manager._write_behind import WriteBehind, Writer

__all__ = ["Shell", "batches", "checked"]

T = TypeVar("T")


class Shell:
    """A cache's state and its ways to get things done."""

    def __init__(
        self,
        core: CacheCore,
        *,
        options: EntryOptions,
        level: CacheLevel | None,
        writer: Writer | WriteBehind | None,
        background_max: int,
    ) -> None:
        self._core = core
        self._options = options
        self._level = level
        self._writer = writer
        self._background = BackgroundThreads(background_max)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def core(self) -> CacheCore:
        """The state behind this cache, for the module's own parts."""
        return self._core

    def close(self, timeout_s: float = 5.0) -> bool:
        """Wait for loads in the background; whether they ended in time. The cache stays usable."""
        return self._background.join(timeout_s)

    def _bring_home(self, items: Mapping[str, object]) -> None:
        """Write values to where they belong, or have them written."""
        if isinstance(self._writer, WriteBehind):
            self._writer.put(items)
        elif self._writer is not None:
            self._writer(items)

    def _chosen(
        self,
        options: EntryOptions | None,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
    ) -> EntryOptions:
        return resolved(self._options, options, ttl_s, tags)

    def _get(self, keys: list[str]) -> Operation[dict[str, object]]:
        values: dict[str, object] = {}
        missing = []
        for key in keys:
            outcome = self._core.peek(key)
            if outcome is None:
                missing.append(key)
            else:
                values[key] = outcome.value
        if missing:
            values.update((yield from self._core.read(missing, self._options.beta)))
        return values

    def _run(self, operation: Operation[T]) -> T:
        return carry_out(operation, self._level)

    async def _arun(self, operation: Operation[T]) -> T:
        return await carry_out_async(operation, None if self._level is None else self._level.aio)

    def _in_background(
        self,
        flight: Flight,
        options: EntryOptions,
        loader: Callable[[], object],
        *,
        inline: bool = False,
    ) -> bool:
        operation = lead(self._core, flight, options, loader)
        if self._background.start(lambda: carry_out(operation, self._level)):
            return True
        if not inline:
            self._core.land(flight, Outcome(Source.NOBODY))
        return False

    def _spawn(self, operation: Operation[None]) -> None:
        task = asyncio.get_running_loop().create_task(self._arun(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def checked(key: str) -> str:
    """The key, if it is one.

    Raises:
        UncacheableError: If it is not a string.
    """
    if not isinstance(key, str):
        raise UncacheableError(
            f"CacheManager: got a key of type {type(key).__qualname__}, needed str; 1 and True"
            f" would be the same key"
        )
    return key


def batches(keys: list[str], size: int) -> Iterable[list[str]]:
    """The keys, `size` at a time.

    Raises:
        CacheValueError: If `size` is below 1.
    """
    if size < 1:
        raise CacheValueError(f"warm_up: got batch={size}, needed 1 or more")
    return (keys[start : start + size] for start in range(0, len(keys), size))
