"""A wire that is cut, hangs, is slow or lies, in front of real servers."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest
import redis

from sergas.errors import ServerError
from sergas.servers import OWN, PostgresServer, ValkeyServer, start_valkey


@pytest.fixture(scope="module", params=["unix", "tcp"])
def wired(request: pytest.FixtureRequest) -> Iterator[ValkeyServer]:
    """One Valkey behind a wire, over either transport; each test mends what it breaks."""
    with start_valkey(sources=OWN, proxy=True, transport=request.param) as server:
        yield server


def _client(server: ValkeyServer, timeout_s: float | None = None) -> redis.Redis:
    retry = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
    return redis.Redis.from_url(server.url, socket_timeout=timeout_s, retry=retry)


def test_cut_off_ends_old_connections_and_refuses_new_ones(wired: ValkeyServer) -> None:
    """While the wire is cut nobody gets through and every try is counted; afterwards all do."""
    with _client(wired) as client:
        assert client.ping()
        with wired.cut_off():
            before = wired.connection_count
            with pytest.raises(redis.ConnectionError):
                client.ping()
            for _ in range(3):
                with _client(wired) as other, pytest.raises(redis.ConnectionError):
                    other.ping()
            assert wired.connection_count - before >= 3
        assert client.ping()


def test_cut_off_lasts_until_restored_without_a_block(wired: ValkeyServer) -> None:
    """`cut_off` takes effect when called, and `restore` ends it."""
    wired.cut_off()
    with _client(wired) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        wired.restore()
        assert client.ping()


def test_nothing_arrives_while_the_wire_hangs_and_all_of_it_after(wired: ValkeyServer) -> None:
    """A hanging wire answers nobody, closes nothing, and delivers late what was sent."""
    with _client(wired, timeout_s=0.1) as patient, _client(wired, timeout_s=0.1) as other:
        assert patient.ping()
        with wired.hang():
            with pytest.raises(redis.TimeoutError):
                patient.rpush("late", "once")
            with pytest.raises(redis.TimeoutError):
                other.ping()
        assert other.ping()
    with _client(wired) as reader:
        # What was sent before the client gave up is under way, for there is no telling it back.
        assert reader.blpop(["late"], timeout=10) == (b"late", b"once")


def test_each_answer_is_late_by_the_delay(wired: ValkeyServer) -> None:
    """A round trip over a slow wire takes at least its delay."""
    with _client(wired) as client:
        assert client.ping()
        with wired.delay(0.05):
            begun_s = time.perf_counter()
            assert client.ping()
            assert time.perf_counter() - begun_s >= 0.05
    with pytest.raises(ServerError, match="-1"):
        wired.delay(-1)


def test_a_wrong_answer_reaches_the_client(wired: ValkeyServer) -> None:
    """Over a lying wire a client gets bytes that are no answer, until the block ends."""
    with _client(wired, timeout_s=5.0) as client:
        assert client.ping()
        with wired.answer_wrongly(), pytest.raises(redis.RedisError):
            client.ping()
        assert client.ping()


def test_a_stopped_server_behind_the_wire_hangs_up(private_valkey: ValkeyServer) -> None:
    """When the server is down the wire closes what it accepts, and counts it."""
    private_valkey.stop()
    before = private_valkey.connection_count
    with _client(private_valkey) as client:
        with pytest.raises(redis.ConnectionError):
            client.ping()
        assert private_valkey.connection_count - before >= 1
        private_valkey.start()
        assert client.ping()


def test_clients_connect_over_the_wire_after_each_restart(
    private_postgres: PostgresServer,
) -> None:
    """Whoever lost a connection at a restart gets a new one, however often that happens."""
    for _ in range(3):
        with contextlib.ExitStack() as clients:
            for _ in range(4):
                clients.enter_context(psycopg.connect(private_postgres.dsn, autocommit=True))
            private_postgres.restart()
            for _ in range(4):
                client = psycopg.connect(private_postgres.dsn, autocommit=True, connect_timeout=20)
                clients.enter_context(client)
                assert client.execute("SELECT 1").fetchone() == (1,)


def test_postgres_clients_see_the_cut(private_postgres: PostgresServer) -> None:
    """Psycopg and asyncpg both lose their connection at the cut and connect again after it."""

    async def ask() -> object:
        connection = await asyncpg.connect(private_postgres.dsn)
        lost = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
        with private_postgres.cut_off(), pytest.raises(lost):
            await connection.fetchval("SELECT 1")
        connection.terminate()
        again = await asyncpg.connect(private_postgres.dsn)
        try:
            return await again.fetchval("SELECT 1")
        finally:
            await again.close()

    with (
        psycopg.connect(private_postgres.dsn) as connection,
        private_postgres.cut_off(),
        pytest.raises(psycopg.OperationalError),
    ):
        connection.execute("SELECT 1")
    with psycopg.connect(private_postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert asyncio.run(ask()) == 1
