"""`groundspeed selftest`: does the gate keep its promise on this machine?"""

import math
from typing import TYPE_CHECKING

import click

from groundspeed.cli.interrupts import terminated_is_interrupted
from groundspeed.cli.output import (
    Output,
    output_option,
    output_style,
    print_report,
    write_outputs,
)
from groundspeed.cli.progress import TerminalProgress
from groundspeed.errors import BrokenError

if TYPE_CHECKING:
    from groundspeed.store.selftests import SelftestRecord

__all__ = ["selftest_command"]


def _finite(_context: click.Context, _option: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"got {seconds}, needed a number of seconds")
    return seconds


@click.command("selftest")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 86400),
    callback=_finite,
    metavar="SECONDS",
    default=90.0,
    show_default=True,
    help="How long to measure; more checks make the answer surer.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of every random choice.")
@output_option
@click.option("-v", "--verbose", is_flag=True, help="Say of every row what can be seen of it.")
def selftest_command(
    *, seconds: float, seed: int | None, outputs: tuple[Output, ...], verbose: bool
) -> int:
    """Does the gate keep its promise on this machine?

    Runs real checks whose answers are known: of identical sources, which must raise no alarm, and
    of known slowdowns, which must be found. What this machine can see is remembered, so that a
    check may refuse a smaller --min-effect. Exits with 0 when the promise held, 1 for false alarms
    beyond chance, 3 when slowdowns of 3 % are missed, 5 when it cannot run.
    """
    from groundspeed.check.selftest import SelftestRequest, run_selftest
    from groundspeed.report.selftest import selftest_report
    from groundspeed.store.selftests import encode_selftest

    progress = TerminalProgress()
    try:
        with terminated_is_interrupted():
            record = run_selftest(SelftestRequest(seconds=seconds, seed=seed), progress=progress)
    finally:
        progress.clear()
    print_report(selftest_report(record, style=output_style(), verbose=verbose))
    _remember(record)
    written = write_outputs(
        outputs,
        json=lambda: encode_selftest(record),
        text=lambda: selftest_report(record, verbose=verbose),
        again="run the self-test",
    )
    return record.exit_code if written else BrokenError.exit_code


def _remember(record: "SelftestRecord") -> None:
    """Keep what was found; the answer stands where that fails, and only later checks know less."""
    from groundspeed.store.calibrations import calibration_of, keep_calibration, state_folder

    folder = state_folder()
    try:
        keep_calibration(folder, calibration_of(record))
    except OSError as error:
        click.echo(
            f"groundspeed: {folder}: the result is not remembered: {error.strerror}; set "
            "GROUNDSPEED_STATE_DIR to a folder you can write to",
            err=True,
        )
