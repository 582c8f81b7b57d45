"""What is not HTTP, as something to call with a number: functions, SQL statements, cache commands.

Each thread makes its own, so that each has its own connection and none is shared by accident.
"""

import contextlib
import inspect
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from groundspeed.errors import BrokenError, UsageError
from groundspeed.load.scenario import Cache, Call, Operation, Sql, filled, resolve_function

__all__ = ["Caller", "is_asynchronous", "keys_of", "open_callers", "resolved"]

Caller: TypeAlias = Callable[[int], Any]


def is_asynchronous(operations: Sequence[Operation]) -> bool:
    """Whether all are coroutine functions, or none is.

    Raises:
        UsageError: If they are mixed.
    """
    kinds = {
        isinstance(operation.target, Call)
        and inspect.iscoroutinefunction(resolve_function(operation.target.function))
        for operation in operations
    }
    if len(kinds) > 1:
        raise UsageError(
            "operations: got coroutine functions and others, needed one kind; run them as two "
            "scenarios"
        )
    return kinds.pop()


def keys_of(operation: Operation) -> int:
    """How many numbers an operation draws from."""
    return max(1, getattr(operation.target, "keys", 1))


def resolved(call: Call) -> Caller:
    """The function of a call, taking the drawn number whether or not it wants one."""
    function = resolve_function(call.function)
    return function if call.keys else lambda _: function()


@contextlib.contextmanager
def open_callers(operations: Sequence[Operation]) -> Iterator[list[Caller]]:
    """Connections for one thread, and one caller for each operation.

    Raises:
        BrokenError: If a target cannot be reached.
        UsageError: If a driver is not installed.
    """
    with contextlib.ExitStack() as stack:
        yield [_caller(operation, stack) for operation in operations]


def _caller(operation: Operation, stack: contextlib.ExitStack) -> Caller:
    match operation.target:
        case Call():
            return resolved(operation.target)
        case Sql():
            return _sql(operation.target, stack)
        case Cache():
            return _cache(operation.target, stack)
        case _:
            raise UsageError(f"operation {operation.name!r}: HTTP is not called but sent")


def _sql(target: Sql, stack: contextlib.ExitStack) -> Caller:
    connection = stack.enter_context(contextlib.closing(_database(target.database)))
    values, execute = target.parameters, connection.execute
    statement = target.statement

    def put_in(value: Any, number: int) -> Any:
        if value == "{n}":
            return number
        return filled(value, number) if isinstance(value, str) else value

    def call(number: int) -> object:
        cursor = execute(statement, [put_in(value, number) for value in values])
        return cursor.fetchall() if cursor.description else None

    return call


def _database(name: str) -> Any:
    if not name.startswith(("postgres://", "postgresql://")):
        try:
            return sqlite3.connect(f"file:{name}?mode=rw", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise BrokenError(f"database {name}: {error}; needed an SQLite file") from None
    try:
        import psycopg
    except ImportError:
        raise UsageError(
            "PostgreSQL needs its driver; pip install 'groundspeed[postgres]'"
        ) from None
    try:
        return psycopg.connect(name, autocommit=True)
    except psycopg.Error as error:
        first = str(error).strip().partition("\n")[0]
        raise BrokenError(f"database: {first}; start it, or correct its URL") from None


def _cache(target: Cache, stack: contextlib.ExitStack) -> Caller:
    try:
        import redis
    except ImportError:
        raise UsageError("Redis needs its client; pip install 'groundspeed[redis]'") from None
    try:
        client: Any = redis.Redis.from_url(target.url, single_connection_client=True)
        client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise BrokenError(f"cache {target.url}: {error}; start it, or correct its URL") from None
    stack.callback(client.close)
    words, execute = target.command, client.execute_command

    def call(number: int) -> object:
        return execute(*[filled(word, number) for word in words])

    return call
