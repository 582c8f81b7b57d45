"""Worker threads, each with a lane, that take chunks from one queue."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from sergas.errors import ProcessorClosedError
from sergas.optimizations.parallel_processor._backend import Lane
from sergas.optimizations.parallel_processor._chunk import PENDING, Chunk, Job
from sergas.optimizations.parallel_processor._nested import become_worker
from sergas.optimizations.parallel_processor._tally import Tally

__all__ = ["Crew"]

_EXIT_S_MAX = 5.0


class Crew:
    """Starts a thread when a chunk comes and all are busy, up to `workers`; they stay until closed.

    Args:
        workers: How many chunks are worked on at the same time, >= 1.
        make_lane: Makes the lane of a thread.
        tally: Counts what was done.
        is_round_robin: Whether each worker has a queue of its own and they are given chunks in
            turn, however busy they are; otherwise the first that is free takes the next chunk.
    """

    def __init__(
        self,
        workers: int,
        make_lane: "Callable[[Crew], Lane]",
        tally: Tally,
        *,
        is_round_robin: bool = False,
    ) -> None:
        self._workers = workers
        self._make_lane = make_lane
        self._tally = tally
        self._queues: list[SimpleQueue[Chunk | None]] = [
            SimpleQueue() for _ in range(workers if is_round_robin else 1)
        ]
        self._turn = 0
        self._lock = threading.Lock()  # guards what follows
        self._members: dict[threading.Thread, Lane] = {}
        self._numbers: dict[threading.Thread, int] = {}
        self._started = 0
        self._idle = 0
        self._is_closed = False
        self._is_killed = False
        self._at_work: dict[threading.Thread, Chunk] = {}  # each thread writes its own entry

    def submit(self, chunk: Chunk) -> None:
        """Let the next free worker work the chunk off; it is delivered to its job when done.

        Raises:
            ProcessorClosedError: If the crew is closed.
        """
        chunk.queued_s = time.monotonic()
        with self._lock:
            if self._is_closed:
                raise closed_error()
            # A chunk in the queue is taken by one that is idle now or by one that will be.
            if self._idle > 0 and len(self._queues) == 1:
                self._idle -= 1
            elif self._started < self._workers:
                self._start(self._started, None)
                self._started += 1
            self._queues[self._turn].put(chunk)
            self._turn = (self._turn + 1) % len(self._queues)

    def take_over(self, stuck: Lane, chunk: Chunk) -> None:
        """Start a worker in the place of one that is stuck, to finish its chunk."""
        with self._lock:
            thread = next(thread for thread, lane in self._members.items() if lane is stuck)
            del self._members[thread]
            number = self._numbers.pop(thread)
            if not self._is_killed:
                self._start(number, chunk)
                return
        self._leave(chunk, number)

    def cancel(self, job: Job) -> None:
        """Start no further item of a job."""
        with self._lock:
            lanes = list(self._members.values())
        for lane in lanes:
            lane.cancel(job)

    def lanes(self) -> list[Lane]:
        """The lanes there are."""
        with self._lock:
            return list(self._members.values())

    def close(self, *, is_draining: bool) -> None:
        """End every worker: after what was submitted, or at once; harmless when repeated."""
        with self._lock:
            self._is_closed = True
            members = dict(self._members)
            if not is_draining:
                self._is_killed = True
                self._abandon_queue()
            for number in self._numbers.values():
                self._queues[number % len(self._queues)].put(None)
        if not is_draining:
            for chunk in list(self._at_work.values()):
                chunk.cancel()
            for lane in members.values():
                lane.kill()
        deadline_s = None if is_draining else time.monotonic() + _EXIT_S_MAX
        for thread in members:
            if thread is not threading.current_thread():
                left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
                thread.join(left_s)

    def _abandon_queue(self) -> None:
        for waiting in self._queues:
            with suppress(Empty):
                while (chunk := waiting.get_nowait()) is not None:
                    abandon(chunk)
                    chunk.job.deliver(chunk)

    def _start(self, number: int, first: Chunk | None) -> None:
        lane = self._make_lane(self)
        thread = threading.Thread(
            target=self._serve,
            args=(number, lane, first),
            name=f"sergas-parallel-{number}",
            daemon=True,
        )
        self._members[thread] = lane
        self._numbers[thread] = number
        thread.start()

    def _serve(self, number: int, lane: Lane, chunk: Chunk | None) -> None:
        become_worker()
        if chunk is not None and not self._continue(number, lane, chunk):
            return
        mine = self._queues[number % len(self._queues)]
        while (chunk := mine.get()) is not None:
            chunk.began_s = time.monotonic()
            chunk.waited_s = chunk.began_s - chunk.queued_s
            if not self._continue(number, lane, chunk):
                return
        lane.close()

    def _continue(self, number: int, lane: Lane, chunk: Chunk) -> bool:
        self._at_work[threading.current_thread()] = chunk
        try:
            stayed = lane.work(chunk)
        except Exception as error:  # noqa: BLE001 - whoever waits for the chunk has to hear of it
            give_up(chunk, error)
            stayed = True
        del self._at_work[threading.current_thread()]
        if not stayed:
            return False
        with self._lock:
            self._idle += 1
        self._leave(chunk, number)
        return True

    def _leave(self, chunk: Chunk, number: int) -> None:
        if self._is_killed:
            abandon(chunk)
        chunk.busy_s = time.monotonic() - chunk.began_s
        self._tally.count(chunk, worker=number)
        chunk.job.deliver(chunk)


def abandon(chunk: Chunk) -> None:
    """Give up every item of the chunk that has not come to anything: the processor is closed."""
    give_up(chunk, closed_error())


def give_up(chunk: Chunk, error: Exception) -> None:
    """Give up every item of the chunk that has not come to anything."""
    chunk.cancel()
    for place, value in enumerate(chunk.values):
        if value is PENDING:
            chunk.errors.setdefault(place, error)


def closed_error() -> ProcessorClosedError:
    """The processor is closed."""
    return ProcessorClosedError("parallel processor: it is closed; make a new ParallelProcessor")
