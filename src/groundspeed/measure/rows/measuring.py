"""A row's two processes from fork to end; what happens between depends on the row's method."""

import random
from collections.abc import Mapping, Sequence

from groundspeed.measure.lockstep import SIDES, LaunchPair, RowFailedError, RowProcess
from groundspeed.measure.rows import scenario, timed, valued
from groundspeed.measure.rows.model import Calibration, Measured, RowContext, Trial
from groundspeed.model import Failure, Side

__all__ = ["calibrate", "measure"]

_KINDS = {"timed": timed, "scenario": scenario}


def calibrate(pair: LaunchPair, context: RowContext, *, cpus: Sequence[int]) -> Trial:
    """Try the row on both sides in processes that are thrown away afterwards.

    Base finds the loop count; the candidate runs one sample of it, so that a row that cannot run is
    known before any launch pair counts on it.
    """
    try:
        with pair.row(
            context.sides,
            timeout_s=context.timeout_s,
            caches=context.caches,
            method=context.method,
            cpus=cpus,
        ) as processes:
            return _try_sides(processes, context)
    except RowFailedError as error:  # a twin that is gone, so that not even a process could start
        return Trial(calibration=None, skipped=frozenset(), failures=(error.failure,))


def _try_sides(processes: Mapping[Side, RowProcess], context: RowContext) -> Trial:
    kind = _KINDS.get(context.method, valued)
    skipped: set[Side] = set()
    failures: list[Failure] = []
    calibration: Calibration | None = None
    for side in SIDES:
        try:
            if processes[side].answer("setup")["skipped"]:
                skipped.add(side)
            elif side == "base":
                calibration = kind.calibrate_side(processes[side], context)
            elif calibration is None:
                kind.calibrate_side(processes[side], context)
            else:
                kind.try_side(processes[side], calibration)
        except RowFailedError as error:
            failures.append(error.failure)
    return Trial(calibration=calibration, skipped=frozenset(skipped), failures=tuple(failures))


def measure(  # noqa: PLR0913 - a row in its place, each part by name
    pair: LaunchPair,
    context: RowContext,
    calibration: Calibration,
    *,
    number: int,
    first: Side,
    closer: bool,
    cpus: Sequence[int],
    chance: random.Random,
) -> Measured:
    """Measure the row once in this launch pair.

    Args:
        pair: The twins, imported.
        context: The row.
        calibration: What was found on base.
        number: Of this launch pair.
        first: The side that is forked, set up and warmed first. The second finds a warmer machine,
            so the caller lets them alternate from pair to pair.
        closer: Take the samples of a row that was not clear at the first look.
        cpus: Where; empty for anywhere.
        chance: Draws the order of turns.

    Raises:
        RowFailedError: If either side fails; nothing of the pair is kept.
    """
    sides = {side: context.sides[side] for side in sorted(SIDES, key=first.__ne__)}
    with pair.row(
        sides,
        timeout_s=context.timeout_s,
        caches=context.caches,
        method=context.method,
        cpus=cpus,
    ) as processes:
        for process in processes.values():
            process.answer("setup")
        taken: Measured
        match context.method:
            case "scenario":  # its run ends with the answer that tells what it recorded
                return scenario.take(processes, calibration, number=number)
            case "timed":
                pair_taken = timed.take(
                    processes, calibration, number=number, closer=closer, chance=chance
                )
                taken = {"": pair_taken}
            case _:
                taken = {"": valued.take(processes, number=number)}
        for process in processes.values():
            process.request(op="quit")
        for process in processes.values():
            process.answer("teardown")
    return taken
