"""Which backend fits: seen from what the first items do."""

import contextlib
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sergas.optimizations.parallel_processor._chunk import Chunk
from sergas.optimizations.parallel_processor._inline import InlineCrew
from sergas.optimizations.parallel_processor._strategy import BackendName

__all__ = ["Choice", "Scout", "choose", "is_picklable"]

_SCOUTED_S = 0.002
_SCOUTED_ITEMS = 4
_TRIVIAL_S = 50e-6  # below, handing an item to another process costs as much as the item
_WAITING_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A backend and why it was chosen.

    Attributes:
        backend: Its name.
        reason: What was seen, in words.
    """

    backend: BackendName
    reason: str


def choose(*, items: int, wall_s: float, cpu_s: float, is_picklable: bool) -> Choice:
    """The backend for items like those that were seen.

    Items that mostly wait gain from threads, whatever the interpreter's lock. Items that keep a
    processor busy gain from processes, unless they are so short that handing them over costs more.

    Args:
        items: How many were seen, >= 1.
        wall_s: Seconds they took, those in which others had the processor left out.
        cpu_s: Seconds of processor time in that, of the thread.
        is_picklable: Whether the function can travel to another process.
    """
    each_s = wall_s / items
    busy = min(1.0, cpu_s / wall_s) if wall_s > 0 else 1.0
    seen = f"{items} items took {each_s * 1e6:.0f} µs each and kept a processor busy {busy:.0%}"
    if each_s >= _TRIVIAL_S and busy < _WAITING_SHARE:
        return Choice(backend="thread", reason=f"{seen}: they wait")
    if each_s < _TRIVIAL_S:
        return Choice(backend="serial", reason=f"{seen}: cheaper than handing them over")
    if not is_picklable:
        return Choice(
            backend="thread", reason=f"{seen}, but the function cannot travel to a process"
        )
    return Choice(backend="process", reason=f"{seen}: they compute")


def is_picklable(function: Callable[[Any], Any]) -> bool:
    """Whether a function can travel to another process."""
    try:
        pickle.dumps(function)
    except Exception:  # noqa: BLE001 - pickling runs code of the user's
        return False
    return True


def run_delay_s() -> float:
    """Seconds this thread was ready while another had the processor; 0 where nobody counts them."""
    with (
        contextlib.suppress(OSError, ValueError, IndexError),
        open("/proc/thread-self/schedstat", "rb") as file,  # noqa: PTH123 - pathlib is slower
    ):
        return int(file.read().split()[1]) / 1e9
    return 0.0


class Scout:
    """Works the first chunks off in the caller's thread, then decides who does the rest.

    Args:
        inline: Works in the caller's thread.
        decide: Called once with what was seen; gives the way to submit the rest.
    """

    def __init__(
        self, inline: InlineCrew, decide: Callable[[Choice], Callable[[Chunk], object]]
    ) -> None:
        self._inline = inline
        self._decide = decide
        self._submit: Callable[[Chunk], object] | None = None
        self._items = 0
        self._wall_s = self._cpu_s = 0.0

    def submit(self, chunk: Chunk) -> None:
        """Work the chunk off here, or pass it on once it is decided where."""
        if self._submit is not None:
            self._submit(chunk)
            return
        delay_s, wall_s, cpu_s = run_delay_s(), time.perf_counter(), time.thread_time()
        self._inline.submit(chunk)
        # on a busy machine an item that computes is slow too, and waits for nothing
        self._wall_s += time.perf_counter() - wall_s - (run_delay_s() - delay_s)
        self._cpu_s += time.thread_time() - cpu_s
        self._items += len(chunk.items)
        if self._wall_s >= _SCOUTED_S or self._items >= _SCOUTED_ITEMS:
            choice = choose(
                items=self._items,
                wall_s=self._wall_s,
                cpu_s=self._cpu_s,
                is_picklable=is_picklable(chunk.job.function),
            )
            self._submit = self._decide(choice)
