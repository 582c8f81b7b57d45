"""Both levels together: the same values, the same times, the same removals, and level 2 failing."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheLevelError, UncacheableError
from sergas.optimizations.cache_manager import (
    Answer,
    Breaker,
    CacheManager,
    Claim,
    LevelListener,
    LruPolicy,
    PickleCodec,
    PlainCodec,
    SqliteLevel,
    StoredValue,
    ThreadedTwin,
)

SOON_S = 30.0


def until_waiting(cache: CacheManager, key: str, count: int) -> None:
    """Return when `count` callers wait for the load of `key`; they have nothing else to do then."""
    while True:
        with cache.core.lock:
            flight = cache.core.board.find(key)
            if flight is not None and flight.waiters >= count:
                return


class SwitchedLevel:
    """A real SQLite level with a switch that makes it fail, and a hook in its reading."""

    def __init__(self, level: SqliteLevel) -> None:
        self.level = level
        self.is_broken = False
        self.after_read: Callable[[], object] = lambda: None

    @property
    def aio(self) -> ThreadedTwin:
        """The same for tasks."""
        return ThreadedTwin(self)

    def attach(self, listener: LevelListener) -> None:
        """It tells nobody of changes."""

    def _working(self) -> SqliteLevel:
        if self.is_broken:
            raise CacheLevelError("switched off")
        return self.level

    def read(self, keys: Sequence[str]) -> Mapping[str, StoredValue]:
        """Read, then call the hook."""
        found = self._working().read(keys)
        self.after_read()
        return found

    def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> Mapping[str, Answer]:
        """Claim, then call the hook."""
        found = self._working().claim(keys, tags=tags, lease_s=lease_s, early_s=early_s)
        self.after_read()
        return found

    def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> Sequence[bool]:
        """Store."""
        return self._working().fulfil(items)

    def release(self, claims: Sequence[Claim]) -> None:
        """Give up."""
        self._working().release(claims)

    def write(self, items: Mapping[str, StoredValue]) -> None:
        """Write."""
        self._working().write(items)

    def remove(self, keys: Sequence[str]) -> int:
        """Remove."""
        return self._working().remove(keys)

    def remove_matching(self, pattern: str) -> int:
        """Remove by pattern."""
        return self._working().remove_matching(pattern)

    def invalidate_tag(self, tag: str) -> None:
        """Invalidate."""
        self._working().invalidate_tag(tag)

    def clear(self) -> None:
        """Remove everything."""
        self._working().clear()


def kept(level: SwitchedLevel, key: str) -> StoredValue | None:
    """What the level behind the switch holds."""
    return level.level.read([key]).get(key)


@pytest.fixture
def clock() -> FakeClock:
    """The clock of both levels."""
    return FakeClock(1_000_000.0)


@pytest.fixture
def level(tmp_path: Path, clock: FakeClock) -> Iterator[SwitchedLevel]:
    """The second level."""
    with SqliteLevel(tmp_path / "cache.db", clock=clock) as made:
        yield SwitchedLevel(made)


@pytest.fixture
def cache(level: SwitchedLevel, clock: FakeClock) -> CacheManager:
    """A cache with one place in level 1."""
    return CacheManager(
        entries_max=1, level2=level, clock=clock, breaker=Breaker(failures_max=10_000)
    )


REMOVALS: dict[str, Callable[[CacheManager], object]] = {
    "delete": lambda cache: cache.delete("key"),
    "clear": lambda cache: cache.clear(),
    "invalidate_pattern": lambda cache: cache.invalidate_pattern("k*"),
    "invalidate_tag": lambda cache: cache.invalidate_tag("tag"),
    "zero ttl": lambda cache: cache.set("key", 1, ttl_s=0),
}


def test_value_evicted_from_level_1_comes_from_level_2(cache: CacheManager) -> None:
    """What level 1 had to drop is still served, and counted as level 2's."""
    cache.set("key", [1, None, "x"])
    cache.set("other", 2)
    assert cache.get("key") == [1, None, "x"]
    assert (cache.stats().level2_hits, cache.stats().misses, cache.stats().hit_ratio) == (1, 0, 1.0)


