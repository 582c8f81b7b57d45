"""Databases full of accounts for the performance tests: SQLite files, or databases of a PostgreSQL.

Filling takes seconds and gives the same rows each time, so what was filled is kept and copied.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import sergas.accounts
from sergas.accounts import AccountStore, PostgresStore, SqliteStore
from sergas.accounts.seeding import SeedPlan, seed
from sergas.servers import start_postgres
from sergas.settings import database_kind

__all__ = ["Databases", "PostgresDatabases", "SqliteDatabases", "databases_of"]


class Databases(Protocol):
    """Where seeded databases come from."""

    @property
    def engine(self) -> str:
        """What they are of, with its version."""
        ...

    def seeded(self, accounts: int) -> str:
        """URL of a database with so many accounts, for reading; the same one for all who ask."""
        ...

    def fresh(self, accounts: int) -> AbstractContextManager[str]:
        """URL of one with so many accounts, for the length of a block; 0 for an empty one."""
        ...

    def open(self, url: str) -> AccountStore:
        """The store at a URL of these."""
        ...


class SqliteDatabases:
    """Files, kept in a folder between runs as long as the code that fills them is the same.

    Args:
        kept: That folder.
        folder: For those that are written to; emptied by whoever made it.
    """

    def __init__(self, kept: Path, folder: Path) -> None:
        self._kept = kept
        self._folder = folder

    @property
    def engine(self) -> str:
        """See `Databases`."""
        with SqliteStore(self._folder / "engine.db") as store:
            return store.engine

    def seeded(self, accounts: int) -> str:
        """See `Databases`."""
        path = self._kept / f"{_digest()}-{accounts}.db"
        if not path.exists():
            self._fill(path, accounts)
        return f"sqlite:///{path}"

    @contextmanager
    def fresh(self, accounts: int) -> Iterator[str]:
        """See `Databases`."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "accounts.db"
            if accounts:
                shutil.copyfile(self.seeded(accounts).removeprefix("sqlite:///"), path)
            else:
                _migrated(path)
            yield f"sqlite:///{path}"

    def open(self, url: str) -> AccountStore:
        """See `Databases`."""
        return SqliteStore(url.removeprefix("sqlite:///"))

    def _fill(self, path: Path, accounts: int) -> None:
        # Under another name first: a run that is interrupted leaves no half of a file behind.
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / path.name
            with SqliteStore(part) as store:
                store.migrate()
                seed(store, SeedPlan(accounts=accounts))
            part.replace(path)


class PostgresDatabases:
    """Databases of the server that the environment names, dropped at the end of the run.

    Args:
        stack: Drops what was made.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._server = stack.enter_context(start_postgres(sources=("dsn",)))
        self._stack = stack
        self._templates: dict[int, str] = {}

    @property
    def engine(self) -> str:
        """See `Databases`."""
        return f"PostgreSQL {self._server.version}"

    def seeded(self, accounts: int) -> str:
        """See `Databases`."""
        if accounts not in self._templates:
            url = self._stack.enter_context(self._server.new_database())
            with PostgresStore(url) as store:
                store.migrate()
                if accounts:
                    seed(store, SeedPlan(accounts=accounts))
            self._templates[accounts] = url
        return self._templates[accounts]

    @contextmanager
    def fresh(self, accounts: int) -> Iterator[str]:
        """See `Databases`."""
        with self._server.new_database() as url:
            with PostgresStore(url) as store:
                store.migrate()
                if accounts:
                    seed(store, SeedPlan(accounts=accounts))
            yield url

    def open(self, url: str) -> AccountStore:
        """See `Databases`."""
        return PostgresStore(url)


def databases_of(
    environment: Mapping[str, str], *, kept: Path, folder: Path, stack: ExitStack
) -> Databases:
    """Those of the server that DATABASE_URL names, else SQLite files.

    Raises:
        SettingsError: If it is neither's URL.
        ServerError: If the server does not answer.
    """
    url = environment.get("DATABASE_URL", "")
    if url and database_kind(url) == "postgres":
        return PostgresDatabases(stack)
    return SqliteDatabases(kept, folder)


def _digest() -> str:
    """Of the code that makes the tables and the rows."""
    root = Path(os.fspath(sergas.accounts.__path__[0]))
    digest = hashlib.sha256()
    for file in sorted((*root.rglob("*.py"), *root.rglob("*.sql"))):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _migrated(path: Path) -> None:
    with contextlib.closing(SqliteStore(path)) as store:
        store.migrate()
