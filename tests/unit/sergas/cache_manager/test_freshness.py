"""Times to live: stale values, timeouts, early loads, jitter, values that say there is nothing."""

import asyncio
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheValueError, LoadTimeoutError
from sergas.optimizations.cache_manager import CacheManager, EntryOptions

SOON_S = 30.0
STALE = EntryOptions(ttl_s=10.0, stale_ttl_s=20.0)


class Loader:
    """Counts its calls and returns how many there were, or raises."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    def __call__(self) -> int:
        """Load."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.calls


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the cache."""
    return FakeClock()


def made(
    clock: FakeClock, options: EntryOptions, draw: Callable[[], float] = lambda: 0.5
) -> CacheManager:
    """A cache with these options."""
    return CacheManager(options=options, clock=clock, draw=draw)


def test_stale_value_is_served_while_a_new_one_is_loaded(clock: FakeClock) -> None:
    """Past its time a value is served at once, one load runs behind it, and then the new one is."""
    cache, load = made(clock, STALE), Loader()
    assert cache.get_or_load("key", load) == 1
    clock.advance(10.0)
    assert cache.get_or_load("key", load) == 1
    assert cache.close()
    assert cache.get_or_load("key", load) == 2
    stats = cache.stats()
    assert (load.calls, stats.stale_hits, stats.refreshes, stats.hits) == (2, 1, 1, 1)


def test_stale_time_ends(clock: FakeClock) -> None:
    """Past its stale time a value is never served, whatever the loader does."""
    cache, load = made(clock, STALE), Loader()
    cache.get_or_load("key", load)
    clock.advance(30.0)
    load.error = OSError("down")
    with pytest.raises(OSError, match="down"):
        cache.get_or_load("key", load)


def test_get_serves_fresh_values_only(clock: FakeClock) -> None:
    """Without a loader a stale value is none."""
    cache = made(clock, STALE)
    cache.set("key", 1)
    clock.advance(10.0)
    assert cache.get("key") is None
    assert not cache.delete("key")


def test_failed_load_serves_the_stale_value_and_pauses(clock: FakeClock) -> None:
    """A loader that fails costs nobody anything while there is a stale value; it gets a rest."""
    options = EntryOptions(ttl_s=10.0, stale_ttl_s=20.0, soft_timeout_s=None, throttle_s=5.0)
    cache, load = made(clock, options), Loader()
    assert cache.get_or_load("key", load) == 1
    clock.advance(10.0)
    load.error = OSError("down")
    assert [cache.get_or_load("key", load) for _ in range(9)] == [1] * 9
    assert (load.calls, cache.stats().load_errors) == (2, 1)
    clock.advance(5.0)
    load.error = None
    assert cache.get_or_load("key", load) == 3
    assert cache.stats().stale_hits == 1


def test_soft_timeout_prefers_the_new_value_for_a_while(clock: FakeClock) -> None:
    """A caller with a stale value waits so long for the new one and no longer."""
    options = EntryOptions(ttl_s=10.0, stale_ttl_s=20.0, soft_timeout_s=0.01)
    cache = made(clock, options)
    may_end = threading.Event()
    cache.set("key", "old")
    clock.advance(10.0)

    def load() -> str:
        assert may_end.wait(SOON_S)
        return "new"

    assert cache.get_or_load("key", load) == "old"
    may_end.set()
    assert cache.close(SOON_S)
    assert cache.get_or_load("key", load) == "new"
    patient = made(clock, EntryOptions(ttl_s=10.0, stale_ttl_s=20.0, soft_timeout_s=SOON_S))
    patient.set("key", "old")
    clock.advance(10.0)
    assert patient.get_or_load("key", lambda: "new") == "new"


def test_hard_timeout_ends_the_wait_and_not_the_load(clock: FakeClock) -> None:
    """Where there is nothing to serve the caller is told, and the value is there later."""
    cache = made(clock, EntryOptions(hard_timeout_s=0.01))
    may_end = threading.Event()

    def load() -> str:
        assert may_end.wait(SOON_S)
        return "value"

    with pytest.raises(LoadTimeoutError, match=r"'key'.*0\.01 s.*hard_timeout_s"):
        cache.get_or_load("key", load)
    may_end.set()
    assert cache.close(SOON_S)
    assert cache.get("key") == "value"
    assert (cache.stats().timeouts, cache.stats().loads) == (1, 1)


def test_timeouts_hold_for_tasks(clock: FakeClock) -> None:
    """Soft and hard timeouts end a task's wait and not the load."""

    async def work() -> None:
        hard = made(clock, EntryOptions(hard_timeout_s=0.01))
        soft = made(clock, EntryOptions(ttl_s=10.0, stale_ttl_s=20.0, soft_timeout_s=0.01))
        may_end = asyncio.Event()

        async def load() -> str:
            await may_end.wait()
            return "new"

        with pytest.raises(LoadTimeoutError):
            await hard.aget_or_load("key", load)
        await soft.aset("key", "old")
        clock.advance(10.0)
        assert await soft.aget_or_load("key", load) == "old"
        may_end.set()
        assert await hard.aget_or_load("key", load) == "new"
        assert await soft.aget_or_load("key", load) == "new"

    asyncio.run(work())


