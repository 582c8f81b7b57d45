"""Servers that are really started: they answer, fail on request, and come back where they were."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from sergas.servers import PostgresServer, Source, ValkeyServer, start_postgres, start_valkey


def _one(dsn: str) -> object:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT 1").fetchone()


def test_postgres_survives_restart_and_kill_at_the_same_address(
    private_postgres: PostgresServer,
) -> None:
    """After stop, kill and restart the URL is the same, and the server answers there."""
    dsn = private_postgres.dsn
    for end in (private_postgres.stop, private_postgres.kill):
        end()
        assert not private_postgres.is_running
        with pytest.raises(psycopg.OperationalError):
            _one(dsn)
        private_postgres.start()
        assert _one(dsn) == (1,)
    private_postgres.restart()
    assert private_postgres.dsn == dsn
    assert _one(dsn) == (1,)


def test_each_test_has_an_empty_database(postgres: PostgresServer) -> None:
    """What is made in one database is not in the next, and databases are dropped at the end."""
    with postgres.new_database() as first, postgres.new_database() as second:
        with psycopg.connect(first, autocommit=True) as connection:
            connection.execute("CREATE TABLE here (id int)")
        with psycopg.connect(second) as connection:
            found = connection.execute("SELECT to_regclass('here')").fetchone()
            assert found == (None,)
    with psycopg.connect(postgres.dsn) as connection:
        left = connection.execute("SELECT count(*) FROM pg_database WHERE datname ~ 'sergas_'")
        assert left.fetchone() == (0,)


@pytest.fixture(params=["unix", "tcp"])
def any_valkey(request: pytest.FixtureRequest) -> Iterator[ValkeyServer]:
    """A Valkey over either transport."""
    with start_valkey(transport=request.param) as server:
        yield server


def test_valkey_answers(any_valkey: ValkeyServer) -> None:
    """A started Valkey keeps a value, over either transport, before and after a restart."""
    with redis.Redis.from_url(any_valkey.url) as client:
        assert client.set("key", "value")
        assert client.get("key") == b"value"
    any_valkey.restart()
    with redis.Redis.from_url(any_valkey.url) as client:
        assert client.ping()


@pytest.mark.parametrize("source", ["wheel"])
def test_postgres_starts_from(source: Source, cluster_cache: Path) -> None:
    """The programs of each source make a server that answers and says where it is from."""
    with start_postgres(sources=(source,), transport="tcp", cache=cluster_cache) as server:
        assert server.source == source
        assert _one(server.dsn) == (1,)
