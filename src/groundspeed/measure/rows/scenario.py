"""A row that is a whole scenario: each side runs once, and tells all it saw.

The unit of a load test is the run: what it records (percentiles, throughput, errors, memory) is one
observation of each.
"""

from collections.abc import Mapping

from groundspeed.measure.directions import direction_of, unit_of
from groundspeed.measure.lockstep import RowProcess
from groundspeed.measure.rows.model import Calibration, Quantity, RowContext
from groundspeed.model import Side, ValuePair

__all__ = ["calibrate_side", "take", "try_side"]


def calibrate_side(process: RowProcess, context: RowContext) -> Calibration:
    """Run it once to learn what it records.

    Raises:
        RowFailedError: If it fails.
    """
    stated = context.sides["candidate"].marker.get("metrics", {})
    return Calibration(
        quantities={
            name: Quantity(
                metric="recorded", unit=unit_of(name), direction=direction_of(name, stated)
            )
            for name in _run(process)
        }
    )


def try_side(process: RowProcess, _calibration: Calibration) -> None:
    """Run it on the other side.

    Raises:
        RowFailedError: If it fails.
    """
    _run(process)


def take(
    processes: Mapping[Side, RowProcess], calibration: Calibration, *, number: int
) -> dict[str, ValuePair]:
    """Run both sides, one after the other in the order of `processes`.

    Returns:
        What both recorded of what was known when the row was calibrated.

    Raises:
        RowFailedError: If either side fails.
    """
    recorded = {side: _run(process) for side, process in processes.items()}
    base, candidate = recorded["base"], recorded["candidate"]
    return {
        name: ValuePair(pair=number, base=base[name], candidate=candidate[name])
        for name in calibration.quantities
        if name in base and name in candidate
    }


def _run(process: RowProcess) -> dict[str, float]:
    process.ask("sampling", op="run")
    recorded: dict[str, float] = process.ask("teardown", op="quit")["recorded"]
    return recorded
