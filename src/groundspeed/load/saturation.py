"""The highest rate of arrivals at which a target keeps a service level.

Rates grow by doubling until one surely breaks the level, and then close in on the edge from both
sides: the highest that surely keeps it and the lowest that surely does not, each at 95 %. What lies
between is the interval. At the end both ends are tried again, a tenth further out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from groundspeed.errors import UsageError
from groundspeed.load._result import LoadResult
from groundspeed.load.figures import Figure
from groundspeed.load.service_levels import LevelReport, ServiceLevel, Standing, judge

__all__ = ["Hold", "Saturation", "Step", "saturation"]

_BELOW, _ABOVE = 0.9, 1.1
_GROWTH = 2.0


class Hold(StrEnum):
    """Whether the level was held at a rate."""

    KEPT = "kept"
    BROKEN = "broken"
    UNDECIDED = "undecided"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rate that was tried.

    Attributes:
        rate_per_s: Arrivals a second.
        hold: Whether the level was held.
        figure: The level's figure there; None where it could not be found.
        reason: Why it is undecided or invalid; empty otherwise.
    """

    rate_per_s: float
    hold: Hold
    figure: Figure | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """How much load the target takes.

    Attributes:
        level: What is to be held.
        low_per_s: The highest rate found to keep it; 0 where none was.
        high_per_s: The lowest rate found to break it; infinite where none was.
        steps: Every rate tried, in order; the last two are the checks, where there was an edge.
        checked_below: Whether 0.9 of the low end surely kept the level; None where untried.
        checked_above: Whether 1.1 of the high end surely broke it; None where untried.
        limit: Why the search ended without an edge; empty where it found one.
    """

    level: ServiceLevel
    low_per_s: float
    high_per_s: float
    steps: tuple[Step, ...]
    checked_below: bool | None = None
    checked_above: bool | None = None
    limit: str = ""

    @property
    def rate_per_s(self) -> float:
        """The highest rate that surely keeps the level: the lower end of the interval."""
        return self.low_per_s

    @property
    def confirmed(self) -> bool:
        """Whether both checks said what the search did."""
        return bool(self.checked_below) and bool(self.checked_above)


def saturation(
    measure: Callable[[float], LoadResult],
    level: ServiceLevel,
    *,
    first_per_s: float,
    most_per_s: float,
    precision: float = 0.05,
    steps_max: int = 30,
) -> Saturation:
    """Find the highest rate of open arrivals that keeps a level's target.

    Args:
        measure: Runs at so many arrivals a second, open, and waits until the target has come to
            rest again.
        level: What is to be held; only its target counts here.
        first_per_s: Where to begin, above 0; best a rate that is easily kept.
        most_per_s: No rate above it is tried.
        precision: The search ends when neighbouring rates are this close, as a share in (0, 1).
        steps_max: No more runs than these are made before the two checks; at least 2.

    Raises:
        UsageError: If an argument is out of range.
    """
    if not 0.0 < first_per_s <= most_per_s < math.inf:
        raise UsageError(
            f"saturation: got a first rate of {first_per_s:g}/s and {most_per_s:g}/s at most, "
            "needed a first above 0 and no higher than the most"
        )
    if not 0.0 < precision < 1.0 or steps_max < 2:  # noqa: PLR2004 - an edge takes two
        raise UsageError(
            f"saturation: got a precision of {precision:g} and {steps_max} steps, needed a share "
            "in (0, 1) and at least 2"
        )
    search = _Search(measure, replace(level, critical=level.target), steps_max)
    limit = _grow(search, first_per_s, most_per_s)
    if not limit:
        _narrow(search, 1.0 + precision)
    return _answer(search, level, limit)


