"""What a processor promises, whatever does the work.

Functions are called by name in other processes, so they live in a module of their own.
"""

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = str(Path(__file__).parents[2])
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

from tests.unit.sergas.parallel_processor import jobs  # noqa: E402 - found by the path above

from sergas.errors import (  # noqa: E402
    CheckpointError,
    ItemTimeoutError,
    NotPicklableError,
    ProcessorClosedError,
    ProcessorValueError,
    WorkerCrashedError,
)
from sergas.optimizations.parallel_processor import (  # noqa: E402
    Backoff,
    LoadBalancingStrategy,
    Outcome,
    ParallelProcessor,
    ProcessingStrategy,
    Progress,
    ResourceLimits,
)

BACKENDS = ("serial", "thread", "process", "auto", "async")
INTERRUPTIBLE = ("thread", "process", "async", "auto")
AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend that this Python has."""
    return str(request.param)


@pytest.fixture(scope="module")
def processor(backend: Any) -> Iterator[ParallelProcessor]:
    """Two workers that survive whatever the tests do to them."""
    with ParallelProcessor(2, backend=backend) as processor:
        yield processor


@pytest.fixture(params=INTERRUPTIBLE)
def interruptible(request: pytest.FixtureRequest) -> Iterator[ParallelProcessor]:
    """Two workers that an item cannot hold up."""
    with ParallelProcessor(2, backend=request.param) as processor:
        yield processor


def as_run_by(backend: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function itself, or the coroutine function that does the same."""
    return jobs.awaited[function] if backend == "async" else function


shared = settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


@shared
@given(
    numbers=st.lists(st.integers(-3, 3), max_size=120),
    chunk=st.sampled_from(["auto", 1, 2, 7, 1000]),
    is_sized=st.booleans(),
)
def test_outcomes_are_those_of_a_loop(
    backend: str, processor: ParallelProcessor, numbers: list[int], chunk: Any, *, is_sized: bool
) -> None:
    """One for each item, in order, with the value or the error that a loop would have seen."""
    inverse = as_run_by(backend, jobs.inverse)
    items = numbers if is_sized else iter(numbers)
    outcomes = processor.map(inverse, items, on_error="return", chunk=chunk)
    assert [outcome.index for outcome in outcomes] == list(range(len(numbers)))
    for number, outcome in zip(numbers, outcomes, strict=True):
        assert outcome.attempts == 1
        if number == 0:
            assert isinstance(outcome.error, ZeroDivisionError)
        else:
            assert (outcome.value, outcome.error) == (1 / number, None)


@shared
@given(count=st.integers(0, 300), chunk=st.sampled_from(["auto", 1, 5]))
def test_unordered_results_are_the_same_ones(
    backend: str, processor: ParallelProcessor, count: int, chunk: Any
) -> None:
    """None twice, none missing; an outcome tells which item it is of."""
    double = as_run_by(backend, jobs.double)
    outcomes = processor.imap_unordered(double, range(count), on_error="return", chunk=chunk)
    assert {outcome.index: outcome.value for outcome in outcomes} == {
        number: 2 * number for number in range(count)
    }
    assert sorted(processor.imap_unordered(double, range(count), chunk=chunk)) == [
        2 * number for number in range(count)
    ]


@shared
@given(chunk=st.integers(1, 40), taken=st.integers(1, 200))
def test_the_input_is_never_read_far_ahead(
    backend: str, processor: ParallelProcessor, chunk: int, taken: int
) -> None:
    """At most two chunks per worker are read and not given back."""
    read = itertools.count()
    results = processor.imap(as_run_by(backend, jobs.double), read, chunk=chunk)
    for number in range(taken):
        assert next(results) == 2 * number
    results.close()  # type: ignore[attr-defined] # it is a generator
    assert next(read) - taken <= 2 * 2 * chunk


def test_errors_are_raised_skipped_or_returned(backend: str, processor: ParallelProcessor) -> None:
    """The first in order is raised."""
    inverse = as_run_by(backend, jobs.inverse)
    with pytest.raises(ZeroDivisionError):
        processor.map(inverse, [1, 0, 2])
    assert processor.map(inverse, [1, 0, 2], on_error="skip") == [1.0, 0.5]
    assert list(processor.imap_unordered(inverse, [0, 0], on_error="skip")) == []


