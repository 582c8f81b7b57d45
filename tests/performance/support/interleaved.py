"""Things measured in turn, so that whatever moves the machine meets all of them alike."""

from collections.abc import Callable, Collection, Mapping
from time import perf_counter
from typing import TypeAlias, TypeVar

import numpy as np

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import Figure
from groundspeed.load.scaling import ScalingReport
from groundspeed.plugins.measured import Measured
from groundspeed.stats import FloatArray, OrderedSamples

__all__ = ["Times", "in_turn", "keep_median", "keep_ratio", "keep_scaling", "once", "unevenness"]

T = TypeVar("T")
Times: TypeAlias = Mapping[str, FloatArray] | None

_OFF = "timing is turned off; run without --benchmark-disable"


def in_turn(
    measured: Measured, functions: Mapping[str, Callable[[], object]], *, rounds: int
) -> Times:
    """Time functions round by round; the last one is what pytest-benchmark shows.

    Args:
        measured: The test's.
        functions: By name; the others come before the last in an order that is drawn each time.
        rounds: Of each, >= 6 for the intervals of medians; one more comes before, to warm up.

    Returns:
        Seconds of each call by name, shape (rounds,); None where timing is turned off.
    """
    *others, last = functions
    taken: dict[str, list[float]] = {name: [] for name in others}
    chance = np.random.default_rng(1)

    def before() -> None:
        for name in chance.permutation(others).tolist():
            began_s = perf_counter()
            functions[name]()
            taken[name].append(perf_counter() - began_s)

    times = measured.times(functions[last], rounds=rounds, warm_up=1, before=before)
    if times is None:
        return None
    return {name: np.asarray(values[1:]) for name, values in taken.items()} | {last: times}


def once(measured: Measured, function: Callable[[], T]) -> T:
    """Call a function as the only round of pytest-benchmark, and give what it returns."""
    made: list[T] = []
    measured.times(lambda: made.append(function()), rounds=1)
    return made[0]


def keep_ratio(
    measured: Measured, metric: str, times: Times, *, of: str, to: str, scale: float = 1.0
) -> None:
    """Keep the median over the rounds of one thing's time to another's, with its interval.

    Args:
        measured: The test's.
        metric: What it is called.
        times: By name.
        of: Whose time is above the line.
        to: Whose is below.
        scale: What the ratio is multiplied by, where the two do not do the same number of things.
    """
    keep_median(measured, metric, None if times is None else scale * times[of] / times[to])


def keep_median(measured: Measured, metric: str, values: FloatArray | None) -> None:
    """Keep the median of what the rounds gave, with its interval.

    Args:
        measured: The test's.
        metric: What it is called.
        values: Shape (rounds,); None where timing is turned off.
    """
    if values is None:
        measured.missing(metric, _OFF)
        return
    try:
        found = OrderedSamples(values).estimate(0.5)
    except TooFewSamplesError as error:
        measured.missing(metric, str(error))
        return
    measured.keep(Figure(metric=metric, value=found.value, low=found.low, high=found.high))


def keep_scaling(measured: Measured, report: ScalingReport) -> None:
    """Keep how throughput grows with workers, and their efficiency as far as each has a CPU."""
    points = [(p.workers, value) for p in report.points for value in p.throughput_per_s]
    workers, throughput = zip(*points, strict=True)
    measured.series("throughput over workers", x=("workers", workers), y=("per s", throughput))
    for point in report.points:
        middle = float(np.median(point.throughput_per_s))
        measured.count(f"{point.workers}_workers.throughput_per_s", middle, unit="per s")
    if report.cpus > 1:
        measured.keep(report.efficiency)
    else:
        measured.missing("scaling_efficiency", "there is 1 CPU, and two workers need two")


def unevenness(counts: Collection[int]) -> float:
    """How far the count that is furthest off is from the mean, relative to it: 0 where all agree.

    Args:
        counts: One for each of those among which something was shared out; not all 0.
    """
    mean = sum(counts) / len(counts)
    return max(abs(count - mean) for count in counts) / mean
