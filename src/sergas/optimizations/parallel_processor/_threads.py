"""Lanes on threads of this process.

A thread cannot be ended from outside. An item that runs out of time is therefore given up: its
thread is left alone with it, a new one goes on with the chunk, and when the stuck one returns from
the item it finds that it is lost and ends.
"""

import threading
import time
from typing import TYPE_CHECKING

from sergas.errors import ItemTimeoutError
from sergas.optimizations.parallel_processor._chunk import PENDING, Chunk, Job
from sergas.optimizations.parallel_processor._memory import own_peak_rss_bytes

if TYPE_CHECKING:
    from sergas.optimizations.parallel_processor._crew import Crew

__all__ = ["ThreadLane", "Watch", "work_here"]

_CHECKS_PER_TIMEOUT = 10
_INTERVAL_MIN_S, _INTERVAL_MAX_S = 0.001, 0.25


def work_here(chunk: Chunk) -> None:
    """Work the chunk off in the current thread; no limit on time."""
    if chunk.elapsed_s is not None:
        _work_timed(chunk, chunk.elapsed_s)
        return
    function, values, errors = chunk.job.function, chunk.values, chunk.errors
    for place, item in chunk.claims:
        try:
            values[place] = function(item)
        except BaseException as error:  # noqa: BLE001 - an item's error is its own
            errors[place] = error


def _work_timed(chunk: Chunk, elapsed_s: list[float]) -> None:
    function, values, errors = chunk.job.function, chunk.values, chunk.errors
    now_s = time.perf_counter
    for place, item in chunk.claims:
        began_s = now_s()
        try:
            values[place] = function(item)
        except BaseException as error:  # noqa: BLE001 - an item's error is its own
            errors[place] = error
        elapsed_s[place] = now_s() - began_s


class ThreadLane:
    """Works in the thread that calls it, under the eyes of a watch where time is limited."""

    def __init__(self, crew: "Crew", watch: "Watch") -> None:
        self._crew = crew
        self._watch = watch
        self._lock = threading.Lock()
        self._is_lost = False
        self.chunk: Chunk | None = None
        self.place = -1
        self.is_flagged = False

    def work(self, chunk: Chunk) -> bool:
        """Claim items until none is left; False if the lane was given up meanwhile."""
        if chunk.job.options.timeout_s is None:
            work_here(chunk)
            return True
        self.place = -1
        self.chunk = chunk
        self._watch.look_after(self)
        stayed = self._work_watched(chunk)
        self.chunk = None
        return stayed

    def give_up(self, chunk: Chunk, place: int, timeout_s: float) -> None:
        """The item has run out of time, unless it came to an end just now; called by the watch."""
        with self._lock:
            self.is_flagged = True
            if self._has_moved_on(chunk, place):
                self.is_flagged = False
                return
            self._is_lost = True
            self.chunk = None
        chunk.errors.setdefault(place, timeout_error(chunk.start + place, timeout_s))
        if chunk.elapsed_s is not None:
            chunk.elapsed_s[place] = timeout_s
        self._crew.take_over(self, chunk)

    def cancel(self, job: Job) -> None:
        """Nothing to do: a chunk that is cancelled has nothing left to claim."""

    def close(self) -> None:
        """Nothing to do: the thread ends by itself."""

    def kill(self) -> None:
        """Nothing that could be done: the thread ends when it returns from its item."""

    def peak_rss_bytes(self) -> int | None:
        """The most memory this process has held."""
        return own_peak_rss_bytes()

    def _has_moved_on(self, chunk: Chunk, place: int) -> bool:
        is_there = self.chunk is chunk and self.place == place
        return not is_there or chunk.values[place] is not PENDING or place in chunk.errors

    def _work_watched(self, chunk: Chunk) -> bool:
        function, values, errors = chunk.job.function, chunk.values, chunk.errors
        elapsed_s = chunk.elapsed_s
        now_s = time.perf_counter
        began_s = now_s()
        for place, item in chunk.claims:
            self.place = place
            try:
                value = function(item)
            except BaseException as error:  # noqa: BLE001 - an item's error is its own
                errors.setdefault(place, error)
            else:
                values[place] = value
            if elapsed_s is not None:
                ended_s = now_s()
                elapsed_s[place], began_s = ended_s - began_s, ended_s
            if self.is_flagged and self._was_lost():
                return False
        return True

    def _was_lost(self) -> bool:
        with self._lock:
            return self._is_lost


class Watch:
    """Looks now and then whether a lane is on the same item for too long.

    Only the place of the item is written by the lane, no time: an item is given up once it has been
    seen at the same place for as long as it may take, so at most an interval later than that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[ThreadLane, tuple[Chunk | None, int, float]] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def look_after(self, lane: ThreadLane) -> None:
        """The lane has begun a chunk whose items may take so long and no longer."""
        with self._lock:
            self._seen.setdefault(lane, (None, -1, 0.0))
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(
                    target=self._run, name="sergas-parallel-watch", daemon=True
                )
                self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Stop looking."""
        with self._lock:
            self._is_closed = True
            thread, self._thread = self._thread, None
        self._stop.set()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def check(self, now_s: float) -> float | None:
        """Look once, and give up what has been at one place for too long.

        Returns:
            Seconds until the next look; None if no lane is at work on limited time.
        """
        shortest_s: float | None = None
        for lane in list(self._seen):
            chunk, place = lane.chunk, lane.place
            timeout_s = None if chunk is None else chunk.job.options.timeout_s
            if chunk is None or timeout_s is None:
                with self._lock:
                    self._seen.pop(lane, None)
                if lane.chunk is not None:  # it began one between the two looks
                    self._seen[lane] = (None, -1, 0.0)
                    shortest_s = _INTERVAL_MIN_S
                continue
            shortest_s = timeout_s if shortest_s is None else min(shortest_s, timeout_s)
            seen_chunk, seen_place, since_s = self._seen[lane]
            if place < 0 or seen_chunk is not chunk or seen_place != place:
                self._seen[lane] = (chunk, place, now_s)
            elif now_s - since_s >= timeout_s:
                lane.give_up(chunk, place, timeout_s)
        if shortest_s is None:
            return None
        return min(_INTERVAL_MAX_S, max(_INTERVAL_MIN_S, shortest_s / _CHECKS_PER_TIMEOUT))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            wait_s = self.check(time.monotonic())
            if wait_s is None:
                self._wake.wait()
            else:
                self._stop.wait(wait_s)


def timeout_error(index: int, timeout_s: float) -> ItemTimeoutError:
    """An item took longer than it may."""
    return ItemTimeoutError(
        f"item {index}: it took longer than {timeout_s:g} s and was given up; allow it more with "
        "timeout=, or look for what it waits for"
    )
