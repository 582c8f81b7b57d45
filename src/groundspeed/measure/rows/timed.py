"""A row that is a time: calibrate on base, impose on both, take turns, summarise.

The mean of the faster half of a side's samples is one observation; samples of one launch are not
independent, so they are never pooled over launches (docs/explanation/how-it-measures.md).
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groundspeed.measure.lockstep import SIDES, RowProcess
from groundspeed.measure.rows.model import Calibration, Quantity, RowContext
from groundspeed.measure.rows.plan import (
    SAMPLE_TARGET_S,
    SamplePlan,
    closer_plan,
    plan_samples,
)
from groundspeed.model import Metric, PairSummary, Side
from groundspeed.stats import FloatArray, faster_half_mean, slower_half_mean

__all__ = ["calibrate_side", "take", "try_side", "turns"]

_WALL, _CPU, _DELAY = range(3)


def calibrate_side(process: RowProcess, context: RowContext) -> Calibration:
    """Find out on one side how many calls make a sample and what a sample is.

    Raises:
        RowFailedError: If the benchmark fails.
    """
    target_ns = round(SAMPLE_TARGET_S * 1e9)
    answer = process.ask("calibration", op="calibrate", target_ns=target_ns)
    cost_ns = answer["sample_ns"] + (answer["setup_ns"] if answer["renew"] else 0)
    metric = _metric(answer, context.wanted)
    plan = plan_samples(cost_ns / 1e9, most=answer["most_samples"])
    return Calibration(
        quantities={"": Quantity(metric=metric)},
        loops=answer["loops"],
        renew=answer["renew"],
        threads=answer["threads"],
        plan=plan,
        closer_plan=closer_plan(plan, most=answer["most_samples"]),
        sample_s=answer["sample_ns"] / 1e9,
        clocks_s=answer["clocks_cpu_ns" if metric == "cpu" else "clocks_ns"] / 1e9,
    )


def try_side(process: RowProcess, calibration: Calibration) -> None:
    """Take one sample on the other side, to know that it can.

    Raises:
        RowFailedError: If it cannot.
    """
    _impose(process, calibration, "calibration")
    process.ask("sampling", op="sample", loops=calibration.loops, count=1)


def _impose(process: RowProcess, calibration: Calibration, stage: str) -> None:
    process.ask(stage, op="impose", renew=calibration.renew, threads=calibration.threads)


def _metric(answer: Mapping[str, Any], wanted: Metric | None) -> Metric:
    """The benchmark's own clock, else what was asked for, else clean time where it can be read."""
    if answer["own_timer"]:
        return "timer"
    if wanted is not None:
        return wanted
    return "clean" if answer["schedstat"] else "cpu"


def take(
    processes: Mapping[Side, RowProcess],
    calibration: Calibration,
    *,
    number: int,
    closer: bool,
    chance: random.Random,
) -> PairSummary:
    """Warm both sides up and let them take turns.

    Args:
        processes: Both sides, set up; the first of them is warmed first.
        calibration: What was found on base.
        number: Of this launch pair.
        closer: Take the samples of a row that was not clear at the first look.
        chance: Draws the order of turns.

    Raises:
        RowFailedError: If either side fails; nothing of the pair is kept.
    """
    plan, loops = calibration.plan_for(closer=closer), calibration.loops
    assert plan is not None  # noqa: S101 - a timed row was calibrated with one
    for process in processes.values():
        _impose(process, calibration, "setup")
    if plan.warm_up:
        for process in processes.values():
            process.ask("sampling", op="sample", loops=loops, count=plan.warm_up)
    taken: dict[Side, list[Sequence[int]]] = {side: [] for side in SIDES}
    for turn in turns(plan, chance):
        answer = processes[turn].ask("sampling", op="sample", loops=loops, count=plan.per_block)
        taken[turn] += answer["samples"]
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
    metric = calibration.quantities[""].metric
    times = [_by_metric(side, metric) for side in (base, candidate)]
    return PairSummary(
        pair=number,
        base_s=faster_half_mean(times[0]),
        candidate_s=faster_half_mean(times[1]),
        base_wall_s=faster_half_mean(base[:, _WALL]),
        candidate_wall_s=faster_half_mean(candidate[:, _WALL]),
        base_cpu_s=faster_half_mean(base[:, _CPU]),
        candidate_cpu_s=faster_half_mean(candidate[:, _CPU]),
        samples=len(base),
        drift=_drift(times),
        base_slower_half_s=slower_half_mean(times[0]),
        candidate_slower_half_s=slower_half_mean(times[1]),
    )


def _drift(times: Sequence[FloatArray]) -> float | None:
    """How much longer the last quarter of the samples takes than the first, over all sides."""
    samples = min(map(len, times))
    if samples == 1:
        return None
    quarter = max(1, samples // 4)
    growths = [np.log(np.median(side[-quarter:]) / np.median(side[:quarter])) for side in times]
    return float(np.exp(np.mean(growths)))


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
