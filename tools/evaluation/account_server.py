"""A running `sergas serve` for the evaluations: seeded, on a free port, gone with its block."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sergas.accounts import SqliteStore
from sergas.accounts.seeding import SeedPlan, seed
from sergas.sdk import SergasClient, _calls

__all__ = ["KEY", "Served", "seeded_file", "served"]

KEY = "a-key-of-the-evaluation"


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
    given = os.environ | {
        "SERGAS_SECRET": "s" * 32,
        "SERGAS_API_KEYS": f"evaluation:{KEY}",
        "SERGAS_RATE": "1000000",
        "SERGAS_BURST": "1000000",
        **(environment or {}),
    }
    command = [sys.executable, "-m", "sergas.app", "serve", "--port", "0"]
    command += ["--database", database, "--workers", str(workers)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr.txt"
        with log.open("wb") as stderr:
            process = subprocess.Popen(command, env=given, stderr=stderr)
        try:
            while not (found := re.search(r"http://\S+", log.read_text(encoding="utf-8"))):
                if process.poll() is not None:
                    raise SystemExit(log.read_text(encoding="utf-8"))
                time.sleep(0.02)
            url = found.group()
            with SergasClient(url, KEY) as client:
                token = client.call(_calls.issue_tokens(KEY)).access_token
            yield Served(url=url, token=token, process=process)
        finally:
            process.terminate()
            process.wait(30)
