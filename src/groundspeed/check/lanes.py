"""Rows measured side by side: each lane has a CPU of its own and takes one row at a time.

Between two looks nothing is decided, so all launch pairs up to the next look are one list of tasks.
Lanes take them in order; a launch pair is started when its first task is near and ended after its
last. So no lane waits for another at the end of a pair, even when a single row is left.
"""

import collections
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed, wait
from dataclasses import dataclass
from typing import TypeVar

from groundspeed.measure.lockstep import LaunchPair, RowFailedError
from groundspeed.measure.rows import Measured
from groundspeed.model import Failure, Row, Side

__all__ = ["Done", "Round", "Task", "side_by_side"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One row in one launch pair.

    Attributes:
        number: Of the launch pair.
        row: Which.
        first: The side that is set up and warmed first.
        closer: Whether the row gets the samples of one that was not clear at the first look.
        seed: Of the order of turns.
    """

    number: int
    row: Row
    first: Side
    closer: bool
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a task ended: what it gave, or why it failed."""

    task: Task
    measured: Measured | None = None
    failure: Failure | None = None


@dataclass(slots=True)
class _Held:
    """A launch pair and how many of its tasks have not ended."""

    pair: LaunchPair
    left: int


class Round:
    """The tasks up to the next look.

    Args:
        tasks: In order; those of a launch pair beside each other.
        lanes: The CPUs of each lane.
        pool: As many threads as lanes. They must live as long as the launch pairs they start, which
            the kernel ends with the thread that started them.
        start: Starts a launch pair.
        close: Ends one.
        measure: Measures a task on a lane.
        may_begin: Whether there is time for a task; the round ends at the first that has none.
        following: The launch pair to start before this round ends, after its last; None for none.
        eager: Whether to start each launch pair as soon as the one before it is begun.
    """

    def __init__(  # noqa: PLR0913 - the parts of a round, each by name
        self,
        tasks: Sequence[Task],
        *,
        lanes: Sequence[Sequence[int]],
        pool: Executor,
        start: Callable[[], LaunchPair],
        close: Callable[[LaunchPair], None],
        measure: Callable[[LaunchPair, Task, Sequence[int]], Measured],
        may_begin: Callable[[Task], bool],
        following: int | None,
        eager: bool,
    ) -> None:
        self._tasks = collections.deque(tasks)
        self._left = collections.Counter(task.number for task in tasks)
        self._waiting = self._left.copy()
        self._order = [*self._left, *([] if following is None else [following])]
        self._lanes = lanes
        self._pool = pool
        self._start = start
        self._close = close
        self._measure = measure
        self._may_begin = may_begin
        self._eager = eager
        self._held: dict[int, _Held] = {}
        self._broken: set[Row] = set()
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[Done | BaseException | None] = queue.SimpleQueue()
        self.cut_short = False

    def hold(self, number: int, pair: LaunchPair) -> None:
        """Take over a launch pair that is started already."""
        self._held[number] = _Held(pair=pair, left=self._left[number])

    def take_following(self) -> LaunchPair | None:
        """The launch pair that was started ahead for the next round."""
        last = self._order[-1]
        held = self._held.pop(last, None) if last not in self._left else None
        return None if held is None else held.pair

    def run(self) -> Iterator[Done]:
        """Measure, and tell of each task as it ends, in the thread of the caller.

        Raises:
            BrokenError: If a launch pair cannot be started or dies while it imports.
        """
        serving = [self._pool.submit(self._serve, cpus) for cpus in self._lanes]
        running = len(serving)
        try:
            while running:
                event = self._events.get()
                if event is None:
                    running -= 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event
        finally:
            self._stop()
            if running:  # they wait for processes, which are ended here
                for held in list(self._held.values()):
                    self._close(held.pair)
            wait(serving)

    def _stop(self) -> None:
        with self._lock:
            self._tasks.clear()

    def _serve(self, cpus: Sequence[int]) -> None:
        try:
            while (taken := self._next()) is not None:
                task, held = taken
                self._events.put(self._done(task, held, cpus))
                self._release(task.number)
        except BaseException as error:  # noqa: BLE001 - it belongs to the caller's thread
            self._events.put(error)
        finally:
            self._events.put(None)

    def _done(self, task: Task, held: _Held, cpus: Sequence[int]) -> Done:
        try:
            held.pair.descriptions()
            return Done(task=task, measured=self._measure(held.pair, task, cpus))
        except RowFailedError as error:
            with self._lock:
                self._broken.add(task.row)
            return Done(task=task, failure=error.failure)

    def _next(self) -> tuple[Task, _Held] | None:
        with self._lock:
            while self._tasks:
                task = self._tasks.popleft()
                self._waiting[task.number] -= 1
                if task.row in self._broken:
                    self._forget(task.number)
                    continue
                if not self._may_begin(task):
                    self.cut_short = True
                    self._tasks.clear()
                    return None
                held = self._held_for(task.number)
                self._start_ahead(task.number)
                return task, held
        return None

    def _held_for(self, number: int) -> _Held:
        if number not in self._held:
            self._held[number] = _Held(pair=self._start(), left=self._left[number])
        return self._held[number]

    def _start_ahead(self, number: int) -> None:
        """Start the launch pair after this one when this one's tasks are nearly given out."""
        position = self._order.index(number) + 1
        near = self._eager or self._waiting[number] < len(self._lanes)
        if position < len(self._order) and near:
            self._held_for(self._order[position])

    def _forget(self, number: int) -> None:
        self._left[number] -= 1
        if number in self._held:
            self._held[number].left -= 1

    def _release(self, number: int) -> None:
        with self._lock:
            held = self._held[number]
            held.left -= 1
            if held.left > 0:
                return
            del self._held[number]
        self._close(held.pair)


def side_by_side(
    items: Sequence[_Item],
    lanes: Sequence[Sequence[int]],
    pool: Executor,
    do: Callable[[_Item, Sequence[int]], _Result],
) -> Iterator[tuple[_Item, _Result]]:
    """Do something with every item, each on a lane; tells of them as they end."""
    free: queue.SimpleQueue[Sequence[int]] = queue.SimpleQueue()
    for cpus in lanes:
        free.put(cpus)

    def on_a_lane(item: _Item) -> tuple[_Item, _Result]:
        cpus = free.get()
        try:
            return item, do(item, cpus)
        finally:
            free.put(cpus)

    futures = [pool.submit(on_a_lane, item) for item in items]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
