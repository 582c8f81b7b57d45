"""Level 1 alone: bounds, times, values and counts."""

import math
import sys
from collections.abc import Sequence

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheValueError, UncacheableError
from sergas.optimizations.cache_manager import CacheManager, LruPolicy, size_bytes
from sergas.optimizations.cache_manager.policies import EntryNode


def test_none_is_a_value() -> None:
    """None that was stored is a hit, and is told from nothing by the default."""
    cache = CacheManager()
    cache.set("key", None)
    assert cache.get("key", "absent") is None
    assert cache.stats().hits == 1


def test_missing_key_gives_the_default() -> None:
    """A miss returns the default, None unless another is given."""
    cache = CacheManager()
    assert cache.get("key") is None
    assert cache.get("key", 7) == 7
    assert cache.stats().misses == 2


def test_entry_ends_exactly_at_its_time() -> None:
    """An entry is served before its time to live is over and not at that moment."""
    clock = FakeClock()
    cache = CacheManager(clock=clock)
    cache.set("key", 1, ttl_s=5.0)
    clock.advance(4.75)
    assert cache.get("key") == 1
    clock.advance(0.25)
    assert cache.get("key") is None
    assert cache.stats().expirations == 1


def test_zero_seconds_means_already_over() -> None:
    """A time to live of 0 stores nothing and removes what was there."""
    cache = CacheManager(ttl_s=300.0)
    cache.set("key", "old")
    cache.set("key", "new", ttl_s=0)
    assert cache.get("key") is None
    assert cache.stats().size == 0


def test_zero_seconds_by_default_means_already_over() -> None:
    """A cache whose own time to live is 0 loads each time and keeps nothing."""
    cache = CacheManager(ttl_s=0)
    assert [cache.get_or_load("key", lambda: 1) for _ in range(3)] == [1, 1, 1]
    assert (cache.stats().loads, cache.stats().size) == (3, 0)


def test_none_seconds_means_for_ever() -> None:
    """A time to live of None overrides a default and never ends."""
    clock = FakeClock()
    cache = CacheManager(ttl_s=1.0, clock=clock)
    cache.set("key", 1, ttl_s=None)
    clock.advance(1e9)
    assert cache.get("key") == 1


def test_overwriting_gives_a_new_time() -> None:
    """The deadline of a value that was overwritten does not end the new one."""
    clock = FakeClock()
    cache = CacheManager(clock=clock)
    cache.set("key", "short", ttl_s=1.0)
    cache.set("key", "long", ttl_s=10.0)
    clock.advance(5.0)
    cache.set("other", 0)
    assert cache.get("key") == "long"


def test_expired_entries_leave_at_the_next_write() -> None:
    """An expired entry does not stay until somebody asks for it."""
    clock = FakeClock()
    cache = CacheManager(entries_max=10, clock=clock)
    for number in range(5):
        cache.set(f"short {number}", number, ttl_s=1.0)
    clock.advance(1.0)
    cache.set("new", 0)
    assert len(cache.core.memory) == 1
    assert cache.stats().expirations == 5


def test_expired_entry_goes_before_a_live_one() -> None:
    """A full cache drops what has expired and evicts no live entry for a newcomer."""
    clock = FakeClock()
    cache = CacheManager(entries_max=2, clock=clock)
    cache.set("live", 1)
    cache.set("short", 2, ttl_s=1.0)
    clock.advance(1.0)
    cache.set("new", 3)
    assert (cache.get("live"), cache.get("new"), cache.stats().evictions) == (1, 3, 0)


def test_least_recently_used_goes_first() -> None:
    """Reading and overwriting count as use; the victim is what was used longest ago."""
    cache = CacheManager(entries_max=3, policy=LruPolicy)
    for key in "abc":
        cache.set(key, key)
    cache.get("a")
    cache.set("b", "again")
    cache.set("d", "d")
    assert [cache.get(key) for key in "abcd"] == ["a", "again", None, "d"]
    assert cache.stats().evictions == 1


def test_overwriting_is_counted_once() -> None:
    """Writing a key twice leaves one entry and evicts nothing."""
    cache = CacheManager(entries_max=1)
    cache.set("key", 1)
    cache.set("key", 2)
    assert (cache.stats().size, cache.stats().evictions) == (1, 0)


def test_deadlines_of_overwritten_entries_are_bounded() -> None:
    """Writing one key for ever does not let the heap of deadlines grow."""
    cache = CacheManager(entries_max=10, clock=FakeClock())
    for _ in range(1000):
        cache.set("key", 1, ttl_s=60.0)
    assert len(cache.core.memory._deadlines) <= 66


def test_storing_never_looks_into_a_value() -> None:
    """A large value is stored as it is, by reference: nothing is copied, counted or printed."""

    class Opaque:
        def refuse(self) -> str:
            raise AssertionError("the cache looked into a value")

        __str__ = __repr__ = refuse
        __len__ = __hash__ = __eq__ = None  # type: ignore[assignment]

    value = Opaque()
    cache = CacheManager()
    references = sys.getrefcount(value)
    cache.set("key", value)
    assert cache.get("key") is value
    assert sys.getrefcount(value) == references + 1


