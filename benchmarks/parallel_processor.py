"""What the parallel processor costs: cheap items on threads and on a process, errors, crashes.

State is built on first use, once for each process, and not in `setup`: asv_runner times single
calls of a benchmark that has one. Items are cheap on purpose: what is timed is the handing over,
the ordering and the keeping of outcomes, none of which needs a second processor. Functions are of
the standard library where they must be found by a worker process.
"""

import functools
import itertools
import math
import operator
import os
from collections.abc import Callable

from sergas.optimizations.parallel_processor import ParallelProcessor

WORKERS = 4


@functools.cache
def on_threads() -> ParallelProcessor:
    """Four worker threads, started with the first item."""
    return ParallelProcessor(WORKERS, backend="thread")


@functools.cache
def on_process() -> ParallelProcessor:
    """One worker process, started with the first item."""
    return ParallelProcessor(1, backend="process")


def inverse(number: int) -> float:
    """Fails for zero."""
    return 1 / number


def row_sum(row: int) -> int:
    """Ten items of its own, from inside a worker."""
    return sum(on_threads().map(math.isqrt, range(row, row + 10)))


class Threads:
    """Results in order."""

    params = (10, 100, 1_000)
    param_names = ("items",)

    def time_map(self, items: int) -> None:
        on_threads().map(math.isqrt, range(items))


class ThreadOutcomes:
    """Errors kept beside results, inputs of unknown length, maps within maps."""

    def time_outcomes_with_errors(self) -> None:
        on_threads().map(inverse, [1, 0] * 50, on_error="return")

    def time_stream(self) -> None:
        for _ in on_threads().imap(math.isqrt, iter(range(1_000)), on_error="return"):
            pass

    def time_nested_map(self) -> None:
        on_threads().map(row_sum, range(10))


class Process:
    """There and back again: every item, result and function is pickled."""

    params = (10, 100)
    param_names = ("items",)

    def time_map(self, items: int) -> None:
        on_process().map(math.isqrt, range(items))


class Footprint:
    """Memory."""

    def peakmem_stream_of_100_000(self) -> None:
        """An input that is never held as a whole."""
        for _ in on_threads().imap(math.isqrt, iter(range(100_000)), on_error="return"):
            pass


class Bounds:
    """What does not depend on the machine's speed."""

    unit = "items"

    def track_items_read_before_the_first_result(self) -> int:
        """Two per worker; a thread pool's map reads them all."""
        numbers = itertools.count()
        next(on_threads().imap(math.isqrt, numbers, on_error="return"))
        return next(numbers)

    def track_items_lost_per_crash(self) -> int:
        """Of a hundred items the fiftieth ends its worker process; one is the fewest."""
        calls: list[Callable[[], int]] = [functools.partial(abs, -item) for item in range(100)]
        calls[50] = functools.partial(os._exit, 1)
        with ParallelProcessor(1, backend="process") as processor:
            outcomes = processor.map(operator.call, calls, on_error="return")
        return sum(outcome.error is not None for outcome in outcomes)