def test_tasks_are_served_stale_values_at_once(clock: FakeClock) -> None:
    """A task gets the stale value without waiting, and the next one the new value."""

    async def work() -> None:
        cache, load = made(clock, STALE), Loader()
        assert await cache.aget_or_load("key", load) == 1
        clock.advance(10.0)
        assert await cache.aget_or_load("key", load) == 1
        await asyncio.gather(*cache._tasks)
        assert await cache.aget_or_load("key", load) == 2

    asyncio.run(work())


@pytest.mark.parametrize(("drawn", "is_early"), [(0.5, False), (0.99, True)])
def test_early_load_is_drawn_near_the_end(clock: FakeClock, drawn: float, is_early: bool) -> None:
    """XFetch: with cost c and t seconds left, a load begins if -c beta ln(u) reaches over t."""
    cache = made(clock, EntryOptions(ttl_s=100.0, beta=1.0), lambda: drawn)

    def slow() -> int:
        clock.advance(2.0)
        return 1

    assert cache.get_or_load("key", slow) == 1
    clock.advance(95.0)  # 5 seconds left: -2 ln(1 - 0.99) is 9.2, -2 ln(1 - 0.5) is 1.4
    assert cache.get_or_load("key", lambda: 2) == 1
    cache.close()
    assert cache.get_or_load("key", lambda: 3) == (2 if is_early else 1)
    assert cache.stats().refreshes == is_early


def test_nothing_is_loaded_early_far_from_the_end(clock: FakeClock) -> None:
    """With more than sixteen costs left nothing is drawn at all."""
    cache = made(clock, EntryOptions(ttl_s=100.0, beta=1.0), lambda: pytest.fail("was drawn"))

    def slow() -> int:
        clock.advance(2.0)
        return 1

    assert cache.get_or_load("key", slow) == 1
    clock.advance(67.0)
    assert cache.get_or_load("key", slow) == 1


def test_jitter_is_drawn_once_for_a_value(clock: FakeClock) -> None:
    """Times to live are spread over the share named, by one draw each, at the write."""
    drawn = iter([0.0, 0.5, 0.999])
    cache = made(clock, EntryOptions(ttl_s=100.0, jitter=0.2), lambda: next(drawn))
    for key in "abc":
        cache.set(key, key)
    ends = [cache.core.memory.entries[key].ends_s for key in "abc"]
    assert ends == pytest.approx([100.0, 90.0, 80.02])
    clock.advance(85.0)
    assert [cache.get(key) for key in "abc"] == ["a", "b", None]


def test_none_can_mean_that_there_is_nothing(clock: FakeClock) -> None:
    """With a time of its own None lives as long as that says; 0 keeps it out."""
    cache, calls = made(clock, EntryOptions(ttl_s=100.0, negative_ttl_s=5.0)), []
    assert cache.get_or_load("key", lambda: calls.append(1)) is None
    assert cache.get_or_load("key", lambda: calls.append(1)) is None
    clock.advance(5.0)
    assert cache.get_or_load("key", lambda: "born") == "born"
    assert len(calls) == 1
    never = made(clock, EntryOptions(ttl_s=100.0, negative_ttl_s=0))
    for _ in range(2):
        assert never.get_or_load("key", lambda: calls.append(1)) is None
    assert (len(calls), never.stats().size) == (3, 0)


def test_tag_ends_what_has_it(clock: FakeClock) -> None:
    """Invalidating a tag ends every entry that has it, loads under way too, and later ones not."""
    cache = made(clock, EntryOptions())
    cache.set("a", 1, tags=("red",))
    cache.set("b", 2, tags=("red", "blue"))
    cache.set("c", 3)

    @cache.cached(tags=("blue",))
    def function(value: int) -> object:
        return object()

    first = function(1)
    assert function(1) is first
    cache.invalidate_tag("blue")
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "c": 3}
    second = function(1)
    assert second is not first
    assert function(1) is second

    def load() -> str:
        cache.invalidate_tag("red")
        assert cache.get_or_load("d", lambda: "new", tags=("red",)) == "new"
        return "old"

    assert cache.get_or_load("d", load, tags=("red",)) == "old"
    assert cache.get("d") == "new"


