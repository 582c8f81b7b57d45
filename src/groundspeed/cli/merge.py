"""`groundspeed merge`: the records of all shards in, one verdict out."""

import os
from pathlib import Path
from typing import Any

import click

from groundspeed.cli.telling import RECORDS, tell, telling_options, telling_taken_from

__all__ = ["merge_command"]


@click.command("merge")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The asv.conf.json beside which the record is kept, if not in this folder or above.",
)
@telling_options
def merge_command(*, files: tuple[Path, ...], config: Path | None, **options: Any) -> int:
    """Make one verdict of the shards of a check.

    Each FILE is the record of one shard, as groundspeed check --shard I/N writes it; all N are
    needed, in any order. Their launch pairs are pooled and judged as those of one check, with the
    same report and exit codes.
    """
    from groundspeed.check.merge import Part, merge
    from groundspeed.store.checks import read_record

    telling = telling_taken_from(options)
    folder = RECORDS if telling.no_record else _records(config)
    parts = [Part(place=os.fspath(path), record=read_record(path)) for path in files]
    return tell(merge(parts), telling, folder, again="merge")


def _records(config: Path | None) -> Path:
    """Where records are kept; needs a suite, which a machine that only merges may not have."""
    from groundspeed.errors import UsageError
    from groundspeed.measure.repository import Repository
    from groundspeed.measure.suite import find_suite

    here = Path.cwd()
    try:
        return find_suite(here, Repository.discover(here), config=config).path.parent / RECORDS
    except UsageError as error:
        raise UsageError(f"{error}; to merge without keeping a record, say --no-record") from error
