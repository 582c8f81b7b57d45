"""The command line: `sergas serve`, `sergas seed`, `sergas status`."""

import os
import secrets
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from sergas.errors import SergasError
from sergas.settings import DEFAULT_DATABASE, Settings, database_kind, without_password

__all__ = ["main"]

_DATABASE = click.option(
    "--database",
    "database_url",
    metavar="URL",
    help="sqlite:///file or postgresql://...  [default: SERGAS_PG_DSN, DATABASE_URL, or "
    f"{DEFAULT_DATABASE}]",
)


def main() -> None:
    """Run the program; what goes wrong is said in one line, with exit code 1."""
    try:
        _sergas(standalone_mode=True)
    except SergasError as error:
        click.echo(f"sergas: {error}", err=True)
        sys.exit(1)


@click.group()
@click.version_option(package_name="groundspeed", prog_name="sergas")
def _sergas() -> None:
    """An account service: HTTP over SQLite or PostgreSQL."""


@_sergas.command("seed")
@_DATABASE
@click.option("--accounts", default=5_000, show_default=True, help="How many accounts.")
@click.option("--owners", default=50, show_default=True, help="How many people look after them.")
@click.option("--seed", "number", default=1, show_default=True, help="Chooses the rows.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day that the rows are told from.  [default: today]",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a processor]")
def _seed(
    database_url: str | None,
    accounts: int,
    owners: int,
    number: int,
    as_of: datetime | None,
    workers: int | None,
) -> None:
    """Make the tables and fill an empty database with made-up accounts.

    The rows are the same for the same numbers and day.
    """
    from sergas.accounts.seeding import SeedPlan, seed
    from sergas.app.compose import open_store

    day = as_of or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    plan = SeedPlan(accounts=accounts, owners=owners, seed=number, as_of=day.replace(tzinfo=UTC))
    with open_store(_settings(database_url)) as store:
        store.migrate()
        began_s = time.perf_counter()
        seeded = seed(store, plan, workers=workers)
        took_s = time.perf_counter() - began_s
        click.echo(
            f"{seeded.accounts:,} accounts, {seeded.deals:,} deals, {seeded.activities:,}"
            f" activities, {seeded.recommendations:,} recommendations, {seeded.owners} owners"
        )
        click.echo(f"{took_s:.1f} s, {store.size_bytes() / 1e6:.1f} MB, {store.engine}")


@_sergas.command("status")
@_DATABASE
def _status(database_url: str | None) -> None:
    """Say what is in the database, and whether this program can use it."""
    from sergas.app.compose import open_store, sqlite_path

    settings = _settings(database_url)
    url = settings.database_url
    # Looking must not make a file.
    if database_kind(url) == "sqlite" and not sqlite_path(url).exists():
        raise click.ClickException(
            f"there is no file {sqlite_path(url)}; `sergas seed` makes one, `--database` names"
            " another"
        )
    with open_store(settings) as store:
        click.echo(f"{without_password(url)}, {store.engine}")
        store.check()
        for table, count in store.counts().items():
            click.echo(f"{count:>12,} {table}")
        click.echo(f"{store.size_bytes() / 1e6:>12,.1f} MB")


@_sergas.command("serve")
@_DATABASE
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes.")
@click.option("--migrate", is_flag=True, help="Make or renew the tables first.")
def _serve(database_url: str | None, host: str, port: int, workers: int, *, migrate: bool) -> None:
    """Answer requests until Ctrl-C or SIGTERM; then finish what was begun.

    SERGAS_SECRET signs tokens and SERGAS_API_KEYS (name:key,...) names the clients. Without them
    both are made up for this run and shown, which is for trying it out.
    """
    from sergas.app.compose import open_store
    from sergas.app.serving import serve

    environment = _completed(os.environ)
    os.environ.update(environment)  # what workers read
    if database_url is not None:
        os.environ["SERGAS_PG_DSN"] = database_url
    settings = Settings.from_environment(os.environ)
    with open_store(settings) as store:
        if migrate:
            store.migrate()
        store.check()
    sys.exit(serve(settings, host=host, port=port, workers=workers, say=_say))


def _completed(given: Mapping[str, str]) -> dict[str, str]:
    """What has to be there to serve, made up where it is missing."""
    made: dict[str, str] = {}
    if not given.get("SERGAS_SECRET"):
        made["SERGAS_SECRET"] = secrets.token_hex(32)
        _say("SERGAS_SECRET is not set: tokens end with this run")
    if not given.get("SERGAS_API_KEYS"):
        key = secrets.token_urlsafe(24)
        made["SERGAS_API_KEYS"] = f"trial:{key}"
        _say(f"SERGAS_API_KEYS is not set: for this run the key of `trial` is {key}")
    return made


def _settings(database_url: str | None) -> Settings:
    """Settings for the commands that serve nobody."""
    given: dict[str, Any] = dict(os.environ)
    given["SERGAS_SECRET"] = given.get("SERGAS_SECRET") or secrets.token_hex(32)
    if database_url is not None:
        given["SERGAS_PG_DSN"] = database_url
    return Settings.from_environment(given)


def _say(text: str) -> None:
    click.echo(text, err=True)
