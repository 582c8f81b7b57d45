"""Items that travel to a worker together, and what became of them.

The items are claimed one by one from an iterator that whoever works on the chunk shares. Taking the
next item from it is one step that no other thread can come between, so every item is claimed once,
whatever happens to the worker: when it is given up, another goes on with what is left, and when the
call is cancelled, the rest is claimed away.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Final

from sergas.optimizations.parallel_processor._options import CallOptions
from sergas.optimizations.parallel_processor._outcome import Outcome

__all__ = ["PENDING", "Chunk", "Job"]


class _Pending:
    """Stands where no value has come yet."""


PENDING: Final = _Pending()
_numbers = count()


class Job:
    """One call of the processor: the function, and where its chunks go when they are done.

    Attributes:
        function: Called with each item.
        options: What the call was asked for.
        deliver: Takes each chunk that is done; called by workers.
        number: Tells the jobs of this process apart.
        crew: Who works on it, where that was found out on the way.
    """

    __slots__ = ("crew", "deliver", "function", "number", "options")

    def __init__(
        self,
        function: Callable[[Any], Any],
        options: CallOptions,
        deliver: "Callable[[Chunk], object]",
    ) -> None:
        self.function = function
        self.options = options
        self.deliver = deliver
        self.number = next(_numbers)
        self.crew: Any = None


class Chunk:
    """Items `start`, `start + 1`, ... of a call, and what became of each.

    Attributes:
        job: The call they belong to.
        start: Index of the first.
        items: The items themselves.
        attempt: Which attempt this is, from 1.
        claims: Where whoever works on the chunk takes (place in the chunk, item) from.
        values: One for each item, PENDING until it is known.
        errors: Place in the chunk -> what the function raised, or what ended it.
        elapsed_s: Seconds inside the function, one an item; None if nobody asked.
        attempts: Attempts of each item at which it is not `attempt`.
        origin: The chunk and the place in it that this further attempt is for; None for a chunk
            of its own.
        moved: Places whose items were tried again in chunks of their own.
        queued_s: When it was given to the workers.
        began_s: When the first of them took it.
        busy_s: Seconds it was worked on.
        waited_s: Seconds before that in the queue.
    """

    __slots__ = (
        "attempt",
        "attempts",
        "began_s",
        "busy_s",
        "claims",
        "elapsed_s",
        "errors",
        "inside",
        "items",
        "job",
        "lock",
        "moved",
        "origin",
        "queued_s",
        "start",
        "values",
        "waited_s",
    )

    def __init__(self, job: Job, start: int, items: Sequence[Any], *, attempt: int = 1) -> None:
        self.job = job
        self.start = start
        self.items = items
        self.attempt = attempt
        self.claims: Iterator[tuple[int, Any]] = enumerate(items)
        self.values: list[Any] = [PENDING] * len(items)
        self.errors: dict[int, BaseException] = {}
        self.elapsed_s: list[float] | None = (
            [0.0] * len(items) if job.options.wants_outcomes else None
        )
        self.attempts: dict[int, int] = {}
        self.origin: tuple[Chunk, int] | None = None
        self.moved: set[int] = set()
        self.queued_s = 0.0
        self.began_s = 0.0
        self.busy_s = 0.0
        self.waited_s = 0.0
        self.lock = threading.Lock()
        self.inside = 0  # workers that may still put a value here

    def places(self) -> Iterable[int]:
        """The places whose outcome this chunk has."""
        if not self.moved:
            return range(len(self.items))
        return [place for place in range(len(self.items)) if place not in self.moved]

    def cancel(self) -> None:
        """Let no item start that has not; those that have go on."""
        for _ in self.claims:
            pass

    def outcomes(self) -> list[Outcome[Any]]:
        """What became of each item, of those that did not move."""
        attempt, attempts, elapsed_s = self.attempt, self.attempts, self.elapsed_s
        if self.errors or self.moved or attempts or elapsed_s is None:
            return [self._outcome(place) for place in self.places()]
        return [
            Outcome(index, value, None, attempt, seconds)
            for index, value, seconds in zip(count(self.start), self.values, elapsed_s)
        ]

    def _outcome(self, place: int) -> Outcome[Any]:
        error = self.errors.get(place)
        return Outcome(
            index=self.start + place,
            value=None if error is not None else self.values[place],
            error=error,
            attempts=self.attempts.get(place, self.attempt),
            elapsed_s=self.elapsed_s[place] if self.elapsed_s is not None else 0.0,
        )
