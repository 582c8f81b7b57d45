"""Where a command's result goes: standard output, and every `--output FORMAT:PATH`."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from groundspeed.report.text import Style

__all__ = ["Output", "output_option", "output_style", "print_report", "write_outputs"]

_COLOURS: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red", "bold": True},
    "doubt": {"fg": "yellow"},
    "quiet": {"dim": True},
    "strong": {"bold": True},
}
_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One `--output FORMAT:PATH`."""

    format: str
    path: Path


def _outputs(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> tuple[Output, ...]:
    return tuple(_output(text) for text in texts)


def _output(text: str) -> Output:
    """Split FORMAT:PATH and check, before anything is measured, that it can be written."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in _FORMATS or not name:
        needed = " or ".join(f"{known}:PATH" for known in _FORMATS)
        raise click.BadParameter(f"got {text!r}, needed {needed}")
    path = Path(name)
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder, needed the path of a file in it")
    if not path.parent.is_dir():
        raise click.BadParameter(f"{path.parent} is no folder; create it first")
    if not os.access(path.parent, os.W_OK):
        raise click.BadParameter(f"{path.parent} cannot be written to; choose another folder")
    return Output(format=kind, path=path)


output_option = click.option(
    "-o",
    "--output",
    "outputs",
    callback=_outputs,
    metavar="FORMAT:PATH",
    multiple=True,
    help="Also write the result: json:PATH or text:PATH; repeatable.",
)
"""The option; its parameter `outputs` is a tuple of `Output`."""


def output_style() -> "Style":
    """Colours on a terminal, unless NO_COLOR is set; plain text elsewhere."""
    from groundspeed.report.text import plain

    return _colour if sys.stdout.isatty() and "NO_COLOR" not in os.environ else plain


def _colour(text: str, kind: str) -> str:
    return click.style(text, **_COLOURS[kind])


def print_report(text: str) -> None:
    """Print the result; a reader that has left (`| head`) changes nothing."""
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        # The reader has seen enough; the verdict and the other outputs stand.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def write_outputs(
    outputs: tuple[Output, ...],
    *,
    json: Callable[[], bytes],
    text: Callable[[], str],
    again: str,
) -> bool:
    """Write every --output; says whether all of them could be.

    Args:
        outputs: Where to.
        json: Makes the content of `json:PATH`.
        text: Makes the content of `text:PATH`.
        again: What the user is to do again when one could not be written.
    """
    from groundspeed.store.checks import write_atomically

    complete = True
    for output in outputs:
        content = json() if output.format == "json" else text().encode()
        try:
            write_atomically(output.path, content)
        except OSError as error:
            complete = False
            click.echo(
                f"groundspeed: {output.path} was not written: {error.strerror}; "
                f"free some space or choose another place, and {again} again",
                err=True,
            )
    return complete
