"""One load at a time for a key, with real threads that meet at barriers."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from sergas.errors import RecursiveLoadError
from sergas.optimizations.cache_manager import CacheManager

THREADS = 12
SOON_S = 30.0


def until_waiting(cache: CacheManager, count: int) -> None:
    """Return when `count` callers wait for the load of `k`; they have nothing else to do then."""
    while True:
        with cache.core.lock:
            flight = cache.core.board.find("k")
            if flight is not None and flight.waiters >= count:
                return


def in_threads(pool: ThreadPoolExecutor, call: Callable[[], object]) -> list[Future[object]]:
    """Start `call` in THREADS threads."""
    return [pool.submit(call) for _ in range(THREADS)]


def test_concurrent_misses_load_once() -> None:
    """However many threads miss at once, there is one load and everybody gets its very value."""
    cache = CacheManager()
    loads = 0

    def load() -> object:
        nonlocal loads
        loads += 1
        until_waiting(cache, THREADS)
        return object()

    with ThreadPoolExecutor(THREADS) as pool:
        values = {
            id(f.result(SOON_S)) for f in in_threads(pool, lambda: cache.get_or_load("k", load))
        }
    stats = cache.stats()
    assert (loads, len(values)) == (1, 1)
    assert (stats.loads, stats.waits, stats.misses, stats.hits) == (1, THREADS - 1, THREADS, 0)


def test_failed_load_fails_its_waiters_and_is_not_kept() -> None:
    """A failing load gives everybody the same error object, and the next request loads again."""
    cache = CacheManager()
    failure = LookupError("no such account")

    def load() -> object:
        until_waiting(cache, THREADS)
        raise failure

    with ThreadPoolExecutor(THREADS) as pool:
        futures = in_threads(pool, lambda: cache.get_or_load("k", load))
        assert all(future.exception(SOON_S) is failure for future in futures)
    assert cache.get_or_load("k", lambda: "now") == "now"
    assert (cache.stats().load_errors, cache.stats().loads) == (1, 1)


def test_interrupted_leader_hands_over() -> None:
    """If the loading thread is interrupted, the interrupt is its own and a waiter loads."""
    cache = CacheManager()
    attempts: list[int] = []

    def load() -> str:
        attempts.append(threading.get_ident())
        if len(attempts) == 1:
            until_waiting(cache, THREADS)
            raise KeyboardInterrupt
        return "loaded"

    def ask() -> str:
        try:
            return cache.get_or_load("k", load)
        except KeyboardInterrupt:
            return "interrupted"

    with ThreadPoolExecutor(THREADS) as pool:
        answers = sorted(str(future.result(SOON_S)) for future in in_threads(pool, ask))
    assert answers == ["interrupted"] + ["loaded"] * (THREADS - 1)
    assert len(attempts) == 2


def test_loader_that_asks_for_its_own_key_is_an_error() -> None:
    """A loader that loads the same key is told so and does not wait for itself."""
    cache = CacheManager()

    def load() -> int:
        return cache.get_or_load("k", load)

    with pytest.raises(RecursiveLoadError, match="under a key of its own"):
        cache.get_or_load("k", load)
    assert cache.get_or_load("k", lambda: 5) == 5


def test_circle_through_another_key_is_an_error() -> None:
    """A circle through a second key in one thread is found as well."""
    cache = CacheManager()

    def load_a() -> int:
        return cache.get_or_load("b", load_b)

    def load_b() -> int:
        return cache.get_or_load("a", load_a)

    with pytest.raises(RecursiveLoadError):
        cache.get_or_load("a", load_a)


def test_circle_through_another_thread_is_an_error() -> None:
    """Two loaders that want each other's key do not wait for each other for ever."""
    cache = CacheManager()
    both_load = threading.Barrier(2)

    def ask(mine: str, other: str) -> str:
        def load() -> str:
            both_load.wait(SOON_S)
            return cache.get_or_load(other, lambda: other)

        return cache.get_or_load(mine, load)

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(ask, "a", "b"), pool.submit(ask, "b", "a")]
        errors = [future.exception(SOON_S) for future in futures]
    assert any(isinstance(error, RecursiveLoadError) for error in errors)


def test_loader_may_use_the_cache() -> None:
    """A loader runs without locks: it may read, write and load other keys."""
    cache = CacheManager()

    def load() -> int:
        cache.set("side", 1)
        return cache.get_or_load("part", lambda: 20) + 1

    assert cache.get_or_load("whole", load) == 21
    assert (cache.get("side"), cache.get("part"), cache.get("whole")) == (1, 20, 21)


@pytest.mark.parametrize("how", ["delete", "clear", "invalidate_pattern"])
def test_value_deleted_while_it_is_loaded_is_not_stored(how: str) -> None:
    """A load that began before a removal does not bring the old value back."""
    cache = CacheManager()
    removals: dict[str, Callable[[], object]] = {
        "delete": partial(cache.delete, "k"),
        "clear": cache.clear,
        "invalidate_pattern": partial(cache.invalidate_pattern, "k*"),
    }

    def load_old() -> str:
        removals[how]()
        assert cache.get_or_load("k", lambda: "new") == "new"
        return "old"

    assert cache.get_or_load("k", load_old) == "old"
    assert cache.get("k") == "new"


def test_value_set_while_it_is_loaded_stays() -> None:
    """A load that began before a write does not replace what was written."""
    cache = CacheManager()

    def load() -> str:
        cache.set("k", "written")
        return "loaded"

    cache.get_or_load("k", load)
    assert cache.get("k") == "written"


def test_request_after_a_removal_does_not_wait_for_the_old_load() -> None:
    """Who asks after a removal gets a new load, even while the old one still runs."""
    cache = CacheManager()
    is_loading, may_end = threading.Event(), threading.Event()

    def load_old() -> str:
        is_loading.set()
        assert may_end.wait(SOON_S)
        return "old"

    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(cache.get_or_load, "k", load_old)
        assert is_loading.wait(SOON_S)
        cache.delete("k")
        assert cache.get_or_load("k", lambda: "new") == "new"
        may_end.set()
        assert old.result(SOON_S) == "old"
    assert cache.get("k") == "new"


def test_nothing_is_left_behind() -> None:
    """After loads of every outcome no flight, ticket or waiter is remembered."""
    cache = CacheManager()
    cache.get_or_load("good", lambda: 1)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("bad", lambda: 1 // 0)
    board = cache.core.board
    assert (board._flights, board._tickets) == ({}, {})


def test_threads_hammering_keep_the_bound_and_the_counts() -> None:
    """Under concurrent use the bound holds, values belong to their keys and counts add up."""
    cache = CacheManager(entries_max=16)
    start = threading.Barrier(4)

    def work(seed: int) -> None:
        start.wait(SOON_S)
        for number in range(500):
            key = str((number * (seed + 3)) % 40)
            assert cache.get_or_load(key, lambda key=key: key) == key  # type: ignore[misc]
            if number % 17 == 0:
                cache.delete(key)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, seed) for seed in range(4)]:
            future.result(SOON_S)
    stats = cache.stats()
    assert stats.size <= 16
    assert stats.requests == 2000
    assert stats.loads + stats.waits == stats.misses
