"""`groundspeed accept`: a slowdown that is worth its price, written down with its reason."""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

__all__ = ["accept_command"]

_RECORDS = Path("results", "checks")


@click.command("accept")
@click.argument("name")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why it is worth its price; in every report."
)
@click.option(
    "--check",
    "record_path",
    type=click.Path(path_type=Path),
    metavar="RECORD.json",
    help="The check it was found in, if not the last one in results/checks.",
)
@click.option(
    "--match", "matching", is_flag=True, help="NAME is a regular expression, as check -b has them."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The asv.conf.json, if not in this folder or above.",
)
def accept_command(
    *, name: str, reason: str, record_path: Path | None, matching: bool, config: Path | None
) -> int:
    """Accept that NAME is slower, as the last check found it.

    NAME is a row's whole name, with its parameters. An entry is added to results/accepted.toml
    beside the asv.conf.json: commit it with the change. From then on a check of that change warns
    instead of blocking, as long as the row is not surely slower than was accepted.
    """
    from groundspeed.check.accept import acceptances
    from groundspeed.measure.repository import Repository
    from groundspeed.measure.suite import find_suite
    from groundspeed.store.accepted import ACCEPTED_FILE, add_accepted
    from groundspeed.store.checks import read_record

    here = Path.cwd()
    folder = find_suite(here, Repository.discover(here), config=config).path.parent
    record = read_record(record_path or _newest(folder / _RECORDS))
    today = datetime.now(UTC).date()
    entries = acceptances(record, name, matching=matching, reason=reason, today=today)
    path = folder / ACCEPTED_FILE
    add_accepted(path, entries)
    for entry in entries:
        click.echo(f"accepted  {entry.label} up to {entry.ratio_high:.3f}x: {entry.reason}")
    click.echo(f"Next: git add {os.path.relpath(path)}, and commit it with the change")
    return 0


def _newest(folder: Path) -> Path:
    from groundspeed.errors import UsageError
    from groundspeed.store.checks import newest_record

    newest = newest_record(folder)
    if newest is None:
        raise UsageError(
            f"{folder} holds no record of a check to accept a slowdown from; "
            "run groundspeed check, or name a record with --check RECORD.json"
        )
    return newest
