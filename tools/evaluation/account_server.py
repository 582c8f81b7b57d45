"""A running `sergas serve` for the evaluations: seeded, on a free port, gone with its block."""

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sergas.accounts import SqliteStore
from sergas.accounts.seeding import SeedPlan, seed
from sergas.app.starting import start_service
from sergas.sdk import SergasClient, _calls

__all__ = ["Served", "seeded_file", "served"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where it listens, and a token for it."""

    url: str
    token: str
    process: subprocess.Popen[bytes]


@contextmanager
def seeded_file(accounts: int) -> Iterator[Path]:
    """A SQLite file with so many accounts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "accounts.db"
        with SqliteStore(path) as store:
            store.migrate()
            seed(store, SeedPlan(accounts=accounts))
        yield path


@contextmanager
def served(
    database: str, *, environment: Mapping[str, str] | None = None, workers: int = 1
) -> Iterator[Served]:
    """The service on a database, without a limit of requests."""
    arguments = ("--database", database, "--workers", str(workers))
    with start_service(*arguments, environment=environment) as service:
        with SergasClient(service.url, service.key) as client:
            token = client.call(_calls.issue_tokens(service.key)).access_token
        yield Served(url=service.url, token=token, process=service.process)
