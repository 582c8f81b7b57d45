"""What goes out next, what comes back when, and in which order: the plan of one call.

It does no input or output, reads no clock and starts nothing, so that the caller who waits in a
thread and the one who waits in an event loop share it.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._limit import Limiter, Sample, latency_of
from sergas.optimizations.parallel_processor._pace import CHUNKS_PER_WORKER, Pace

__all__ = ["Schedule"]


class Schedule:
    """The chunks of one call, from being wanted to being ready.

    Args:
        job: The call.
        workers: How many work at the same time, >= 1.
        pace: How many items a chunk has.
        limiter: How many chunks may be with the workers.
        total: Items altogether; None if the input does not tell.
        chance: Draws from [0, 1), for the jitter of waits.
    """

    def __init__(
        self,
        job: Job,
        *,
        workers: int,
        pace: Pace,
        limiter: Limiter,
        total: int | None,
        chance: Callable[[], float],
    ) -> None:
        self._job = job
        self._workers = workers
        self._pace = pace
        self._limiter = limiter
        self._total = total
        self._chance = chance
        self._lead = CHUNKS_PER_WORKER * workers
        self._is_exhausted = False
        self._next_index = 0
        self._order: deque[Chunk] = deque()  # with workers or unfinished, in the order of the input
        self._ready: deque[Chunk] = deque()
        self._in_hand: Chunk | None = None
        self._unfinished: dict[Chunk, int] = {}  # chunk -> attempts under way besides its own
        self._waiting: list[tuple[float, int, Chunk]] = []  # further attempts, by when they are due
        self._tie = count()
        self._with_workers: set[Chunk] = set()

    @property
    def limiter(self) -> Limiter:
        """The limit as it has been learnt."""
        return self._limiter

    @property
    def is_over(self) -> bool:
        """Whether every item has come and gone."""
        return self._is_exhausted and not self._order and not self._ready

    def want(self) -> int:
        """How many items to `offer` now; 0 while enough are out."""
        out = len(self._order) + len(self._ready) + (self._in_hand is not None)
        if self._is_exhausted or out >= self._lead or not self._has_room:
            return 0
        remaining = None if self._total is None else self._total - self._next_index
        return self._pace.next_size(remaining=remaining, workers=self._workers)

    @property
    def _has_room(self) -> bool:
        return len(self._with_workers) < self._limiter.limit

    def offer(self, items: Sequence[Any]) -> Chunk:
        """Take the next items of the input (at least one) as a chunk that is now with workers."""
        chunk = Chunk(self._job, self._next_index, items)
        self._next_index += len(items)
        self._order.append(chunk)
        self._unfinished[chunk] = 1
        self._with_workers.add(chunk)
        return chunk

    def offer_known(self, values: Sequence[Any]) -> None:
        """Take the next items of the input, whose values are known already."""
        chunk = Chunk(self._job, self._next_index, values, attempt=0)
        chunk.values = list(values)
        self._next_index += len(values)
        self._order.append(chunk)
        self._release(chunk)

    def exhaust(self) -> None:
        """The input has no more items."""
        self._is_exhausted = True

    def take_back(self, chunk: Chunk, *, now_s: float) -> None:
        """A chunk has come back from the workers."""
        in_flight = len(self._with_workers)
        self._with_workers.discard(chunk)
        self._learn(chunk, in_flight)
        for place in sorted(chunk.errors):
            if self._deserves_another(chunk.errors[place], chunk.attempt):
                self._plan_another(chunk, place, now_s=now_s)
        self._merge(chunk)
        self._finish(chunk)

    def due(self, *, now_s: float) -> list[Chunk]:
        """Further attempts that may go to the workers now, and are with them from now on."""
        chunks: list[Chunk] = []
        while self._waiting and self._waiting[0][0] <= now_s and self._has_room:
            chunk = heapq.heappop(self._waiting)[2]
            self._with_workers.add(chunk)
            chunks.append(chunk)
        return chunks

    def wait_s(self, *, now_s: float) -> float | None:
        """Seconds until a further attempt is due; None if none waits for its time."""
        if not self._waiting or not self._has_room:
            return None
        return max(0.0, self._waiting[0][0] - now_s)

    def next_ready(self) -> Chunk | None:
        """The next chunk to give back, in order where it was asked for; None while there is none.

        It counts as out until this is asked for again.
        """
        self._in_hand = self._ready.popleft() if self._ready else None
        return self._in_hand

    def cancel(self) -> None:
        """Let no item start that has not."""
        self._waiting.clear()
        for chunk in self._with_workers:
            chunk.cancel()

    def _learn(self, chunk: Chunk, in_flight: int) -> None:
        size = len(chunk.items)
        self._pace = self._pace.after(count=size, busy_s=chunk.busy_s)
        is_dropped = any(isinstance(e, OSError) for e in chunk.errors.values())
        self._limiter = self._limiter.after(
            Sample(
                latency_s=latency_of(chunk.busy_s, size),
                in_flight=max(1, in_flight),
                is_dropped=is_dropped,
            )
        )

    def _deserves_another(self, error: BaseException, attempt: int) -> bool:
        options = self._job.options
        return attempt <= options.retries and isinstance(error, options.retry_on)

    def _plan_another(self, chunk: Chunk, place: int, *, now_s: float) -> None:
        again = Chunk(
            self._job, chunk.start + place, [chunk.items[place]], attempt=chunk.attempt + 1
        )
        if self._job.options.is_ordered:
            again.origin = chunk.origin or (chunk, place)
            self._unfinished[again.origin[0]] += 1
        else:
            chunk.moved.add(place)
            self._order.append(again)
        self._unfinished[again] = 1
        wait_s = self._job.options.backoff.wait_s(attempt=chunk.attempt, chance=self._chance())
        heapq.heappush(self._waiting, (now_s + wait_s, next(self._tie), again))

    def _merge(self, chunk: Chunk) -> None:
        """Put what a further attempt came to where the first one left a gap."""
        if chunk.origin is None:
            return
        first, place = chunk.origin
        first.attempts[place] = chunk.attempt
        if chunk.elapsed_s is not None and first.elapsed_s is not None:
            first.elapsed_s[place] = chunk.elapsed_s[0]
        first.values[place] = chunk.values[0]
        first.errors.pop(place, None)
        if 0 in chunk.errors:
            first.errors[place] = chunk.errors[0]

    def _finish(self, chunk: Chunk) -> None:
        self._unfinished[chunk] -= 1
        if chunk.origin is not None:
            del self._unfinished[chunk]
            self._finish(chunk.origin[0])
        elif self._unfinished[chunk] == 0:
            del self._unfinished[chunk]
            self._release(chunk)

    def _release(self, chunk: Chunk) -> None:
        if not self._job.options.is_ordered:
            self._order.remove(chunk)
            self._ready.append(chunk)
            return
        while self._order and self._order[0] not in self._unfinished:
            self._ready.append(self._order.popleft())
