"""Puts the parts together as the settings say."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sergas.accounts import AccountStore, PostgresStore, SqliteStore
from sergas.accounts.service import AccountService
from sergas.errors import SettingsError
from sergas.optimizations.cache_manager import CacheLevel, CacheManager, SqliteLevel, ValkeyLevel
from sergas.settings import Settings, database_kind

__all__ = ["create_app", "open_cache", "open_store", "sqlite_path"]

_ENTRIES_MAX = 10_000
_BYTES_MAX = 64 * 1024**2


def sqlite_path(url: str) -> Path:
    """The file that `sqlite:///relative` or `sqlite:////absolute` names.

    Raises:
        SettingsError: If it names none.
    """
    parts = urlsplit(url)
    path = unquote(parts.path).removeprefix("/")
    if parts.netloc or not path:
        raise SettingsError(
            f"database: got {url!r}, needed sqlite:///relative/path or sqlite:////absolute/path"
        )
    return Path(path)


def open_store(settings: Settings) -> AccountStore:
    """The store that the settings name; its tables may be missing.

    Raises:
        SettingsError: If the URL names no file.
        StoreError: If it cannot be opened or reached.
    """
    options: dict[str, Any] = {"readers": settings.threads, "secret": settings.secret}
    if database_kind(settings.database_url) == "postgres":
        return PostgresStore(settings.database_url, **options)
    return SqliteStore(sqlite_path(settings.database_url), **options)


def open_cache(settings: Settings, stack: ExitStack) -> CacheManager | None:
    """The cache before the store, None if there shall be none; closed with the stack.

    Its second level is the server that the settings name, or a file beside the SQLite database:
    through either the processes of a service hear of each other's writes. A PostgreSQL without a
    server for the cache has none, because nobody would tell other machines.
    """
    if not settings.has_cache:
        return None
    level: CacheLevel | None = None
    if settings.redis_url is not None:
        level = stack.enter_context(ValkeyLevel(settings.redis_url, namespace="sergas-accounts"))
    elif database_kind(settings.database_url) == "sqlite":
        path = sqlite_path(settings.database_url)
        level = stack.enter_context(SqliteLevel(path.with_name(f"{path.name}-cache")))
    if level is None:
        return None
    return stack.enter_context(
        CacheManager(entries_max=_ENTRIES_MAX, bytes_max=_BYTES_MAX, level2=level)
    )


def create_app() -> Any:
    """The application that the environment describes, for a server's worker.

    Raises:
        SergasError: If a setting, the database or its tables are not as they have to be.
    """
    from sergas.api import make_api

    settings = Settings.from_environment(os.environ)
    with ExitStack() as stack:
        store = stack.enter_context(open_store(settings))
        store.check()
        cache = open_cache(settings, stack)
        service = AccountService(store, cache=cache, threads=settings.threads)
        return make_api(service, settings, closing=stack.pop_all())
