"""Puts the shares of several generators together, exactly: every sample once, in order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from groundspeed.load._result import Overflow, Samples
from groundspeed.load.part import PartResult
from groundspeed.load.recorder import OUTCOMES_MAX, Outcomes, in_order, merge_overflows

__all__ = ["littles_law_gap", "merge_parts"]


def merge_parts(
    parts: Sequence[PartResult],
) -> tuple[Samples, Overflow | None, tuple[str, ...]]:
    """All samples by intended start, all counts, and the names that outcomes now go by."""
    outcomes = Outcomes()
    numbers = [
        np.array([outcomes.number(name) for name in part.outcomes], dtype=np.int16)
        for part in parts
    ]
    renumbered = list(zip(parts, numbers, strict=True))
    samples = in_order(
        [replace(part.samples, outcome=own[part.samples.outcome]) for part, own in renumbered]
    )
    overflow = merge_overflows([_renumbered(part.overflow, own) for part, own in renumbered])
    if overflow is not None:
        overflow = replace(overflow, outcomes=overflow.outcomes[: len(outcomes.names)])
    return samples, overflow, outcomes.names


def _renumbered(overflow: Overflow | None, numbers: np.ndarray) -> Overflow | None:
    if overflow is None:
        return None
    counts = np.zeros(OUTCOMES_MAX + 1, dtype=np.int64)
    np.add.at(counts, numbers, np.array(overflow.outcomes[: len(numbers)]))
    return replace(overflow, outcomes=tuple(counts.tolist()))


def littles_law_gap(parts: Sequence[PartResult]) -> float:
    """Compare the number in flight, as it was counted, with what the samples say of it.

    Little: L = X R. The generators add up the number in flight as requests begin and end; X R over
    the same time is the sum of the samples' times from sending to the end. They differ when samples
    were lost, counted twice or mixed up.

    Returns:
        |L - X R| / L; 0 where nothing was in flight, or samples beyond the cap are no longer known.
    """
    counted = sum(part.in_flight_ns for part in parts)
    if counted <= 0 or any(part.overflow is not None for part in parts):
        return 0.0
    seen = sum(int(np.sum(part.samples.end_ns - part.samples.sent_ns)) for part in parts)
    return abs(counted - seen) / counted
