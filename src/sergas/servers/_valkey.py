"""Valkey or Redis: found, or started in a private folder."""

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from sergas.errors import MissingExtraError, ServerError, ServerNotFoundError
from sergas.servers import _commands
from sergas.servers._binaries import VALKEY, Places, find
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

__all__ = ["ValkeyServer", "start_valkey"]

_PING_TIMEOUT_S = 1.0


class ValkeyServer(Server):
    """A real Valkey or Redis; see `Server` and `start_valkey`."""

    def __init__(self, *, url: str, **common: Any) -> None:
        super().__init__(**common)
        self._direct = url
        self._taken: set[int] = set()

    @property
    def url(self) -> str:
        """URL of the server's first database, over the proxy if it has one."""
        return self._url(through_proxy=True)

    @property
    def direct_url(self) -> str:
        """The same past the proxy."""
        return self._url(through_proxy=False)

    @contextlib.contextmanager
    def new_database(self) -> Iterator[str]:
        """An empty numbered database for the length of a block; yields its URL.

        Only one that is empty is taken, and it is emptied at the end; another process that does
        the same at the same moment may take the same. Publishing is not confined to a database:
        who subscribes needs a server of its own.

        Raises:
            MissingExtraError: Without redis-py.
            ServerError: If no database is empty.
        """
        with self._lock:
            index = self._empty_index()
            self._taken.add(index)
        try:
            yield self._url(through_proxy=True, index=index)
        finally:
            if self.is_running:
                with _client(self._url(through_proxy=False, index=index)) as client:
                    client.flushdb()
            self._taken.discard(index)

    def _empty_index(self) -> int:
        with _client(self.direct_url) as client:
            used = {int(name[2:]) for name in client.info("keyspace") if name.startswith("db")}
            count = int(client.config_get("databases").get("databases", 16))
        # The first is what a URL without a number means: others may be about to write there.
        for index in range(1, count):
            if index not in used | self._taken:
                return index
        raise ServerError(
            f"valkey: all of databases 1 to {count - 1} hold keys, needed an empty one; empty one, "
            f"or use a server of your own with sources=OWN"
        )

    def _url(self, *, through_proxy: bool, index: int | None = None) -> str:
        wire = self._wire if through_proxy else None
        return moved(self._direct, None if wire is None else wire.address, index)


def start_valkey(  # noqa: PLR0913 keywords, each with a default
    *,
    profile: Profile = "fast",
    sources: Sequence[Source] = SEARCH_ORDER,
    transport: Transport = "unix",
    proxy: bool = False,
    settings: Mapping[str, str] | None = None,
    bin_dir: Path | None = None,
    places: Places | None = None,
) -> ValkeyServer:
    """Find a Valkey or Redis, or start one in a private folder; ready when this returns.

    Args:
        profile: `fast` keeps nothing on disk: a restart finds it empty. `durable` appends each
            command to a file and syncs it before it answers. A given server has what it has.
        sources: Where to look, in this order. `OWN` leaves the given server out.
        transport: `unix` socket, or `tcp` on a free loopback port with a password.
        proxy: Put a wire between clients and server that `cut_off` and its kin can break.
        settings: Lines of the configuration of a server started here, such as
            `{"maxmemory": "10mb"}`.
        bin_dir: The folder whose programs to use.
        places: Where to look; the machine unless given.

    Raises:
        ServerNotFoundError: If there is none.
        ServerStartError: If it does not come up; the message has what it wrote.
        MissingExtraError: If a server is given, and redis-py is not installed.
    """
    check_choices(profile, transport, sources)
    found = find(VALKEY, places or Places(), ("path",) if bin_dir is not None else sources, bin_dir)
    if isinstance(found, Given):
        return _given(found, proxy=proxy)
    with contextlib.ExitStack() as undo:
        home = Home(found, transport, "valkey.sock")
        undo.callback(home.close)
        password = home.password if transport == "tcp" else None
        if proxy:
            home.lay_wire()
        server = ValkeyServer(
            source=found.source,
            profile=profile,
            version=found.version,
            engine=_engine(home, profile, settings or {}, password),
            wire=home.wire,
            url=_commands.valkey_url(home.address, password),
        )
        server.start()
        undo.pop_all()
        return server


