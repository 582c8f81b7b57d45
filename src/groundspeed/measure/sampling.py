"""One row of one launch pair: calibrate on base, impose on both, take turns, summarise.

The interquartile mean of a side's samples is one observation; samples of one launch are not
independent, so they are never pooled over launches (docs/explanation/how-it-measures.md).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from groundspeed.measure.lockstep import SIDES, LaunchPair, RowFailedError, RowProcess, SuiteRow
from groundspeed.measure.plan import SAMPLE_TARGET_S, SamplePlan, plan_samples
from groundspeed.model import Failure, Metric, PairSummary, Side
from groundspeed.stats import FloatArray, interquartile_mean

__all__ = ["Calibration", "RowContext", "Trial", "calibrate", "measure"]

_WALL, _CPU, _DELAY = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is decided once, on base, and imposed on both sides of every launch pair.

    Attributes:
        loops: Calls per sample.
        renew: Whether setup runs again before each sample (a call uses up what setup made).
        metric: What a sample is.
        plan: How many samples.
    """

    loops: int
    renew: bool
    metric: Metric
    plan: SamplePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """What a row needs to run: its two descriptions, time limit and setup_cache folders."""

    sides: Mapping[Side, SuiteRow]
    timeout_s: float
    caches: Mapping[Side, Path | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How calibrating a row went.

    Attributes:
        calibration: None if base could not be calibrated.
        skipped: Sides whose setup raised NotImplementedError or whose parameters are skipped.
        failures: Sides that failed.
    """

    calibration: Calibration | None
    skipped: frozenset[Side]
    failures: tuple[Failure, ...]


def calibrate(pair: LaunchPair, context: RowContext) -> Trial:
    """Try the row on both sides in processes that are thrown away afterwards.

    Base finds the loop count; the candidate runs one sample of it, so that a row that cannot run is
    known before any launch pair counts on it.
    """
    try:
        with pair.row(
            context.sides, timeout_s=context.timeout_s, caches=context.caches
        ) as processes:
            return _try_sides(processes)
    except RowFailedError as error:  # a twin that is gone, so that not even a process could start
        return Trial(calibration=None, skipped=frozenset(), failures=(error.failure,))


def _try_sides(processes: Mapping[Side, RowProcess]) -> Trial:
    skipped: set[Side] = set()
    failures: list[Failure] = []
    calibration: Calibration | None = None
    for side in SIDES:
        try:
            if processes[side].answer("setup")["skipped"]:
                skipped.add(side)
            elif side == "base" or calibration is None:
                answer = _calibrate_side(processes[side])
                calibration = _calibration(answer) if side == "base" else None
            else:
                processes[side].ask("calibration", op="impose", renew=calibration.renew)
                processes[side].ask("sampling", op="sample", loops=calibration.loops, count=1)
        except RowFailedError as error:
            failures.append(error.failure)
    return Trial(calibration=calibration, skipped=frozenset(skipped), failures=tuple(failures))


def _calibrate_side(process: RowProcess) -> dict[str, Any]:
    target_ns = round(SAMPLE_TARGET_S * 1e9)
    return process.ask("calibration", op="calibrate", target_ns=target_ns)


def _calibration(answer: dict[str, Any]) -> Calibration:
    cost_ns = answer["sample_ns"] + (answer["setup_ns"] if answer["renew"] else 0)
    return Calibration(
        loops=answer["loops"],
        renew=answer["renew"],
        metric=_metric(answer),
        plan=plan_samples(cost_ns / 1e9),
    )


def _metric(answer: Mapping[str, Any]) -> Metric:
    """Clean time where it is right; CPU time for several threads, whose delays overlap."""
    if answer["own_timer"]:
        return "timer"
    if answer["threaded"] or not answer["schedstat"]:
        return "cpu"
    return "clean"


def measure(
    pair: LaunchPair,
    context: RowContext,
    calibration: Calibration,
    *,
    number: int,
    first: Side,
    chance: random.Random,
) -> PairSummary:
    """Measure the row once in this launch pair.

    Args:
        pair: The twins, imported.
        context: The row.
        calibration: What was found on base.
        number: Of this launch pair.
        first: The side that is forked, set up and warmed first. The second finds a warmer machine,
            so the caller lets them alternate from pair to pair.
        chance: Draws the order of turns.

    Raises:
        RowFailedError: If either side fails; nothing of the pair is kept.
    """
    plan, loops = calibration.plan, calibration.loops
    sides = {side: context.sides[side] for side in sorted(SIDES, key=first.__ne__)}
    with pair.row(sides, timeout_s=context.timeout_s, caches=context.caches) as processes:
        for process in processes.values():
            process.answer("setup")
        for process in processes.values():
            process.ask("setup", op="impose", renew=calibration.renew)
        if plan.warm_up:
            for process in processes.values():
                process.ask("sampling", op="sample", loops=loops, count=plan.warm_up)
        taken: dict[Side, list[Sequence[int]]] = {side: [] for side in SIDES}
        for turn in turns(plan, chance):
            answer = processes[turn].ask("sampling", op="sample", loops=loops, count=plan.per_block)
            taken[turn] += answer["samples"]
        for process in processes.values():
            process.request(op="quit")
        for process in processes.values():
            process.answer("teardown")
    return _summarise(taken, calibration, number)


def turns(plan: SamplePlan, chance: random.Random) -> list[Side]:
    """The order of base and candidate: each comes first in half of the blocks, drawn which."""
    firsts = [block % 2 for block in range(plan.blocks)]
    if plan.blocks % 2:
        firsts[-1] = chance.randrange(2)
    chance.shuffle(firsts)
    return [side for first in firsts for side in (SIDES[::-1] if first else SIDES)]


def _summarise(
    taken: Mapping[Side, Sequence[Sequence[int]]], calibration: Calibration, number: int
) -> PairSummary:
    seconds: dict[Side, FloatArray] = {
        side: np.asarray(samples, dtype=np.float64) / (1e9 * calibration.loops)
        for side, samples in taken.items()
    }
    base, candidate = seconds["base"], seconds["candidate"]
    return PairSummary(
        pair=number,
        base_s=interquartile_mean(_by_metric(base, calibration.metric)),
        candidate_s=interquartile_mean(_by_metric(candidate, calibration.metric)),
        base_wall_s=interquartile_mean(base[:, _WALL]),
        candidate_wall_s=interquartile_mean(candidate[:, _WALL]),
        base_cpu_s=interquartile_mean(base[:, _CPU]),
        candidate_cpu_s=interquartile_mean(candidate[:, _CPU]),
        samples=len(base),
    )


def _by_metric(samples: FloatArray, metric: Metric) -> FloatArray:
    match metric:
        case "clean":
            # A clock step could make it negative or zero; a time never is.
            clean: FloatArray = np.maximum(samples[:, _WALL] - samples[:, _DELAY], 1e-12)
            return clean
        case "cpu":
            cpu: FloatArray = np.maximum(samples[:, _CPU], 1e-12)
            return cpu
        case _:
            return np.maximum(samples[:, _WALL], 1e-12)
