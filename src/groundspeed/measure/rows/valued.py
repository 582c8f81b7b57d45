"""A row that is a value: one process a side, asked once.

Peak memory, the size of a result, a tracked value or the allocations of one call are the same
however often they are taken in one process, or would be spoiled by what was done before.
"""

from collections.abc import Mapping

from groundspeed.measure.lockstep import RowProcess
from groundspeed.measure.rows.model import Calibration, Quantity, RowContext
from groundspeed.model import Metric, Side, ValuePair

__all__ = ["calibrate_side", "take", "try_side"]

_KINDS: Mapping[str, Metric] = {"peakmemory": "peak_memory", "memory": "memory", "track": "track"}


def calibrate_side(process: RowProcess, context: RowContext) -> Calibration:
    """Take a value, to know that it can be taken; it is thrown away.

    Raises:
        RowFailedError: If the benchmark fails or gives no number.
    """
    value(process)
    metric = "allocations" if context.method == "allocations" else _metric(context)
    unit = context.sides["candidate"].unit or "unit"
    if metric in {"allocations", "memory", "peak_memory"}:
        unit = "bytes"
    return Calibration(quantities={"": Quantity(metric=metric, unit=unit)})


def _metric(context: RowContext) -> Metric:
    return _KINDS[context.sides["candidate"].kind]


def try_side(process: RowProcess, _calibration: Calibration) -> None:
    """Take a value on the other side.

    Raises:
        RowFailedError: If it cannot be taken.
    """
    value(process)


def take(processes: Mapping[Side, RowProcess], *, number: int) -> ValuePair:
    """Ask both sides, one after the other in the order of `processes`.

    Raises:
        RowFailedError: If either side fails.
    """
    values = {side: value(process) for side, process in processes.items()}
    return ValuePair(pair=number, base=values["base"], candidate=values["candidate"])


def value(process: RowProcess) -> float:
    """One value.

    Raises:
        RowFailedError: If the benchmark fails or gives no number.
    """
    answer: float = process.ask("sampling", op="value")["value"]
    return answer
