"""The four modules whose speed is tracked: pool, cache, parallel processor and query optimizer."""

from sergas.optimizations.cache_manager import CacheManager
from sergas.optimizations.connection_pool import ConnectionPool
from sergas.optimizations.parallel_processor import ParallelProcessor
from sergas.optimizations.query_optimizer import QueryOptimizer

__all__ = ["CacheManager", "ConnectionPool", "ParallelProcessor", "QueryOptimizer"]
