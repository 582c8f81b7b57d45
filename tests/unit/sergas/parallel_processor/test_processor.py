"""What holds on threads and on processes alike."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeAlias

import pytest
from tests.unit.sergas.parallel_processor import jobs

from sergas.errors import ProcessorError
from sergas.optimizations.parallel_processor import ParallelProcessor

Backend: TypeAlias = Literal["thread", "process"]
BACKENDS: tuple[Backend, ...] = ("thread", "process")


@pytest.fixture(scope="module", params=BACKENDS)
def processor(request: pytest.FixtureRequest) -> Iterator[ParallelProcessor]:
    """Two workers that many tests share, whatever other tests made of them."""
    with ParallelProcessor(2, backend=request.param) as processor:
        yield processor


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_results_are_those_of_a_loop_in_the_same_order(
    processor: ParallelProcessor, count: int
) -> None:
    """However many there are, and also none."""
    assert processor.map(jobs.double, range(count)) == [2 * number for number in range(count)]
    assert processor.map(jobs.double, iter(range(count))) == [2 * n for n in range(count)]


def test_none_is_a_result(processor: ParallelProcessor) -> None:
    """A function that returns None has succeeded."""
    outcomes = processor.map(jobs.none_of, [1, None], on_error="return")
    assert [(outcome.value, outcome.error) for outcome in outcomes] == [(None, None)] * 2
    assert processor.map(jobs.none_of, [1, None]) == [None, None]


def test_error_stays_with_its_item(processor: ParallelProcessor) -> None:
    """Neighbours in the same chunk are not touched, and the error keeps its type."""
    outcomes = processor.map(jobs.inverse, [1, 0] * 50, on_error="return")
    assert [outcome.index for outcome in outcomes] == list(range(100))
    assert all(outcome.result() == 1.0 for outcome in outcomes[::2])
    assert all(type(outcome.error) is ZeroDivisionError for outcome in outcomes[1::2])


def test_map_raises_the_first_error_or_leaves_failures_out(processor: ParallelProcessor) -> None:
    """The first by place in the input, not by time."""
    with pytest.raises(ZeroDivisionError):
        processor.map(jobs.inverse, [1, 0, 2])
    assert processor.map(jobs.inverse, [1, 0, 2], on_error="skip") == [1.0, 0.5]


def test_exit_asked_for_by_an_item_is_its_error(processor: ParallelProcessor) -> None:
    """It ends neither the worker nor the program."""
    outcomes = processor.map(jobs.leave, range(5), on_error="return")
    assert [outcome.value for outcome in outcomes] == [0, 1, 2, None, 4]
    assert isinstance(outcomes[3].error, SystemExit)
    assert outcomes[3].error.code == 7


def test_input_that_breaks_is_reported_and_harms_nothing(processor: ParallelProcessor) -> None:
    """Its own error comes through, and the workers go on to the next call."""
    with pytest.raises(LookupError, match="the input broke"):
        processor.map(jobs.double, jobs.numbers_then_error(20))
    assert processor.map(jobs.double, [4]) == [8]


def test_endless_input_is_read_with_a_bounded_lead(processor: ParallelProcessor) -> None:
    """Never more than two chunks per worker ahead of what was taken, of at most 1024 items."""
    read = itertools.count()
    outcomes = processor.imap(jobs.double, read, on_error="return")
    taken = [next(outcomes).value for _ in range(3000)]
    assert taken == [2 * number for number in range(3000)]
    assert next(read) <= 3000 + 4 * 1024
    assert [outcome.value for outcome in itertools.islice(outcomes, 2)] == [6000, 6002]


def test_first_result_costs_no_more_than_two_items_per_worker(
    processor: ParallelProcessor,
) -> None:
    """Before anything is known about the items, chunks hold one."""
    read = itertools.count()
    outcomes = processor.imap(jobs.double, read, on_error="return")
    assert next(outcomes).value == 0
    assert next(read) == 4


def test_many_threads_share_one_processor(processor: ParallelProcessor) -> None:
    """Calls at the same time do not mix their items."""

    def work(factor: int) -> list[int]:
        return processor.map(jobs.double, range(factor, factor + 100))

    with ThreadPoolExecutor(4) as threads:
        for factor, results in enumerate(threads.map(work, range(4))):
            assert results == [2 * number for number in range(factor, factor + 100)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_closed_processor_takes_nothing(backend: Backend) -> None:
    """Not even an empty input; closing again is harmless."""
    processor = ParallelProcessor(1, backend=backend)
    assert processor.map(jobs.double, [1]) == [2]
    processor.close()
    processor.close()
    for items in ([], [1]):
        with pytest.raises(ProcessorError, match="make a new ParallelProcessor"):
            processor.map(jobs.double, items)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"workers": 0}, "workers is 0"), ({"backend": "fibre"}, "backend is 'fibre'")],
    ids=["workers", "backend"],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    """The message says what was got and what is needed."""
    with pytest.raises(ValueError, match=message):
        ParallelProcessor(**options)


@pytest.mark.parametrize("backend", BACKENDS)
def test_default_constructor_works(backend: Backend) -> None:
    """At least one worker, whatever the machine, and nothing started yet."""
    with ParallelProcessor(backend=backend) as processor:
        assert processor.workers >= 1
