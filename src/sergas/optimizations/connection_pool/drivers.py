"""Ready drivers for the pools: SQLite, psycopg (for threads and for asyncio) and asyncpg.

psycopg and asyncpg come with the extra `postgres` and are imported when a driver for them is made.
A connection string, or what else is passed to the library's own connect, may be a function that
returns it: it is called for each connection, so passwords may change while the pool lives.
"""

import asyncio
import os
import select
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar

from sergas.errors import MissingExtraError
from sergas.optimizations.connection_pool._model import Driver

if TYPE_CHECKING:
    import asyncpg
    import psycopg

__all__ = ["asyncpg_driver", "psycopg_async_driver", "psycopg_driver", "sqlite_driver"]

T = TypeVar("T")
_CHECK_TIMEOUT_S = 2.0
_CONNECT_TIMEOUT_S = 5  # libpq counts in whole seconds
_PROBE_TIMEOUT_S = 0.25


def sqlite_driver(database: str | os.PathLike[str], **options: Any) -> Driver[sqlite3.Connection]:
    """Connections of the standard library to a file, or each to a memory of its own.

    Args:
        database: As for `sqlite3.connect`.
        **options: As for `sqlite3.connect`; any thread may use the connections unless
            `check_same_thread` says otherwise.
    """
    options = {"check_same_thread": False, **options}
    return Driver(
        connect=lambda: sqlite3.connect(database, **options),
        close=sqlite3.Connection.close,
        commit=sqlite3.Connection.commit,
        rollback=sqlite3.Connection.rollback,
    )


def psycopg_driver(
    conninfo: str | Callable[[], str] = "", **options: Any
) -> "Driver[psycopg.Connection[Any]]":
    """Connections of psycopg 3 for threads.

    A connection on which the server has hung up is recognised without asking; the check is an empty
    query that must be answered within two seconds; the probe is a bare connect to the socket.
    Connecting ends after five seconds, unless something else is asked for.

    Args:
        conninfo: As for `psycopg.connect`, or a function that returns it.
        **options: As for `psycopg.connect`.

    Raises:
        MissingExtraError: If psycopg is not installed.
    """
    library = _imported("psycopg")
    idle = library.pq.TransactionStatus.IDLE

    def connect() -> "psycopg.Connection[Any]":
        info = _now(conninfo)
        connection: psycopg.Connection[Any] = library.connect(
            info, **_timely(library, info, options)
        )
        return connection

    def commit(connection: "psycopg.Connection[Any]") -> None:
        if connection.pgconn.transaction_status != idle:
            connection.commit()

    def rollback(connection: "psycopg.Connection[Any]") -> None:
        if connection.pgconn.transaction_status != idle:
            connection.rollback()

    def check(connection: "psycopg.Connection[Any]") -> None:
        _ask_libpq(connection.pgconn, _CHECK_TIMEOUT_S)

    def probe() -> bool:
        return any(map(_is_listening, _places(library, _now(conninfo), options)))

    return Driver(
        connect=connect,
        close=library.Connection.close,
        commit=commit,
        rollback=rollback,
        check=check,
        alive=_libpq_is_alive,
        probe=probe,
    )


def psycopg_async_driver(
    conninfo: str | Callable[[], str | Awaitable[str]] = "", **options: Any
) -> "Driver[psycopg.AsyncConnection[Any]]":
    """Connections of psycopg 3 for asyncio; see `psycopg_driver`.

    Args:
        conninfo: As for `psycopg.AsyncConnection.connect`, or a function that returns it, or a
            coroutine function.
        **options: As for `psycopg.AsyncConnection.connect`.

    Raises:
        MissingExtraError: If psycopg is not installed.
    """
    library = _imported("psycopg")
    idle = library.pq.TransactionStatus.IDLE

    async def connect() -> "psycopg.AsyncConnection[Any]":
        info = await _soon(conninfo)
        connection: psycopg.AsyncConnection[Any] = await library.AsyncConnection.connect(
            info, **_timely(library, info, options)
        )
        return connection

    async def commit(connection: "psycopg.AsyncConnection[Any]") -> None:
        if connection.pgconn.transaction_status != idle:
            await connection.commit()

    async def rollback(connection: "psycopg.AsyncConnection[Any]") -> None:
        if connection.pgconn.transaction_status != idle:
            await connection.rollback()

    async def check(connection: "psycopg.AsyncConnection[Any]") -> None:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            await _ask_libpq_soon(connection.pgconn)

    async def probe() -> bool:
        places = _places(library, await _soon(conninfo), options)
        return any([await _is_listening_soon(place) for place in places])

    return Driver(
        connect=connect,
        close=library.AsyncConnection.close,
        commit=commit,
        rollback=rollback,
        check=check,
        alive=_libpq_is_alive,
        probe=probe,
    )


