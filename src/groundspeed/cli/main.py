"""Entry point: runs a command, turns what went wrong into one message and an exit code."""

import sys
import traceback
from collections.abc import Sequence

import click

from groundspeed import __version__
from groundspeed.cli.accept import accept_command
from groundspeed.cli.check import check_command
from groundspeed.cli.doctor import doctor_command
from groundspeed.cli.load import load_command
from groundspeed.cli.merge import merge_command
from groundspeed.cli.selftest import selftest_command
from groundspeed.errors import GroundspeedError

__all__ = ["main"]

INTERRUPTED = 130

_EXIT_CODES = """\b
Exit codes:
  0  pass (or warn)         1  slower
  2  usage                  3  undecided: too few launch pairs
  4  no baseline            5  broken: a benchmark, a build, an environment
  130 interrupted
"""


@click.group(epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="groundspeed")
def commands() -> None:
    """Answer "did this change make us slower?" with a stated certainty."""


commands.add_command(check_command)
commands.add_command(accept_command)
commands.add_command(doctor_command)
commands.add_command(load_command)
commands.add_command(merge_command)
commands.add_command(selftest_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit the process; never shows a traceback for a user's mistake."""
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = commands.main(
            None if arguments is None else list(arguments),
            prog_name="groundspeed",
            standalone_mode=False,
        )
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except GroundspeedError as error:
        _complain(str(error))
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted; every process it started is ended, a check goes on if typed again")
        return INTERRUPTED
    except Exception:  # noqa: BLE001 - Python itself would exit 1, which here means slower
        traceback.print_exc()
        _complain("this is a fault of groundspeed itself, not of your code; nothing was decided")
        return GroundspeedError.exit_code
    return result if isinstance(result, int) else 0


def _complain(message: str) -> None:
    click.echo(f"{click.style('groundspeed', fg='red')}: {message}", err=True)
