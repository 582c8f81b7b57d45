"""PostgreSQL: found, or started in a private folder."""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import platformdirs

from sergas.errors import MissingExtraError, ServerNotFoundError
from sergas.servers import _commands
from sergas.servers._binaries import POSTGRES, Places, find
from sergas.servers._cluster import make_cluster
from sergas.servers._model import (
    SEARCH_ORDER,
    Address,
    Given,
    Profile,
    Source,
    Transport,
    check_choices,
)
from sergas.servers._proxy import Proxy
from sergas.servers._server import Engine, Home, Server

__all__ = ["PostgresServer", "start_postgres"]

_PORT = 5432
_STATUS = 7  # line of postmaster.pid, counted from 0


class PostgresServer(Server):
    """A real PostgreSQL; see `Server` and `start_postgres`."""

    def __init__(self, *, parameters: Mapping[str, Any], **common: Any) -> None:
        super().__init__(**common)
        self._parameters = dict(parameters)

    @property
    def dsn(self) -> str:
        """URL of the server's own database, over the proxy if it has one.

        psycopg, asyncpg, SQLAlchemy and libpq's tools understand it.
        """
        return self._url(through_proxy=True)

    @property
    def direct_dsn(self) -> str:
        """The same past the proxy."""
        return self._url(through_proxy=False)

    @contextlib.contextmanager
    def new_database(self, template: str = "template1") -> Iterator[str]:
        """A database of one's own for the length of a block; yields its URL.

        Args:
            template: The database to copy; nobody may be connected to it.

        Raises:
            MissingExtraError: Without psycopg.
            psycopg.Error: If the server is not there, or its user may not create databases.
        """
        name = f"sergas_{secrets.token_hex(8)}"
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield self._url(through_proxy=True, database=name)
        finally:
            if self.is_running:
                self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _execute(self, statement: str) -> None:
        with _psycopg().connect(self.direct_dsn, autocommit=True) as connection:
            connection.execute(statement)

    def _url(self, *, through_proxy: bool, database: str | None = None) -> str:
        parameters = dict(self._parameters)
        if through_proxy and self._wire is not None:
            parameters.pop("hostaddr", None)
            parameters |= _place(self._wire.address)
        if database is not None:
            parameters["dbname"] = database
        return url(parameters)


def start_postgres(  # noqa: PLR0913 keywords, each with a default
    *,
    profile: Profile = "fast",
    sources: Sequence[Source] = SEARCH_ORDER,
    transport: Transport = "unix",
    proxy: bool = False,
    settings: Mapping[str, str] | None = None,
    bin_dir: Path | None = None,
    cache: Path | None = None,
    places: Places | None = None,
) -> PostgresServer:
    """Find a PostgreSQL, or start one of its own in a private folder; ready when this returns.

    Args:
        profile: `fast` forgoes durability (fsync, synchronous_commit, full_page_writes off);
            `durable` has all three on. A given server has the profile that it has.
        sources: Where to look, in this order. `OWN` leaves the given server out.
        transport: `unix` socket, or `tcp` on a free loopback port with a password.
        proxy: Put a wire between clients and server that `cut_off` and its kin can break. It costs
            tens of microseconds a round trip, so leave it out where speed is measured.
        settings: Server settings of a server started here, such as `{"max_connections": "300"}`.
        bin_dir: The folder whose programs to use, for example one with further extensions.
        cache: Folder where the fresh cluster is kept to be copied; the user's cache unless given.
        places: Where to look; the machine unless given.

    Raises:
        ServerNotFoundError: If there is none.
        ServerStartError: If it does not come up; the message has what it wrote.
        MissingExtraError: If a server is given, and psycopg is not installed.
    """
    check_choices(profile, transport, sources)
    found = find(
        POSTGRES, places or Places(), ("path",) if bin_dir is not None else sources, bin_dir
    )
    if isinstance(found, Given):
        return _given(found, proxy=proxy)
    with contextlib.ExitStack() as undo:
        home = Home(found, transport, f".s.PGSQL.{_PORT}", _PORT)
        undo.callback(home.close)
        make_cluster(home, cache or platformdirs.user_cache_path("sergas"))
        parameters = {"user": _commands.SUPERUSER, "dbname": "postgres", **_place(home.address)}
        if transport == "tcp":
            parameters["password"] = home.password
        if proxy:
            home.lay_wire()
        server = PostgresServer(
            source=found.source,
            profile=profile,
            version=found.version,
            engine=_engine(home, profile, settings or {}),
            wire=home.wire,
            parameters=parameters,
        )
        server.start()
        undo.pop_all()
        return server


def _engine(home: Home, profile: Profile, settings: Mapping[str, str]) -> Engine:
    return Engine(
        home=home,
        command=_commands.postgres(home.programs, home.data, home.address, profile, settings),
        is_ready=lambda: is_ready(home.data / "postmaster.pid", home.keeper.pid),
        stops=(("SIGINT", 30.0), ("SIGQUIT", 10.0)),
        farewell="SIGQUIT",
    )


def is_ready(status: Path, pid: int) -> bool:
    """Whether the server that runs as `pid` takes connections, by the status file it keeps."""
    try:
        lines = status.read_text("ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    # The file may still be that of a killed predecessor.
    return len(lines) > _STATUS and lines[_STATUS].strip() == "ready" and lines[0] == str(pid)


def _given(found: Given, *, proxy: bool) -> PostgresServer:
    psycopg = _psycopg()
    try:
        parameters = psycopg.conninfo.conninfo_to_dict(found.url)
        with psycopg.connect(found.url, autocommit=True) as connection:
            shown = {
                name: connection.execute(f"SHOW {name}").fetchone()[0]
                for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes")
            }
            host, port = connection.info.host, connection.info.port
    except psycopg.Error as error:
        raise ServerNotFoundError(
            f"{found.variable}: the server that it names does not answer: {str(error).strip()}; "
            f"start that server or unset the variable"
        ) from None
    is_durable = all(shown[name] != "off" for name in ("fsync", "full_page_writes"))
    return PostgresServer(
        source="dsn",
        profile="durable" if is_durable and shown["synchronous_commit"] != "off" else "fast",
        version=shown["server_version"].split()[0],
        engine=None,
        wire=Proxy(_address(host, port)) if proxy else None,
        parameters=parameters,
    )


def url(parameters: Mapping[str, Any]) -> str:
    """A URL with these connection parameters, in the form that libpq and asyncpg share."""
    query = "&".join(
        f"{name}={quote(str(value), safe='/')}"
        for name, value in parameters.items()
        if name != "dbname"
    )
    return f"postgresql:///{quote(str(parameters.get('dbname', '')), safe='')}?{query}"


def _place(address: Address) -> dict[str, str]:
    host = address.host if address.path is None else os.fspath(address.path.parent)
    return {"host": host, "port": str(address.port)}


def _address(host: str, port: int) -> Address:
    if host.startswith("/"):
        return Address(path=Path(host) / f".s.PGSQL.{port}", port=port)
    return Address(host=host, port=port)


def _psycopg() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError(
            "postgres: psycopg is not installed; python -m pip install 'groundspeed[postgres]'"
        ) from error
    return psycopg
