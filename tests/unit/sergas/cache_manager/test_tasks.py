"""Tasks: one load for all of them, whoever is cancelled, and together with threads."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sergas.errors import RecursiveLoadError, UncacheableError
from sergas.optimizations.cache_manager import CacheManager, EntryOptions

SOON_S = 30.0


async def until_waiting(cache: CacheManager, count: int) -> None:
    """Return when `count` callers wait for the load of `k`."""
    while (flight := cache.core.board.find("k")) is None or flight.waiters < count:  # noqa: ASYNC110 callers may be threads, and set no event
        await asyncio.sleep(0.001)


def test_concurrent_tasks_load_once() -> None:
    """Fifty tasks that miss at once cause one load and get its very value."""
    cache = CacheManager()
    loads = 0

    async def load() -> object:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0)
        return object()

    async def work() -> set[int]:
        return {
            id(v) for v in await asyncio.gather(*(cache.aget_or_load("k", load) for _ in range(50)))
        }

    assert len(asyncio.run(work())) == 1
    assert (loads, cache.stats().waits) == (1, 49)


@pytest.mark.parametrize("cancelled", [0, 5, 10])
def test_cancelled_caller_fails_nobody(cancelled: int) -> None:
    """Whichever of eleven callers is cancelled, the other ten get the value of one load."""
    cache = CacheManager()
    loads = 0

    async def work() -> None:
        may_end = asyncio.Event()

        async def load() -> int:
            nonlocal loads
            loads += 1
            await may_end.wait()
            return 7

        tasks = [asyncio.create_task(cache.aget_or_load("k", load)) for _ in range(11)]
        await until_waiting(cache, 11)
        tasks[cancelled].cancel()
        await asyncio.sleep(0)
        may_end.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers.pop(cancelled), asyncio.CancelledError)
        assert answers == [7] * 10

    asyncio.run(work())
    assert loads == 1
    assert not cache.core.board._tickets


def test_load_goes_on_when_everybody_is_cancelled() -> None:
    """A load that nobody waits for any more is still stored."""
    cache = CacheManager()

    async def work() -> None:
        may_end = asyncio.Event()

        async def load() -> int:
            await may_end.wait()
            return 7

        task = asyncio.create_task(cache.aget_or_load("k", load))
        await until_waiting(cache, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_end.set()
        assert await cache.aget_or_load("k", load) == 7

    asyncio.run(work())
    assert cache.stats().loads == 1


def test_every_cancellation_point_is_safe() -> None:
    """Cancelled after any number of steps, a caller takes nobody along and leaves nothing."""
    for steps in range(12):
        cache = CacheManager()
        loads: list[int] = []

        async def work(
            cache: CacheManager = cache, loads: list[int] = loads, steps: int = steps
        ) -> None:
            async def load() -> int:
                loads.append(1)
                for _ in range(3):
                    await asyncio.sleep(0)
                return 7

            first = asyncio.create_task(cache.aget_or_load("k", load))
            second = asyncio.create_task(cache.aget_or_load("k", load))
            for _ in range(steps):
                await asyncio.sleep(0)
            first.cancel()
            assert await second == 7
            await asyncio.gather(first, return_exceptions=True)

        asyncio.run(work())
        assert len(loads) == 1
        assert not cache.core.board._tickets


def test_loop_that_ends_hands_over() -> None:
    """A load whose loop is shut down is begun again by who waits in another thread."""
    cache = CacheManager()
    is_loading = threading.Event()

    async def never() -> str:
        is_loading.set()
        await asyncio.Event().wait()
        return "never"

    async def short() -> None:
        asyncio.get_running_loop().create_task(cache.aget_or_load("k", never))
        await until_waiting(cache, 2)

    with ThreadPoolExecutor(2) as pool:
        loop = pool.submit(asyncio.run, short())
        assert is_loading.wait(SOON_S)
        waiting = pool.submit(cache.get_or_load, "k", lambda: "loaded")
        loop.result(SOON_S)
        assert waiting.result(SOON_S) == "loaded"


def test_threads_wait_for_a_tasks_load() -> None:
    """A thread that asks for what a task is loading gets that value."""
    cache = CacheManager()

    async def work() -> None:
        may_end = asyncio.Event()

        async def load() -> str:
            await may_end.wait()
            return "task's"

        asking = asyncio.create_task(cache.aget_or_load("k", load))
        await until_waiting(cache, 1)
        waiting = asyncio.create_task(asyncio.to_thread(cache.get_or_load, "k", lambda: "thread's"))
        await until_waiting(cache, 2)
        may_end.set()
        assert list(await asyncio.gather(asking, waiting)) == ["task's"] * 2

    asyncio.run(work())


def test_errors_reach_every_task_and_are_not_kept() -> None:
    """A failed load fails its waiters with one error, even StopIteration; the next one loads."""
    cache = CacheManager()
    failure = LookupError("no such account")

    async def work() -> None:
        async def load() -> None:
            raise failure

        tasks = (cache.aget_or_load("k", load) for _ in range(5))
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(answer is failure for answer in answers)
        assert await cache.aget_or_load("k", lambda: "now") == "now"

    asyncio.run(work())

    def stop() -> None:
        raise StopIteration

    with pytest.raises(StopIteration):
        cache.get_or_load("stop", stop)


def test_loader_that_waits_for_itself_in_a_subtask_is_an_error() -> None:
    """A circle is found through the loader's own tasks and through other keys."""
    cache = CacheManager()

    async def work() -> None:
        async def load() -> object:
            return await asyncio.gather(cache.aget_or_load("k", load))

        with pytest.raises(RecursiveLoadError):
            await cache.aget_or_load("k", load)

        async def left() -> object:
            await asyncio.sleep(0)
            return await cache.aget_or_load("right", right)

        async def right() -> object:
            await asyncio.sleep(0)
            return await cache.aget_or_load("left", left)

        answers = await asyncio.gather(
            cache.aget_or_load("left", left),
            cache.aget_or_load("right", right),
            return_exceptions=True,
        )
        assert any(isinstance(answer, RecursiveLoadError) for answer in answers)

    asyncio.run(asyncio.wait_for(work(), SOON_S))


def test_everything_has_a_twin_for_tasks() -> None:
    """Reading and writing from tasks does what it does from threads."""
    cache = CacheManager(options=EntryOptions())

    async def work() -> None:
        await cache.aset("a", 1, tags=("t",))
        await cache.aset_many({"b": 2, "c": 3})
        assert await cache.aget("a") == 1
        assert await cache.aget("z", 9) == 9
        assert await cache.aget_many("abcz") == {"a": 1, "b": 2, "c": 3}
        await cache.ainvalidate_tag("t")
        assert await cache.aget("a") is None
        assert await cache.adelete("b")
        assert await cache.adelete_many("bc") == 1
        await cache.aset_many({"x1": 1, "y1": 1})
        await cache.ainvalidate_pattern("x*")
        assert await cache.aget_many(["x1", "y1"]) == {"y1": 1}
        await cache.aclear()
        assert await cache.aget("y1") is None
        with pytest.raises(UncacheableError):
            await cache.aget_or_load(1, dict)  # type: ignore[call-overload]

    asyncio.run(work())