def asyncpg_driver(
    dsn: str | Callable[[], str | Awaitable[str]] | None = None, **options: Any
) -> "Driver[asyncpg.Connection[Any]]":
    """Connections of asyncpg.

    asyncpg opens no transaction by itself, so a block has nothing to commit. What a borrower leaves
    open is rolled back; for all that `RESET` and the like undo, pass the pool
    `reset=asyncpg.Connection.reset`, at the price of a round trip for each return.

    Args:
        dsn: As for `asyncpg.connect`, or a function that returns it, or a coroutine function.
        **options: As for `asyncpg.connect`.

    Raises:
        MissingExtraError: If asyncpg is not installed.
    """
    library = _imported("asyncpg")

    async def connect() -> "asyncpg.Connection[Any]":
        connection: asyncpg.Connection[Any] = await library.connect(await _soon(dsn), **options)
        return connection

    async def close(connection: "asyncpg.Connection[Any]") -> None:
        try:
            await connection.close(timeout=_CHECK_TIMEOUT_S)
        except BaseException:
            connection.terminate()
            raise

    async def rollback(connection: "asyncpg.Connection[Any]") -> None:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")

    async def check(connection: "asyncpg.Connection[Any]") -> None:
        await connection.execute("SELECT", timeout=_CHECK_TIMEOUT_S)

    return Driver(
        connect=connect,
        close=close,
        commit=rollback,  # a transaction that a block left open was begun by hand and not ended
        rollback=rollback,
        check=check,
        alive=lambda connection: not connection.is_closed(),
    )


def _imported(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise MissingExtraError(
            f"connection pool: {name} is not installed, but its driver was asked for; "
            "pip install 'groundspeed[postgres]'"
        ) from error


def _now(source: T | Callable[[], T]) -> T:
    return source() if callable(source) else source


async def _soon(source: Any) -> Any:
    value = source() if callable(source) else source
    return await value if isawaitable(value) else value


def _timely(library: Any, conninfo: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options with a time limit for connecting, unless there is one already."""
    known = {**library.conninfo.conninfo_to_dict(conninfo), **options}
    if "connect_timeout" in known or "PGCONNECT_TIMEOUT" in os.environ:
        return options
    return {**options, "connect_timeout": _CONNECT_TIMEOUT_S}


def _libpq_is_alive(connection: Any) -> bool:
    """False if there is something to read: an idle connection has only its end to hear of.

    A notice or a notification counts as well. A connection that sits in a pool is no place to
    listen for either, and another one costs milliseconds.
    """
    if connection.closed:
        return False
    return not _has_input(connection.pgconn.socket, 0.0)


def _has_input(socket_number: int, timeout_s: float) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([socket_number], [], [], timeout_s)[0])
    poll = select.poll()
    poll.register(socket_number, select.POLLIN)
    return bool(poll.poll(timeout_s * 1e3))


def _ask_libpq(pgconn: Any, timeout_s: float) -> None:
    """An empty query, at a tenth of the cost of `Connection.execute`, and with a time limit."""
    deadline_s = time.monotonic() + timeout_s
    pgconn.send_query(b"")
    while True:
        while not pgconn.is_busy():
            if pgconn.get_result() is None:
                return
        left_s = deadline_s - time.monotonic()
        pgconn.flush()
        if left_s <= 0 or not _has_input(pgconn.socket, left_s):
            raise TimeoutError(f"the server has not answered within {timeout_s:g} s")
        pgconn.consume_input()


async def _ask_libpq_soon(pgconn: Any) -> None:
    """The same without stopping the loop, and without a transaction around it."""
    pgconn.send_query(b"")
    loop, has_input = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pgconn.socket, has_input.set)
    try:
        while True:
            while not pgconn.is_busy():
                if pgconn.get_result() is None:
                    return
            pgconn.flush()
            await has_input.wait()
            has_input.clear()
            pgconn.consume_input()
    finally:
        loop.remove_reader(pgconn.socket)


def _places(library: Any, conninfo: str, options: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Host or folder, and port, of each server that libpq would try."""
    known = {"autocommit", "row_factory", "cursor_factory", "prepare_threshold", "context"}
    given = {key: value for key, value in options.items() if key not in known}
    info = library.conninfo.conninfo_to_dict(conninfo, **given)
    # Where libpq looks when it is told nothing.
    folder = next(filter(os.path.exists, ("/var/run/postgresql", "/tmp")), "/tmp")  # noqa: S108
    hosts = str(info.get("hostaddr") or info.get("host") or os.environ.get("PGHOST") or folder)
    ports = str(info.get("port") or os.environ.get("PGPORT") or 5432).split(",")
    names = hosts.split(",")
    if len(ports) < len(names):
        ports = [ports[0]] * len(names)
    return [(name or folder, int(port or 5432)) for name, port in zip(names, ports, strict=False)]


def _is_listening(place: tuple[str, int]) -> bool:
    host, port = place
    try:
        if host.startswith("/"):
            with socket.socket(socket.AF_UNIX) as end:
                end.settimeout(_PROBE_TIMEOUT_S)
                end.connect(f"{host}/.s.PGSQL.{port}")
        else:
            socket.create_connection(place, timeout=_PROBE_TIMEOUT_S).close()
    except OSError:
        return False
    return True


async def _is_listening_soon(place: tuple[str, int]) -> bool:
    # In a thread: resolving a name would stop the loop.
    return await asyncio.get_running_loop().run_in_executor(None, _is_listening, place)
