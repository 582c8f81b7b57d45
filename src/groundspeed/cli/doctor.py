"""`groundspeed doctor`: what on this machine disturbs measuring."""

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from groundspeed import __version__
from groundspeed.cli.output import (
    Output,
    output_option,
    output_style,
    print_report,
    write_outputs,
)
from groundspeed.errors import BrokenError

if TYPE_CHECKING:
    from groundspeed.report.conditions import DoctorRecord

__all__ = ["doctor_command"]


def _watchable(_context: click.Context, _option: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"got {seconds}, needed a number of seconds")
    return seconds


@click.command("doctor")
@click.option(
    "--seconds",
    "window_s",
    type=click.FloatRange(0.1, 3600),
    callback=_watchable,
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    help="How long to watch what else the machine does.",
)
@output_option
@click.option("-v", "--verbose", is_flag=True, help="Say of every finding why it matters.")
def doctor_command(*, window_s: float, outputs: tuple[Output, ...], verbose: bool) -> int:
    """What on this machine disturbs measuring, and what can be done about it?

    Looks only: nothing is changed, and no privilege is needed. Exits with 5 where no check can run,
    else with 0.
    """
    from groundspeed.report.conditions import conditions_report, encode_conditions

    record = _examine(window_s)
    print_report(conditions_report(record, style=output_style(), verbose=verbose))
    written = write_outputs(
        outputs,
        json=lambda: encode_conditions(record),
        text=lambda: conditions_report(record, verbose=verbose),
        again="run the doctor",
    )
    return record.exit_code if written else BrokenError.exit_code


def _examine(window_s: float) -> "DoctorRecord":
    from groundspeed.measure.conditions import Conclusion, conclude, judge, start_reading
    from groundspeed.measure.machine import CpuPlan, describe_machine
    from groundspeed.report.conditions import DOCTOR_SCHEMA, DoctorRecord

    examined_at = datetime.now(UTC).isoformat(timespec="seconds")
    reading = start_reading()
    time.sleep(window_s)
    conditions = reading.finish()
    findings = judge(conditions)
    conclusion = conclude(findings)
    return DoctorRecord(
        schema=DOCTOR_SCHEMA,
        tool_version=__version__,
        examined_at=examined_at,
        conclusion=conclusion,
        exit_code=BrokenError.exit_code if conclusion is Conclusion.UNFIT else 0,
        findings=findings,
        machine=describe_machine(CpuPlan()),
        conditions=conditions,
    )
