"""What a command does with a check record: keep it, print it, write it, and exit by its verdict."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from groundspeed.cli.output import (
    Output,
    output_option,
    output_style,
    print_report,
    write_outputs,
)

if TYPE_CHECKING:
    from groundspeed.model import CheckRecord

__all__ = ["RECORDS", "Telling", "tell", "telling_options", "telling_taken_from"]

RECORDS = Path("results", "checks")
"""Where records are kept, below the folder of the suite's configuration."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Where the result goes."""

    outputs: tuple[Output, ...]
    no_record: bool
    exit_zero: bool
    verbose: bool


def telling_options(command: _Command) -> _Command:
    """Give a command the options whose values make a `Telling`."""
    options = (
        output_option,
        click.option("--no-record", is_flag=True, help="Keep no record in results/checks."),
        click.option("--exit-zero", is_flag=True, help="Report only: exit 0 whatever the verdict."),
        click.option(
            "-v", "--verbose", is_flag=True, help="List unchanged rows and whole tracebacks."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def telling_taken_from(options: dict[str, Any]) -> Telling:
    """Take the values of `telling_options` out of a command's parameters."""
    return Telling(**{name: options.pop(name) for name in Telling.__slots__})


def tell(record: "CheckRecord", telling: Telling, folder: Path, *, again: str) -> int:
    """Keep, print and write the result.

    Args:
        record: The result.
        telling: Where it goes.
        folder: Where records are kept.
        again: What the user is to do again when an output could not be written.

    Returns:
        The exit code.
    """
    kept_as = None if telling.no_record else _keep(record, folder)
    _print_report(record, kept_as=kept_as, verbose=telling.verbose)
    written = _write_outputs(record, telling, again=again)
    if telling.exit_zero:
        return 0
    return record.exit_code or (0 if written else 5)


def _keep(record: "CheckRecord", folder: Path) -> str | None:
    from groundspeed.store.checks import keep_record

    try:
        return _relative(keep_record(record, folder))
    except OSError as error:
        click.echo(
            f"groundspeed: no record was kept: {folder}: {error.strerror}; the verdict stands. "
            "Make the folder writable, or say --no-record or --output json:PATH",
            err=True,
        )
        return None


def _relative(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return os.fspath(path.relative_to(Path.cwd()))
    return os.fspath(path)


def _print_report(record: "CheckRecord", *, kept_as: str | None, verbose: bool) -> None:
    from groundspeed.report.text import text_report

    print_report(text_report(record, style=output_style(), kept_as=kept_as, verbose=verbose))


def _write_outputs(record: "CheckRecord", telling: Telling, *, again: str) -> bool:
    """Write every --output; says whether all of them could be."""
    from groundspeed.report.text import text_report
    from groundspeed.store.checks import encode_record

    return write_outputs(
        telling.outputs,
        json=lambda: encode_record(record),
        text=lambda: text_report(record, verbose=telling.verbose),
        again=again,
    )
