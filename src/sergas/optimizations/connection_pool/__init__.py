"""A fair connection pool for any DB-API driver."""

from sergas.optimizations.connection_pool._model import DatabaseConnection, PoolStats
from sergas.optimizations.connection_pool._pool import ConnectionPool

__all__ = ["ConnectionPool", "DatabaseConnection", "PoolStats"]
