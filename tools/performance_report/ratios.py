"""Ratios of two figures with their intervals: of single runs, and of several a side."""

import math
from collections.abc import Sequence

import numpy as np
from tools.performance_report.stored import Figure

from groundspeed.stats import student_t_ppf

__all__ = ["Ratio", "between_runs", "figure_of_ratio", "mean_of", "ratio_of"]

Ratio = tuple[float, float, float]
"""Lower end, estimate, upper end."""

_TAIL = 0.025


def ratio_of(base: Figure, other: Figure) -> Ratio | None:
    """Other / base, each as far off on its own side as its interval says.

    None where a value is not above 0, or one was read and so has no interval.

    References:
        Zou & Donner (2008), Construction of confidence limits about effect measures: a general
        approach, Statistics in Medicine 27.
    """
    logs = [_logs(figure) for figure in (base, other)]
    if logs[0] is None or logs[1] is None:
        return None
    (low, value, high), (other_low, other_value, other_high) = logs[0], logs[1]
    middle = other_value - value
    below = math.hypot(other_value - other_low, high - value)
    above = math.hypot(other_high - other_value, value - low)
    return math.exp(middle - below), math.exp(middle), math.exp(middle + above)


def _logs(figure: Figure) -> Ratio | None:
    ends = (figure.low, figure.value, figure.high)
    numbers = [end for end in ends if end is not None and math.isfinite(end) and end > 0.0]
    if len(numbers) < len(ends) or figure.low == figure.high:
        return None
    low, value, high = map(math.log, numbers)
    return low, value, high


def figure_of_ratio(ratio: Ratio) -> Figure:
    """A ratio as it is shown."""
    return Figure(value=ratio[1], low=ratio[0], high=ratio[2], unit="ratio")


def mean_of(values: Sequence[float], unit: str) -> Figure:
    """The geometric mean, with Student's 95 % interval where there are several values above 0."""
    if min(values) <= 0.0:
        return Figure(value=float(np.mean(values)), unit=unit)
    logs = np.log(np.asarray(values, dtype=np.float64))
    middle = float(logs.mean())
    if logs.size < 2:  # noqa: PLR2004 - a variance
        return Figure(value=math.exp(middle), unit=unit)
    t = -float(student_t_ppf(_TAIL, logs.size - 1.0))
    reach = t * float(logs.std(ddof=1)) / math.sqrt(logs.size)
    low, high = math.exp(middle - reach), math.exp(middle + reach)
    return Figure(value=math.exp(middle), low=low, high=high, unit=unit)


def between_runs(base: Sequence[float], other: Sequence[float]) -> Ratio | None:
    """Other / base from several runs a side: what differs from run to run is in the interval.

    None with fewer than two runs on a side, or a value that is not above 0.

    References:
        Welch (1947), The generalization of Student's problem when several different population
        variances are involved, Biometrika 34.
    """
    if min(len(base), len(other)) < 2 or min(*base, *other) <= 0.0:  # noqa: PLR2004 - a variance
        return None
    sides = [np.log(np.asarray(side, dtype=np.float64)) for side in (base, other)]
    middle = float(sides[1].mean() - sides[0].mean())
    parts = [float(side.var(ddof=1)) / side.size for side in sides]
    variance = sum(parts)
    if variance == 0.0:
        return math.exp(middle), math.exp(middle), math.exp(middle)
    df = variance**2 / sum(p**2 / (side.size - 1) for p, side in zip(parts, sides, strict=True))
    reach = -float(student_t_ppf(_TAIL, df)) * math.sqrt(variance)
    return math.exp(middle - reach), math.exp(middle), math.exp(middle + reach)
