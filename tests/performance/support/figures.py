"""Figures that several tests make in the same way, each with its interval."""

import math
import time
from collections.abc import Callable

import numpy as np

from groundspeed.load import Figure
from groundspeed.stats import FloatArray, OrderedSamples, student_t_ppf
from groundspeed.stats.quantile import CONFIDENCE

__all__ = ["alternately", "mean_figure", "quotient", "ratio_figure", "timed"]


def timed(function: Callable[[], object], *, rounds: int) -> FloatArray:
    """Seconds of each of so many calls, shape (rounds,)."""
    return np.array([_seconds(function) for _ in range(rounds)])


def alternately(
    first: Callable[[], object], second: Callable[[], object], *, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """Seconds of two functions that take turns, so that what else the machine does meets both.

    Args:
        first: Called first in every second round.
        second: The other.
        rounds: How many calls of each, >= 1.

    Returns:
        Those of each, both of shape (rounds,).
    """
    firsts, seconds = np.empty(rounds), np.empty(rounds)
    for turn in range(rounds):
        if turn % 2 == 0:
            firsts[turn], seconds[turn] = _seconds(first), _seconds(second)
        else:
            seconds[turn], firsts[turn] = _seconds(second), _seconds(first)
    return firsts, seconds


def ratio_figure(metric: str, over_s: FloatArray, under_s: FloatArray) -> Figure:
    """Median of the quotients of pairs, with the interval of its ranks.

    Args:
        metric: Its name.
        over_s: Shape (n,), n >= 6.
        under_s: Shape (n,), taken in turns with these, above 0.
    """
    found = OrderedSamples(over_s / under_s).estimate(0.5)
    return Figure(metric=metric, value=found.value, low=found.low, high=found.high)


def quotient(metric: str, over: Figure, under: Figure) -> Figure:
    """Quotient of two figures; its interval holds those of all pairs of values of theirs."""
    return Figure(
        metric=metric,
        value=over.value / under.value,
        low=over.low / under.high,
        high=over.high / under.low,
    )


def mean_figure(metric: str, samples: FloatArray) -> Figure:
    """Mean of independent samples, shape (n,), n >= 2, by Student's t."""
    error = float(samples.std(ddof=1)) / math.sqrt(samples.size)
    reach = -float(student_t_ppf((1.0 - CONFIDENCE) / 2.0, samples.size - 1.0)) * error
    mean = float(samples.mean())
    return Figure(metric=metric, value=mean, low=mean - reach, high=mean + reach)


def _seconds(function: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    function()
    return time.perf_counter() - began_s
