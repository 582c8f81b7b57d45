"""What a parallel map costs, survives and reads ahead: the processor beside its peers, in one run.

    pip install 'groundspeed[test,peers]'
    python tools/evaluation/processors.py [--tables overhead,faults,speed,stream]

Four tables. Overhead: microseconds an item that does nothing, warm pools, the contestants taking
turns; best and median. Faults: how many of a hundred items are good when one of them ends its
process, how many of twenty when one sleeps past its timeout, and how many items are read before
the first result of two thousand. Speed: real computation on all usable processors against a plain
loop. Stream: peak memory of this process after each part of a long stream through `imap`.

Functions live in this module by name, so start it as a script or with -m.
"""

import argparse
import contextlib
import importlib
import itertools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import psutil

from sergas.optimizations.parallel_processor import ParallelProcessor

__all__ = ["main"]

Contestant = Callable[[int], object]
_THREADS = 4
_TIMEOUT_S = 0.5
_SLEEP_S = 30.0
_CHUNK = 50


def peer(name: str) -> Any:
    """A library to compare with, or the end."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        sys.exit(f"{error}: the peers are needed; pip install 'groundspeed[test,peers]'")


def nothing(item: int) -> int:
    """The least that an item can be."""
    return item


def exit_at_50(item: int) -> int:
    """Ends its process at item 50."""
    if item == 50:  # noqa: PLR2004 - the one in the middle
        os._exit(1)
    return item


def sleep_at_7(item: int) -> int:
    """Sleeps far too long at item 7."""
    if item == 7:  # noqa: PLR2004 - one of twenty
        time.sleep(_SLEEP_S)
    return item


def compute(size: int) -> int:
    """Real work for one processor: primes up to `size` by a sieve of Python objects."""
    is_prime = [True] * (size + 1)
    for number in range(2, int(size**0.5) + 1):
        if is_prime[number]:
            for multiple in range(number * number, size + 1, number):
                is_prime[multiple] = False
    return sum(is_prime[2:])


# Overhead


def overhead(workers: int, counts: tuple[int, ...], turns: int) -> dict[str, Any]:
    """Microseconds an item, by how many there are and by contestant."""
    with contextlib.ExitStack() as stack:
        contestants = _contestants(stack, workers)
        return {
            str(count): timed_in_turns(
                {name: run for name, run in contestants.items() if count <= _most(name)},
                count=count,
                turns=turns,
            )
            for count in counts
        }


def _most(name: str) -> int:
    """What takes a tenth of a millisecond an item is not asked for a hundred thousand."""
    return 10_000 if name.startswith(("dask", "joblib threading", "pebble")) else 1_000_000


def _contestants(stack: contextlib.ExitStack, workers: int) -> dict[str, Contestant]:
    joblib, mpire, pebble = peer("joblib"), peer("mpire"), peer("pebble")
    dask, bag = peer("dask"), peer("dask.threaded")
    ours_threads = stack.enter_context(ParallelProcessor(_THREADS, backend="thread"))
    ours_processes = stack.enter_context(ParallelProcessor(workers, backend="process"))
    threads = stack.enter_context(ThreadPoolExecutor(_THREADS))
    processes = stack.enter_context(ProcessPoolExecutor(workers))
    loky = stack.enter_context(joblib.Parallel(n_jobs=workers, backend="loky"))
    threading = stack.enter_context(joblib.Parallel(n_jobs=_THREADS, backend="threading"))
    mpires = stack.enter_context(mpire.WorkerPool(workers, keep_alive=True))
    pebbles = stack.enter_context(pebble.ProcessPool(workers))
    delayed = joblib.delayed(nothing)

    def dask_threads(count: int) -> object:
        tasks = {("item", n): (nothing, n) for n in range(count)}
        return bag.get(tasks, list(tasks), num_workers=_THREADS)

    del dask
    return {
        "ours, threads": lambda n: ours_threads.map(nothing, range(n)),
        "ours, threads, timeout": lambda n: ours_threads.map(nothing, range(n), timeout=60.0),
        "ours, threads, outcomes": lambda n: ours_threads.map(
            nothing, range(n), timeout=60.0, on_error="return"
        ),
        "ThreadPoolExecutor.map": lambda n: list(threads.map(nothing, range(n))),
        "joblib threading": lambda n: threading(delayed(item) for item in range(n)),
        "dask threads": dask_threads,
        "ours, processes": lambda n: ours_processes.map(nothing, range(n)),
        "ours, processes, timeout": lambda n: ours_processes.map(nothing, range(n), timeout=60.0),
        "ours, processes, outcomes": lambda n: ours_processes.map(
            nothing, range(n), timeout=60.0, on_error="return"
        ),
        "ProcessPoolExecutor.map, chunks of 50": lambda n: list(
            processes.map(nothing, range(n), chunksize=_CHUNK)
        ),
        "joblib loky": lambda n: loky(delayed(item) for item in range(n)),
        "mpire map": lambda n: mpires.map(nothing, range(n)),
        "pebble map, chunks of 50, timeout": lambda n: list(
            pebbles.map(nothing, range(n), chunksize=_CHUNK, timeout=60.0).result()
        ),
    }


def timed_in_turns(
    contestants: dict[str, Contestant], *, count: int, turns: int
) -> dict[str, dict[str, float]]:
    """Best, median and worst microseconds an item; all contestants once a turn."""
    seen: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run(min(count, 100))
    for _ in range(turns):
        for name, run in contestants.items():
            began_s = time.perf_counter()
            run(count)
            seen[name].append((time.perf_counter() - began_s) / count * 1e6)
    return {
        name: {
            "us_best": round(min(values), 3),
            "us_median": round(statistics.median(values), 3),
            "us_worst": round(max(values), 3),
        }
        for name, values in seen.items()
    }


# Faults


def faults(workers: int) -> dict[str, Any]:
    """Good items beside a crash and beside a sleeper, and the lead over the input."""
    with ParallelProcessor(workers, backend="process") as processor:
        ours = {
            "good of 100, one exits": _good(
                processor.map(exit_at_50, range(100), on_error="return")
            ),
            "good of 20, one sleeps": _good(
                processor.map(sleep_at_7, range(20), on_error="return", timeout=_TIMEOUT_S)
            ),
            "read before the first of 2000": _lead(
                lambda items: processor.imap(nothing, items, chunk=1)
            ),
            "bound, 2 x workers x chunk": 2 * workers,
        }
    return {
        "ours": ours,
        "concurrent.futures": _faults_of_futures(workers),
        "joblib": _faults_of_joblib(workers),
        "pebble": _faults_of_pebble(workers),
        "mpire": _faults_of_mpire(workers),
    }


def _good(outcomes: list[Any]) -> int:
    return sum(outcome.error is None for outcome in outcomes)


def _counted(results: Iterator[Any]) -> int:
    """How many results come before an error ends it."""
    good = 0
    with contextlib.suppress(Exception):
        for _ in results:
            good += 1
    return good


def _lead(imap: Callable[[Iterator[int]], Iterator[Any]]) -> int:
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(2000):
            read += 1
            yield number

    results = imap(items())
    next(results)
    return read


def _faults_of_futures(workers: int) -> dict[str, Any]:
    def good(function: Callable[[int], int], count: int, timeout_s: float | None) -> int:
        with ProcessPoolExecutor(workers) as pool:
            found = _counted(pool.map(function, range(count), timeout=timeout_s))
            for process in list((pool._processes or {}).values()):  # noqa: SLF001 - it cannot end them
                process.kill()
            return found

    with ThreadPoolExecutor(workers) as pool:
        lead = _lead(lambda items: pool.map(nothing, items))
    return {
        "good of 100, one exits": good(exit_at_50, 100, None),
        "good of 20, one sleeps": good(sleep_at_7, 20, _TIMEOUT_S),
        "read before the first of 2000": lead,
    }


def _faults_of_joblib(workers: int) -> dict[str, Any]:
    joblib = peer("joblib")

    def results(function: Callable[[int], int], count: int, timeout_s: float | None) -> int:
        parallel = joblib.Parallel(n_jobs=workers, timeout=timeout_s, return_as="generator")
        return _counted(parallel(joblib.delayed(function)(item) for item in range(count)))

    parallel = joblib.Parallel(n_jobs=workers, return_as="generator")
    return {
        "good of 100, one exits": results(exit_at_50, 100, None),
        "good of 20, one sleeps": results(sleep_at_7, 20, _TIMEOUT_S),
        "read before the first of 2000": _lead(
            lambda items: parallel(joblib.delayed(nothing)(item) for item in items)
        ),
    }


def _faults_of_pebble(workers: int) -> dict[str, Any]:
    pebble = peer("pebble")

    def good(function: Callable[[int], int], count: int, timeout_s: float | None) -> int:
        found = 0
        with pebble.ProcessPool(workers) as pool:
            results = pool.map(function, range(count), timeout=timeout_s).result()
            for _ in range(count):
                with contextlib.suppress(Exception):
                    next(results)
                    found += 1
        return found

    with pebble.ProcessPool(workers) as pool:
        lead = _lead(lambda items: pool.map(nothing, items).result())
    return {
        "good of 100, one exits": good(exit_at_50, 100, None),
        "good of 20, one sleeps": good(sleep_at_7, 20, _TIMEOUT_S),
        "read before the first of 2000": lead,
    }


def _faults_of_mpire(workers: int) -> dict[str, Any]:
    mpire = peer("mpire")

    def good(function: Callable[[int], int], count: int, timeout_s: float | None) -> int:
        with mpire.WorkerPool(workers) as pool:
            return _counted(pool.imap(function, range(count), task_timeout=timeout_s))

    with mpire.WorkerPool(workers) as pool:
        lead = _lead(lambda items: pool.imap(nothing, items, iterable_len=2000))
    return {
        "good of 100, one exits": good(exit_at_50, 100, None),
        "good of 20, one sleeps": good(sleep_at_7, 20, _TIMEOUT_S),
        "read before the first of 2000": lead,
    }


# Speed and stream


def speed(workers: int, turns: int) -> dict[str, Any]:
    """Seconds for the same computation, and how many times a plain loop's speed."""
    sizes = [60_000] * 200
    with (
        ParallelProcessor(workers, backend="process") as ours,
        ProcessPoolExecutor(workers) as processes,
    ):
        contestants: dict[str, Contestant] = {
            "plain loop": lambda _: [compute(size) for size in sizes],
            "ours, processes": lambda _: ours.map(compute, sizes),
            "ProcessPoolExecutor.map": lambda _: list(processes.map(compute, sizes)),
            "ProcessPoolExecutor.map, chunks of 10": lambda _: list(
                processes.map(compute, sizes, chunksize=10)
            ),
        }
        ours.map(compute, [10] * workers)
        list(processes.map(compute, [10] * workers))
        seen: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(turns):
            for name, run in contestants.items():
                began_s = time.perf_counter()
                run(0)
                seen[name].append(time.perf_counter() - began_s)
    loops = seen["plain loop"]
    return {
        name: {
            "seconds_median": round(statistics.median(values), 3),
            "times_a_loop": round(
                statistics.median(loop / own for loop, own in zip(loops, values, strict=True)), 3
            ),
        }
        for name, values in seen.items()
    }


