"""How throughput grows with workers, measured and fitted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from groundspeed.errors import UsageError
from groundspeed.load.figures import Figure
from groundspeed.stats import ScalingFit, fit_scaling, student_t_ppf
from groundspeed.stats.quantile import CONFIDENCE

__all__ = ["ScalingPoint", "ScalingReport", "scaling"]

_LEVELS_MIN = 3
_REPEATS_MIN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPoint:
    """One number of workers.

    Attributes:
        workers: How many.
        throughput_per_s: What each repeat gave, in the order they were taken.
        efficiency: Throughput / (workers x that of one), with its interval.
    """

    workers: int
    throughput_per_s: tuple[float, ...]
    efficiency: Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingReport:
    """How throughput grows with workers.

    Attributes:
        points: In ascending order; the first is of one worker.
        fit: The law that describes them best.
        cpus: How many CPUs there are to share.
        notes: What a reader should know, a sentence each.
    """

    points: tuple[ScalingPoint, ...]
    fit: ScalingFit
    cpus: int
    notes: tuple[str, ...]

    @property
    def efficiency(self) -> Figure:
        """Scaling efficiency at the most workers that have a CPU each; of two at least."""
        fitting = [p for p in self.points[1:] if p.workers <= self.cpus]
        return (fitting or [self.points[1]])[-1].efficiency


def scaling(
    measure: Callable[[int], float],
    *,
    levels: Sequence[int] = (1, 2, 4, 8),
    repeats: int = 3,
    cpus: int,
    seed: int = 0,
) -> ScalingReport:
    """Measure throughput at several numbers of workers, in shuffled order, and fit a law.

    Args:
        measure: Gives the throughput of so many workers, good answers a second, above 0; of a load
            run its `throughput_per_s`.
        levels: Numbers of workers, 1 among them; at least 3, for the universal law 4.
        repeats: Of each, at least 2.
        cpus: How many there are to share.
        seed: Of the order.

    Raises:
        UsageError: If an argument is out of range, or nothing was done in a run.
    """
    wanted = sorted(set(levels))
    if len(wanted) < _LEVELS_MIN or wanted[0] != 1:
        raise UsageError(
            f"levels: got {list(levels)}, needed at least {_LEVELS_MIN} different numbers of "
            "workers, of which one is 1"
        )
    if repeats < _REPEATS_MIN or cpus < 1:
        raise UsageError(
            f"scaling: got {repeats} repeats on {cpus} CPUs, needed at least {_REPEATS_MIN} on 1"
        )
    taken: dict[int, list[float]] = {workers: [] for workers in wanted}
    rng = np.random.default_rng(seed)
    for _ in range(repeats):  # every round has all levels: drift of the machine meets all alike
        for workers in rng.permutation(wanted).tolist():
            taken[workers].append(_checked(measure(workers), workers))
    every = [(workers, value) for workers, values in taken.items() for value in values]
    return ScalingReport(
        points=tuple(
            ScalingPoint(
                workers=workers,
                throughput_per_s=tuple(values),
                efficiency=_efficiency(workers, values, taken[1]),
            )
            for workers, values in taken.items()
        ),
        fit=fit_scaling(*zip(*every, strict=True)),
        cpus=cpus,
        notes=_notes(wanted, cpus),
    )


def _checked(value: float, workers: int) -> float:
    if not 0.0 < value < math.inf:
        raise UsageError(
            f"scaling: got a throughput of {value} from {workers} workers, needed one above 0; "
            "see why nothing was done, or measure longer"
        )
    return value


def _efficiency(workers: int, values: Sequence[float], ones: Sequence[float]) -> Figure:
    """Welch's interval of the difference of mean logarithms."""
    many, one = np.log(values), np.log(ones)
    middle = float(many.mean() - one.mean()) - math.log(workers)
    reach = 0.0
    if workers > 1:
        parts = np.array([many.var(ddof=1) / many.size, one.var(ddof=1) / one.size])
        if parts.sum() > 0.0:
            df = float(parts.sum() ** 2 / (parts**2 / (many.size - 1)).sum())
            reach = -float(student_t_ppf((1.0 - CONFIDENCE) / 2.0, max(1.0, df)))
            reach *= math.sqrt(float(parts.sum()))
    return Figure(
        metric="scaling_efficiency",
        value=math.exp(middle),
        low=math.exp(middle - reach),
        high=math.exp(middle + reach),
    )


def _notes(levels: Sequence[int], cpus: int) -> tuple[str, ...]:
    beyond = [workers for workers in levels if workers > cpus]
    if not beyond:
        return ()
    there = "there is 1 CPU" if cpus == 1 else f"there are {cpus} CPUs"
    numbers = ", ".join(map(str, beyond))
    note = (
        f"{there}: of {numbers} workers not all can run at once, so where they compute, contention "
        "is the machine's and says nothing of the code"
    )
    return (note,)
