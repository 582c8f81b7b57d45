"""One row counted on both sides, and on base often enough to see how much a count varies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundspeed.measure.instructions.valgrind import read_dump
from groundspeed.measure.lockstep import (
    SIDES,
    LaunchPair,
    RowFailedError,
    RowProcess,
)
from groundspeed.measure.rows import Calibration, RowContext
from groundspeed.model import Failure, Side

__all__ = ["Counts", "count"]

# Instrumented code takes about fifty times as long, and translating it comes on top.
_SLOWED_DOWN = 100.0
# Samples this long natively are made once before they are counted, shorter ones twice.
_LONG_SAMPLE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Instructions per call.

    Attributes:
        base: Of base, a process of its own each; at least one.
        candidate: Of the candidate, once.
    """

    base: tuple[float, ...]
    candidate: tuple[float, ...]


def count(
    pair: LaunchPair,
    context: RowContext,
    calibration: Calibration,
    *,
    repeats: int,
    dumps: Path,
    cpus: Sequence[int],
) -> Counts:
    """Count the row in a launch pair that runs under valgrind; the candidate once.

    Args:
        pair: The twins, imported.
        context: The row.
        calibration: What was found on base without valgrind.
        repeats: How often base is counted, at least 1; each time in a new process.
        dumps: Where valgrind writes, see `counting_launcher`.
        cpus: Where to run; empty for anywhere.

    Raises:
        RowFailedError: If a side fails.
    """
    taken: dict[Side, list[float]] = {side: [] for side in SIDES}
    for number in range(repeats):
        sides = SIDES if number == 0 else SIDES[:1]
        with pair.row(
            {side: context.sides[side] for side in sides},
            timeout_s=_SLOWED_DOWN * context.timeout_s,
            caches=context.caches,
            method="timed",
            cpus=cpus,
        ) as processes:
            counted = _count_sides(processes, calibration, dumps)
            for side, instructions in counted.items():
                taken[side].append(instructions)
    return Counts(base=tuple(taken["base"]), candidate=tuple(taken["candidate"]))


def _count_sides(
    processes: Mapping[Side, RowProcess], calibration: Calibration, dumps: Path
) -> dict[Side, float]:
    for process in processes.values():
        process.answer("setup")
    counted = {
        side: _per_call(side, process, calibration, dumps) for side, process in processes.items()
    }
    for process in processes.values():
        process.quit()
    return counted


def _per_call(side: Side, process: RowProcess, calibration: Calibration, dumps: Path) -> float:
    process.ask("setup", op="impose", renew=calibration.renew, threads=None)
    warm_up = 1 if calibration.sample_s >= _LONG_SAMPLE_S else 2
    loops = calibration.loops
    written = process.ask("sampling", op="count", loops=loops, warm_up=warm_up)
    try:
        sample, empty = (
            read_dump(dumps / f"{process.pid}.{written[name]}") for name in ("sample", "empty")
        )
    except (OSError, ValueError) as error:
        message = f"valgrind wrote no count of it ({error}); compare its time instead"
        raise RowFailedError(
            Failure(side=side, stage="sampling", kind="valgrind", message=message)
        ) from error
    finally:
        for file in dumps.glob(f"{process.pid}.*"):
            file.unlink(missing_ok=True)
    return max(sample - empty, 0) / loops
