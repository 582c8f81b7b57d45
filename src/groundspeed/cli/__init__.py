"""The command line: the only place that prints and exits."""

import click

from groundspeed import __version__

__all__ = ["main"]


@click.group()
@click.version_option(__version__, prog_name="groundspeed")
def main() -> None:
    """Answer "did this change make us slower?" with a stated certainty."""
