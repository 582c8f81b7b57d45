"""`groundspeed check`: options in, verdict out."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundspeed.cli.interrupts import terminated_is_interrupted
from groundspeed.cli.progress import TerminalProgress
from groundspeed.cli.telling import RECORDS, tell, telling_options, telling_taken_from
from groundspeed.units import parse_share

if TYPE_CHECKING:
    from groundspeed.check import CheckRequest
    from groundspeed.check.shards import ShardRequest

__all__ = ["check_command"]


_PYTEST_ARGUMENTS = "groundspeed.pytest_arguments"


def _finite(
    _context: click.Context, _option: click.Parameter, seconds: float | None
) -> float | None:
    if seconds is not None and not math.isfinite(seconds):
        raise click.BadParameter(f"got {seconds}, needed a number of seconds")
    return seconds


def _share(_context: click.Context, _option: click.Parameter, text: str) -> float:
    try:
        return parse_share(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _shard(
    _context: click.Context, _option: click.Parameter, text: str | None
) -> "ShardRequest | None":
    from groundspeed.check.shards import ShardRequest

    try:
        return None if text is None else ShardRequest.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _expressions(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    for text in texts:
        try:
            re.compile(text)
        except re.error as error:
            raise click.BadParameter(f"{text!r} is not a regular expression: {error}") from error
    return texts


class _CheckCommand(click.Command):
    """Takes what follows `--` for pytest and not for itself."""

    # typing.override came with Python 3.12.
    def parse_args(  # type: ignore[explicit-override]
        self, ctx: click.Context, args: list[str]
    ) -> list[str]:
        if "--" in args:
            cut = args.index("--")
            ctx.meta[_PYTEST_ARGUMENTS] = tuple(args[cut + 1 :])
            args = args[:cut]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(  # type: ignore[explicit-override]
        self, ctx: click.Context
    ) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- PYTEST ARGS]"]


@click.command("check", cls=_CheckCommand)
@click.argument("base", required=False)
@click.argument("candidate", required=False)
@click.option(
    "--suite",
    type=click.Choice(["asv", "pytest"]),
    default="asv",
    show_default=True,
    help="Whose benchmarks: asv's, or the tests that use pytest-benchmark's fixture.",
)
@click.option(
    "-b",
    "--bench",
    "selection",
    multiple=True,
    callback=_expressions,
    metavar="REGEX",
    help="Measure only rows whose name(parameters) this matches somewhere; repeatable.",
)
@click.option(
    "--budget",
    "budget_s",
    callback=_finite,
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop after this long; rows not decided by then are undecided (exit 3).",
)
@click.option(
    "--min-effect",
    callback=_share,
    metavar="SHARE",
    default="1%",
    show_default=True,
    help="The smallest change worth reporting.",
)
@click.option(
    "--false-alarms",
    callback=_share,
    metavar="SHARE",
    default="1%",
    show_default=True,
    help="Share of checks of unchanged code that may call anything slower.",
)
@click.option(
    "--env",
    "environment",
    type=click.Choice(["auto", "overlay", "wheel"]),
    default="auto",
    show_default=True,
    help="Overlay each commit's source on this interpreter, or build a wheel per commit.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The asv.conf.json, if not in this folder or above.",
)
@click.option(
    "--metric",
    type=click.Choice(["time", "wall", "cpu", "allocations", "instructions"]),
    default="time",
    show_default=True,
    help="What to compare of time_ benchmarks; time is wall time without waiting for a CPU, "
    "instructions are counted by valgrind.",
)
@click.option("--pin/--no-pin", default=True, help="Keep each row on one CPU (default).")
@click.option(
    "--lanes",
    type=click.IntRange(1),
    metavar="N",
    help="Rows to measure at once, each on a CPU of its own (default: what the machine has).",
)
@click.option(
    "--shard",
    callback=_shard,
    metavar="I/N",
    help="Measure part I of N of the rows; `groundspeed merge` makes one verdict of all parts.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of every random choice.")
@telling_options
@click.pass_context
def check_command(context: click.Context, /, **options: Any) -> int:
    """Is CANDIDATE slower than BASE?

    Both are commits. CANDIDATE is the working tree unless given; BASE is the last release tag, else
    the merge base with the default branch, else the parent commit. Both run the asv benchmarks of
    the folder you are in, in launch twins that take turns. [tool.groundspeed] in pyproject.toml
    holds defaults and rules for single rows.
    """
    from groundspeed.check import CheckPlan, run_check

    telling = telling_taken_from(options)
    request = _request(pytest_arguments=_pytest_arguments(context), **options)
    plan = CheckPlan.of(request, RECORDS)
    request = request.with_defaults(plan.rules, typed=_typed(context))
    progress = TerminalProgress()
    try:
        with terminated_is_interrupted():
            record = run_check(request, plan, progress=progress)
    finally:
        progress.clear()
    return tell(record, telling, plan.suite.path.parent / RECORDS, again="check")


def _pytest_arguments(context: click.Context) -> tuple[str, ...]:
    arguments: tuple[str, ...] = context.meta.get(_PYTEST_ARGUMENTS, ())
    if arguments and context.params["suite"] != "pytest":
        raise click.UsageError(
            f"{' '.join(arguments)}: what follows -- is for pytest; add --suite pytest"
        )
    return arguments


def _typed(context: click.Context) -> set[str]:
    """The options that were typed, which win over the project's defaults."""
    default = click.core.ParameterSource.DEFAULT
    return {name for name in context.params if context.get_parameter_source(name) is not default}


def _request(*, min_effect: float, false_alarms: float, **options: Any) -> "CheckRequest":
    from groundspeed.check import CheckRequest
    from groundspeed.stats import GateRule

    try:
        rule = GateRule(min_effect=min_effect, false_alarms=false_alarms)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return CheckRequest(start=Path.cwd(), rule=rule, **options)