def test_an_input_that_breaks_loses_nothing_that_was_read(
    backend: str, processor: ParallelProcessor
) -> None:
    """What was read comes back first, then the error, once."""
    results = processor.imap(as_run_by(backend, jobs.double), jobs.numbers_then_error(20))
    taken = [next(results) for _ in range(20)]
    assert taken == [2 * number for number in range(20)]
    with pytest.raises(LookupError, match="the input broke"):
        next(results)
    assert list(results) == []


def test_an_item_that_takes_too_long_fails_alone(interruptible: ParallelProcessor) -> None:
    """Nineteen of twenty are good, also those in its chunk, and the worker is replaced."""
    wait = as_run_by("async", jobs.wait) if _is_async(interruptible) else jobs.wait
    seconds = [0.0] * 20
    seconds[7] = 30.0
    outcomes = interruptible.map(wait, seconds, on_error="return", timeout=0.3, chunk=10)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    assert [outcome.index for outcome in failed] == [7]
    assert isinstance(failed[0].error, ItemTimeoutError)
    assert "item 7: it took longer than 0.3 s" in str(failed[0].error)
    assert interruptible.map(wait, [0.0] * 5) == [0.0] * 5
    assert interruptible.metrics().timeouts == 1


def _is_async(processor: ParallelProcessor) -> bool:
    return processor._backend == "async"


def test_as_many_stuck_items_as_there_are_workers_do_not_stop_the_others() -> None:
    """Each stuck thread is replaced."""
    release = threading.Event()

    def wait(number: int) -> int:
        if number < 4:
            release.wait(30.0)
        return number

    with ParallelProcessor(2, backend="thread") as processor:
        outcomes = processor.map(wait, range(20), on_error="return", timeout=0.1)
        assert [o.index for o in outcomes if o.error is not None] == [0, 1, 2, 3]
        release.set()


@pytest.mark.parametrize("backend", ["serial", "thread", "process", "async"])
@pytest.mark.parametrize("is_ordered", [True, False])
def test_items_are_tried_again_as_often_as_asked(
    backend: Any, tmp_path: Path, *, is_ordered: bool
) -> None:
    """One succeeds at its third attempt, one never; the others are called once."""
    fail = as_run_by(backend, jobs.fail_until)
    steps = [(str(tmp_path / f"{number}"), {3: 2, 5: 99}.get(number, 0)) for number in range(8)]
    with ParallelProcessor(2, backend=backend) as processor:
        run = processor.map if is_ordered else processor.imap_unordered
        outcomes: list[Outcome[int]] = sorted(
            run(fail, steps, on_error="return", retries=3, backoff=AT_ONCE, chunk=4),
            key=lambda outcome: outcome.index,
        )
        retries = processor.metrics().retries
    assert [outcome.attempts for outcome in outcomes] == [1, 1, 1, 3, 1, 4, 1, 1]
    assert [o.index for o in outcomes if o.error is not None] == [5]
    assert retries == 2 + 3
    calls = [len((tmp_path / f"{number}").read_text()) for number in range(8)]
    assert calls == [1, 1, 1, 3, 1, 4, 1, 1]


def test_only_the_errors_named_are_worth_another_attempt() -> None:
    """Others fail at once."""
    with ParallelProcessor(2, backend="thread") as processor:
        (outcome,) = processor.map(
            jobs.inverse, [0], on_error="return", retries=5, retry_on=(OSError,)
        )
    assert outcome.attempts == 1


def test_a_crash_is_worth_another_attempt(tmp_path: Path) -> None:
    """The second call finds the file of the first."""
    with ParallelProcessor(1, backend="process") as processor:
        (outcome,) = processor.map(
            jobs.crash_once, [str(tmp_path / "seen")], on_error="return", retries=1, backoff=AT_ONCE
        )
    assert (outcome.value, outcome.attempts) == ("alive", 2)


