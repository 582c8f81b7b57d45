"""What is due next: one small state machine for each load model, without a clock or I/O.

The engine asks `next_ns` how long it may sleep, takes what is due, and says when each piece of work
has ended; times are nanoseconds since the run's start. An agenda is used by one thread at a time.
"""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import numpy as np

from groundspeed.load.arrivals import Leg, arrival_times, user_windows
from groundspeed.load.models import Closed, Model, Open, PartlyOpen
from groundspeed.stats import IntArray

__all__ = ["NEVER", "Agenda", "ClosedAgenda", "OpenAgenda", "SessionAgenda", "agenda_for"]

NEVER: Final = 2**63 - 1
"""Nothing more is due: what `next_ns` holds in the end."""

_NS = 1e9
_OPEN = 0


class Agenda(Protocol):
    """What the engine knows of a load model.

    Attributes:
        next_ns: When the next piece of work is to start; NEVER while nothing is known to follow.
    """

    next_ns: int

    def take(self) -> tuple[int, int]:
        """Take the next piece of work: when it was to start, and a token to give back."""

    def finished(self, token: int, now_ns: int) -> None:
        """Say that the work of `token` has ended, well or not."""


class OpenAgenda:
    """Arrivals that wait for nothing.

    Args:
        times: Intended starts, ascending, in chunks.
    """

    def __init__(self, times: Iterator[IntArray]) -> None:
        self._times = itertools.chain.from_iterable(chunk.tolist() for chunk in times)
        self.next_ns: int = next(self._times, NEVER)

    def take(self) -> tuple[int, int]:
        """Take the next arrival."""
        taken = self.next_ns
        self.next_ns = next(self._times, NEVER)
        return taken, _OPEN

    def finished(self, token: int, now_ns: int) -> None:
        """Nothing follows from an answer."""


class _Thinking:
    """Think times in nanoseconds, drawn in chunks."""

    def __init__(self, think_s: float, *, exponential: bool, seed: Sequence[int]) -> None:
        self._ns = round(think_s * _NS)
        self._rng = np.random.default_rng(seed)
        self._drawn: Iterator[int] = iter(()) if exponential else itertools.repeat(self._ns)

    def __call__(self) -> int:
        drawn = next(self._drawn, None)
        if drawn is None:
            self._drawn = iter(
                (self._rng.standard_exponential(1024) * self._ns).astype(int).tolist()
            )
            drawn = next(self._drawn)
        return drawn


class ClosedAgenda:
    """Users who wait, think and ask again while they are there.

    Args:
        windows: When each user is there, by token.
        thinking: Gives a think time in nanoseconds.
    """

    def __init__(
        self, windows: dict[int, tuple[tuple[int, int], ...]], thinking: _Thinking
    ) -> None:
        self._windows = windows
        self._thinking = thinking
        self._waiting = [(own[0][0], user) for user, own in windows.items() if own]
        heapq.heapify(self._waiting)
        self.next_ns = self._first()

    def _first(self) -> int:
        return self._waiting[0][0] if self._waiting else NEVER

    def take(self) -> tuple[int, int]:
        """Take the next user's turn."""
        taken = heapq.heappop(self._waiting)
        self.next_ns = self._first()
        return taken

    def finished(self, token: int, now_ns: int) -> None:
        """The user thinks, and asks again if still, or once again, there."""
        ready_ns = now_ns + self._thinking()
        for start_ns, end_ns in self._windows[token]:
            if ready_ns < end_ns:
                heapq.heappush(self._waiting, (max(ready_ns, start_ns), token))
                self.next_ns = self._first()
                return


class SessionAgenda:
    """Sessions that arrive as in an open model, with steps that wait for each other.

    Args:
        times: Intended starts of the sessions, ascending, in chunks.
        steps: Of each session.
        think_s: Seconds between an answer and the next step.
    """

    def __init__(self, times: Iterator[IntArray], *, steps: int, think_s: float) -> None:
        self._arrivals = OpenAgenda(times)
        self._steps, self._think_ns = steps, round(think_s * _NS)
        self._left: dict[int, int] = {}
        self._waiting: list[tuple[int, int]] = []
        self._tokens = itertools.count()
        self.next_ns = self._arrivals.next_ns

    def _first(self) -> int:
        step_ns = self._waiting[0][0] if self._waiting else NEVER
        return min(step_ns, self._arrivals.next_ns)

    def take(self) -> tuple[int, int]:
        """Take a waiting step, or the first step of a new session."""
        if self._waiting and self._waiting[0][0] <= self._arrivals.next_ns:
            taken = heapq.heappop(self._waiting)
        else:
            taken = (self._arrivals.take()[0], next(self._tokens))
            self._left[taken[1]] = self._steps
        self.next_ns = self._first()
        return taken

    def finished(self, token: int, now_ns: int) -> None:
        """The session goes on with its next step, if it has one."""
        self._left[token] -= 1
        if self._left[token]:
            heapq.heappush(self._waiting, (now_ns + self._think_ns, token))
            self.next_ns = self._first()
        else:
            del self._left[token]


def agenda_for(
    model: Model, legs: Sequence[Leg], *, seed: int, part: int = 0, parts: int = 1
) -> Agenda:
    """The agenda of one generator process: its share of the arrivals, or of the users."""
    match model:
        case Closed():
            most = int(np.ceil(max(max(leg.level_start, leg.level_end) for leg in legs)))
            return ClosedAgenda(
                {user: user_windows(legs, user) for user in range(part, most, parts)},
                _Thinking(
                    model.think, exponential=model.thinking == "exponential", seed=(seed, part)
                ),
            )
        case Open():
            return OpenAgenda(
                arrival_times(legs, arrivals=model.arrivals, seed=seed, part=part, parts=parts)
            )
        case PartlyOpen():
            return SessionAgenda(
                arrival_times(legs, arrivals=model.arrivals, seed=seed, part=part, parts=parts),
                steps=model.steps,
                think_s=model.think,
            )
