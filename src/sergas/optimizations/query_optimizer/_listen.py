"""Hear what is executed on a connection of sqlite3, psycopg or asyncpg, while somebody listens.

Nothing is left on a connection that nobody listens to, and nothing is taken from what it does.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from sergas.errors import WorkloadError
from sergas.optimizations.query_optimizer._call_site import CallSite, call_site
from sergas.optimizations.query_optimizer._shape import Dialect

__all__ = ["Executed", "Listener", "RecordedConnection", "listening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """One statement that was executed.

    Attributes:
        sql: Its text; with the values in it where the driver does not tell them apart.
        parameters: The values for its placeholders; `()` if there are none or they are in `sql`.
        dialect: Whose SQL it is.
        site: Where it came from.
        elapsed_s: Seconds until the driver came back; None where it does not tell.
        is_batch: Whether it was executed for many sets of parameters at once.
    """

    sql: str
    parameters: Any
    dialect: Dialect
    site: CallSite
    elapsed_s: float | None
    is_batch: bool = False


Listener = Callable[[Executed], None]

_lock = threading.Lock()
_listeners: dict[int, list[Listener]] = {}  # id of a connection that is held while it is here


@contextmanager
def listening(listener: Listener, *connections: Any) -> Iterator[None]:
    """Call `listener` for each statement that is executed on the connections in the block.

    Args:
        listener: Called by the thread that executes, after the statement, or before it on a plain
            `sqlite3.Connection`.
        connections: Of sqlite3, psycopg (both kinds) or asyncpg; a connection lent by an asyncpg
            pool counts as the one behind it. A plain `sqlite3.Connection` is heard through its
            trace callback, which is set anew; a `RecordedConnection` tells parameters and times.

    Raises:
        WorkloadError: If a connection is of no driver that is known.
    """
    with ExitStack() as stack:
        for connection in connections:
            behind = getattr(connection, "_con", connection)
            stack.enter_context(_attached(behind, listener))
        yield


@contextmanager
def _attached(connection: Any, listener: Listener) -> Iterator[None]:
    tap = _tap_for(connection)
    key = id(connection)
    with _lock:
        mine = _listeners.setdefault(key, [])
        if not mine:
            try:
                undo = tap(connection)
            except BaseException:
                del _listeners[key]
                raise
            _undo[key] = undo
        mine.append(listener)
    try:
        yield
    finally:
        with _lock:
            mine.remove(listener)
            if not mine:
                del _listeners[key]
                _undo.pop(key)()


_undo: dict[int, Callable[[], None]] = {}


def _tell(connection: Any, executed: Executed) -> None:
    for listener in tuple(_listeners.get(id(connection), ())):
        listener(executed)


def _tap_for(connection: Any) -> Callable[[Any], Callable[[], None]]:
    if isinstance(connection, RecordedConnection):
        return lambda _: _nothing
    if isinstance(connection, sqlite3.Connection):
        return _tap_sqlite
    kind = type(connection)
    modules = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if "psycopg" in modules:
        return _tap_psycopg
    if "asyncpg" in modules:
        return _tap_asyncpg
    raise WorkloadError(
        f"listening: got a {kind.__module__}.{kind.__qualname__}, needed a connection of sqlite3, "
        "psycopg or asyncpg; for a pool, give the connection that it lends"
    )


def _nothing() -> None:
    """There is nothing to undo."""


# sqlite3


def _tap_sqlite(connection: sqlite3.Connection) -> Callable[[], None]:
    def heard(sql: str) -> None:
        _tell(
            connection,
            Executed(sql=sql, parameters=(), dialect="sqlite", site=call_site(), elapsed_s=None),
        )

    connection.set_trace_callback(heard)
    return lambda: connection.set_trace_callback(None)


class RecordedCursor(sqlite3.Cursor):
    """A cursor that tells what it executes."""

    def execute(self, sql: str, parameters: Any = ()) -> "RecordedCursor":  # type: ignore[explicit-override]
        """As sqlite3's."""
        if id(self.connection) not in _listeners:
            super().execute(sql, parameters)
            return self
        began_s = time.perf_counter()
        super().execute(sql, parameters)
        self._tell(sql, parameters, began_s)
        return self

    def executemany(self, sql: str, parameters: Any) -> "RecordedCursor":  # type: ignore[explicit-override]
        """As sqlite3's."""
        began_s = time.perf_counter()
        super().executemany(sql, parameters)
        self._tell(sql, (), began_s, is_batch=True)
        return self

    def _tell(self, sql: str, parameters: Any, began_s: float, *, is_batch: bool = False) -> None:
        if id(self.connection) in _listeners:
            _tell(
                self.connection,
                Executed(
                    sql=sql,
                    parameters=parameters,
                    dialect="sqlite",
                    site=call_site(),
                    elapsed_s=time.perf_counter() - began_s,
                    is_batch=is_batch,
                ),
            )


