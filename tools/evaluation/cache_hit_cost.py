"""What a hit costs through each library's decorator, and what mixed traffic costs, in CPU time.

All contestants are warm in one process and take turns in slices of a few milliseconds, in an order
drawn anew for each round; the cost of the loop around the calls is measured the same way and taken
off. A figure is the median over the slices, in nanoseconds of CPU time of the whole process, so
that what a library does in a thread of its own counts too; beside it half the interquartile range.

    python -m tools.evaluation.cache_hit_cost [--contestants ours,cachebox] [--rounds 60]

`sync` and `async` are hits alone, of 1,000 string keys that all fit. `mixed` is get, and set after
a miss, on Zipf's law with a capacity of a twentieth of the keys: there every hit that was only
noted has to be worked off, and every put drops an entry.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from tools.evaluation.cache_contestants import CONTESTANTS, MissingPeerError, peer
from tools.evaluation.cache_patterns import zipf

__all__ = ["main"]

_KEYS = [f"account:{number}" for number in range(1000)]
_TTL_S = 3600
_SIZE = 4096
_MIXED_KEYS, _MIXED_CAPACITY, _MIXED_REQUESTS = 20_000, 1_000, 4_000

Slice = Callable[[], int]
"""Makes the calls of one slice and says how many these were."""


def _load(key: str) -> int:
    return len(key)


async def _aload(key: str) -> int:
    return len(key)


def _ours(function: Any) -> Any:
    from sergas.optimizations.cache_manager import CacheManager

    return CacheManager(entries_max=_SIZE, ttl_s=_TTL_S).cached()(function)


def _cachebox(function: Any) -> Any:
    box = peer("cachebox")
    return box.cached(box.TTLCache(_SIZE, _TTL_S))(function)


def _cachetools(function: Any) -> Any:
    tools = peer("cachetools")
    cache = tools.TTLCache(_SIZE, _TTL_S)
    return tools.cached(cache, lock=threading.RLock())(function)


def _theine(function: Any) -> Any:
    memoized = peer("theine").Memoize(_SIZE, timedelta(seconds=_TTL_S))(function)
    memoized.key(lambda key: key)
    return memoized


def _cashews(function: Any) -> Any:
    cache = peer("cashews").Cache()
    cache.setup(f"mem://?size={_SIZE}")
    return cache(ttl=_TTL_S)(function)


def _aiocache(function: Any) -> Any:
    aiocache = peer("aiocache")
    return aiocache.cached(ttl=_TTL_S, cache=aiocache.Cache.MEMORY)(function)


def _functools(function: Any) -> Any:
    return lru_cache(_SIZE)(function)


_SYNC: Mapping[str, Callable[[Any], Any]] = {
    "ours": _ours,
    "functools": _functools,
    "cachebox": _cachebox,
    "cachetools": _cachetools,
    "theine": _theine,
}
_ASYNC: Mapping[str, Callable[[Any], Any]] = {
    "ours": _ours,
    "cachebox": _cachebox,
    "theine": _theine,
    "cashews": _cashews,
    "aiocache": _aiocache,
}
_MIXED = ("ours", "lru", "theine", "cachetools-lru", "cachetools-lfu", "cachebox-lru")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, and a JSON line at their end; returns the exit code."""
    options = _parser().parse_args(arguments)
    wanted = None if options.contestants is None else options.contestants.split(",")
    known = {*_SYNC, *_ASYNC, *_MIXED}
    if wanted is not None and not known.issuperset(wanted):
        print(f"cache_hit_cost: there are only {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    try:
        results = asyncio.run(_measure(wanted, rounds=options.rounds, seed=options.seed))
    except MissingPeerError as error:
        print(f"cache_hit_cost: {error}", file=sys.stderr)
        return 2
    for kind, costs in results.items():
        print(f"{kind}: CPU ns a request, median +- half the interquartile range")
        for name, (median, spread) in costs.items():
            print(f"  {name:15} {median:9.0f} +- {spread:.0f}")
    print(json.dumps({"rounds": options.rounds, "seed": options.seed, "cpu_ns": results}))
    return 0


Costs = dict[str, tuple[float, float]]


async def _measure(wanted: Sequence[str] | None, *, rounds: int, seed: int) -> dict[str, Costs]:
    def is_wanted(name: str) -> bool:
        return wanted is None or name in wanted

    rng = random.Random(seed)  # noqa: S311 an order of turns
    sync = {name: _sync_slice(make(_load)) for name, make in _SYNC.items() if is_wanted(name)}
    mixed = {name: _mixed_slice(name, seed) for name in _MIXED if is_wanted(name)}
    waiting = {
        name: await _warmed(make(_aload)) for name, make in _ASYNC.items() if is_wanted(name)
    }
    return {
        "sync": _net(_in_turns(sync | {"": _empty_slice}, rounds, rng)),
        "async": _net(await _in_turns_async(waiting, rounds, rng)),
        "mixed": {name: _told(taken) for name, taken in _in_turns(mixed, rounds, rng).items()},
    }


def _empty_slice() -> int:
    for _key in _KEYS:
        pass
    return len(_KEYS)


def _sync_slice(function: Callable[[str], int]) -> Slice:
    def run() -> int:
        for key in _KEYS:
            function(key)
        return len(_KEYS)

    run()
    run()
    return run


async def _warmed(function: Callable[[str], Awaitable[int]]) -> Callable[[str], Awaitable[int]]:
    for _ in range(2):
        for key in _KEYS:
            await function(key)
    return function


def _mixed_slice(name: str, seed: int) -> Slice:
    """Requests that go on from slice to slice, so that no slice is a repetition."""
    numbers = zipf(_MIXED_REQUESTS * 10, _MIXED_KEYS, 0.99)(random.Random(seed))  # noqa: S311
    keys = [f"account:{number}" for number in numbers]
    store = CONTESTANTS[name].make(_MIXED_CAPACITY)
    position = 0

    def run() -> int:
        nonlocal position
        get, put = store.get, store.set
        for key in keys[position : position + _MIXED_REQUESTS]:
            if not get(key):
                put(key)
        position = (position + _MIXED_REQUESTS) % len(keys)
        return _MIXED_REQUESTS

    for _ in range(10):
        run()
    return run


def _in_turns(
    slices: Mapping[str, Slice], rounds: int, rng: random.Random
) -> dict[str, list[float]]:
    """CPU ns a request of each slice, by name."""
    taken: dict[str, list[float]] = {name: [] for name in slices}
    for _ in range(rounds):
        for name in rng.sample(list(slices), len(slices)):
            started = time.process_time_ns()
            requests = slices[name]()
            taken[name].append((time.process_time_ns() - started) / requests)
    return taken


async def _in_turns_async(
    functions: Mapping[str, Callable[[str], Awaitable[int]]], rounds: int, rng: random.Random
) -> dict[str, list[float]]:
    """As `_in_turns`, awaiting each call in one task; the name "" is the loop without a call."""
    names = ["", *functions]
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in rng.sample(names, len(names)):
            started = time.process_time_ns()
            if name:
                function = functions[name]
                for key in _KEYS:
                    await function(key)
            else:
                _empty_slice()
            taken[name].append((time.process_time_ns() - started) / len(_KEYS))
    return taken


def _net(taken: dict[str, list[float]]) -> Costs:
    """Medians less the median of the loop alone."""
    loop = statistics.median(taken.pop(""))
    return {name: _told([cost - loop for cost in costs]) for name, costs in taken.items()}


def _told(costs: Sequence[float]) -> tuple[float, float]:
    low, median, high = statistics.quantiles(costs, n=4)
    return round(median, 1), round((high - low) / 2, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluation.cache_hit_cost")
    parser.add_argument(
        "--contestants",
        metavar="NAMES",
        help=f"of {', '.join(dict.fromkeys([*_SYNC, *_ASYNC, *_MIXED]))} (all)",
    )
    parser.add_argument("--rounds", type=int, default=60, metavar="N", help="slices of each (60)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of order and traffic (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
