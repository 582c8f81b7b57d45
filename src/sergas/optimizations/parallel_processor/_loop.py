"""Coroutine functions: worked off as tasks, in the caller's event loop or in one of our own."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._crew import abandon, closed_error
from sergas.optimizations.parallel_processor._nested import become_worker
from sergas.optimizations.parallel_processor._tally import Tally
from sergas.optimizations.parallel_processor._threads import timeout_error

__all__ = ["LoopCrew", "TaskCrew"]


async def _work(chunk: Chunk) -> None:
    """Await item by item; one that runs out of time is cancelled."""
    function: Callable[[Any], Any] = chunk.job.function
    timeout_s = chunk.job.options.timeout_s
    for place, item in chunk.claims:
        began_s = time.perf_counter()
        scope = asyncio.timeout(timeout_s)
        try:
            async with scope:
                chunk.values[place] = await function(item)
        except BaseException as error:
            if scope.expired() and timeout_s is not None:
                chunk.errors[place] = timeout_error(chunk.start + place, timeout_s)
            else:
                chunk.errors[place] = error
                if _is_being_cancelled(error):
                    raise
        if chunk.elapsed_s is not None:
            chunk.elapsed_s[place] = time.perf_counter() - began_s


def _is_being_cancelled(error: BaseException) -> bool:
    """Whether the task itself is asked to end, and not only something the item awaited."""
    task = asyncio.current_task()
    return (
        isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
    ) or isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)


class TaskCrew:
    """At most `workers` tasks in the event loop that it is made in.

    Args:
        workers: How many items are awaited at the same time, >= 1.
        tally: Counts what was done.
    """

    def __init__(self, workers: int, tally: Tally) -> None:
        self._room = asyncio.Semaphore(workers)
        self._tally = tally
        self._tasks: dict[asyncio.Task[None], Chunk] = {}

    def submit(self, chunk: Chunk) -> None:
        """Work the chunk off as soon as there is room; called in the loop."""
        chunk.queued_s = time.monotonic()
        task = asyncio.get_running_loop().create_task(self._run(chunk))
        self._tasks[task] = chunk
        task.add_done_callback(self._forget)

    def cancel(self, job: Job) -> None:
        """Cancel what the job has under way."""
        for task, chunk in list(self._tasks.items()):
            if chunk.job is job:
                task.cancel()

    def cancel_all(self) -> None:
        """Cancel all that is under way, and deliver it as given up."""
        for task in list(self._tasks):
            task.cancel()

    def close(self, *, is_draining: bool) -> None:
        """End what is under way, unless it is to be finished; `wait_closed` waits for it."""
        if not is_draining:
            self.cancel_all()

    async def wait_closed(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _forget(self, task: "asyncio.Task[None]") -> None:
        chunk = self._tasks.pop(task)
        if task.cancelled():
            abandon(chunk)
        else:
            task.exception()  # it is the outcome's, or the loop's own end
        self._tally.count(chunk)
        chunk.job.deliver(chunk)

    async def _run(self, chunk: Chunk) -> None:
        async with self._room:
            chunk.began_s = time.monotonic()
            chunk.waited_s = chunk.began_s - chunk.queued_s
            try:
                await _work(chunk)
            finally:
                chunk.busy_s = time.monotonic() - chunk.began_s


class LoopCrew:
    """A thread with an event loop of its own, for callers that have none.

    Args:
        workers: How many items are awaited at the same time, >= 1.
        tally: Counts what was done.
    """

    def __init__(self, workers: int, tally: Tally) -> None:
        self._workers = workers
        self._tally = tally
        self._lock = threading.Lock()
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: TaskCrew | None = None
        self._thread: threading.Thread | None = None

    def submit(self, chunk: Chunk) -> None:
        """Work the chunk off as soon as there is room; called from any thread.

        Raises:
            ProcessorClosedError: If the crew is closed.
        """
        with self._lock:
            if self._is_closed:
                raise closed_error()
            loop, tasks = self._started()
            loop.call_soon_threadsafe(tasks.submit, chunk)

    def cancel(self, job: Job) -> None:
        """Cancel what the job has under way."""
        with self._lock:
            if self._loop is not None and self._tasks is not None and not self._is_closed:
                self._loop.call_soon_threadsafe(self._tasks.cancel, job)

    def close(self, *, is_draining: bool) -> None:
        """End the loop: after what was submitted, or at once; harmless when repeated."""
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if was_closed or self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._end, is_draining)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _started(self) -> "tuple[asyncio.AbstractEventLoop, TaskCrew]":
        if self._loop is None or self._tasks is None:
            ready = threading.Event()
            self._thread = threading.Thread(
                target=self._serve, args=(ready,), name="sergas-parallel-loop", daemon=True
            )
            self._thread.start()
            ready.wait()
        assert self._loop is not None  # noqa: S101 - set before `ready`
        assert self._tasks is not None  # noqa: S101 - set before `ready`
        return self._loop, self._tasks

    def _serve(self, ready: threading.Event) -> None:
        become_worker()
        with suppress(asyncio.CancelledError):
            asyncio.run(self._live(ready))

    async def _live(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskCrew(self._workers, self._tally)
        self._over = asyncio.Event()
        ready.set()
        await self._over.wait()
        await self._tasks.wait_closed()

    def _end(self, is_draining: bool) -> None:
        assert self._tasks is not None  # noqa: S101 - there is a loop
        if not is_draining:
            self._tasks.cancel_all()
        self._over.set()
