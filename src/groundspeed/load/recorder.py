"""Keeps samples at a few tens of nanoseconds each, and has them counted beyond a cap.

The hot path appends to five lists, which is the cheapest thing that Python can do with a number;
they are turned into arrays in blocks. Beyond the cap a block's times go into HDR buckets.
"""

import numpy as np

from groundspeed.load._result import OK, Overflow, Samples
from groundspeed.stats import IntArray
from groundspeed.stats.histogram import Histogram, HistogramLayout

__all__ = ["OUTCOMES_MAX", "OUTCOME_SHIFT", "Outcomes", "Recorder", "in_order", "merge_overflows"]

OUTCOME_SHIFT = 8
"""A sample's code is outcome << 8 | operation, so that the code of a good one is its operation."""

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

    The hot path binds `intended.append` and its four siblings and calls all five for a sample;
    `settle` is called now and then, between samples.

    Args:
        samples_max: How many are kept raw.
    """

    def __init__(self, samples_max: int) -> None:
        self.intended: list[int] = []
        self.taken: list[int] = []
        self.sent: list[int] = []
        self.end: list[int] = []
        self.code: list[int] = []
        self._room = samples_max
        self._blocks: list[tuple[IntArray, ...]] = []
        self._settled = 0
        self._overflow: Overflow | None = None

    @property
    def count(self) -> int:
        """How many samples it has been given."""
        return self._settled + len(self.code)

    @property
    def is_full(self) -> bool:
        """Whether it is time to settle."""
        return len(self.code) >= _BLOCK

    def settle(self) -> None:
        """Turn what was appended into arrays, or into counts beyond the cap."""
        columns = (self.intended, self.taken, self.sent, self.end, self.code)
        block = tuple(np.array(column, dtype=np.int64) for column in columns)
        for column in columns:
            column.clear()
        size = len(block[0])
        self._settled += size
        kept = min(size, self._room)
        self._room -= kept
        if kept:
            self._blocks.append(tuple(column[:kept] for column in block))
        if kept < size:
            beyond = _counted(_samples(tuple(column[kept:] for column in block)))
            self._overflow = merge_overflows([self._overflow, beyond])

    def result(self) -> tuple[Samples, Overflow | None]:
        """All samples in the order of their intended starts, and what was only counted."""
        self.settle()
        empty = np.zeros(0, dtype=np.int64)
        joined = tuple(
            np.concatenate([empty, *(block[column] for block in self._blocks)])
            for column in range(5)
        )
        return in_order(_samples(joined)), self._overflow


def in_order(samples: Samples) -> Samples:
    """The same samples by their intended starts, equal ones as they came."""
    order = np.argsort(samples.intended_ns, kind="stable")
    return Samples(
        intended_ns=samples.intended_ns[order],
        taken_ns=samples.taken_ns[order],
        sent_ns=samples.sent_ns[order],
        end_ns=samples.end_ns[order],
        operation=samples.operation[order],
        outcome=samples.outcome[order],
    )


def _samples(columns: tuple[IntArray, ...]) -> Samples:
    intended, taken, sent, end, code = columns
    return Samples(
        intended_ns=intended,
        taken_ns=taken,
        sent_ns=sent,
        end_ns=end,
        operation=(code & ((1 << OUTCOME_SHIFT) - 1)).astype(np.int16),
        outcome=(code >> OUTCOME_SHIFT).astype(np.int16),
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
