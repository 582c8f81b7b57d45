"""The cache as it is used; what happens is decided in `_core` and `_loading`."""

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from sergas.chance import draw
from sergas.clock import Clock, SystemClock
from sergas.errors import CacheValueError
from sergas.optimizations.cache_manager._breaker import Breaker
from sergas.optimizations.cache_manager._cached import Decorator, decorator
from sergas.optimizations.cache_manager._codec import Codec, PlainCodec
from sergas.optimizations.cache_manager._core import CacheCore
from sergas.optimizations.cache_manager._level import CacheLevel
from sergas.optimizations.cache_manager._memory import MemoryLevel
from sergas.optimizations.cache_manager._options import (
    DEFAULT,
    EntryOptions,
    TimeToLive,
    resolved,
)
from sergas.optimizations.cache_manager._second import SecondLevel
from sergas.optimizations.cache_manager._stats import CacheStats
from sergas.optimizations.cache_manager._tasks import TaskMethods
from sergas.optimizations.cache_manager._threads import ThreadMethods
from sergas.optimizations.cache_manager._weigh import Weigher, size_bytes
from sergas.optimizations.cache_manager._write_behind import WriteBehind, Writer
from sergas.optimizations.cache_manager.policies import PolicyMaker, make_policy

__all__ = ["CacheManager"]


class CacheManager(ThreadMethods, TaskMethods):
    """A bounded cache of values under string keys, for threads and tasks at once.

    Values are kept by reference in level 1, not copied. None is a value like any other, unless
    the options have a `negative_ttl_s`. Methods for threads have twins for tasks that begin with
    `a`; both kinds share everything, a load under way included.

    Args:
        entries_max: Most entries in level 1, >= 1.
        bytes_max: Most bytes in level 1, >= 1, by `weigh`; None for no such bound.
        ttl_s: Default time to live in seconds, >= 0; None for ever. Stands for
            `options=EntryOptions(ttl_s=...)`.
        options: What holds for entries where a call says nothing else.
        level2: A slower, larger, shared level such as `SqliteLevel`; its owner closes it. It
            belongs to this cache alone; other caches open it again.
        codec: How values become bytes for level 2; plain data by default.
        policy: What decides which entry goes when level 1 is full: a name from `POLICIES`, or what
            makes one, such as the class `LruPolicy`.
        weigh: Gives an entry's size in bytes, `size_bytes` by default; asked only with `bytes_max`.
        breaker: When to leave a failing level 2 alone.
        writer: Where values belong, such as a database: `set` and its like write there as well.
            A function is called first, and if it raises nothing is cached (write-through); a
            `WriteBehind` is called later. Its owner closes it.
        background_max: Most threads that load in the background, >= 1.
        clock: The monotonic clock that ages level 1.
        draw: Gives random numbers from [0, 1), for jitter and early loads.

    Raises:
        CacheValueError: If a number is out of its range.
    """

    def __init__(  # noqa: PLR0913 each has its default and is named in the call
        self,
        *,
        entries_max: int = 1024,
        bytes_max: int | None = None,
        ttl_s: TimeToLive = DEFAULT,
        options: EntryOptions | None = None,
        level2: CacheLevel | None = None,
        codec: Codec | None = None,
        policy: str | PolicyMaker = "tinylfu",
        weigh: Weigher = size_bytes,
        breaker: Breaker | None = None,
        writer: Writer | WriteBehind | None = None,
        background_max: int = 16,
        clock: Clock | None = None,
        draw: Callable[[], float] = draw,
    ) -> None:
        clock = clock or SystemClock()
        make = partial(make_policy, policy) if isinstance(policy, str) else policy
        core = CacheCore(
            memory=MemoryLevel(
                policy=make(entries_max=entries_max, weight_max=bytes_max), clock=clock
            ),
            second=None
            if level2 is None
            else SecondLevel(codec or PlainCodec(), breaker or Breaker(), clock),
            weigh=_weightless if bytes_max is None else weigh,
            clock=clock,
            draw=draw,
        )
        super().__init__(
            core,
            options=resolved(EntryOptions(), options, ttl_s),
            level=level2,
            writer=writer,
            background_max=background_max,
        )
        if level2 is not None:
            core.guard = level2.attach(core)
        self._prefixes: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def cached(
        self,
        *,
        ttl_s: TimeToLive = DEFAULT,
        tags: tuple[str, ...] | None = None,
        options: EntryOptions | None = None,
        prefix: str | None = None,
        key: Callable[..., str] | None = None,
    ) -> Decorator:
        """A decorator that puts this cache in front of a function, coroutine function or method.

        Args:
            ttl_s: As in the options.
            tags: As in the options.
            options: What holds for the entries; the cache's own by default.
            prefix: What the keys begin with; the function's module and qualified name by default.
            key: Makes the rest of the key from the call's arguments, where they are not plain data.

        Raises:
            CacheValueError: If a number is out of its range, or, when a function is decorated, if
                another one of this cache already has its prefix.
            UncacheableError: When a generator function is decorated.
        """
        chosen = self._chosen(options, ttl_s, tags)
        return decorator(self, chosen, prefix=prefix, key=key)

    def stats(self) -> CacheStats:
        """The counts so far."""
        core, second = self._core, self._core.second
        with core.lock:
            core.memory.purge()
            counts = core.counts
            return CacheStats(
                hits=core.memory.hits,
                level2_hits=counts.level2_hits,
                stale_hits=counts.stale_hits,
                misses=counts.misses,
                loads=counts.loads,
                load_errors=counts.load_errors,
                waits=counts.waits,
                timeouts=counts.timeouts,
                refreshes=counts.refreshes,
                prefetches=counts.prefetches,
                evictions=core.memory.evictions,
                expirations=core.memory.expirations,
                size=len(core.memory),
                weight=core.memory.weight,
                level2_errors=0 if second is None else second.errors,
                level2_refusals=0 if second is None else second.refusals,
                level2_skips=0 if second is None else second.skips,
                level2_owed=0 if second is None else second.owed,
            )

    def claim_prefix(self, prefix: str) -> None:
        """Reserve the prefix of a decorated function.

        Raises:
            CacheValueError: If another function has it.
        """
        with self._core.lock:
            if prefix in self._prefixes:
                raise CacheValueError(
                    f"cached: two functions with the prefix {prefix!r} would be served each"
                    f" other's results; give one of them a prefix=... of its own"
                )
            self._prefixes.add(prefix)


def _weightless(_key: str, _value: object) -> int:
    return 0