def test_exit_in_one_of_a_hundred_items_costs_that_one(tmp_path: Path) -> None:
    """Ninety-nine are good."""
    steps = [(str(tmp_path / "log"), -1 if number == 50 else number) for number in range(100)]
    with ParallelProcessor(2, backend="process") as processor:
        outcomes = processor.map(jobs.crash_when_negative, steps, on_error="return")
        assert processor.metrics().crashes == 1
    assert [o.index for o in outcomes if isinstance(o.error, WorkerCrashedError)] == [50]
    assert sum(outcome.error is None for outcome in outcomes) == 99


def test_large_results_come_through_between_small_ones() -> None:
    """Larger than the tray, and many that fill it."""
    sizes = [10, 1_000_000, 3, 100_000, 100_000, 100_000, 300_000, 0]
    with ParallelProcessor(1, backend="process") as processor:
        assert [len(r) for r in processor.map(jobs.blob, sizes, chunk=len(sizes))] == sizes


def test_memory_exhausted_in_one_item_is_its_own_failure() -> None:
    """The worker is allowed 2 GiB, one item asks for eight."""
    limits = ResourceLimits(memory_bytes=2 << 30)
    with ParallelProcessor(1, backend="process", limits=limits) as processor:
        outcomes = processor.map(jobs.take_memory, [10, 8 << 30, 20], on_error="return")
    assert [type(o.error) for o in outcomes] == [type(None), MemoryError, type(None)]


def test_a_request_under_way_stops_after_the_item_it_is_on(tmp_path: Path) -> None:
    """When the call is over, in other processes, too."""
    log = tmp_path / "log"
    steps = [".", *["skip"] * 199, *[str(log)] * 200]
    with ParallelProcessor(2, backend="process") as processor:
        processor.map(jobs.wait, [0.01] * 4, chunk=1)  # both processes are there
        with pytest.raises(IsADirectoryError):
            processor.map(jobs.note_and_wait, steps, chunk=200)
        threading.Event().wait(0.1)
        noted = log.stat().st_size if log.exists() else 0
        threading.Event().wait(0.1)
        assert (log.stat().st_size if log.exists() else 0) == noted < 200


def test_shutdown_by_cancelling_gives_up_what_is_left_and_ends_processes() -> None:
    """Who waits for the call hears of it; nobody waits for the sleepers."""
    processor = ParallelProcessor(2, backend="process")
    failures: list[BaseException] = []

    def call() -> None:
        try:
            processor.map(jobs.wait, [30.0] * 10)
        except ProcessorClosedError as error:
            failures.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    while processor.metrics().peak_rss_bytes is None or not processor._crews:
        threading.Event().wait(0.01)
    threading.Event().wait(0.3)
    processor.shutdown("cancel")
    caller.join(20.0)
    assert not caller.is_alive()
    assert len(failures) == 1
    with pytest.raises(ProcessorClosedError, match="it is closed"):
        processor.map(abs, [1])


def test_a_checkpoint_is_gone_on_from(backend: str, tmp_path: Path) -> None:
    """The second call works off only what the first did not finish."""
    seen = tmp_path / "seen"
    steps = [(str(seen), number) for number in range(30)]
    note = as_run_by(backend, jobs.note_number)
    with ParallelProcessor(2, backend=backend) as processor:  # type: ignore[arg-type]
        first = processor.imap(note, steps, checkpoint=tmp_path / "journal", chunk=5)
        assert [next(first) for _ in range(12)] == list(range(12))
        first.close()  # type: ignore[attr-defined] # it is a generator
        done = set(seen.read_text().split())
        seen.write_text("")
        results = processor.map(
            note, steps, checkpoint=tmp_path / "journal", chunk=5, on_error="return"
        )
    assert [outcome.value for outcome in results] == list(range(30))
    again = set(seen.read_text().split())
    kept = {str(outcome.index) for outcome in results if outcome.attempts == 0}
    assert kept >= {str(number) for number in range(10)}
    assert kept <= done
    assert again == {str(number) for number in range(30)} - kept


