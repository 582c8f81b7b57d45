"""How many items go to a worker at a time.

Handing over a chunk costs the same whatever is in it, so cheap items go in large chunks. A large
chunk of slow items would leave other workers idle, so the size follows what items were seen to
take, starts at one, and shrinks towards the end of the input (guided self-scheduling,
Polychronopoulos and Kuck 1987).
"""

from dataclasses import dataclass
from math import inf
from typing import Literal

__all__ = ["CHUNKS_PER_WORKER", "Pace"]

CHUNKS_PER_WORKER = 2  # one being worked on and one ready, so that no worker waits for the caller
_SIZE_MAX = 1024
_GROWTH_MAX = 8
_FLOOR_SHARE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The size of the next chunk, learnt from the last.

    Attributes:
        target_s: Seconds of work a chunk should hold, > 0: some fifty times its hand-over.
        size: Items in the next chunk, 1 to 1024 if learnt.
        is_fixed: Whether the size was given, and is not learnt.
    """

    target_s: float
    size: int = 1
    is_fixed: bool = False

    @classmethod
    def of(cls, chunk: int | Literal["auto"], *, target_s: float) -> "Pace":
        """The pace at the start of a call: of the size given, or of one item."""
        if chunk == "auto":
            return cls(target_s=target_s)
        return cls(target_s=target_s, size=chunk, is_fixed=True)

    def after(self, *, count: int, busy_s: float) -> "Pace":
        """The pace when a chunk of `count` items (>= 1) took `busy_s` of work (>= 0).

        The size grows at most eightfold, so that one lucky chunk is no commitment, but falls at
        once.
        """
        if self.is_fixed:
            return self
        fitting = self.target_s * count / busy_s if busy_s > 0 else inf
        size = int(max(1, min(fitting, _GROWTH_MAX * self.size, _SIZE_MAX)))
        return Pace(target_s=self.target_s, size=size)

    def next_size(self, *, remaining: int | None, workers: int) -> int:
        """Items to hand over now, >= 1.

        Args:
            remaining: Items not handed over yet; None if the input does not tell its length.
            workers: How many share them.
        """
        if remaining is None or self.is_fixed:
            return self.size
        # Below an eighth of what was learnt to be worth a hand-over, smaller chunks gain nothing.
        least = max(1, min(remaining, self.size // _FLOOR_SHARE))
        return max(least, min(self.size, remaining // (CHUNKS_PER_WORKER * workers)))
