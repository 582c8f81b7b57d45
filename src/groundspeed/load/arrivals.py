"""When requests are to start: pure schedules, the same for the same seed.

The level is linear within each stage, so the expected number of arrivals until a time is a
quadratic, and its inverse turns evenly spaced numbers into a constant schedule and the sums of
exponential ones into a Poisson process of that very rate (Cinlar's inversion). The whole schedule
is drawn from one seed and dealt out, every n-th arrival to a process, so that it is the same for
any number of processes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from groundspeed.errors import UsageError
from groundspeed.load.models import (
    USERS_MAX,
    Closed,
    Model,
    Ramp,
    Stage,
    level_of,
)
from groundspeed.stats import FloatArray, IntArray

__all__ = ["Leg", "arrival_times", "legs_of", "user_windows"]

_NS = 1_000_000_000
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A part of a run in which the level moves evenly from `level_start` to `level_end`."""

    name: str
    start_s: float
    end_s: float
    level_start: float
    level_end: float

    @property
    def arrivals(self) -> float:
        """How many are expected in it, its level being a rate."""
        return (self.level_start + self.level_end) / 2.0 * (self.end_s - self.start_s)


def legs_of(model: Model, stages: Sequence[Stage]) -> tuple[Leg, ...]:
    """The stages on the run's own time line, with the model's level where they have none.

    Raises:
        UsageError: If there is no stage, no load at all, or more users than can be.
    """
    if not stages:
        raise UsageError("stages: got none, needed at least one, such as Steady(duration=10)")
    legs: list[Leg] = []
    start_s, own = 0.0, level_of(model)
    for stage in stages:
        match stage:
            case Ramp():
                levels = (stage.start, stage.end)
                name = f"ramp {stage.start:g} to {stage.end:g}"
            case _:
                level = own if stage.level is None else stage.level
                levels = (level, level)
                name = f"{type(stage).__name__.lower()} {level:g}"
        end_s = start_s + stage.duration
        legs.append(
            Leg(
                name=name,
                start_s=start_s,
                end_s=end_s,
                level_start=levels[0],
                level_end=levels[1],
            )
        )
        start_s = end_s
    _check_levels(model, legs)
    return tuple(legs)


def _check_levels(model: Model, legs: Sequence[Leg]) -> None:
    most = max(max(leg.level_start, leg.level_end) for leg in legs)
    if most <= 0.0:
        raise UsageError("stages: got a level of 0 throughout, needed one above 0 somewhere")
    if isinstance(model, Closed) and most > USERS_MAX:
        raise UsageError(f"stages: got {most:g} users, needed at most {USERS_MAX:,}")


def arrival_times(
    legs: Sequence[Leg],
    *,
    arrivals: Literal["poisson", "constant"],
    seed: int,
    part: int = 0,
    parts: int = 1,
) -> Iterator[IntArray]:
    """Give the intended starts in nanoseconds of the run, ascending, in chunks of shape (k,).

    Args:
        legs: From `legs_of`; their levels are rates.
        arrivals: Evenly spaced in the expected count, or a Poisson process.
        seed: Of the Poisson process.
        part: Which share of the schedule, from 0.
        parts: How many shares; together they are the whole schedule, and no two overlap.
    """
    ends = np.cumsum([leg.arrivals for leg in legs])
    rng = np.random.default_rng(seed)
    reached, drawn = 0.0, 0
    while reached < ends[-1]:
        if arrivals == "constant":
            counts = np.arange(drawn, drawn + _CHUNK, dtype=np.float64)
        else:
            counts = reached + np.cumsum(rng.standard_exponential(_CHUNK))
        reached = float(counts[-1]) + (arrivals == "constant")
        mine = counts[(part - drawn) % parts :: parts]
        drawn += _CHUNK
        yield _times(legs, ends, mine[mine < ends[-1]])


def _times(legs: Sequence[Leg], ends: FloatArray, counts: FloatArray) -> IntArray:
    """When the expected number of arrivals reaches each count, in nanoseconds."""
    which = np.searchsorted(ends, counts, side="right")
    begins = np.concatenate(([0.0], ends[:-1]))[which]
    starts = np.array([leg.start_s for leg in legs])[which]
    levels = np.array([leg.level_start for leg in legs])[which]
    slopes = np.array(
        [(leg.level_end - leg.level_start) / (leg.end_s - leg.start_s) for leg in legs]
    )[which]
    above = counts - begins
    # The root of slope/2 t^2 + level t = above in the form that a slope of 0 does not upset.
    roots = levels + np.sqrt(np.maximum(levels**2 + 2.0 * slopes * above, 0.0))
    inside = np.divide(2.0 * above, roots, out=np.zeros_like(above), where=roots > 0.0)
    return np.asarray(np.rint((starts + inside) * _NS), dtype=np.int64)


def user_windows(legs: Sequence[Leg], user: int) -> tuple[tuple[int, int], ...]:
    """When the user of that number, from 0, is there: [start, end) in nanoseconds of the run.

    User u is there while the level is above u; a ramp from 0 to 10 lets them in one by one.
    """
    windows: list[tuple[int, int]] = []
    for leg in legs:
        window = _window(leg, user)
        if window is None:
            continue
        if windows and windows[-1][1] == window[0]:
            windows[-1] = (windows[-1][0], window[1])
        else:
            windows.append(window)
    return tuple(windows)


def _window(leg: Leg, user: int) -> tuple[int, int] | None:
    start_s, end_s = leg.start_s, leg.end_s
    lowest, highest = sorted((leg.level_start, leg.level_end))
    if highest <= user:
        return None
    if lowest < user or lowest == user != leg.level_start:
        crossing = (user - leg.level_start) / (leg.level_end - leg.level_start)
        crossing_s = start_s + crossing * (end_s - start_s)
        start_s, end_s = (
            (crossing_s, end_s) if leg.level_end > leg.level_start else (start_s, crossing_s)
        )
    window = (math.floor(start_s * _NS), math.floor(end_s * _NS))
    return window if window[0] < window[1] else None
