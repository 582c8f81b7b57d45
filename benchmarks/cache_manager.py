"""What the cache costs: hits, loads, evictions, calls through the decorator, the second level.

State is built on first use, once for each process, and not in `setup`: asv_runner times single
calls of a benchmark that has one. Only the second level has a `setup`, because it must remove its
file again, and its calls take milliseconds. Each call does the same work on the same state.
"""

import asyncio
import functools
import itertools
import random
import tempfile
from pathlib import Path

from sergas.optimizations.cache_manager import (
    CachedFunction,
    CacheManager,
    EntryOptions,
    SqliteLevel,
)

BATCH = 100
KEYS = [f"account:{number}" for number in range(BATCH)]
TRACE_LENGTH = 2_000
TRACE_KEYS = 5_000


@functools.cache
def filled_cache(ttl_s: float | None = None) -> CacheManager:
    """A cache that holds all of KEYS."""
    cache = CacheManager(entries_max=1_000, ttl_s=ttl_s)
    for key in KEYS:
        cache.set(key, key)
    return cache


@functools.cache
def tagged_cache() -> CacheManager:
    """A cache whose entries have two tags each."""
    cache = CacheManager(entries_max=1_000)
    for key in KEYS:
        cache.set(key, key, tags=("accounts", key))
    return cache


@functools.cache
def zipf_trace() -> list[str]:
    """Keys whose frequency falls with their rank as 1/rank^0.99, the same ones each time."""
    weights = itertools.accumulate(1 / rank**0.99 for rank in range(1, TRACE_KEYS + 1))
    chance = random.Random(99)
    numbers = chance.choices(range(TRACE_KEYS), cum_weights=list(weights), k=TRACE_LENGTH)
    return [str(number) for number in numbers]


@functools.cache
def decorated() -> CachedFunction[..., str]:
    """A function whose results for 0 to BATCH are cached."""

    def describe(number: int, owner: str) -> str:
        return f"{number} of {owner}"

    function = CacheManager(entries_max=1_000).cached()(describe)
    for number in range(BATCH):
        function(number, "owner")
    return function


@functools.cache
def decorated_of_one() -> CachedFunction[..., str]:
    """The same with one argument."""

    def describe(number: int) -> str:
        return str(number)

    function = CacheManager(entries_max=1_000, ttl_s=1e9).cached()(describe)
    for number in range(BATCH):
        function(number)
    return function


@functools.cache
def decorated_for_tasks() -> CachedFunction[..., object]:
    """The same for tasks."""

    async def describe(number: int) -> str:
        return str(number)

    return CacheManager(entries_max=1_000, ttl_s=1e9).cached()(describe)


def replay_trace(entries_max: int) -> CacheManager:
    """A new cache after the whole trace."""
    cache = CacheManager(entries_max=entries_max)
    for key in zipf_trace():
        cache.get_or_load(key, dict)
    return cache


class TimeToLive:
    """Reading and writing, without an end and with one."""

    params = (None, 1e9)
    param_names = ("ttl_s",)

    def time_get_hit(self, ttl_s: float | None) -> None:
        get = filled_cache(ttl_s).get
        for key in KEYS:
            get(key)

    def time_set_and_evict(self, ttl_s: float | None) -> None:
        """Half of the writes find the cache full."""
        cache = CacheManager(entries_max=BATCH // 2, ttl_s=ttl_s)
        for key in KEYS:
            cache.set(key, key)


class FirstLevel:
    """Loads and removals, a hundred in each call."""

    def time_get_or_load_hit(self) -> None:
        get_or_load = filled_cache().get_or_load
        for key in KEYS:
            get_or_load(key, dict)

    def time_get_or_load_miss(self) -> None:
        cache = CacheManager(entries_max=BATCH)
        for key in KEYS:
            cache.get_or_load(key, dict)

    def time_set_and_delete(self) -> None:
        cache = filled_cache(60.0)
        for _ in range(BATCH):
            cache.set("short-lived", 1)
            cache.delete("short-lived")

    def time_invalidate_pattern(self) -> None:
        cache = CacheManager()
        for key in KEYS:
            cache.set(key, key)
        cache.invalidate_pattern("account:*[02468]")

    def time_invalidate_tag(self) -> None:
        """As the pattern, but it takes the same time however many entries there are."""
        cache = CacheManager()
        cache.set_many(dict.fromkeys(KEYS, 1), options=EntryOptions(tags=("even",)))
        for _ in range(BATCH):
            cache.invalidate_tag("even")

    def time_get_many(self) -> None:
        filled_cache().get_many(KEYS)

    def time_bounded_by_bytes(self) -> None:
        cache = CacheManager(bytes_max=50_000)
        for key in KEYS:
            cache.set(key, {"key": key, "balance": 12.5})

    def peakmem_filled(self) -> None:
        cache = CacheManager(entries_max=20_000, ttl_s=60.0)
        for number in range(20_000):
            cache.set(str(number), number)


class CachedCall:
    """A hundred calls through the decorator, all of them hits."""

    def time_of_one(self) -> None:
        function = decorated_of_one()
        for number in range(BATCH):
            function(number)

    def time_in_a_task(self) -> None:
        """The loop's start and end are in it: about a tenth of a millisecond."""
        function = decorated_for_tasks()

        async def calls() -> None:
            for _ in range(100):
                for number in range(BATCH):
                    await function(number)  # type: ignore[misc]  # a coroutine function

        asyncio.run(calls())

    def time_tagged(self) -> None:
        get = tagged_cache().get
        for key in KEYS:
            get(key)

    def time_positional(self) -> None:
        function = decorated()
        for number in range(BATCH):
            function(number, "owner")

    def time_keyword(self) -> None:
        function = decorated()
        for number in range(BATCH):
            function(owner="owner", number=number)


class ZipfTrace:
    """Two thousand requests for five thousand keys of unequal fame."""

    def time_replay(self) -> None:
        replay_trace(500)


class ZipfMisses:
    """Misses, not hits: asv takes a larger number for a worse one."""

    params = (50, 500)
    param_names = ("entries_max",)
    unit = "misses/request"

    def track_miss_ratio(self, entries_max: int) -> float:
        return 1.0 - replay_trace(entries_max).stats().hit_ratio


class SecondLevel:
    """A SQLite file behind a first level with a single place."""

    def setup(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.level = SqliteLevel(Path(self.folder.name) / "cache.db")
        self.cache = CacheManager(entries_max=1, level2=self.level)
        for key in KEYS:
            self.cache.set(key, {"key": key, "balance": 12.5})

    def teardown(self) -> None:
        self.level.close()
        self.folder.cleanup()

    def time_promote(self) -> None:
        """Each read finds its value in the file, moves it up and drops the one before."""
        for key in KEYS:
            self.cache.get(key)

    def time_load(self) -> None:
        """Each load is claimed and stored in the file."""
        for key in KEYS:
            self.cache.delete(key)
            self.cache.get_or_load(key, dict)

    def time_guarded_hit(self) -> None:
        """Each hit first looks whether another process has changed anything."""
        get_or_load = self.cache.get_or_load
        for _ in range(BATCH):
            get_or_load(KEYS[-1], dict)

    def time_write_through(self) -> None:
        for key in KEYS:
            self.cache.set(key, {"key": key, "balance": 13.0}, ttl_s=60.0)