class RecordedConnection(sqlite3.Connection):
    """`sqlite3.connect(path, factory=RecordedConnection)`: tells parameters and times as well."""

    def cursor(self, factory: Any = RecordedCursor) -> Any:  # type: ignore[explicit-override]
        """As sqlite3's."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = ()) -> Any:  # type: ignore[explicit-override]
        """As sqlite3's."""
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> Any:  # type: ignore[explicit-override]
        """As sqlite3's."""
        return self.cursor().executemany(sql, parameters)


# psycopg


def _tap_psycopg(connection: Any) -> Callable[[], None]:
    before = connection.cursor_factory
    connection.cursor_factory = _told_psycopg(before)

    def undo() -> None:
        connection.cursor_factory = before

    return undo


def _text_of(query: Any, cursor: Any) -> str:
    if isinstance(query, str):
        return query
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    return str(query.as_string(cursor))


@cache
def _told_psycopg(kind: Any) -> Any:
    """A subclass of a cursor class of psycopg that tells what it executes."""
    import inspect

    def told(cursor: Any, query: Any, parameters: Any, *, began_s: float, is_batch: bool) -> None:
        _tell(
            cursor.connection,
            Executed(
                sql=_text_of(query, cursor),
                parameters=() if parameters is None or is_batch else parameters,
                dialect="postgres",
                site=cursor_site.pop(id(cursor), ()),
                elapsed_s=time.perf_counter() - began_s,
                is_batch=is_batch,
            ),
        )

    cursor_site: dict[int, CallSite] = {}

    class Told(kind):  # type: ignore[misc] # the class is the caller's
        def execute(self, query: Any, params: Any = None, **more: Any) -> Any:
            cursor_site[id(self)] = call_site()
            began_s = time.perf_counter()
            done = super().execute(query, params, **more)
            return _after(done, lambda: told(self, query, params, began_s=began_s, is_batch=False))

        def executemany(self, query: Any, params_seq: Any, **more: Any) -> Any:
            cursor_site[id(self)] = call_site()
            began_s = time.perf_counter()
            done = super().executemany(query, params_seq, **more)
            return _after(done, lambda: told(self, query, (), began_s=began_s, is_batch=True))

    def _after(done: Any, tell: Callable[[], None]) -> Any:
        if inspect.iscoroutine(done):
            return _awaited(done, tell)
        tell()
        return done

    return Told


async def _awaited(done: Coroutine[Any, Any, Any], tell: Callable[[], None]) -> Any:
    result = await done
    tell()
    return result


# asyncpg


def _tap_asyncpg(connection: Any) -> Callable[[], None]:
    """Exchange the class for a subclass: instances have slots only, and its query log has no place.

    Raises:
        TypeError: If the class does not let itself be exchanged.
    """
    before: type = type(connection)
    connection.__class__ = _told_asyncpg(before)

    def undo() -> None:
        connection.__class__ = before

    return undo


@cache
def _told_asyncpg(kind: Any) -> Any:
    """A subclass of asyncpg's connection that tells what it executes."""

    def telling(name: str) -> Callable[..., Any]:
        def call(self: Any, query: str, *args: Any, **more: Any) -> Any:
            site = call_site()
            began_s = time.perf_counter()
            is_batch = name == "executemany"

            def tell() -> None:
                _tell(
                    self,
                    Executed(
                        sql=query,
                        parameters=() if is_batch else args,
                        dialect="postgres",
                        site=site,
                        elapsed_s=time.perf_counter() - began_s,
                        is_batch=is_batch,
                    ),
                )

            return _awaited(getattr(kind, name)(self, query, *args, **more), tell)

        return call

    methods = {
        name: telling(name) for name in ("execute", "executemany", "fetch", "fetchrow", "fetchval")
    }
    return type(kind)(f"Told{kind.__name__}", (kind,), {"__slots__": (), **methods})
