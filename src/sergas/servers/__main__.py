"""`python -m sergas.servers`: says which servers would be used, and keeps them up with `--run`."""

import argparse
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TextIO, TypeVar, get_args
from urllib.parse import urlsplit

from sergas.errors import SergasError
from sergas.servers._binaries import POSTGRES, VALKEY, Kind, Places, find
from sergas.servers._model import OWN, SEARCH_ORDER, Given, Profile
from sergas.servers._postgres import PostgresServer, start_postgres
from sergas.servers._valkey import ValkeyServer, start_valkey

S = TypeVar("S", PostgresServer, ValkeyServer)


def main(
    argv: Sequence[str],
    *,
    stdout: TextIO,
    stderr: TextIO,
    places: Places | None = None,
    wait: Callable[[], object] | None = None,
) -> int:
    """Do what the command line says; returns the exit code.

    Args:
        argv: Arguments without the program's name.
        stdout: For what was found, or the lines that name the servers.
        stderr: For everything else.
        places: Where to look; the machine unless given.
        wait: Returns, or raises KeyboardInterrupt, when what was started shall end.
    """
    asked = _parser().parse_args(argv)
    places = places or Places()
    if not asked.run:
        return max([_tell(kind, places, stdout) for kind in (POSTGRES, VALKEY)])
    try:
        with ExitStack() as running:
            postgres = running.enter_context(_start(start_postgres, asked, places))
            valkey = running.enter_context(_start(start_valkey, asked, places))
            named = {"SERGAS_PG_DSN": postgres.dsn, "SERGAS_REDIS_URL": valkey.url}
            stdout.writelines(f"export {name}={shlex.quote(url)}\n" for name, url in named.items())
            stdout.flush()
            stderr.writelines(
                f"{title} {server.version}, {server.source}, {server.profile}\n"
                for title, server in (("PostgreSQL", postgres), ("Valkey", valkey))
            )
            stderr.write("Ctrl-C ends what was started here.\n")
            (wait or threading.Event().wait)()
    except KeyboardInterrupt:
        pass
    except SergasError as error:
        stderr.write(f"{error}\n")
        return 1
    return 0


def _start(start: Callable[..., S], asked: argparse.Namespace, places: Places) -> S:
    return start(
        profile=asked.profile,
        transport="tcp" if asked.tcp else "unix",
        sources=OWN if asked.own else SEARCH_ORDER,
        places=places,
    )


def _tell(kind: Kind, places: Places, stdout: TextIO) -> int:
    """Write what would be used for `kind`, without a password; 0 if there is something."""
    try:
        found = find(kind, places, SEARCH_ORDER)
    except SergasError as error:
        stdout.write(f"{error}\n")
        return 1
    if isinstance(found, Given):
        host = urlsplit(found.url).netloc.rpartition("@")[2] or "a local socket"
        stdout.write(f"{kind.name}: given by {found.variable}, at {host}\n")
    else:
        stdout.write(f"{kind.name}: {found.version}, {found.source}, {found.server}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sergas.servers",
        description="Say which PostgreSQL and Valkey development and tests would use.",
    )
    parser.add_argument("--run", action="store_true", help="start both and keep them until Ctrl-C")
    parser.add_argument("--own", action="store_true", help="ignore servers that variables name")
    parser.add_argument("--tcp", action="store_true", help="loopback ports instead of Unix sockets")
    parser.add_argument(
        "--profile",
        choices=get_args(Profile),
        default="fast",
        help="durable: what is confirmed survives a crash; fast: it may not (the default)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], stdout=sys.stdout, stderr=sys.stderr))
