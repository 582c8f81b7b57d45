"""Pools that keep nothing: every loan opens a connection and closes it.

With the interface and the rules of the pools, they are the control that tells what pooling is
worth, and they suit a pooler on the server's side.
"""

from collections.abc import Awaitable, Callable
from typing import Unpack

from sergas.optimizations.connection_pool._asyncio import AsyncConnectionPool
from sergas.optimizations.connection_pool._base import Options
from sergas.optimizations.connection_pool._model import ConnectionT, Driver
from sergas.optimizations.connection_pool._threads import ConnectionPool

__all__ = ["AsyncNullPool", "NullPool"]


class NullPool(ConnectionPool[ConnectionT]):
    """A `ConnectionPool` whose connections live for one loan; `min_size` is 0.

    `max_size`, 1 unless given, bounds the connections open at the same time.
    """

    _is_pooling = False

    def __init__(
        self,
        connect: Callable[[], ConnectionT] | Driver[ConnectionT],
        **options: Unpack[Options[ConnectionT]],
    ) -> None:
        super().__init__(connect, **_unpooled(options))


class AsyncNullPool(AsyncConnectionPool[ConnectionT]):
    """An `AsyncConnectionPool` whose connections live for one loan; see `NullPool`."""

    _is_pooling = False

    def __init__(
        self,
        connect: Callable[[], Awaitable[ConnectionT]] | Driver[ConnectionT],
        **options: Unpack[Options[ConnectionT]],
    ) -> None:
        super().__init__(connect, **_unpooled(options))


def _unpooled(options: Options[ConnectionT]) -> Options[ConnectionT]:
    defaults: Options[ConnectionT] = {"min_size": 0, "max_size": 1}
    return {**defaults, **options}