def test_none_comes_from_level_2(cache: CacheManager) -> None:
    """None is a value in level 2 as well."""
    cache.set("key", None)
    cache.set("other", 2)
    assert cache.get("key", "absent") is None


def test_promotion_keeps_the_time_left(cache: CacheManager, clock: FakeClock) -> None:
    """A value that moves up to level 1 gets no new time."""
    cache.set("key", 1, ttl_s=5.0)
    cache.set("other", 2)
    clock.advance(4.0)
    assert cache.get("key") == 1
    assert cache.get("key") == 1
    assert (cache.stats().level2_hits, cache.stats().hits) == (1, 1)
    clock.advance(1.0)
    assert cache.get("key") is None


@pytest.mark.parametrize("how", sorted(REMOVALS))
def test_removal_reaches_both_levels(cache: CacheManager, level: SwitchedLevel, how: str) -> None:
    """Whatever removes a value removes it from level 1 and from level 2."""
    cache.set("key", "evicted from level 1", tags=("tag",))
    cache.set("keep", 1)
    REMOVALS[how](cache)
    assert cache.get("key") is None
    assert kept(level, "key") is None
    cache.set("key", "in level 1", tags=("tag",))
    REMOVALS[how](cache)
    assert cache.get("key") is None


def test_delete_tells_of_level_2(cache: CacheManager) -> None:
    """A value that only level 2 still had counts as deleted."""
    cache.set("key", 1)
    cache.set("other", 2)
    assert cache.delete("key")
    assert not cache.delete("key")


def test_load_is_stored_in_both(cache: CacheManager, level: SwitchedLevel) -> None:
    """A loaded value is in level 2 for the next process, which does not load."""
    cache.get_or_load("key", lambda: {"balance": 5}, ttl_s=60.0)
    other = CacheManager(level2=level)
    assert other.get_or_load("key", lambda: pytest.fail("was loaded")) == {"balance": 5}
    assert (other.stats().level2_hits, other.stats().loads) == (1, 0)


def test_reading_never_fails_with_level_2(cache: CacheManager, level: SwitchedLevel) -> None:
    """With level 2 down, reads and loads go on from level 1 and the loader, counted as errors."""
    level.is_broken = True
    assert cache.get("key", "default") == "default"
    assert cache.get_or_load("key", lambda: 7) == 7
    assert cache.get("key") == 7
    stats = cache.stats()
    assert (stats.loads, stats.hits, stats.level2_hits) == (1, 1, 0)
    assert stats.level2_errors == 2


def test_failed_write_is_told_and_level_1_has_it(cache: CacheManager, level: SwitchedLevel) -> None:
    """Writing by name says that level 2 failed, after level 1 was written."""
    level.is_broken = True
    with pytest.raises(CacheLevelError):
        cache.set("key", 1)
    assert cache.get("key") == 1


@pytest.mark.parametrize("how", sorted(REMOVALS))
def test_value_that_level_2_kept_is_not_served_again(
    cache: CacheManager, level: SwitchedLevel, how: str
) -> None:
    """A removal that level 2 missed still holds here when level 2 is back."""
    cache.set("key", "old", tags=("tag",))
    level.is_broken = True
    with pytest.raises(CacheLevelError):
        REMOVALS[how](cache)
    assert cache.get("key") is None
    level.is_broken = False
    assert kept(level, "key") is not None
    assert cache.get("key") is None
    assert kept(level, "key") is None


def test_old_value_is_not_served_after_a_failed_overwrite(
    cache: CacheManager, level: SwitchedLevel
) -> None:
    """A new value that level 2 missed does not give way to the old one after an eviction."""
    cache.set("key", "old")
    level.is_broken = True
    with pytest.raises(CacheLevelError):
        cache.set("key", "new")
    level.is_broken = False
    cache.set("other", 1)
    assert cache.get("key") is None


