"""The cache: level 1 in this process, an optional level 2 behind it, one load at a time for a key.

Locks, always taken in this order: `SecondLevel.order` (only with a level 2) around a write of both
levels, so that both see writes in one order; then `_lock` around level 1, the flights and the
counts. `_lock` is never held during a load, a wait or a call of level 2; a hit in level 1 takes
nothing else.

Why a deleted value cannot come back: every write first cancels what is being read for its key, so
a read that began before cannot store its result afterwards; and a level 2 that could not remove a
value is not asked for it again before it has (see `SecondLevel`).
"""

import enum
import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, ParamSpec, TypeVar, cast, overload

from sergas.clock import Clock, SystemClock
from sergas.errors import CacheValueError, UncacheableError
from sergas.optimizations.cache_manager._cached import CachedFunction, Decorator
from sergas.optimizations.cache_manager._codec import Codec, PlainCodec
from sergas.optimizations.cache_manager._flight import Flight, FlightBoard, Ticket
from sergas.optimizations.cache_manager._level import CacheLevel, key_matcher
from sergas.optimizations.cache_manager._memory import MemoryLevel
from sergas.optimizations.cache_manager._policy import EvictionPolicy, LruPolicy
from sergas.optimizations.cache_manager._second import Found, SecondLevel
from sergas.optimizations.cache_manager._stats import CacheStats

__all__ = ["CacheManager", "TimeToLive"]

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")
D = TypeVar("D")


class _Unset(enum.Enum):
    """The cache's own time to live, where None already means for ever."""

    DEFAULT = enum.auto()


TimeToLive = float | None | Literal[_Unset.DEFAULT]
_DEFAULT: Final = _Unset.DEFAULT
_MISSING: Final = object()


