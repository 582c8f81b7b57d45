"""The threads of a pool: one keeper, who wakes when something is due, and workers for slow things.

None of them keeps the pool alive: a pool that is forgotten unclosed is collected, and they end.
"""

import threading
from collections.abc import Callable
from math import inf
from queue import Empty, SimpleQueue
from typing import Protocol
from weakref import ref

__all__ = ["Crew"]


class _Tended(Protocol):
    name: str

    def _tend(self) -> float:
        """Do what is due; returns in how many seconds it should be called again."""
        ...


class Crew:
    """Starts threads as they are needed and ends them all.

    Args:
        pool: Whose `_tend` the keeper calls.
        workers: Threads for slow things, at most.
    """

    def __init__(self, pool: _Tended, workers: int) -> None:
        self._pool = ref(pool)
        self._name = pool.name
        self._workers = workers
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = 0  # workers waiting for a job, less jobs waiting for a worker
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._has_keeper = False
        self._has_ended = False

    def wake(self) -> None:
        """Have the keeper look at the pool now."""
        with self._lock:
            if self._has_ended:
                return
            if not self._has_keeper:
                self._has_keeper = True
                self._start(_keep, self._pool, self._bell)
        self._bell.put(True)

    def do(self, job: Callable[[], None]) -> None:
        """Run `job`, which must not raise, in a worker; after `end`, right here."""
        with self._lock:
            has_ended = self._has_ended
            if not has_ended:
                self._idle -= 1
                self._jobs.put(job)
                workers = len(self._threads) - self._has_keeper
                if self._idle < 0 and workers < self._workers:
                    self._idle += 1
                    self._start(_work, self._jobs, self._rest)
        if has_ended:
            job()

    def end(self) -> None:
        """Have every thread end after what it is doing."""
        with self._lock:
            self._has_ended = True
            for _ in self._threads:
                self._jobs.put(None)
            self._bell.put(False)

    def join(self, timeout_s: float, now_s: Callable[[], float]) -> bool:
        """Wait for the threads to end; False if one is still busy after `timeout_s`."""
        deadline_s = now_s() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline_s - now_s()))
        return not any(
            thread.is_alive()
            for thread in self._threads
            if thread is not threading.current_thread()
        )

    def _rest(self) -> None:
        with self._lock:
            self._idle += 1

    def _start(self, target: Callable[..., None], *args: object) -> None:
        number = len(self._threads)
        thread = threading.Thread(
            target=target, args=args, name=f"{self._name}-{number}", daemon=True
        )
        self._threads.append(thread)
        thread.start()


def _keep(pool_ref: "ref[_Tended]", bell: "SimpleQueue[bool]") -> None:
    while (pool := pool_ref()) is not None:
        pause_s = pool._tend()  # noqa: SLF001 - this function is the pool's own thread
        del pool
        try:
            goes_on = bell.get(timeout=None if pause_s == inf else max(0.0, pause_s))
            while goes_on and not bell.empty():
                goes_on = bell.get_nowait()
        except Empty:
            continue
        if not goes_on:
            return


def _work(jobs: "SimpleQueue[Callable[[], None] | None]", rest: Callable[[], None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job
        rest()