def test_many_missed_removals_are_remembered_within_a_bound(
    cache: CacheManager, level: SwitchedLevel
) -> None:
    """Beyond what can be remembered all of level 2 is distrusted, and none of it served."""
    count = 1100
    for number in range(count):
        level.level.write({str(number): StoredValue(data=PlainCodec().encode("old"), ttl_s=None)})
    level.is_broken = True
    for number in range(count):
        with pytest.raises(CacheLevelError):
            cache.delete(str(number))
    level.is_broken = False
    assert cache.stats().level2_owed <= 1024
    assert [cache.get(str(number)) for number in range(0, count, 50)] == [None] * 22
    cache.set("again", 1)
    cache.set("other", 2)
    assert cache.get("again") == 1


@pytest.mark.parametrize("how", sorted(REMOVALS))
def test_removal_during_a_read_of_level_2_holds(
    cache: CacheManager, level: SwitchedLevel, how: str
) -> None:
    """A value removed between reading level 2 and moving it up does not move up."""
    cache.set("key", "old", tags=("tag",))
    cache.set("other", 1)
    in_between, removed = threading.Event(), threading.Event()

    def pause() -> None:
        in_between.set()
        assert removed.wait(SOON_S)

    level.after_read = pause
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(cache.get, "key")
        assert in_between.wait(SOON_S)
        REMOVALS[how](cache)
        removed.set()
        assert read.result(SOON_S) == "old"
    level.after_read = lambda: None
    assert cache.get("key") is None


def test_waiters_share_what_level_2_had(cache: CacheManager, level: SwitchedLevel) -> None:
    """Threads that ask at once read level 2 once, and each answer counts as level 2's."""
    cache.set("key", "value")
    cache.set("other", 1)
    reads = 0

    def pause() -> None:
        nonlocal reads
        reads += 1
        until_waiting(cache, "key", 4)

    level.after_read = pause
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(cache.get_or_load, "key", lambda: pytest.fail("was loaded"))
            for _ in range(4)
        ]
        assert [future.result(SOON_S) for future in asked] == ["value"] * 4
    assert (reads, cache.stats().level2_hits, cache.stats().misses) == (1, 4, 0)


@pytest.mark.parametrize(
    "value", [(1, 2), {1, 2}, 2**70, {True: 1}, {"a": (1,)}, object(), "\ud800"]
)
def test_value_the_codec_would_change_stays_in_level_1(
    cache: CacheManager, level: SwitchedLevel, value: object
) -> None:
    """What plain data cannot express exactly is never half-stored, and an older value goes."""
    cache.set("key", "old")
    cache.set("key", value)
    assert cache.get("key") is value
    assert kept(level, "key") is None
    assert cache.stats().level2_refusals == 1


def test_bytes_of_another_codec_are_an_error_and_a_miss(
    cache: CacheManager, level: SwitchedLevel
) -> None:
    """A value that cannot be read is counted and loaded again."""
    level.level.write({"key": StoredValue(data=b"\xc1", ttl_s=None)})
    assert cache.get_or_load("key", lambda: 1) == 1
    assert cache.stats().level2_errors == 1


def test_pickle_is_there_for_who_asks(level: SwitchedLevel) -> None:
    """With the pickle codec, other values live in level 2 as well; what cannot be stays above."""
    cache = CacheManager(entries_max=1, level2=level, codec=PickleCodec(), policy=LruPolicy)
    cache.set("key", (1, {2}))
    cache.set("function", lambda: None)
    assert cache.get("key") == (1, {2})
    assert cache.stats().level2_refusals == 1
    with pytest.raises(CacheLevelError):
        PickleCodec().decode(b"no pickle")


def test_endless_value_is_refused() -> None:
    """A list that contains itself has no bytes and is refused as such."""
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(UncacheableError):
        PlainCodec().encode(endless)
