"""A fair connection pool for any driver, for threads and for asyncio."""

from sergas.optimizations.connection_pool._advice import Advice
from sergas.optimizations.connection_pool._asyncio import AsyncConnectionPool
from sergas.optimizations.connection_pool._histogram import Times
from sergas.optimizations.connection_pool._model import Driver, PoolStats
from sergas.optimizations.connection_pool._null import AsyncNullPool, NullPool
from sergas.optimizations.connection_pool._threads import ConnectionPool

__all__ = [
    "Advice",
    "AsyncConnectionPool",
    "AsyncNullPool",
    "ConnectionPool",
    "Driver",
    "NullPool",
    "PoolStats",
    "Times",
]
