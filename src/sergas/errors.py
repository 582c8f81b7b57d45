"""Every error sergas raises on purpose, in one tree.

Each also inherits the built-in that a caller would expect, so `except TimeoutError` works.
"""

__all__ = [
    "CacheError",
    "CacheLevelError",
    "CacheValueError",
    "ForeignConnectionError",
    "NotPicklableError",
    "PoolClosedError",
    "PoolError",
    "PoolQueueFullError",
    "PoolTimeoutError",
    "ProcessorError",
    "QueryPlanError",
    "RecursiveLoadError",
    "SergasError",
    "UncacheableError",
    "WorkerCrashedError",
]


class SergasError(Exception):
    """Base of every error sergas raises on purpose."""


class PoolError(SergasError):
    """The connection pool could not do what was asked."""


class PoolTimeoutError(PoolError, TimeoutError):
    """No connection could be had before the deadline."""


class PoolQueueFullError(PoolError, RuntimeError):
    """As many callers wait for a connection as `max_waiting` allows."""


class PoolClosedError(PoolError, RuntimeError):
    """The pool is closed: it hands out nothing any more."""


class ForeignConnectionError(PoolError, ValueError):
    """A connection was given back that this pool did not lend, or that it already has back."""


class CacheError(SergasError):
    """The cache could not do what was asked."""


class CacheLevelError(CacheError, OSError):
    """The second cache level failed; the first goes on without it."""


class CacheValueError(CacheError, ValueError):
    """A number or name given to the cache is out of its range."""


class RecursiveLoadError(CacheError, RuntimeError):
    """A loader waits for the very key that it loads."""


class UncacheableError(CacheError, TypeError):
    """A key, argument or value is of a type that the cache cannot carry."""


class ProcessorError(SergasError):
    """The parallel processor could not do what was asked."""


class NotPicklableError(ProcessorError, TypeError):
    """A function, item, result or error cannot travel between processes."""


class WorkerCrashedError(ProcessorError, RuntimeError):
    """A worker process died while it worked on an item."""


class QueryPlanError(SergasError, ValueError):
    """The database refused to plan a query."""
