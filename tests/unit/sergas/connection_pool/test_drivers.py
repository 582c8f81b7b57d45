"""The drivers without a server: what they need, what they are told, what they ask."""

import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sergas.errors import MissingExtraError
from sergas.optimizations.connection_pool import ConnectionPool, drivers


def test_sqlite_blocks_are_transactions(tmp_path: Path) -> None:
    """A block commits, one that raises does not, and what `putconn` gets back neither."""
    with ConnectionPool(drivers.sqlite_driver(tmp_path / "db"), min_size=1, max_size=2) as pool:
        with pool.connection() as connection:
            connection.execute("CREATE TABLE t (x)")
            connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.OperationalError), pool.connection() as connection:
            connection.executescript("BEGIN; INSERT INTO t VALUES (2); SELECT * FROM missing")
        loan = pool.getconn()
        loan.execute("INSERT INTO t VALUES (3)")
        pool.putconn(loan)
        with pool.connection() as connection:
            assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]


def test_failed_commit_of_sqlite_reaches_the_caller(tmp_path: Path) -> None:
    """The error of a deferred constraint comes out of the block; the connection lives on."""
    with ConnectionPool(drivers.sqlite_driver(tmp_path / "db"), min_size=1) as pool:
        with pool.connection() as connection:
            connection.executescript(
                "PRAGMA foreign_keys = ON; CREATE TABLE a (id INTEGER PRIMARY KEY);"
                "CREATE TABLE b (a REFERENCES a DEFERRABLE INITIALLY DEFERRED)"
            )
        with pytest.raises(sqlite3.IntegrityError), pool.connection() as connection:
            connection.execute("INSERT INTO b VALUES (7)")
        with pool.connection() as connection:
            assert connection.execute("SELECT count(*) FROM b").fetchone() == (0,)
        assert pool.get_stats().lost == 0


@pytest.mark.parametrize(
    ("make", "library"),
    [
        (drivers.psycopg_driver, "psycopg"),
        (drivers.psycopg_async_driver, "psycopg"),
        (drivers.asyncpg_driver, "asyncpg"),
    ],
)
def test_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], library: str
) -> None:
    """When the driver is made, not when the first connection fails."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library}.*groundspeed\[postgres\]"):
        make()


def test_places_are_those_that_libpq_would_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the connection string, the options, or the environment; several if there are."""
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGPORT", "7000")
    places = drivers._places
    assert places(psycopg, "host=a,b port=1,2", {}) == [("a", 1), ("b", 2)]
    assert places(psycopg, "postgresql://a,b:5/x", {})[0][0] == "a"
    assert places(psycopg, "", {"host": "/run/pg", "autocommit": True}) == [("/run/pg", 7000)]
    assert places(psycopg, "", {}) == [("db.example", 7000)]


def test_connecting_has_a_time_limit_unless_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing does not hold a worker for minutes."""
    psycopg = pytest.importorskip("psycopg")
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    assert drivers._timely(psycopg, "", {}) == {"connect_timeout": 5}
    assert drivers._timely(psycopg, "connect_timeout=9", {}) == {}
    assert drivers._timely(psycopg, "", {"connect_timeout": 1}) == {"connect_timeout": 1}
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert drivers._timely(psycopg, "", {}) == {}


def test_probe_knocks(tmp_path: Path) -> None:
    """At a port or a Unix socket; nobody there is no error."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = ("127.0.0.1", server.getsockname()[1])
        assert drivers._is_listening(place)
    assert not drivers._is_listening(place)
    assert not drivers._is_listening((str(tmp_path), 5432))


def test_input_is_seen_without_waiting() -> None:
    """Nothing to read on a quiet socket; something when the other side speaks or hangs up."""
    ours, theirs = socket.socketpair()
    with ours:
        assert not drivers._has_input(ours.fileno(), 0.0)
        theirs.close()
        assert drivers._has_input(ours.fileno(), 0.0)