def test_a_checkpoint_of_another_function_is_refused(tmp_path: Path) -> None:
    """Its values would be taken for this one's."""
    with ParallelProcessor(1, backend="serial") as processor:
        processor.map(jobs.double, [1], checkpoint=tmp_path / "journal")
        with pytest.raises(CheckpointError, match=r"of a call of .*jobs\.double"):
            processor.map(jobs.inverse, [1], checkpoint=tmp_path / "journal")


def test_progress_is_told_up_to_the_end(backend: str, processor: ParallelProcessor) -> None:
    """Every item once, with those that failed."""
    told: list[Progress] = []
    inverse = as_run_by(backend, jobs.inverse)
    processor.map(inverse, [1, 0, 2, 4], on_error="skip", progress=told.append)
    assert told[-1].done == told[-1].total == 4
    assert told[-1].failed == 1
    assert [p.done for p in told] == sorted(p.done for p in told)


def test_metrics_are_filled() -> None:
    """Nothing that happened is 0, nothing that was not measured is anything but None."""
    with ParallelProcessor(2, backend="process") as processor:
        before = processor.metrics()
        assert before.utilisation is None
        assert before.queue_wait_mean_s is None
        processor.map(jobs.wait, [0.01] * 20)
        after = processor.metrics()
    assert after.items == sum(after.items_by_worker) == 20
    assert after.busy_s >= 0.2
    assert after.utilisation is not None
    assert 0.0 < after.utilisation <= 1.0
    assert after.queue_wait_max_s is not None
    assert after.queue_wait_max_s > 0.0
    assert after.peak_rss_bytes is not None
    assert after.peak_rss_bytes > 1_000_000


def test_round_robin_gives_each_worker_its_turn() -> None:
    """Exactly as many chunks each, however busy they are."""
    with ParallelProcessor(
        4, backend="thread", balance=LoadBalancingStrategy.ROUND_ROBIN
    ) as processor:
        processor.map(abs, range(100), chunk=5)
        assert processor.metrics().items_by_worker == (25, 25, 25, 25)


@pytest.mark.parametrize("limit", ["aimd", "gradient"])
def test_a_learnt_limit_lets_everything_through(limit: Any) -> None:
    """It begins with one at a time and grows; nothing is lost."""
    with ParallelProcessor(4, backend="thread", limit=limit) as processor:
        assert processor.map(jobs.double, range(500)) == [2 * n for n in range(500)]
        assert 1 <= processor._limiters["thread"].limit <= 4


@pytest.mark.parametrize(
    ("function", "items", "chosen"),
    [
        (jobs.double, range(100), "serial"),
        (jobs.wait, [0.005] * 10, "thread"),
        (jobs.busy, [0.005] * 10, "process"),
    ],
)
def test_auto_chooses_by_what_items_do(function: Any, items: Any, chosen: str) -> None:
    """And says why."""
    with ParallelProcessor(2) as processor:
        assert processor.choice is None
        assert len(processor.map(function, items)) == len(items)
        assert processor.choice is not None
        assert processor.choice.backend == chosen
        assert "items took" in processor.choice.reason


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how long a thread stood ready")
def test_auto_is_not_misled_by_a_busy_machine() -> None:
    """Standing in line for a processor is no waiting of the items' own."""
    cpus = os.sched_getaffinity(0)
    cpu = min(cpus)
    spin = f"import os; os.sched_setaffinity(0, {{{cpu}}}); print(flush=True)\nwhile True: pass"
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            command = [sys.executable, "-c", spin]
            other = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(other.kill)
            assert other.stdout is not None
            other.stdout.readline()
        os.sched_setaffinity(0, {cpu})
        stack.callback(os.sched_setaffinity, 0, cpus)
        with ParallelProcessor(2) as processor:
            processor.map(jobs.busy, [0.01] * 4)
            assert processor.choice is not None
            assert processor.choice.backend == "process"


def test_auto_keeps_at_home_what_cannot_travel() -> None:
    """A closure that computes goes to threads."""
    with ParallelProcessor(2) as processor:
        assert processor.map(lambda s: jobs.busy(s) + 0.0, [0.005] * 6) == [0.005] * 6
        assert processor.choice is not None
        assert processor.choice.backend == "thread"


