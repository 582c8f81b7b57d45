"""What drivers and pools raise, in the words of the account service."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sergas.errors import (
    AccountError,
    BatchError,
    PoolError,
    SchemaVersionError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)

__all__ = ["told_as_ours"]

# PostgreSQL's classes of conditions, Appendix A of its manual: by their first two or five letters.
_FULL = {"53100"}
_AWAY = {"08", "57"}
_BUSY = {"53300", "55P03", "40001", "40P01"}
_NO_TABLES = {"42P01", "42703"}


@contextmanager
def told_as_ours(engine: str) -> Iterator[None]:
    """Turn a driver's or the pool's error into one of ours, with it as the cause."""
    try:
        yield
    except AccountError:
        raise
    except PoolError as error:
        raise StoreUnavailableError(f"{engine}: no connection: {error}") from error
    except (BatchError, sqlite3.Error) as error:
        cause = error.__cause__ if isinstance(error, BatchError) else error
        raise _ours(engine, cause or error) from error
    except Exception as error:
        if not hasattr(error, "sqlstate"):  # none of psycopg's
            raise
        raise _ours(engine, error) from error


def _ours(engine: str, error: BaseException) -> StoreError:
    text = f"{engine}: {str(error).strip() or type(error).__name__}"
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(text, error)
    state = getattr(error, "sqlstate", None)
    if state in _FULL:
        return StoreFullError(text)
    if state in _NO_TABLES:
        return SchemaVersionError(f"{text}; run `sergas seed` or `sergas serve --migrate`")
    # Without a state the connection broke off before the server could say anything.
    if state is None or state in _BUSY or state[:2] in _AWAY:
        return StoreUnavailableError(text)
    return StoreError(text)


def _from_sqlite(text: str, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StoreFullError(text)
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN}:
        return StoreUnavailableError(text)
    if "no such table" in text or "no such column" in text:
        return SchemaVersionError(f"{text}; run `sergas seed` or `sergas serve --migrate`")
    return StoreError(text)
