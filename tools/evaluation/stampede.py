"""Fifty misses of one key at once, and a first caller that is cancelled: ours beside its peers.

Loads: `--callers` threads or tasks ask for one key that nobody has; a load takes 50 ms. Cancelled:
eleven tasks ask, the first is cancelled while it loads; how many of the other ten fail, and how
many loads it took. Libraries take turns, `--repeats` times; the table has the worst of them. Peers
come with the extra `peers`. The last line is JSON.

    python -m tools.evaluation.stampede [--callers 50] [--repeats 5]
"""

import argparse
import asyncio
import contextlib
import functools
import importlib
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sergas.optimizations.cache_manager import CacheManager

__all__ = ["Row", "main", "peers", "run"]

_LOAD_S = 0.05
_WAITERS = 10

Make = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Puts a library's cache in front of a function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A library and how it is used.

    Attributes:
        name: For the table.
        sync: Decorates a function; None if it has no such thing.
        asynchronous: Decorates a coroutine function; None if it has no such thing.
    """

    name: str
    sync: Make | None
    asynchronous: Make | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The worst of the repeats; None where the library has no such thing.

    Attributes:
        name: The library.
        thread_loads: Loads for all the threads.
        task_loads: Loads for all the tasks.
        cancelled_failed: Of ten waiters, those that failed when the first caller was cancelled.
        cancelled_loads: Loads that took.
    """

    name: str
    thread_loads: int | None
    task_loads: int | None
    cancelled_failed: int | None
    cancelled_loads: int | None


def _ours() -> Contestant:
    def make(function: Callable[..., Any]) -> Any:
        return CacheManager(ttl_s=60.0).cached()(function)

    return Contestant(
        name="sergas",
        sync=make,
        asynchronous=make,
    )


def _cachetools() -> list[Contestant]:
    cachetools = importlib.import_module("cachetools")

    def locked(function: Callable[..., Any]) -> Any:
        cache = cachetools.TTLCache(1024, 60)
        return cachetools.cached(cache, lock=threading.RLock())(function)

    def conditional(function: Callable[..., Any]) -> Any:
        cache = cachetools.TTLCache(1024, 60)
        return cachetools.cached(cache, condition=threading.Condition())(function)

    return [
        Contestant(name="cachetools lock=", sync=locked, asynchronous=None),
        Contestant(name="cachetools condition=", sync=conditional, asynchronous=None),
    ]


def _cachebox() -> list[Contestant]:
    cachebox = importlib.import_module("cachebox")

    def make(function: Callable[..., Any]) -> Any:
        return cachebox.cached(cachebox.TTLCache(1024, 60))(function)

    return [Contestant(name="cachebox", sync=make, asynchronous=make)]


def _theine() -> list[Contestant]:
    theine = importlib.import_module("theine")
    datetime = importlib.import_module("datetime")

    def make(function: Callable[..., Any]) -> Any:
        made = theine.Memoize(1024, datetime.timedelta(seconds=60))(function)
        made.key(lambda *args, **kwargs: str((args, kwargs)))
        return made

    return [Contestant(name="theine", sync=make, asynchronous=make)]


def _cashews() -> list[Contestant]:
    cashews = importlib.import_module("cashews")

    def make(function: Callable[..., Any]) -> Any:
        cache = cashews.Cache()
        cache.setup("mem://")
        return cache(ttl=60, key="{value}")(function)

    return [Contestant(name="cashews", sync=None, asynchronous=make)]


def _aiocache() -> list[Contestant]:
    aiocache = importlib.import_module("aiocache")

    def make(function: Callable[..., Any]) -> Any:
        return aiocache.cached_stampede(lease=2, ttl=60)(function)

    return [Contestant(name="aiocache cached_stampede", sync=None, asynchronous=make)]


