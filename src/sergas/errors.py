"""Every error sergas raises on purpose, in one tree.

Each also inherits the built-in that a caller would expect, so `except TimeoutError` works.
"""

from collections.abc import Mapping

__all__ = [
    "AccountError",
    "AccountNotFoundError",
    "AccountValueError",
    "BackendUnavailableError",
    "BatchError",
    "CacheError",
    "CacheLevelError",
    "CacheValueError",
    "CheckpointError",
    "ForeignConnectionError",
    "ItemTimeoutError",
    "LoadTimeoutError",
    "LoaderError",
    "MissingExtraError",
    "NPlusOneError",
    "NotPicklableError",
    "PageError",
    "PoolClosedError",
    "PoolError",
    "PoolQueueFullError",
    "PoolTimeoutError",
    "PoolUnavailableError",
    "PoolValueError",
    "ProcessorClosedError",
    "ProcessorError",
    "ProcessorValueError",
    "QueryPlanError",
    "RecursiveLoadError",
    "SchemaVersionError",
    "SergasError",
    "ServerError",
    "ServerNotFoundError",
    "ServerNotOursError",
    "ServerStartError",
    "SettingsError",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "UncacheableError",
    "VersionConflictError",
    "WorkerCrashedError",
    "WorkloadError",
    "WriteBehindError",
]


class SergasError(Exception):
    """Base of every error sergas raises on purpose."""


class MissingExtraError(SergasError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


class PoolError(SergasError):
    """The connection pool could not do what was asked."""


class PoolTimeoutError(PoolError, TimeoutError):
    """No connection could be had before the deadline."""


class PoolQueueFullError(PoolError, RuntimeError):
    """As many callers wait for a connection as `max_waiting` allows."""


class PoolClosedError(PoolError, RuntimeError):
    """The pool is closed: it hands out nothing any more."""


class PoolUnavailableError(PoolError, ConnectionError):
    """The server has been away for a while, and callers are refused at once until it is back."""


class PoolValueError(PoolError, ValueError):
    """A number given to the pool is out of its range."""


class ForeignConnectionError(PoolError, ValueError):
    """A connection was given back that this pool did not lend, or that it already has back."""


class CacheError(SergasError):
    """The cache could not do what was asked."""


class CacheLevelError(CacheError, OSError):
    """The second cache level failed; the first goes on without it."""


class CacheValueError(CacheError, ValueError):
    """A number or name given to the cache is out of its range."""


class LoadTimeoutError(CacheError, TimeoutError):
    """A value was not loaded within the time its caller would wait."""


class RecursiveLoadError(CacheError, RuntimeError):
    """A loader waits for the very key that it loads."""


class UncacheableError(CacheError, TypeError):
    """A key, argument or value is of a type that the cache cannot carry."""


class WriteBehindError(CacheError, RuntimeError):
    """Values could not be written to where they belong.

    Attributes:
        failed: The error of each key that was given up.
    """

    def __init__(self, message: str, *, failed: Mapping[str, Exception]) -> None:
        super().__init__(message)
        self.failed = dict(failed)


class ProcessorError(SergasError):
    """The parallel processor could not do what was asked."""


class ProcessorValueError(ProcessorError, ValueError):
    """A number or name given to the parallel processor is out of its range."""


class ProcessorClosedError(ProcessorError, RuntimeError):
    """The parallel processor is closed: it takes nothing any more, and gives up what it had."""


class BackendUnavailableError(ProcessorError, RuntimeError):
    """This Python or this system cannot run the backend that was asked for."""


class ItemTimeoutError(ProcessorError, TimeoutError):
    """An item took longer than it may; it was given up."""


class CheckpointError(ProcessorError, ValueError):
    """A checkpoint cannot be used: it is damaged, or of another call."""


class NotPicklableError(ProcessorError, TypeError):
    """A function, item, result or error cannot travel between processes."""


class WorkerCrashedError(ProcessorError, RuntimeError):
    """A worker process died while it worked on an item."""


class QueryPlanError(SergasError, ValueError):
    """The database refused to plan a query."""


class WorkloadError(SergasError, ValueError):
    """What a program executes cannot be recorded, or a recording cannot be used."""


class PageError(SergasError, ValueError):
    """A page cannot be read: its token is not one, or the keys do not fit the rows."""


class LoaderError(SergasError, LookupError):
    """A loader has no value for a key."""


class BatchError(SergasError, ValueError):
    """Rows cannot be written; nothing was."""


class NPlusOneError(SergasError, AssertionError):
    """Lookups were made one by one where one statement would do."""


class ServerError(SergasError):
    """A server for development and tests could not be had or used."""


class ServerNotFoundError(ServerError, LookupError):
    """No server was found: none is named, none is installed, or the one that is named is mute."""


class ServerStartError(ServerError, RuntimeError):
    """A server that was found did not start; the message has what it wrote."""


class ServerNotOursError(ServerError, RuntimeError):
    """Something was asked of a server that it cannot do as it was had: a given one is not ended."""


class SettingsError(SergasError, ValueError):
    """A setting has a value that means nothing; the message names it and what it takes."""


class AccountError(SergasError):
    """The account service could not do what was asked."""


class AccountNotFoundError(AccountError, LookupError):
    """There is no account with that id."""


class AccountValueError(AccountError, ValueError):
    """A value given to the account service is out of its range."""


class VersionConflictError(AccountError, RuntimeError):
    """Accounts have changed since they were read; nothing was written.

    Attributes:
        versions: The version that each of them has now, by id.
    """

    def __init__(self, message: str, *, versions: Mapping[str, int]) -> None:
        super().__init__(message)
        self.versions = dict(versions)


class StoreError(AccountError, OSError):
    """The database failed at what was asked."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The database cannot be reached, or has no free connection in time."""


class StoreFullError(StoreError):
    """The database has no room left on its disk; nothing was written."""


class SchemaVersionError(StoreError):
    """The database's tables are older or newer than this program."""
