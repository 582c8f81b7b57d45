"""The processor: hands items out in chunks, bounded, and gives outcomes back in order."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, TypeVar

from sergas.clock import Clock, SystemClock
from sergas.errors import ProcessorError
from sergas.optimizations.parallel_processor._outcome import Outcome, outcome_of
from sergas.optimizations.parallel_processor._pace import CHUNKS_PER_WORKER, Pace

if TYPE_CHECKING:
    from sergas.optimizations.parallel_processor._lane import Lanes

__all__ = ["ParallelProcessor"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Run: TypeAlias = Callable[[int, Sequence[ItemT]], list[Outcome[ResultT]]]

# A chunk's work should dwarf its hand-over: tens of microseconds between threads, hundreds between
# processes.
_TARGET_S = {"thread": 0.001, "process": 0.01}


class _Here(threading.local):
    """Whether the current thread is a worker of a processor on threads."""

    is_worker = False


_here = _Here()


class ParallelProcessor:
    """Calls a function on many items at once; each item's error, or crash, is its own.

    Outcomes come in the order of the items. The input is read by the calling thread and never far
    ahead: at most two chunks per worker are out at a time, of a size that follows what the items
    take (1 to 1024). Workers start when first needed and stay until `close`.

    On threads, a call from inside a worker of any processor runs its items right there: workers
    waiting for workers could wait for ever. On processes, each worker has a process of its own: a
    process that dies costs the item it was on, and a new one takes the remaining items; no item
    runs twice. The function, the items and what comes back must pickle. Where a program is started
    from a script, protect its start with `if __name__ == "__main__":`.

    Any number of threads may use one processor.

    Args:
        workers: How many work at the same time, >= 1; None means one per usable processor, and
            four more on threads, which often wait.
        backend: "thread" for functions that wait or leave the interpreter, "process" for
            functions that keep it busy or may crash.
        clock: Where `elapsed_s` is read; on processes it must pickle.

    Raises:
        ValueError: If `workers` is below 1 or `backend` is unknown.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        backend: Literal["thread", "process"] = "thread",
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"ParallelProcessor: workers is {workers}, needed 1 or more")
        if backend not in _TARGET_S:
            raise ValueError(
                f'ParallelProcessor: backend is {backend!r}, needed "thread" or "process"'
            )
        self._workers = workers or _usable_processors() + 4 * (backend == "thread")
        self._backend = backend
        self._clock = clock
        self._lock = threading.Lock()  # guards the next three
        self._executor: ThreadPoolExecutor | None = None
        self._lanes: Lanes | None = None
        self._is_closed = False

    @property
    def workers(self) -> int:
        """How many items are worked on at the same time."""
        return self._workers

    def map(
        self,
        function: Callable[[ItemT], ResultT],
        items: Iterable[ItemT],
        *,
        on_error: Literal["raise", "skip"] = "raise",
    ) -> list[ResultT]:
        """The results in the order of the items. To keep errors beside results, see `outcomes`.

        Args:
            function: Called once with each item.
            items: Read as results come in; may be any iterable that ends.
            on_error: "raise" raises the error of the first item that failed, once every item has
                been worked on; "skip" leaves failed items out.

        Raises:
            ProcessorError: If the processor is closed or its workers do not start.
            NotPicklableError: If the backend is "process" and the function does not pickle.
            BaseException: The first item's error, or whatever reading `items` raises.
        """
        outcomes = self.outcomes(function, items)
        if on_error == "skip":
            return [outcome.result() for outcome in outcomes if outcome.error is None]
        return [outcome.result() for outcome in outcomes]

    def outcomes(
        self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
    ) -> list[Outcome[ResultT]]:
        """What became of each item, in order; an item's error is in its outcome, not raised.

        Arguments and other errors are those of `map`.
        """
        return list(self.iter_outcomes(function, items))

    def iter_outcomes(
        self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
    ) -> Iterator[Outcome[ResultT]]:
        """As `outcomes`, one at a time; `items` may be endless.

        Reads ahead of what was taken by at most `2 * workers` chunks. If the iterator is closed
        early, only chunks that a worker has begun are finished.
        """
        with self._lock:
            self._assert_open()
        if self._backend == "thread":
            run: Run[ItemT, ResultT] = partial(_outcomes_here, function, self._clock)
            return _inline(run, items) if _here.is_worker else self._stream(run, items)
        return self._stream(self._run_on_processes(function), items)

    def close(self) -> None:
        """Finish what workers have been given, then end them; harmless when repeated."""
        with self._lock:
            self._is_closed = True
            executor, self._executor = self._executor, None
            lanes, self._lanes = self._lanes, None
        if executor is not None:
            executor.shutdown()
        if lanes is not None:
            lanes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _stream(
        self, run: Run[ItemT, ResultT], items: Iterable[ItemT]
    ) -> Generator[Outcome[ResultT], None, None]:
        """Keep a bounded number of chunks out; give their outcomes back in order."""
        total = len(items) if isinstance(items, Sized) else None
        source = iter(items)
        pace = Pace(target_s=_TARGET_S[self._backend])
        out: deque[Future[list[Outcome[ResultT]]]] = deque()
        start = 0
        try:
            while True:
                while len(out) < CHUNKS_PER_WORKER * self._workers:
                    remaining = None if total is None else total - start
                    size = pace.next_size(remaining=remaining, workers=self._workers)
                    if not (chunk := list(islice(source, size))):
                        break
                    out.append(self._submit(run, start, chunk))
                    start += len(chunk)
                if not out:
                    return
                outcomes = out.popleft().result()
                busy_s = sum(outcome.elapsed_s for outcome in outcomes)
                pace = pace.after(count=len(outcomes), busy_s=busy_s)
                yield from outcomes
        finally:
            for chunk_out in out:
                chunk_out.cancel()

    def _submit(
        self, run: Run[ItemT, ResultT], start: int, chunk: Sequence[ItemT]
    ) -> Future[list[Outcome[ResultT]]]:
        with self._lock:
            self._assert_open()
            if self._executor is None:
                is_threads = self._backend == "thread"
                self._executor = ThreadPoolExecutor(
                    self._workers, "sergas-parallel", _become_worker if is_threads else None
                )
            return self._executor.submit(run, start, chunk)

    def _assert_open(self) -> None:
        if self._is_closed:
            raise ProcessorError("parallel processor: it is closed; make a new ParallelProcessor")

    def _run_on_processes(self, function: Callable[[ItemT], ResultT]) -> Run[ItemT, ResultT]:
        from sergas.optimizations.parallel_processor._lane import Job, Lanes

        job = Job(function, self._clock)
        with self._lock:
            if self._lanes is None:
                self._lanes = Lanes()
            return partial(self._lanes.run, job)


def _outcomes_here(
    function: Callable[[ItemT], ResultT], clock: Clock, start: int, items: Sequence[ItemT]
) -> list[Outcome[ResultT]]:
    return [outcome_of(function, item, index, clock) for index, item in enumerate(items, start)]


def _inline(
    run: Run[ItemT, ResultT], items: Iterable[ItemT]
) -> Generator[Outcome[ResultT], None, None]:
    for index, item in enumerate(items):
        yield from run(index, [item])


def _become_worker() -> None:
    _here.is_worker = True


def _usable_processors() -> int:
    """Processors this process may run on, where the system tells, or those there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