def test_delete_says_whether_there_was_something() -> None:
    """A live entry is deleted once; an expired one is nothing."""
    clock = FakeClock()
    cache = CacheManager(clock=clock)
    cache.set("key", None, ttl_s=1.0)
    assert cache.delete("key")
    assert not cache.delete("key")
    cache.set("key", None, ttl_s=1.0)
    clock.advance(1.0)
    assert not cache.delete("key")


def test_pattern_removes_whole_matches_only() -> None:
    """A pattern fits the whole key, with case, and its signs can be escaped."""
    cache = CacheManager()
    for key in ("user:1", "user:2", "User:1", "a user:1", "user:*"):
        cache.set(key, key)
    cache.invalidate_pattern("user:[!*]")
    assert [cache.get(key) is None for key in ("user:1", "user:2")] == [True, True]
    assert [cache.get(key) is None for key in ("User:1", "a user:1", "user:*")] == [False] * 3


def test_clear_keeps_the_counts() -> None:
    """Clearing removes every entry and no count, and the cache goes on."""
    cache = CacheManager(entries_max=2)
    cache.set("key", 1, ttl_s=9.0)
    cache.get("key")
    cache.clear()
    assert cache.get("key") is None
    cache.set("key", 2)
    assert (cache.get("key"), cache.stats().hits) == (2, 2)


def test_hit_ratio_before_any_request_is_zero() -> None:
    """Without requests the ratio is a number, 0, and not a division by zero."""
    assert CacheManager().stats().hit_ratio == 0.0


def test_stats_are_a_frozen_moment() -> None:
    """Counts that were taken do not change with the cache."""
    cache = CacheManager()
    before = cache.stats()
    cache.set("key", 1)
    cache.get("key")
    assert before.requests == 0
    with pytest.raises(AttributeError):
        before.hits = 9  # type: ignore[misc]


@pytest.mark.parametrize("ttl_s", [-1.0, math.nan, math.inf])
def test_impossible_times_are_refused(ttl_s: float) -> None:
    """A time that is negative or not finite is refused wherever it is given, before any load."""
    cache = CacheManager()
    with pytest.raises(CacheValueError, match="needed 0 or more seconds, or None"):
        CacheManager(ttl_s=ttl_s)
    with pytest.raises(CacheValueError):
        cache.set("key", 1, ttl_s=ttl_s)
    with pytest.raises(CacheValueError):
        cache.get_or_load("key", lambda: pytest.fail("was loaded"), ttl_s=ttl_s)
    with pytest.raises(CacheValueError):
        cache.cached(ttl_s=ttl_s)


def test_room_for_no_entry_is_refused() -> None:
    """A bound below one entry is refused with the number."""
    with pytest.raises(CacheValueError, match="entries_max=0"):
        CacheManager(entries_max=0)


@pytest.mark.parametrize("key", [1, True, None, b"key"])
def test_keys_are_strings(key: object) -> None:
    """A key that is not a string is refused: 1 and True would be one key."""
    cache = CacheManager()
    with pytest.raises(UncacheableError, match="needed str"):
        cache.get(key)  # type: ignore[call-overload]
    with pytest.raises(UncacheableError):
        cache.set(key, 1)  # type: ignore[arg-type]
    with pytest.raises(UncacheableError):
        cache.delete(key)  # type: ignore[arg-type]


class _NewcomersLose(LruPolicy):
    """A policy that never lets anybody in once the cache is full."""

    __slots__ = ()

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:  # type: ignore[explicit-override]  # typing.override is 3.12
        """Refuse what does not fit."""
        if len(self) == self.entries_max and not node.segment:
            return [node]
        return super().admit(node)


def test_policy_may_refuse_the_newcomer() -> None:
    """The policy is a seam: one that admits selectively keeps what is there."""
    cache = CacheManager(entries_max=2, policy=_NewcomersLose)
    for key in "abc":
        cache.set(key, key)
    assert [cache.get(key) for key in "abc"] == ["a", "b", None]


def test_bytes_are_a_bound_as_well() -> None:
    """Level 1 keeps its weight below the bound, and what is too heavy for it costs nobody."""
    cache = CacheManager(bytes_max=10_000, policy=LruPolicy)
    for number in range(50):
        cache.set(str(number), bytes(1000))
        assert cache.stats().weight <= 10_000
    size = cache.stats().size
    assert 5 <= size < 10
    cache.set("heavy", bytes(20_000))
    assert cache.get("heavy") is None
    assert cache.stats().size == size
    weighed = CacheManager(bytes_max=3, weigh=lambda _key, value: int(str(value)), policy=LruPolicy)
    weighed.set_many({"a": 1, "b": 2})
    assert weighed.stats().weight == 3
    weighed.set("b", 3)
    assert weighed.get_many(["a", "b"]) == {"b": 3}


def test_sizes_count_what_containers_hold() -> None:
    """The size of a value is about its bytes, shared parts once, and its estimate is bounded."""

    class Thing:
        def __init__(self) -> None:
            self.data = bytes(5000)

    shared = bytes(3000)
    assert 3000 < size_bytes("k", [shared, shared]) < 4000
    assert 6000 < size_bytes("k", {"a": (shared, bytes(2999))}) < 7500
    assert size_bytes("k", Thing()) > 5000
    endless: list[object] = []
    endless.append(endless)
    assert size_bytes("k", endless) < 1000
    many = [[n] for n in range(30_000)]
    assert 1_000_000 < size_bytes("k", many) < 10_000_000
