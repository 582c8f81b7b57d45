"""What threads alone can show: order, limits, nesting and closing, step by step."""

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sergas.errors import ProcessorError
from sergas.optimizations.parallel_processor import ParallelProcessor


def test_order_is_that_of_the_input_not_of_completion() -> None:
    """The first item ends last and still comes first."""
    last_is_done = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert last_is_done.wait(20.0)
        if number == 3:
            last_is_done.set()
        return number

    with ParallelProcessor(2, backend="thread") as processor:
        assert processor.map(work, range(4)) == [0, 1, 2, 3]


def test_as_many_items_at_once_as_workers_and_never_more() -> None:
    """Three can meet at a barrier, and no fourth is ever seen among them."""
    barrier = threading.Barrier(3)
    at_work: set[int] = set()

    def work(number: int) -> int:
        at_work.add(number)
        barrier.wait(20.0)
        count = len(at_work)
        barrier.wait(20.0)
        at_work.discard(number)
        return count

    with ParallelProcessor(3, backend="thread") as processor:
        assert processor.map(work, range(9)) == [3] * 9


def test_after_an_error_that_is_raised_no_further_item_starts() -> None:
    """Those that were being worked on come to their end; at most two more were ready."""
    seen: list[int] = []

    def work(number: int) -> None:
        seen.append(number)
        if number == 0:
            raise KeyError(number)

    with ParallelProcessor(2, backend="thread") as processor, pytest.raises(KeyError):
        processor.map(work, range(50), chunk=1)
    assert sorted(seen) == list(range(len(seen)))
    assert len(seen) <= 4


def test_nested_use_of_one_worker_does_not_lock_up() -> None:
    """A worker that calls its own processor works on the items itself."""
    with ParallelProcessor(1, backend="thread") as processor:

        def outer(number: int) -> list[tuple[int, str]]:
            return processor.map(
                lambda inner: (number * inner, threading.current_thread().name), range(3)
            )

        results = processor.map(outer, range(4))
    assert [[value for value, _ in row] for row in results] == [
        [number * inner for inner in range(3)] for number in range(4)
    ]
    assert {name for row in results for _, name in row} == {"sergas-parallel-0"}


def test_two_processors_may_use_each_other() -> None:
    """Workers of one never wait for workers of the other, which wait for them."""
    meeting = threading.Barrier(2)
    with (
        ParallelProcessor(1, backend="thread") as one,
        ParallelProcessor(1, backend="thread") as other,
    ):

        def through(processor: ParallelProcessor) -> list[int]:
            meeting.wait(20.0)
            return processor.map(abs, [-1])

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(one.map, through, [other])
            second = threads.submit(other.map, through, [one])
            assert first.result(20.0) == second.result(20.0) == [[1]]


def test_elapsed_time_is_that_of_the_function() -> None:
    """Failed or not, each outcome tells what its own call took."""
    waits_s = {1: 0.02, 2: 0.0, 3: 0.05}

    def work(number: int) -> None:
        threading.Event().wait(waits_s[number])
        if number == 3:
            raise ValueError(number)

    with ParallelProcessor(1, backend="thread") as processor:
        outcomes = processor.map(work, waits_s, on_error="return")
    for outcome, wait_s in zip(outcomes, waits_s.values(), strict=True):
        assert outcome.elapsed_s >= wait_s


def test_whoever_stops_early_leaves_little_behind() -> None:
    """What no worker has begun when the iterator is closed is never begun."""
    begun: list[int] = []
    may_go_on = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number > 0:
            assert may_go_on.wait(20.0)
        return number

    with ParallelProcessor(2, backend="thread") as processor:
        outcomes = processor.imap(work, range(1000), on_error="return")
        assert next(outcomes).value == 0
        assert isinstance(outcomes, Generator)
        outcomes.close()
        may_go_on.set()
    assert set(begun) <= {0, 1, 2}


def test_close_finishes_what_was_given_out() -> None:
    """A call under way gets its results; close returns only after them."""
    is_begun, may_go_on = threading.Event(), threading.Event()

    def work(number: int) -> int:
        is_begun.set()
        assert may_go_on.wait(20.0)
        return number

    processor = ParallelProcessor(1, backend="thread")
    with ThreadPoolExecutor(2) as threads:
        mapping = threads.submit(processor.map, work, [5])
        assert is_begun.wait(20.0)
        closing = threads.submit(processor.close)
        assert not closing.done()
        may_go_on.set()
        assert mapping.result(20.0) == [5]
        closing.result(20.0)


def test_close_during_a_long_call_is_an_error_for_that_call() -> None:
    """What had not been given out yet is not silently missing from the result."""
    with ParallelProcessor(1, backend="thread") as processor:
        outcomes = processor.imap(abs, range(10_000), on_error="return")
        next(outcomes)
        processor.close()
        with pytest.raises(ProcessorError, match="closed"):
            list(outcomes)