class CacheManager:
    """A bounded, thread-safe cache of values under string keys.

    Values are kept by reference in level 1, not copied. None is a value like any other. Level 1 is
    this process's own: a key deleted by another process leaves level 2, and leaves this level 1
    when its time is over.

    Args:
        entries_max: Most entries in level 1, >= 1.
        ttl_s: Default time to live in seconds, >= 0; None for ever. 0 means already over: such a
            value is not stored, and what was under its key is removed.
        level2: A slower, larger, shared level such as `SqliteLevel`; its owner closes it.
        codec: How values become bytes for level 2; plain data by default.
        policy: Which entry goes when level 1 is full; least recently used by default. Belongs to
            this cache alone from now on.
        clock: The monotonic clock that ages level 1.

    Raises:
        CacheValueError: If a number is out of its range.
    """

    def __init__(
        self,
        *,
        entries_max: int = 1024,
        ttl_s: float | None = None,
        level2: CacheLevel | None = None,
        codec: Codec | None = None,
        policy: EvictionPolicy | None = None,
        clock: Clock | None = None,
    ) -> None:
        if entries_max < 1:
            raise CacheValueError(f"CacheManager: got entries_max={entries_max}, needed 1 or more")
        self._ttl_s = _checked_ttl(ttl_s)
        self._memory = MemoryLevel(
            entries_max=entries_max, policy=policy or LruPolicy(), clock=clock or SystemClock()
        )
        self._second = None if level2 is None else SecondLevel(level2, codec or PlainCodec())
        self._lock = threading.Lock()
        self._board = FlightBoard()
        self._prefixes: set[str] = set()
        self._hits = self._level2_hits = self._misses = self._waits = 0
        self._loads = self._load_errors = 0

    @overload
    def get(self, key: str) -> object: ...
    @overload
    def get(self, key: str, default: D) -> object | D: ...
    def get(self, key: str, default: object = None) -> object:
        """The live value under `key`, from either level, or `default`.

        Raises:
            UncacheableError: If `key` is not a string.
        """
        _check_key(key)
        with self._lock:
            entry = self._memory.find(key)
            if entry is not None:
                self._hits += 1
                return entry.value
            if self._second is None:
                self._misses += 1
                return default
            ticket = self._board.open(key)
        try:
            found = self._read_level2(ticket)
        finally:
            with self._lock:
                self._board.close(ticket)
        if found is not None:
            return found.value
        with self._lock:
            self._misses += 1
        return default

    def set(self, key: str, value: object, *, ttl_s: TimeToLive = _DEFAULT) -> None:
        """Put `value` under `key` in both levels, replacing what is there.

        Args:
            key: Any string.
            value: Anything; what the codec cannot carry stays in level 1 alone.
            ttl_s: As for the class; the class's own by default.

        Raises:
            CacheLevelError: If level 2 failed. Level 1 has the value then, and this cache will not
                serve the old one; other processes may.
            CacheValueError: If `ttl_s` is out of its range.
            UncacheableError: If `key` is not a string.
        """
        _check_key(key)
        life_s = self._life(ttl_s)
        if life_s == 0:
            self.delete(key)
            return
        with self._writing():
            with self._lock:
                self._board.cancel(key)
                self._memory.put(key, value, life_s)
            if self._second is not None:
                self._second.write(key, value, life_s)

    def delete(self, key: str) -> bool:
        """Remove `key` from both levels; whether one of them had a live value.

        A load of it that is under way gives its value to those who already wait and stores nothing.

        Raises:
            CacheLevelError: If level 2 failed. This cache will not serve the value again; other
                processes may.
            UncacheableError: If `key` is not a string.
        """
        _check_key(key)
        with self._writing():
            with self._lock:
                self._board.cancel(key)
                was_there = self._memory.remove(key)
            return (self._second is not None and self._second.delete(key)) or was_there

    def clear(self) -> None:
        """Remove every key from both levels; the counts stay.

        Raises:
            CacheLevelError: As for `delete`.
        """
        with self._writing():
            with self._lock:
                self._board.cancel_if(lambda _: True)
                self._memory.clear()
            if self._second is not None:
                self._second.clear()

    def invalidate_pattern(self, pattern: str) -> None:
        """Remove the keys that fit a shell-style pattern from both levels.

        Args:
            pattern: For the whole key: `*`, `?`, `[seq]`, `[!seq]`; case matters.

        Raises:
            CacheLevelError: As for `delete`.
        """
        is_match = key_matcher(pattern)
        with self._writing():
            with self._lock:
                self._board.cancel_if(is_match)
                self._memory.remove_if(is_match)
            if self._second is not None:
                self._second.delete_matching(pattern)

    def get_or_load(self, key: str, loader: Callable[[], V], *, ttl_s: TimeToLive = _DEFAULT) -> V:
        """The live value under `key`, or what `loader` returns, which is then stored.

        However many threads miss at once, one of them loads and the others wait for its value. If
        the load fails, they all get the same error and nothing is stored. If the loading thread is
        interrupted (KeyboardInterrupt and the like), one of those who wait loads instead.

        Args:
            key: Any string.
            loader: Called without the cache's locks held; it may use the cache.
            ttl_s: As for the class, counted from the end of the load; the class's own by default.
                The one of the thread that loads holds for those who wait.

        Raises:
            Exception: Whatever the loader raises.
            RecursiveLoadError: If a loader, directly or through other keys and threads, waits for
                its own key.
            CacheValueError: If `ttl_s` is out of its range.
            UncacheableError: If `key` is not a string.
        """
        _check_key(key)
        life_s = self._life(ttl_s)
        me = threading.get_ident()
        while True:
            with self._lock:
                entry = self._memory.find(key)
                if entry is not None:
                    self._hits += 1
                    return cast("V", entry.value)
                flight = self._board.join(key, me)
            if flight.leader == me:
                return cast("V", self._lead(flight, loader, life_s))
            self._wait(flight, me)
            if not flight.is_abandoned:
                return cast("V", flight.outcome())

    def cached(
        self,
        *,
        ttl_s: TimeToLive = _DEFAULT,
        prefix: str | None = None,
        key: Callable[..., str] | None = None,
    ) -> Decorator:
        """A decorator that puts this cache in front of a function or method.

        Args:
            ttl_s: As for the class; the class's own by default.
            prefix: What the keys begin with; the function's module and qualified name by default.
            key: Makes the rest of the key from the call's arguments, where they are not plain data.

        Raises:
            CacheValueError: If `ttl_s` is out of its range, or, when a function is decorated, if
                another one of this cache already has its prefix.
            UncacheableError: When a coroutine or generator function is decorated.
        """
        self._life(ttl_s)

        def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
            name = prefix or f"{function.__module__}.{function.__qualname__}"
            cached = CachedFunction(function, self, prefix=name, ttl_s=ttl_s, key=key)
            self._claim(name)
            return cached

        return decorate

    def stats(self) -> CacheStats:
        """The counts so far."""
        with self._lock:
            self._memory.purge()
            return CacheStats(
                hits=self._hits,
                level2_hits=self._level2_hits,
                misses=self._misses,
                loads=self._loads,
                load_errors=self._load_errors,
                waits=self._waits,
                evictions=self._memory.evictions,
                expirations=self._memory.expirations,
                size=len(self._memory),
                level2_errors=0 if self._second is None else self._second.errors,
                level2_refusals=0 if self._second is None else self._second.refusals,
            )

    def _life(self, ttl_s: TimeToLive) -> float | None:
        return self._ttl_s if ttl_s is _DEFAULT else _checked_ttl(ttl_s)

    def _writing(self) -> AbstractContextManager[object]:
        return nullcontext() if self._second is None else self._second.order

    def _claim(self, prefix: str) -> None:
        with self._lock:
            if prefix in self._prefixes:
                raise CacheValueError(
                    f"cached: two functions with the prefix {prefix!r} would be served each"
                    f" other's results; give one of them a prefix=... of its own"
                )
            self._prefixes.add(prefix)

    def _read_level2(self, ticket: Ticket) -> Found | None:
        """What level 2 holds, promoted with its remaining time unless the key was written since."""
        if self._second is None:
            return None
        found = self._second.read(ticket.key)
        if found is not None:
            with self._lock:
                self._level2_hits += 1
                if not ticket.is_stale:
                    self._memory.put(ticket.key, found.value, found.ttl_s)
        return found

    def _lead(self, flight: Flight, loader: Callable[[], object], life_s: float | None) -> object:
        try:
            found = self._read_level2(flight)
            flight.is_level2_hit = found is not None
            flight.value = found.value if found else self._load(flight, loader, life_s)
        except Exception as error:
            flight.error = error
            raise
        except BaseException:
            flight.is_abandoned = True
            raise
        finally:
            with self._lock:
                self._board.land(flight)
            flight.done.set()
        return flight.value

    def _load(self, flight: Flight, loader: Callable[[], object], life_s: float | None) -> object:
        try:
            value = loader()
        except BaseException:
            with self._lock:
                self._misses += 1
                self._load_errors += 1
            raise
        with self._lock:
            self._misses += 1
            self._loads += 1
        if life_s != 0:
            self._store(flight, value, life_s)
        return value

    def _store(self, flight: Flight, value: object, life_s: float | None) -> None:
        """Store what was loaded, unless the key was written since the load began."""
        with self._writing():
            with self._lock:
                if flight.is_stale:
                    return
                self._memory.put(flight.key, value, life_s)
            if self._second is not None:
                self._second.try_write(flight.key, value, life_s)

    def _wait(self, flight: Flight, me: int) -> None:
        try:
            flight.done.wait()
        finally:
            with self._lock:
                self._board.leave(me)
                if not flight.is_abandoned:
                    self._waits += 1
                    self._misses += not flight.is_level2_hit
                    self._level2_hits += flight.is_level2_hit


def _check_key(key: str) -> None:
    if not isinstance(key, str):
        raise UncacheableError(
            f"CacheManager: got a key of type {type(key).__qualname__}, needed str; 1 and True"
            f" would be the same key"
        )


def _checked_ttl(ttl_s: float | None) -> float | None:
    if ttl_s is not None and not (math.isfinite(ttl_s) and ttl_s >= 0):
        raise CacheValueError(
            f"CacheManager: got ttl_s={ttl_s}, needed 0 or more seconds, or None for ever"
        )
    return ttl_s
