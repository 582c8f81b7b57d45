"""What a processor has done so far, counted as it happens."""

import threading
import time
from dataclasses import dataclass

from sergas.errors import ItemTimeoutError, WorkerCrashedError
from sergas.optimizations.parallel_processor._chunk import Chunk

__all__ = ["ProcessorMetrics", "Tally"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorMetrics:
    """What a processor has done since it was made. What has not been measured is None, never 0.

    Attributes:
        workers: How many work at the same time.
        items_by_worker: How many items each worker has had, by its number; empty where nobody
            counts them apart.
        items: Attempts at items that came to an end.
        failures: Of these, how many with an error, whichever.
        timeouts: Of these, how many ran out of time.
        crashes: Of these, how many ended their worker.
        retries: How many attempts were not the first at their item.
        chunks: Chunks worked off.
        busy_s: Seconds that workers had a chunk, summed over workers.
        utilisation: `busy_s` over workers x seconds from the first chunk's submission to the last
            one's end, 0 to 1.
        queue_wait_mean_s: Seconds a chunk waited for a worker, mean.
        queue_wait_max_s: The longest.
        peak_rss_bytes: Most memory held at one time: of all worker processes, each at its own peak,
            or of this process where workers are threads.
    """

    workers: int
    items_by_worker: tuple[int, ...]
    items: int
    failures: int
    timeouts: int
    crashes: int
    retries: int
    chunks: int
    busy_s: float
    utilisation: float | None
    queue_wait_mean_s: float | None
    queue_wait_max_s: float | None
    peak_rss_bytes: int | None


class Tally:
    """Counts chunks as they are done; any thread may count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items = self._failures = self._timeouts = self._crashes = self._retries = 0
        self._chunks = 0
        self._by_worker: dict[int, int] = {}
        self._busy_s = self._waited_s = self._waited_max_s = 0.0
        self._first_s: float | None = None
        self._last_s = 0.0

    def count(self, chunk: Chunk, *, worker: int | None = None) -> None:
        """One more chunk is done, by the worker of that number where they have numbers."""
        with self._lock:
            if worker is not None:
                self._by_worker[worker] = self._by_worker.get(worker, 0) + len(chunk.items)
            self._chunks += 1
            self._items += len(chunk.items)
            self._busy_s += chunk.busy_s
            self._waited_s += chunk.waited_s
            self._waited_max_s = max(self._waited_max_s, chunk.waited_s)
            if self._first_s is None or chunk.queued_s < self._first_s:
                self._first_s = chunk.queued_s
            self._last_s = time.monotonic()
            if chunk.attempt > 1:
                self._retries += len(chunk.items)
            for error in chunk.errors.values():
                self._failures += 1
                self._timeouts += isinstance(error, ItemTimeoutError)
                self._crashes += isinstance(error, WorkerCrashedError)

    def metrics(self, *, workers: int, peak_rss_bytes: int | None) -> ProcessorMetrics:
        """What has been counted."""
        with self._lock:
            spent_s = 0.0 if self._first_s is None else self._last_s - self._first_s
            some = self._chunks > 0
            return ProcessorMetrics(
                workers=workers,
                items_by_worker=tuple(self._by_worker[n] for n in sorted(self._by_worker)),
                items=self._items,
                failures=self._failures,
                timeouts=self._timeouts,
                crashes=self._crashes,
                retries=self._retries,
                chunks=self._chunks,
                busy_s=self._busy_s,
                utilisation=min(1.0, self._busy_s / (workers * spent_s)) if spent_s > 0 else None,
                queue_wait_mean_s=self._waited_s / self._chunks if some else None,
                queue_wait_max_s=self._waited_max_s if some else None,
                peak_rss_bytes=peak_rss_bytes,
            )
