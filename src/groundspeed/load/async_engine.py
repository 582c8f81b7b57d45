"""Runs coroutine functions on an event loop of their own, paced by another thread.

An event loop's own timers are a millisecond coarse, and what the coroutines do delays them. The
pacer says when an arrival was due and taken up; what the loop needs to get to it counts as waiting.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from groundspeed.load.agenda import NEVER, OpenAgenda
from groundspeed.load.callers import keys_of, resolved
from groundspeed.load.part import Part, choices
from groundspeed.load.scenario import Call, Scenario

__all__ = ["AsyncEngine"]

_SPIN_NS = 100_000
_PAUSE_NS = 10_000_000
_TICK_S = 0.05
_STOP_S = 1.0

_Waiting = tuple[int, int, int]
"""Intended and taken nanoseconds, and the agenda's token."""


class AsyncEngine:
    """One generator that awaits.

    Args:
        part: Its share.
        scenario: What is awaited.
        tasks_max: How many may run at once.
        seed: Of the choice of operations.
    """

    def __init__(self, part: Part, scenario: Scenario, tasks_max: int, seed: Sequence[int]) -> None:
        self._part = part
        self._timeout_s = scenario.timeout
        self._tasks_max, self._backlog_max = tasks_max, scenario.backlog
        operations = scenario.operations
        self._functions: list[Callable[[int], Awaitable[Any]]] = [
            resolved(operation.target)
            for operation in operations
            if isinstance(operation.target, Call)
        ]
        self._choices = choices(
            [range(keys_of(operation)) for operation in operations],
            [operation.weight for operation in operations],
            seed,
        )
        self._lock = threading.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._backlog: deque[_Waiting] = deque()
        self._handed = 0
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self) -> int:
        """Run until nothing is due and nothing awaited; returns the nanoseconds it took."""
        loop = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        loop.start()
        loop.join()
        return self._part.clock() - self._part.start_ns

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        pacer = threading.Thread(target=self._pace, name="groundspeed-pacer", daemon=True)
        pacer.start()
        stop_at: float | None = None
        while not self._is_done():
            await asyncio.sleep(_TICK_S)
            with self._lock:
                self._part.chores(self._part.clock() - self._part.start_ns)
                if self._part.stopping and stop_at is None:
                    stop_at = time.monotonic() + _STOP_S
                    self._part.agenda = OpenAgenda(iter(()))
                    self._lock.notify()
            if stop_at is not None and time.monotonic() > stop_at:
                for task in self._tasks:
                    task.cancel()
        with self._lock:
            self._ended = True
            self._lock.notify()
        pacer.join()

    def _is_done(self) -> bool:
        with self._lock:
            return self._part.agenda.next_ns == NEVER and not self._handed

    def _pace(self) -> None:
        """Hand over what is due, until the end."""
        part, loop = self._part, self._loop
        if loop is None:
            return
        while True:
            with self._lock:
                if self._ended:
                    return
                now_ns = part.clock() - part.start_ns
                left_ns = part.agenda.next_ns - now_ns
                if left_ns > 0:
                    self._rest(left_ns)
                    continue
                intended_ns, token = part.agenda.take()
                part.offered += 1
                self._handed += 1
            loop.call_soon_threadsafe(self._arrive, (intended_ns, now_ns, token))

    def _rest(self, left_ns: int) -> None:
        before_ns = self._part.clock()
        if left_ns > _SPIN_NS:
            self._lock.wait(min(_TICK_S, (left_ns - _SPIN_NS) * 1e-9))
        self._part.idle_ns += self._part.clock() - before_ns

    def _arrive(self, waiting: _Waiting) -> None:
        if len(self._tasks) < self._tasks_max:
            self._begin(waiting)
        elif len(self._backlog) < self._backlog_max:
            self._backlog.append(waiting)
        else:
            now_ns = self._part.clock() - self._part.start_ns
            self._record(waiting, (now_ns, now_ns), next(self._choices)[0], "dropped")

    def _begin(self, waiting: _Waiting) -> None:
        task = asyncio.get_running_loop().create_task(self._await(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._ended_task)

    def _ended_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._backlog:
            self._begin(self._backlog.popleft())

    async def _await(self, waiting: _Waiting) -> None:
        part = self._part
        operation, number = next(self._choices)
        failure = ""
        sent_ns = part.clock() - part.start_ns
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._functions[operation](number)
        except TimeoutError:
            failure = "timeout"
        except asyncio.CancelledError:
            failure = "unfinished"
        except Exception as error:  # noqa: BLE001 - a failure of the target is a sample
            failure = f"raised {type(error).__name__}"
        end_ns = part.clock() - part.start_ns
        self._record(waiting, (sent_ns, end_ns), operation, failure)

    def _record(
        self, waiting: _Waiting, times: tuple[int, int], operation: int, failure: str
    ) -> None:
        part, recorder = self._part, self._part.recorder
        intended_ns, taken_ns, token = waiting
        sent_ns, end_ns = times
        with self._lock:
            outcome = part.outcomes.number(failure) if failure else 0
            recorder.begun.append((intended_ns, taken_ns, sent_ns, token, operation))
            recorder.end.append(end_ns)
            recorder.outcome.append(outcome)
            part.in_flight_ns += end_ns - sent_ns
            part.agenda.finished(token, end_ns + (_PAUSE_NS if failure else 0))
            self._handed -= 1
            self._lock.notify()