def peers() -> tuple[list[Contestant], list[str]]:
    """The peers that are installed, and the names of those that are not."""
    found: list[Contestant] = []
    missing = []
    for make in (_cachetools, _cachebox, _theine, _cashews, _aiocache):
        try:
            found += make()
        except ImportError:
            missing.append(make.__name__.strip("_"))
    return found, missing


def _in_threads(make: Make, callers: int) -> int:
    """How many loads so many threads cause."""
    counting = threading.Lock()
    loads = 0

    def load(value: int) -> int:
        nonlocal loads
        with counting:
            loads += 1
        time.sleep(_LOAD_S)
        return value

    cached = make(load)
    start = threading.Barrier(callers)

    def ask() -> None:
        start.wait()
        cached(1)

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loads


async def _in_tasks(make: Make, callers: int) -> int:
    """How many loads so many tasks cause."""
    load, loads = _counting_load()
    cached = make(load)
    await asyncio.gather(*(_settled(cached(1)) for _ in range(callers)))
    return len(loads)


async def _cancelled(make: Make) -> tuple[int, int]:
    """How many of ten waiters fail when the first caller is cancelled; how many loads it took."""
    load, loads = _counting_load()
    cached = make(load)
    tasks = [asyncio.ensure_future(_settled(cached(1))) for _ in range(_WAITERS + 1)]
    await asyncio.sleep(_LOAD_S / 5)
    tasks[0].cancel()
    await asyncio.wait(tasks, timeout=20 * _LOAD_S)
    failed = 0
    for task in tasks[1:]:
        if (
            not task.done()
            or task.cancelled()
            or task.exception() is not None
            or task.result() != 1
        ):
            failed += 1
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return failed, len(loads)


def _counting_load() -> tuple[Callable[..., Any], list[int]]:
    loads: list[int] = []

    async def load(value: int) -> int:
        loads.append(value)
        await asyncio.sleep(_LOAD_S)
        return value

    return load, loads


async def _settled(call: Awaitable[int]) -> int:
    return await call


def _measured(contestant: Contestant, callers: int) -> Row:
    sync, asynchronous = contestant.sync, contestant.asynchronous
    cancelled = None if asynchronous is None else asyncio.run(_cancelled(asynchronous))
    return Row(
        name=contestant.name,
        thread_loads=None if sync is None else _in_threads(sync, callers),
        task_loads=None if asynchronous is None else asyncio.run(_in_tasks(asynchronous, callers)),
        cancelled_failed=None if cancelled is None else cancelled[0],
        cancelled_loads=None if cancelled is None else cancelled[1],
    )


def run(contestants: Sequence[Contestant], *, callers: int, repeats: int) -> list[Row]:
    """The contestants in turns; of each the worst figures."""
    rows: dict[str, Row] = {}
    for _ in range(repeats):
        for contestant in contestants:
            row = _measured(contestant, callers)
            known = rows.get(row.name)
            rows[row.name] = row if known is None else _worse(known, row)
    return list(rows.values())


def _worse(left: Row, right: Row) -> Row:
    worst: dict[str, Any] = {"name": left.name}
    for field in ("thread_loads", "task_loads", "cancelled_failed", "cancelled_loads"):
        figures = [getattr(left, field), getattr(right, field)]
        worst[field] = None if None in figures else max(figures)
    return Row(**worst)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--callers", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args(arguments)
    found, missing = peers()
    if missing:
        print(
            f"stampede: {', '.join(missing)} not installed, so left out;"
            f" pip install 'groundspeed[peers]'",
            file=sys.stderr,
        )
    with contextlib.redirect_stdout(sys.stderr):  # what peers print is not the result
        rows = run([_ours(), *found], callers=chosen.callers, repeats=chosen.repeats)
    show = functools.partial("{:26}{:>14}{:>12}{:>20}{:>18}".format)
    print(show("", "thread loads", "task loads", f"failed of {_WAITERS}", "loads, cancelled"))
    for row in rows:
        figures = list(asdict(row).values())
        print(show(*["-" if figure is None else figure for figure in figures]))
    print(json.dumps([asdict(row) for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
