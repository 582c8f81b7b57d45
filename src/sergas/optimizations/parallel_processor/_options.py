"""What one call of the processor is asked for, checked once."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Literal, TypeAlias

from sergas.errors import ProcessorValueError

__all__ = ["Backoff", "CallOptions", "OnError", "Progress", "ProgressCallback"]

OnError: TypeAlias = Literal["raise", "return", "skip"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before an item is tried again: exponential, with full jitter.

    Before attempt n + 1 the wait is drawn evenly from 0 to min(longest_s, first_s * 2**(n - 1)):
    callers that failed together do not come back together (Brooker 2015, Exponential backoff and
    jitter, AWS Architecture Blog).

    Attributes:
        first_s: Upper end of the first wait in seconds, >= 0.
        longest_s: Upper end of any wait in seconds, >= `first_s`.

    Raises:
        ProcessorValueError: If a value is out of its range.
    """

    first_s: float = 0.05
    longest_s: float = 5.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.first_s <= self.longest_s < math.inf:
            raise ProcessorValueError(
                f"backoff: got first_s {self.first_s} and longest_s {self.longest_s}, needed "
                "0 <= first_s <= longest_s"
            )

    def wait_s(self, *, attempt: int, chance: float) -> float:
        """Seconds to wait after attempt number `attempt` (>= 1) failed; `chance` in [0, 1)."""
        # Beyond 2**60 the cap has long been reached, and the power would overflow in the end.
        return chance * min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 60))


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a call has come.

    Attributes:
        done: Items that have their outcome.
        failed: Of these, how many have an error.
        total: Items altogether; None if the input does not tell its length.
        elapsed_s: Seconds since the call began.
    """

    done: int
    failed: int
    total: int | None
    elapsed_s: float


ProgressCallback: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What one call is asked for.

    Attributes:
        timeout_s: Seconds one attempt at one item may take, > 0; None means no limit.
        retries: Further attempts at an item that failed, >= 0.
        backoff: The wait before each of them.
        retry_on: Errors worth another attempt.
        on_error: "raise", "return" outcomes, or "skip" items that failed.
        chunk: Items handed to a worker at a time, >= 1, or "auto": learnt from what they take.
        is_ordered: Whether results come in the order of the items.
        checkpoint: File that keeps finished items, for a call that goes on after an interruption.
        progress: Called by the caller's thread whenever a chunk is done.

    Raises:
        ProcessorValueError: If a value is out of its range.
    """

    timeout_s: float | None = None
    retries: int = 0
    backoff: Backoff = Backoff()
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    on_error: OnError = "raise"
    chunk: int | Literal["auto"] = "auto"
    is_ordered: bool = True
    checkpoint: str | PathLike[str] | None = None
    progress: ProgressCallback | None = None

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not 0.0 < self.timeout_s < math.inf:
            raise ProcessorValueError(f"timeout: got {self.timeout_s} s, needed more than 0")
        if self.retries < 0:
            raise ProcessorValueError(f"retries: got {self.retries}, needed 0 or more")
        if self.on_error not in ("raise", "return", "skip"):
            raise ProcessorValueError(
                f'on_error: got {self.on_error!r}, needed "raise", "return" or "skip"'
            )
        if self.chunk != "auto" and not _is_count(self.chunk):
            raise ProcessorValueError(f'chunk: got {self.chunk!r}, needed "auto" or 1 or more')

    @property
    def wants_outcomes(self) -> bool:
        """Whether each item's time and attempts are told."""
        return self.on_error == "return"


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 1