def test_tags_that_nobody_has_are_forgotten(clock: FakeClock) -> None:
    """Names of tags take no room once no entry has them."""
    cache = made(clock, EntryOptions())
    for number in range(2000):
        cache.set("key", number, tags=(f"tag {number}",))
        cache.invalidate_tag(f"other {number}")
    assert len(cache.core.tags) <= 2


def test_refreshes_are_bounded(clock: FakeClock) -> None:
    """With too many loads in the background a stale value is served and nothing is begun."""
    cache = CacheManager(options=STALE, clock=clock, background_max=1)
    cache.set_many({"a": 1, "b": 1})
    clock.advance(10.0)
    is_loading, may_end = threading.Event(), threading.Event()

    def load() -> int:
        is_loading.set()
        assert may_end.wait(SOON_S)
        return 2

    assert cache.get_or_load("a", load) == 1
    assert is_loading.wait(SOON_S)
    assert cache.get_or_load("b", load) == 1
    may_end.set()
    assert cache.close(SOON_S)
    assert cache.get("b") is None
    assert cache.get("a") == 2


def test_warm_up_loads_what_is_missing_in_batches(clock: FakeClock) -> None:
    """Warming up asks for missing keys only, some at a time, and stores what exists."""
    cache = made(clock, EntryOptions())
    cache.set("a", 0)
    asked: list[list[str]] = []

    def load_many(keys: Any) -> dict[str, str]:
        asked.append(list(keys))
        return {key: key.upper() for key in keys if key != "d"}

    assert cache.warm_up("abcde", load_many, batch=2) == 3
    assert asked == [["b"], ["c"], ["e"]] or [key for part in asked for key in part] == list("bcde")
    assert cache.get_many("abcde") == {"a": 0, "b": "B", "c": "C", "e": "E"}
    with pytest.raises(ZeroDivisionError):
        cache.warm_up(["x"], lambda keys: {"x": 1 // 0})
    assert not cache.core.board._tickets
    with pytest.raises(CacheValueError, match="batch"):
        cache.warm_up("abc", load_many, batch=0)

    async def later() -> int:
        async def load(keys: Any) -> dict[str, str]:
            return dict.fromkeys(keys, "async")

        return await cache.awarm_up(["y", "a"], load)

    assert asyncio.run(later()) == 1
    assert cache.get("y") == "async"


def test_prefetch_loads_before_anybody_asks(clock: FakeClock) -> None:
    """A prefetched call is a hit; what is there or under way is not loaded again."""
    cache, load = made(clock, EntryOptions()), Loader()
    assert cache.prefetch("key", load)
    cache.close()
    assert not cache.prefetch("key", load)
    assert cache.get("key") == 1

    @cache.cached()
    def square(value: int) -> int:
        return value * value

    assert square.prefetch(3)
    cache.close()
    assert square(3) == 9
    assert cache.stats().loads == 2
    assert cache.stats().prefetches == 2

    async def work() -> None:
        @cache.cached()
        async def cube(value: int) -> int:
            return value**3

        assert cube.prefetch(2)
        assert not cube.prefetch(2)
        assert await cube(2) == 8

    asyncio.run(work())
    assert cache.stats().loads == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl_s": -1.0},
        {"ttl_s": math.nan},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"stale_ttl_s": -1.0},
        {"stale_ttl_s": None},
        {"soft_timeout_s": -1.0},
        {"hard_timeout_s": 0.0},
        {"throttle_s": 0.0},
        {"negative_ttl_s": math.inf},
        {"beta": -1.0},
        {"lease_s": 0.0},
        {"tags": "red"},
        {"tags": (1,)},
        {"ttl_s": "5"},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    """A value out of its range is refused by name when the options are made."""
    with pytest.raises(CacheValueError, match=next(iter(wrong))):
        EntryOptions(**wrong)


def test_threads_on_a_stale_key_load_it_once(clock: FakeClock) -> None:
    """However many ask for a stale value at once, one load runs."""
    cache, load = made(clock, STALE), Loader()
    cache.get_or_load("key", load)
    clock.advance(10.0)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(cache.get_or_load, "key", load) for _ in range(64)]
        assert {answer.result(SOON_S) for answer in answers} <= {1, 2}
    assert cache.close()
    assert load.calls == 2