def stream(items: int, parts: int) -> dict[str, Any]:
    """Resident memory of this process after each part of one stream, in MiB."""
    process = psutil.Process()
    seen = []
    began_s = time.perf_counter()
    with ParallelProcessor(_THREADS, backend="thread") as processor:
        results = processor.imap(nothing, iter(range(items)))
        for _ in range(parts):
            for _result in itertools.islice(results, items // parts):
                pass
            seen.append(round(process.memory_info().rss / 2**20, 1))
    return {"items": items, "mib": seen, "seconds": round(time.perf_counter() - began_s, 1)}


def main(arguments: list[str] | None = None) -> int:
    """Measure what was asked for, and print it as JSON; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tables", default="overhead,faults,speed,stream")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--counts", default="1000,100000", help="items in the table of overhead")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--items", type=int, default=10_000_000, help="of the stream")
    options = parser.parse_args(arguments)
    made: dict[str, Callable[[], Any]] = {
        "overhead": lambda: overhead(
            options.workers, tuple(map(int, options.counts.split(","))), options.turns
        ),
        "faults": lambda: faults(options.workers),
        "speed": lambda: speed(options.workers, options.turns),
        "stream": lambda: stream(options.items, 10),
    }
    asked = options.tables.split(",")
    if unknown := [name for name in asked if name not in made]:
        parser.error(f"unknown table {', '.join(unknown)}; there are {', '.join(made)}")
    for name in asked:
        print(json.dumps({name: made[name]()}, indent=1), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
