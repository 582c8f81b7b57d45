"""Loaders: many who ask for one key each make one call."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from sergas.errors import LoaderError
from sergas.optimizations.query_optimizer import BatchLoader, ThreadBatchLoader


def squares(keys: Sequence[int]) -> Mapping[int, int | Exception]:
    """The square of each key; 13 fails, 99 is left out."""
    found: dict[int, int | Exception] = {key: key * key for key in keys if key != 99}
    if 13 in found:
        found[13] = ValueError("unlucky")
    return found


def test_tasks_of_one_turn_make_one_call() -> None:
    """Each key once, in the order asked, whoever asks; later ones make another call."""
    calls: list[list[int]] = []

    async def batch(keys: Sequence[int]) -> Mapping[int, int]:
        calls.append(list(keys))
        await asyncio.sleep(0)
        return {key: key * key for key in keys}

    async def main() -> None:
        loader = BatchLoader(batch)
        assert await asyncio.gather(*(loader.load(n) for n in [3, 1, 3, 2])) == [9, 1, 9, 4]
        assert await loader.load_many([2, 5]) == [4, 25]
        assert calls == [[3, 1, 2], [5]]
        loader.forget(5)
        assert await loader.load(5) == 25

    asyncio.run(main())
    assert calls == [[3, 1, 2], [5], [5]]


def test_large_requests_are_cut() -> None:
    """Into as many calls as are needed."""
    calls: list[int] = []

    async def batch(keys: Sequence[int]) -> Mapping[int, int]:
        calls.append(len(keys))
        return {key: -key for key in keys}

    async def main() -> list[int]:
        return await BatchLoader(batch, max_batch=4).load_many(range(10))

    assert asyncio.run(main()) == [-n for n in range(10)]
    assert calls == [4, 4, 2]


def test_errors_are_those_of_their_keys_and_are_not_kept() -> None:
    """One that fails, one that is left out, and a batch that breaks as a whole."""
    calls = 0

    async def batch(keys: Sequence[int]) -> Mapping[int, int | Exception]:
        nonlocal calls
        calls += 1
        if 0 in keys:
            raise OSError("the server is away")
        return squares(keys)

    async def main() -> None:
        loader: BatchLoader[int, int | Exception] = BatchLoader(batch)
        good, bad, missing = await asyncio.gather(
            loader.load(2), loader.load(13), loader.load(99), return_exceptions=True
        )
        assert good == 4
        assert isinstance(bad, ValueError)
        assert isinstance(missing, LoaderError)
        assert "no value for 99" in str(missing)
        for _ in range(2):
            with pytest.raises(OSError, match="the server is away"):
                await loader.load(0)

    asyncio.run(main())
    assert calls == 3


def test_one_who_gives_up_leaves_the_others_their_value() -> None:
    """The batch goes on."""

    async def main() -> int:
        started = asyncio.Event()
        go_on = asyncio.Event()

        async def batch(keys: Sequence[int]) -> Mapping[int, int]:
            started.set()
            await go_on.wait()
            return {key: key for key in keys}

        loader = BatchLoader(batch)
        impatient = asyncio.create_task(loader.load(1))
        patient = asyncio.create_task(loader.load(1))
        await started.wait()
        impatient.cancel()
        go_on.set()
        return await patient

    assert asyncio.run(main()) == 1


def test_threads_that_ask_together_make_few_calls() -> None:
    """Eight threads at a gate: one waits and loads for all."""
    calls: list[int] = []
    gate = threading.Barrier(8)

    def batch(keys: Sequence[int]) -> Mapping[int, int | Exception]:
        calls.append(len(keys))
        return squares(keys)

    loader: ThreadBatchLoader[int, int | Exception] = ThreadBatchLoader(batch, wait_s=0.2)

    def ask(number: int) -> object:
        gate.wait()
        return loader.load(number)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [n * n for n in range(8)]
    assert calls == [8]
    assert loader.load_many([3, 3, 20]) == [9, 9, 400]
    for key, kind in ((13, ValueError), (99, LoaderError)):
        with pytest.raises(kind):
            loader.load(key)


@pytest.mark.parametrize("options", [{"max_batch": 0}, {"wait_s": -1.0}])
def test_loaders_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    """With what was needed."""
    with pytest.raises(LoaderError, match="needed"):
        ThreadBatchLoader(squares, **options)  # type: ignore[arg-type]
