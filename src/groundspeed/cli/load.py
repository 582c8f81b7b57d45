"""`groundspeed load`: run a scenario, and check that the generator tells the truth."""

import os
from collections.abc import Callable
from pathlib import Path
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
from groundspeed.errors import BrokenError, UsageError

if TYPE_CHECKING:
    from groundspeed.load import LoadResult, Progress, Scenario
    from groundspeed.load.service_levels import ServiceLevel, Standings

__all__ = ["load_command"]

_INTERRUPTED = 130
_UNDECIDED = 3


@click.group("load")
def load_command() -> None:
    """Load that tells the truth: open arrivals, and intervals that say how sure a figure is."""


@load_command.command("run")
@click.argument("scenario", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--level",
    "levels",
    multiple=True,
    metavar="LEVEL",
    help="Hold it to METRIC < TARGET / CRITICAL: 'latency_s_p95 < 0.020 / 0.050'; repeatable.",
)
@click.option(
    "--default-levels",
    is_flag=True,
    help="Hold it to what sergas promises of p95, p99, throughput and errors.",
)
@click.option(
    "--budget",
    "budget_s",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="While a level is undecided, run again for twice as long, within so many seconds.",
)
@click.option(
    "--hdr",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PATH",
    help="Also write the distribution for HdrHistogram's plotter.",
)
@output_option
def run_command(
    *,
    scenario: Path,
    levels: tuple[str, ...],
    default_levels: bool,
    budget_s: float | None,
    hdr: Path | None,
    outputs: tuple[Output, ...],
) -> int:
    """Run the load that the TOML file SCENARIO describes.

    Prints the metrics block, then intervals and where the run stands. Exits with 0 when the levels
    are met or only missed, 1 when one is beyond critical, 3 when one is undecided or the run is
    invalid because the generator or the machine was the limit, 5 when the target is not there.
    After Ctrl-C what was measured until then is reported, and the exit code is 130.
    """
    from groundspeed.load.scenario import read_scenario
    from groundspeed.report.load import load_report
    from groundspeed.report.load_record import (
        encode_load,
        load_exit_code,
        percentile_plot,
        record_load,
    )

    held = _levels(levels, default_levels=default_levels)
    asked = read_scenario(_content(scenario), subject=os.fspath(scenario))
    progress = TerminalProgress()
    try:
        with terminated_is_interrupted():
            result, standings = _measure(asked, held, budget_s, _teller(progress))
    finally:
        progress.clear()
    accounts = max(operation.target.keys for operation in asked.operations)
    users = getattr(asked.model, "users", None)

    def report() -> str:
        return load_report(result, standings, accounts=accounts, users=users)

    print_report(
        load_report(result, standings, accounts=accounts, users=users, style=output_style())
    )
    written = write_outputs(
        outputs,
        json=lambda: encode_load(record_load(result, standings)),
        text=report,
        again="run it",
    )
    if hdr is not None:
        from groundspeed.load.figures import response_histogram

        written &= _write(hdr, percentile_plot(response_histogram(result)))
    if result.partial:
        return _INTERRUPTED
    return load_exit_code(result, standings) or (0 if written else BrokenError.exit_code)


@load_command.command("selfcheck")
@click.option("--fresh", is_flag=True, help="Check again also where this machine has been checked.")
def selfcheck_command(*, fresh: bool) -> int:
    """Does the generator tell the truth on this machine?

    Freezes a server of its own and compares the percentiles with the arithmetic of the freezes;
    measures how punctual and how cheap the generator is. Takes a minute and is remembered for this
    machine and version. Exits with 0 when all of it holds, 3 when something does not, 5 when it
    cannot run.
    """
    from groundspeed.load.selfchecking import selfcheck
    from groundspeed.report.load_selfcheck import selfcheck_report

    progress = TerminalProgress()
    progress.say("freezing a server and asking it, about a minute")
    try:
        with terminated_is_interrupted():
            found = selfcheck(fresh=fresh)
    finally:
        progress.clear()
    print_report(selfcheck_report(found, style=output_style()))
    return 0 if found.holds else _UNDECIDED


def _levels(typed: tuple[str, ...], *, default_levels: bool) -> "list[ServiceLevel]":
    from groundspeed.load.figures import check_metric
    from groundspeed.load.service_levels import SERVICE_LEVELS, parse_level

    run_holds = ("latency_s_p95", "latency_s_p99", "throughput_per_s", "error_rate")
    defaults = [level for level in SERVICE_LEVELS if level.metric in run_holds]
    asked = [parse_level(text) for text in typed]
    for level in asked:
        check_metric(level.metric)
    return [*(defaults if default_levels else []), *asked]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a TOML file of a scenario") from None


def _measure(
    scenario: "Scenario",
    levels: "list[ServiceLevel]",
    budget_s: float | None,
    tell: "Callable[[Progress], None]",
) -> "tuple[LoadResult, Standings]":
    import msgspec

    from groundspeed.load import Steady, run
    from groundspeed.load.service_levels import judge, run_until_decided

    if budget_s is None:
        result = run(scenario, progress=tell)
        return result, judge(result, levels)
    stage = scenario.stages[0]
    if len(scenario.stages) > 1 or not isinstance(stage, Steady):
        raise UsageError(
            "--budget: got a scenario of several stages, needed a single steady one that can be "
            "made longer"
        )

    def measure(seconds: float) -> "LoadResult":
        longer = Steady(duration=seconds, level=stage.level)
        return run(msgspec.structs.replace(scenario, stages=(longer,)), progress=tell)

    first_s = stage.duration
    return run_until_decided(measure, levels, first_s=first_s, budget_s=budget_s)


def _teller(progress: TerminalProgress) -> "Callable[[Progress], None]":
    from groundspeed.units import format_duration, format_percent, format_seconds

    def tell(now: "Progress") -> None:
        progress.say(
            f"{now.rate_per_s:,.0f}/s, p95 {format_seconds(now.response_s_p95)}, "
            f"errors {format_percent(now.failed_share)}, {format_duration(now.left_s)} left"
        )

    return tell


def _write(path: Path, text: str) -> bool:
    from groundspeed.store.checks import write_atomically

    try:
        write_atomically(path, text.encode())
    except OSError as error:
        click.echo(
            f"groundspeed: {path} was not written: {error.strerror}; choose another place, and run "
            "it again",
            err=True,
        )
        return False
    return True