class _Search:
    """Every rate is measured once and remembered."""

    def __init__(
        self, measure: Callable[[float], LoadResult], level: ServiceLevel, steps_max: int
    ) -> None:
        self._measure = measure
        self._level = level
        self._steps_max = steps_max
        self.steps: list[Step] = []

    @property
    def spent(self) -> bool:
        return len(self.steps) >= self._steps_max

    @property
    def kept(self) -> float:
        """The highest rate that surely keeps the level, below all that surely break it."""
        kept = [
            s.rate_per_s for s in self.steps if s.hold is Hold.KEPT and s.rate_per_s < self.broken
        ]
        return max(kept, default=0.0)

    @property
    def broken(self) -> float:
        """The lowest rate that surely breaks it."""
        return min((s.rate_per_s for s in self.steps if s.hold is Hold.BROKEN), default=math.inf)

    @property
    def doubtful(self) -> list[float]:
        """Rates between the two, at which it is undecided, ascending."""
        return sorted(
            s.rate_per_s
            for s in self.steps
            if s.hold is Hold.UNDECIDED and self.kept < s.rate_per_s < self.broken
        )

    def attempt(self, rate_per_s: float) -> Step:
        result = self._measure(rate_per_s)
        step = _step(rate_per_s, result, judge(result, [self._level]).reports[0])
        self.steps.append(step)
        return step


def _step(rate_per_s: float, result: LoadResult, report: LevelReport) -> Step:
    if not result.valid:
        hold, reason = Hold.INVALID, result.invalid[0]
    else:
        hold = {Standing.MET: Hold.KEPT, Standing.UNDECIDED: Hold.UNDECIDED}.get(
            report.standing, Hold.BROKEN
        )
        reason = report.reason
    return Step(rate_per_s=rate_per_s, hold=hold, figure=report.figure, reason=reason)


def _grow(search: _Search, first_per_s: float, most_per_s: float) -> str:
    """Double until the level is surely broken; says what ended the growth before that."""
    rate = first_per_s
    while not search.spent:
        step = search.attempt(rate)
        if step.hold is Hold.BROKEN:
            return "" if search.kept else _shrink(search, first_per_s)
        if step.hold is Hold.INVALID:
            return f"at {rate:g}/s the run was invalid: {step.reason}"
        if rate >= most_per_s:
            return f"the level was not surely broken at {most_per_s:g}/s, the most that is allowed"
        rate = min(rate * _GROWTH, most_per_s)
    return f"no edge within {len(search.steps)} runs"


def _shrink(search: _Search, first_per_s: float) -> str:
    """Halve until the level is surely kept."""
    rate = first_per_s / _GROWTH
    while not search.spent:
        step = search.attempt(rate)
        if step.hold is Hold.KEPT:
            return ""
        if step.hold is Hold.INVALID:
            return f"at {rate:g}/s the run was invalid: {step.reason}"
        rate /= _GROWTH
    return f"the level was not surely kept at any rate down to {search.steps[-1].rate_per_s:g}/s"


def _narrow(search: _Search, closeness: float) -> None:
    """Halve the wider gap beside what is in doubt, or all of it where nothing is."""
    while not search.spent:
        edges = [search.kept, *search.doubtful, search.broken]
        gaps = [(edges[1] / edges[0], edges[0], edges[1]), (edges[-1] / edges[-2], *edges[-2:])]
        ratio, below, above = max(gaps)
        if ratio <= closeness or search.attempt(math.sqrt(below * above)).hold is Hold.INVALID:
            return


def _answer(search: _Search, level: ServiceLevel, limit: str) -> Saturation:
    kept, broken = search.kept, search.broken
    checks: tuple[bool | None, bool | None] = (None, None)
    if not limit:
        below, above = search.attempt(_BELOW * kept), search.attempt(_ABOVE * broken)
        checks = (below.hold is Hold.KEPT, above.hold is Hold.BROKEN)
    return Saturation(
        level=level,
        low_per_s=kept,
        high_per_s=broken,
        steps=tuple(search.steps),
        checked_below=checks[0],
        checked_above=checks[1],
        limit=limit,
    )
