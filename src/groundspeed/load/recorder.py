"""Keeps samples at a few tens of nanoseconds each, and has them counted beyond a cap.

The hot path appends to three lists, which is the cheapest thing that Python can do; they are turned
into arrays in blocks. Beyond the cap a block's times go into HDR buckets.
"""

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from groundspeed.load._result import OK, Overflow, Samples
from groundspeed.stats.histogram import Histogram, HistogramLayout

__all__ = ["OUTCOMES_MAX", "Begun", "Outcomes", "Recorder", "in_order", "merge_overflows"]

Begun: TypeAlias = tuple[int, int, int, int, int]
"""What is in flight: intended, taken and sent nanoseconds, the agenda's token, the operation."""

OUTCOMES_MAX = 120
_OTHER = "other"
_BLOCK = 1 << 15
_LAYOUT = HistogramLayout()


class Outcomes:
    """Numbers for the classes of failure as they are met; `ok` is 0."""

    def __init__(self) -> None:
        self._numbers = {"ok": OK}

    def number(self, name: str) -> int:
        """The number of a class; beyond 120 classes all are `other`."""
        if name not in self._numbers and len(self._numbers) >= OUTCOMES_MAX:
            name = _OTHER
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> tuple[str, ...]:
        """Every class met, by number."""
        return tuple(self._numbers)


class Recorder:
    """The samples of one thread.

    The hot path binds `begun.append`, `end.append` and `outcome.append` and calls all three for a
    sample; `settle` is called now and then, between samples.

    Args:
        samples_max: How many are kept raw.
    """

    def __init__(self, samples_max: int) -> None:
        self.begun: list[Begun] = []
        self.end: list[int] = []
        self.outcome: list[int] = []
        self._room = samples_max
        self._blocks: list[Samples] = []
        self._settled = 0
        self._overflow: Overflow | None = None

    @property
    def count(self) -> int:
        """How many samples it has been given."""
        return self._settled + len(self.outcome)

    @property
    def is_full(self) -> bool:
        """Whether it is time to settle."""
        return len(self.outcome) >= _BLOCK

    def settle(self) -> None:
        """Turn what was appended into arrays, or into counts beyond the cap."""
        block = _samples(self.begun, self.end, self.outcome)
        for column in (self.begun, self.end, self.outcome):
            column.clear()
        size = len(block)
        self._settled += size
        kept = min(size, self._room)
        self._room -= kept
        is_kept = np.arange(size) < kept
        if kept:
            self._blocks.append(block.where(is_kept))
        if kept < size:
            beyond = _counted(block.where(~is_kept))
            self._overflow = merge_overflows([self._overflow, beyond])

    def result(self) -> tuple[Samples, Overflow | None]:
        """All samples in the order of their intended starts, and what was only counted."""
        self.settle()
        return in_order([_samples([], [], []), *self._blocks]), self._overflow


def _samples(begun: list[Begun], end: list[int], outcome: list[int]) -> Samples:
    flat = np.fromiter(itertools.chain.from_iterable(begun), dtype=np.int64, count=5 * len(begun))
    columns = flat.reshape(-1, 5)
    return Samples(
        intended_ns=columns[:, 0],
        taken_ns=columns[:, 1],
        sent_ns=columns[:, 2],
        end_ns=np.array(end, dtype=np.int64),
        operation=columns[:, 4].astype(np.int16),
        outcome=np.array(outcome, dtype=np.int16),
    )


def in_order(parts: Sequence[Samples]) -> Samples:
    """All samples by their intended starts, equal ones as they came; one part at least."""
    intended_ns = np.concatenate([part.intended_ns for part in parts])
    order = np.argsort(intended_ns, kind="stable")
    return Samples(
        intended_ns=intended_ns[order],
        taken_ns=np.concatenate([part.taken_ns for part in parts])[order],
        sent_ns=np.concatenate([part.sent_ns for part in parts])[order],
        end_ns=np.concatenate([part.end_ns for part in parts])[order],
        operation=np.concatenate([part.operation for part in parts])[order],
        outcome=np.concatenate([part.outcome for part in parts])[order],
    )


def _counted(samples: Samples) -> Overflow:
    good = ~samples.failed
    response = np.clip((samples.end_ns - samples.intended_ns)[good], 0, _LAYOUT.highest)
    service = np.clip((samples.end_ns - samples.sent_ns)[good], 0, _LAYOUT.highest)
    return Overflow(
        response_counts=Histogram.of(response).counts,
        service_counts=Histogram.of(service).counts,
        outcomes=tuple(np.bincount(samples.outcome, minlength=OUTCOMES_MAX + 1).tolist()),
        lag_ns_max=int((samples.taken_ns - samples.intended_ns).max()),
    )


def merge_overflows(parts: list[Overflow | None]) -> Overflow | None:
    """Add counts; their outcomes must have the same numbers and as many of them."""
    given = [part for part in parts if part is not None]
    if len(given) < 2:  # noqa: PLR2004 - nothing to add
        return given[0] if given else None
    return Overflow(
        response_counts=np.sum([part.response_counts for part in given], axis=0),
        service_counts=np.sum([part.service_counts for part in given], axis=0),
        outcomes=tuple(np.sum([part.outcomes for part in given], axis=0).tolist()),
        lag_ns_max=max(part.lag_ns_max for part in given),
    )
