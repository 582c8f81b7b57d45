"""Runs functions, SQL and cache commands in threads of which one at a time is the pacer.

The thread that waits for the next arrival makes the call itself, and before it does another takes
its place: nothing is handed over, so that no handing over is measured. Threads are added while all
are busy, up to a limit; from there on arrivals wait, and their waiting counts.
"""

import threading
import time
from collections.abc import Sequence

from groundspeed.load.agenda import NEVER, OpenAgenda
from groundspeed.load.callers import Caller, keys_of, open_callers
from groundspeed.load.models import Closed
from groundspeed.load.part import Part, choices
from groundspeed.load.recorder import Begun
from groundspeed.load.scenario import Scenario

__all__ = ["ThreadEngine", "first_threads"]

_SPIN_NS = 150_000
_PAUSE_NS = 10_000_000
_TICK_S = 0.05
_STOP_S = 1.0
_FIRST = 32


def first_threads(scenario: Scenario, threads_max: int) -> int:
    """How many threads to have before the run begins: one a user, some for an open model."""
    return threads_max if isinstance(scenario.model, Closed) else min(_FIRST, threads_max)


class ThreadEngine:
    """One generator that calls.

    Args:
        part: Its share.
        scenario: What is called.
        threads_max: How many calls may run at once.
        seed: Of the choice of operations.
    """

    def __init__(
        self, part: Part, scenario: Scenario, threads_max: int, seed: Sequence[int]
    ) -> None:
        self._part, self._scenario = part, scenario
        self._threads_max = threads_max
        self._threads_first = first_threads(scenario, threads_max)
        self._choices = choices(
            [range(keys_of(operation)) for operation in scenario.operations],
            [operation.weight for operation in scenario.operations],
            seed,
        )
        self._turn = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._running: dict[threading.Thread, Begun] = {}
        self._waiting = 0
        self._paced_ns = NEVER
        self._ended = False
        self._broken: BaseException | None = None

    def run(self) -> int:
        """Run until nothing is due and no call runs; returns the nanoseconds it took.

        Raises:
            GroundspeedError: If a thread could not reach its target.
        """
        for _ in range(self._threads_first):
            self._add_thread()
        stop_at: float | None = None
        while not self._ended:
            time.sleep(_TICK_S)
            with self._turn:
                self._chores()
                if self._part.stopping and stop_at is None:
                    stop_at = time.monotonic() + _STOP_S
                    self._part.agenda = OpenAgenda(iter(()))
                    self._turn.notify_all()
                if stop_at is not None and time.monotonic() > stop_at:
                    self._give_up("unfinished", older_than_ns=0)
        wall_ns = self._part.clock() - self._part.start_ns
        for thread in self._threads:
            if thread not in self._running:  # what hangs is left behind
                thread.join(_STOP_S)
        if self._broken is not None:
            raise self._broken
        return wall_ns

    def _chores(self) -> None:
        part = self._part
        part.chores(part.clock() - part.start_ns)
        if part.agenda.next_ns == NEVER:  # what hangs shall not keep the run from its end
            self._give_up("timeout", older_than_ns=part.timeout_ns)
        self._end_if_done()

    def _give_up(self, failure: str, *, older_than_ns: int) -> None:
        """Fail calls that run too long; their threads are left alone and end with the process."""
        part = self._part
        now_ns = part.clock() - part.start_ns
        for thread, work in list(self._running.items()):
            if work[4] >= 0 and now_ns - work[2] > older_than_ns:
                self._record(work, now_ns, part.outcomes.number(failure))
                self._running[thread] = (*work[:4], -1)
        self._end_if_done()

    def _end_if_done(self) -> None:
        busy = any(work[4] >= 0 for work in self._running.values())
        if self._part.agenda.next_ns == NEVER and not busy:
            self._ended = True
            self._turn.notify_all()

    def _add_thread(self) -> None:
        thread = threading.Thread(target=self._work, name="groundspeed-load", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        try:
            with open_callers(self._scenario.operations) as callers:
                self._call_in_turns(callers)
        except Exception as error:  # noqa: BLE001 - raised again where run() was called
            with self._turn:
                self._broken, self._ended = error, True
                self._turn.notify_all()

    def _call_in_turns(self, callers: Sequence[Caller]) -> None:
        me = threading.current_thread()
        clock, start_ns = self._part.clock, self._part.start_ns
        work: Begun | None = None
        outcome, end_ns = 0, 0
        while True:
            with self._turn:
                if work is not None and not self._finish(me, work, end_ns, outcome):
                    return
                taken = self._wait(me, came_from_work=work is not None)
                if taken is None:
                    return
            number, (intended_ns, taken_ns, _, token, operation) = taken
            call = callers[operation]
            outcome = 0
            sent_ns = clock() - start_ns
            try:
                call(number)
            except Exception as error:  # noqa: BLE001 - a failure of the target is a sample
                outcome = self._number_of(error)
            end_ns = clock() - start_ns
            work = (intended_ns, taken_ns, sent_ns, token, operation)

    def _number_of(self, error: Exception) -> int:
        with self._turn:
            return self._part.outcomes.number(f"raised {type(error).__name__}")

    def _finish(self, me: threading.Thread, work: Begun, end_ns: int, outcome: int) -> bool:
        """Record a call; False where it had been given up before."""
        if self._running.pop(me)[4] < 0:
            return False
        part = self._part
        if end_ns - work[2] > part.timeout_ns:
            outcome = part.outcomes.number("timeout")
        self._record(work, end_ns, outcome)
        if part.recorder.is_full:
            part.recorder.settle()
        return True

    def _record(self, work: Begun, end_ns: int, outcome: int) -> None:
        part = self._part
        part.recorder.begun.append(work)
        part.recorder.end.append(end_ns)
        part.recorder.outcome.append(outcome)
        part.in_flight_ns += end_ns - work[2]
        part.agenda.finished(work[3], end_ns + (_PAUSE_NS if outcome else 0))

    def _wait(self, me: threading.Thread, *, came_from_work: bool) -> tuple[int, Begun] | None:
        """Wait for the next arrival, as the pacer or behind it; None when there is none."""
        part = self._part
        waited = False
        while not self._ended:
            now_ns = part.clock() - part.start_ns
            left_ns = part.agenda.next_ns - now_ns
            if left_ns <= 0:
                saturated = came_from_work and not waited and self._is_full()
                return self._take(me, now_ns, saturated=saturated)
            waited = True
            self._rest(left_ns)
            if part.agenda.next_ns == NEVER:
                self._end_if_done()
        return None

    def _is_full(self) -> bool:
        return len(self._threads) >= self._threads_max

    def _rest(self, left_ns: int) -> None:
        """Wait for the arrival as the pacer; or for work, where one waits for it or earlier."""
        next_ns = self._part.agenda.next_ns
        if next_ns >= self._paced_ns:
            self._waiting += 1
            self._turn.wait()
            self._waiting -= 1
        elif left_ns > _SPIN_NS:
            self._paced_ns = next_ns
            before_ns = self._part.clock()
            self._turn.wait((left_ns - _SPIN_NS) * 1e-9)
            self._part.idle_ns += self._part.clock() - before_ns
            if self._paced_ns == next_ns:
                self._paced_ns = NEVER

    def _take(self, me: threading.Thread, now_ns: int, *, saturated: bool) -> tuple[int, Begun]:
        part = self._part
        intended_ns, token = part.agenda.take()
        part.offered += 1
        operation, number = next(self._choices)
        taken_ns = intended_ns if saturated else now_ns
        work = (intended_ns, taken_ns, now_ns, token, operation)
        self._running[me] = work
        if self._waiting:
            self._turn.notify()
        elif self._paced_ns == NEVER and not self._is_full():
            self._add_thread()
        return number, work
