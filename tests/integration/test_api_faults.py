"""The service while what it stands on fails: database, cache, disk, tables."""

import json
import sqlite3
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from sergas.accounts import NewAccount, PostgresStore, SqliteStore
from sergas.accounts.migrations import steps
from sergas.accounts.seeding import SeedPlan, seed
from sergas.errors import SchemaVersionError, StoreFullError
from sergas.servers import PostgresServer, ValkeyServer


class Asking:
    """A client with a token."""

    def __init__(self, service: Any) -> None:
        self._port = service.port
        self._headers = {"content-type": "application/json"}
        tokens = self.ask("POST", "/v1/tokens", {"api_key": service.key})[1]
        self._headers["authorization"] = f"Bearer {tokens['access_token']}"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and body."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, self._headers)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read())
        finally:
            connection.close()


def test_a_database_that_goes_away_and_comes_back(
    private_postgres: PostgresServer, serve: Any
) -> None:
    """Meanwhile everything is a 503 in the one shape; what is cached nowhere is not made up."""
    with PostgresStore(private_postgres.direct_dsn) as store:
        store.migrate()
        seed(store, SeedPlan(accounts=5))
    service = serve("--database", private_postgres.direct_dsn, SERGAS_CACHE="0")
    client = Asking(service)
    assert client.ask("GET", "/v1/accounts/acc_000001")[0] == 200
    private_postgres.kill()
    for path in ("/v1/accounts/acc_000001", "/v1/accounts", "/health"):
        status, body = client.ask("GET", path)
        assert (status, body["error"]["code"]) == (503, "unavailable")
    status, _ = client.ask("POST", "/v1/accounts", {"name": "n", "owner_id": "o"})
    assert status == 503
    private_postgres.restart()
    # Readers and the writer each have a pool, which tries again when its own pause is over.
    while (read := client.ask("GET", "/v1/accounts/acc_000001"))[0] == 503:
        pass
    while (wrote := client.ask("POST", "/v1/accounts", {"name": "n", "owner_id": "o"}))[0] == 503:
        pass
    assert (read[0], wrote[0]) == (200, 201)
    assert client.ask("GET", "/v1/accounts/acc_000001")[0] == 200


def test_a_cache_that_goes_away_is_not_missed(
    private_valkey: ValkeyServer, postgres_dsn: str, serve: Any
) -> None:
    """Reads and writes go on, and nobody reads what was changed meanwhile."""
    with PostgresStore(postgres_dsn) as store:
        store.migrate()
        seed(store, SeedPlan(accounts=5))
    service = serve("--database", postgres_dsn, SERGAS_REDIS_URL=private_valkey.direct_url)
    client = Asking(service)
    path = "/v1/accounts/acc_000001"
    assert client.ask("GET", path)[1]["version"] == 1
    assert client.ask("GET", path)[1]["version"] == 1
    private_valkey.kill()
    for version in (1, 2, 3):
        assert client.ask("GET", path)[1]["version"] == version
        status, changed = client.ask("PATCH", path, {"version": version, "phone": "1"})
        assert (status, changed["version"]) == (200, version + 1)
    assert client.ask("GET", path)[1]["version"] == 4


def test_several_processes_hear_of_each_others_writes(serve: Any, tmp_path: Path) -> None:
    """Each has a cache of its own; a change that was answered is seen by all."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    with SqliteStore(tmp_path / "accounts.db") as store:
        store.migrate()
        seed(store, SeedPlan(accounts=5))
    service = serve("--database", url, "--workers", "3")
    client = Asking(service)
    for version in range(1, 20):
        for _ in range(4):
            assert client.ask("GET", "/v1/accounts/acc_000001")[1]["version"] == version
        client.ask("PATCH", "/v1/accounts/acc_000001", {"version": version, "nps": version})
    assert service.end() in {0, -15}


def test_a_full_disk_is_told_and_writes_nothing(tmp_path: Path) -> None:
    """SQLite is told that its disk ends at the file's size now."""
    with SqliteStore(tmp_path / "accounts.db") as store:
        store.migrate()
        seed(store, SeedPlan(accounts=5))
        with store.writing() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
        with store._database._writer.connection() as connection:  # type: ignore[attr-defined]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        before = store.counts()
        large = NewAccount(name="n", owner_id="o", tags=["t" * 50] * 50)
        with pytest.raises(StoreFullError, match="full"):
            store.write_many([large] * 100, [], actor="me")
        assert store.counts() == before
        with store._database._writer.connection() as connection:  # type: ignore[attr-defined]
            connection.execute("PRAGMA max_page_count = 1000000")
        assert len(store.write_many([large] * 100, [], actor="me")) == 100


@pytest.mark.parametrize(("version", "told"), [(0, "needed 3"), (1, "needed 3"), (99, "newer")])
def test_tables_of_another_age_are_refused(tmp_path: Path, version: int, told: str) -> None:
    """By the store, and by the program before it listens; older ones are renewed when asked."""
    path = tmp_path / "accounts.db"
    with SqliteStore(path) as store:
        store.migrate()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with SqliteStore(path) as store, pytest.raises(SchemaVersionError, match=told):
        store.check()
    done = subprocess.run(
        [sys.executable, "-m", "sergas.app", "serve", "--database", f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_older_tables_are_renewed(tmp_path: Path, postgres_dsn: str) -> None:
    """Step by step, each once, on both databases."""
    for store in (SqliteStore(tmp_path / "a.db"), PostgresStore(postgres_dsn)):
        with store:
            assert store.migrate() == len(steps(store.dialect.name))
            assert store.migrate() == 0
            store.check()
    with PostgresStore(postgres_dsn) as store:
        with store.writing() as connection:
            connection.execute("INSERT INTO schema_steps (number, name) VALUES (99, 'later')")
        for call in (store.check, store.migrate):
            with pytest.raises(SchemaVersionError, match="version 99, this program knows up to"):
                call()