def test_amap_runs_coroutines_in_the_callers_loop() -> None:
    """Side by side, in order, from an asynchronous input; the loop is the caller's."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(20):
            await asyncio.sleep(0)
            yield number

    async def main() -> tuple[list[int], set[int]]:
        loops = set()

        async def double(number: int) -> int:
            loops.add(id(asyncio.get_running_loop()))
            await asyncio.sleep(0.001 * (20 - number))
            return 2 * number

        with ParallelProcessor(5, backend="async") as processor:
            results = [result async for result in processor.amap(double, numbers())]
        assert loops == {id(asyncio.get_running_loop())}
        return results, loops

    results, _ = asyncio.run(main())
    assert results == [2 * number for number in range(20)]


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_amap_leaves_the_loop_free_for_others(backend: Any) -> None:
    """Plain functions run on workers while the loop goes on."""

    async def main() -> tuple[list[float], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        with ParallelProcessor(2, backend=backend) as processor:
            results = [r async for r in processor.amap(jobs.wait, [0.02] * 6)]
        ticking.cancel()
        return results, ticks

    results, ticks = asyncio.run(main())
    assert results == [0.02] * 6
    assert ticks >= 5


def test_amap_left_early_cancels_what_is_under_way() -> None:
    """No task stays behind."""

    async def main() -> int:
        async def forever(number: int) -> int:
            if number > 0:
                await asyncio.sleep(60.0)
            return number

        with ParallelProcessor(4, backend="async") as processor:
            results = processor.amap(forever, itertools.count())
            assert await anext(results) == 0
            await results.aclose()  # type: ignore[attr-defined] # it is a generator
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers is 0, needed 1 or more"),
        ({"backend": "cloud"}, "backend is 'cloud', needed one of"),
        ({"limit": "none"}, "limit: got 'none'"),
        ({"balance": "fair"}, "balance: got 'fair'"),
    ],
)
def test_a_processor_that_cannot_be_is_refused(options: Any, message: str) -> None:
    """With what was seen and what was needed."""
    with pytest.raises(ProcessorValueError, match=message):
        ParallelProcessor(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0.0}, "timeout: got 0.0 s"),
        ({"retries": -1}, "retries: got -1"),
        ({"chunk": 0}, "chunk: got 0"),
        ({"chunk": "large"}, "chunk: got 'large'"),
        ({"on_error": "ignore"}, "on_error: got 'ignore'"),
    ],
)
def test_a_call_that_cannot_be_is_refused(options: Any, message: str) -> None:
    """Before anything is read."""
    with (
        ParallelProcessor(1, backend="thread") as processor,
        pytest.raises(ProcessorValueError, match=message),
    ):
        processor.map(abs, [1], **options)


def test_functions_and_backends_that_do_not_fit_are_told(backend: str) -> None:
    """A coroutine function needs a loop, a plain one cannot be awaited, a lambda cannot travel."""
    with ParallelProcessor(1, backend=backend) as processor:  # type: ignore[arg-type]
        if backend == "async":
            with pytest.raises(ProcessorValueError, match="needs a coroutine function"):
                processor.map(jobs.double, [1])
        elif backend != "auto":
            with pytest.raises(ProcessorValueError, match="a coroutine function needs"):
                processor.map(jobs.awaited[jobs.double], [1])
        if backend == "process":
            with pytest.raises(NotPicklableError, match='use backend="thread"'):
                processor.map(lambda number: number, [1])
        if backend == "serial":
            with pytest.raises(ProcessorValueError, match="cannot interrupt itself"):
                processor.map(jobs.double, [1], timeout=1.0)


def test_the_originals_strategies_are_backends() -> None:
    """Their names are kept."""
    assert {s.name: s.value for s in ProcessingStrategy} == {
        "ASYNC_CONCURRENT": "async",
        "THREAD_POOL": "thread",
        "PROCESS_POOL": "process",
        "HYBRID": "auto",
    }
    with ParallelProcessor(1, backend=ProcessingStrategy.THREAD_POOL) as processor:
        assert processor.map(abs, [-1]) == [1]