def _engine(
    home: Home, profile: Profile, settings: Mapping[str, str], password: str | None
) -> Engine:
    config = _commands.valkey_config(home.data, home.address, profile, settings, password)
    file = home.write(home.folder / "valkey.conf", config)
    return Engine(
        home=home,
        command=(os.fspath(home.programs.server), os.fspath(file)),
        is_ready=lambda: pongs(home.address, password),
        stops=(("SIGTERM", 10.0),),
        farewell="SIGKILL",
    )


def _given(found: Given, *, proxy: bool) -> ValkeyServer:
    url = moved(found.url, None, None)
    redis = _redis()
    try:
        with _client(url) as client:
            about = client.info("server")
            is_durable = _is_durable(client)
    except (redis.RedisError, OSError) as error:
        raise ServerNotFoundError(
            f"{found.variable}: the server that it names does not answer: {error}; "
            f"start that server or unset the variable"
        ) from None
    return ValkeyServer(
        source="dsn",
        profile="durable" if is_durable else "fast",
        version=str(about.get("valkey_version", about["redis_version"])),
        engine=None,
        wire=Proxy(_address(url)) if proxy else None,
        url=url,
    )


def _is_durable(client: Any) -> bool:
    """Whether each write is on disk before it is confirmed; False where one may not ask."""
    try:
        shown = client.config_get("append*")
    except _redis().ResponseError:
        return False
    return bool(shown.get("appendonly") == "yes" and shown.get("appendfsync") == "always")


def moved(url: str, address: Address | None, index: int | None) -> str:
    """`url` in redis-py's spelling, at another address and database where one is given."""
    parts = urlsplit(url)
    scheme = {"valkey": "redis", "valkeys": "rediss"}.get(parts.scheme, parts.scheme)
    netloc, path, query = parts.netloc, parts.path, parse_qs(parts.query)
    credentials = netloc.rpartition("@")[0]
    if address is not None and address.path is not None:
        path = os.fspath(address.path)
    elif address is not None:
        if scheme == "unix":
            scheme, path = "redis", ""
        netloc = f"{credentials}{'@' if credentials else ''}{address.host}:{address.port}"
    if index is not None:
        query["db"] = [str(index)]
        if scheme != "unix":
            path = ""
    options = urlencode(query, doseq=True)
    # urlunsplit leaves the // out before an empty host, as in unix:///path.
    return f"{scheme}://{netloc}{path}{'?' if options else ''}{options}"


def _address(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return Address(path=Path(parts.path))
    return Address(host=parts.hostname or "localhost", port=parts.port or 6379)


def pongs(address: Address, password: str | None) -> bool:
    """Whether a server answers PING there, without a driver; False while it loads its data."""
    try:
        with contextlib.closing(_connected(address)) as connection:
            hello = f"AUTH {password}\r\n" if password else ""
            connection.sendall(f"{hello}PING\r\n".encode())
            expected = b"+OK\r\n+PONG\r\n" if password else b"+PONG\r\n"
            answer = b""
            while len(answer) < len(expected) and (data := connection.recv(256)):
                answer += data
            return answer == expected
    except OSError:
        return False


def _connected(address: Address) -> socket.socket:
    if address.path is None:
        return socket.create_connection((address.host, address.port), _PING_TIMEOUT_S)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(_PING_TIMEOUT_S)
        connection.connect(os.fspath(address.path))
    except BaseException:
        connection.close()
        raise
    return connection


def _client(url: str) -> Any:
    return _redis().Redis.from_url(url, decode_responses=True)


def _redis() -> Any:
    try:
        import redis
    except ImportError as error:
        raise MissingExtraError(
            "valkey: redis-py is not installed; python -m pip install 'groundspeed[redis]'"
        ) from error
    return redis
