"""Real SQLite connections that report what happens to them, and a way to wait for a state."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sergas.optimizations.connection_pool import ConnectionPool


class Database:
    """Opens in-memory SQLite connections and remembers them."""

    def __init__(self) -> None:
        self.connections: list[sqlite3.Connection] = []

    def connect(self) -> sqlite3.Connection:
        """Another connection, usable from any thread."""
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connections.append(connection)
        return connection

    def open_count(self) -> int:
        """How many of them still answer."""
        return sum(map(is_usable, self.connections))


def is_usable(connection: sqlite3.Connection) -> bool:
    """Whether SQLite still answers."""
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.fixture
def database() -> Iterator[Database]:
    """A database whose connections are all closed in the end, whatever the test did."""
    database = Database()
    yield database
    for connection in database.connections:
        connection.close()


@pytest.fixture
def until_waiting() -> Callable[[ConnectionPool[sqlite3.Connection], int], None]:
    """Returns once so many callers are in the pool's queue."""

    def wait(pool: ConnectionPool[sqlite3.Connection], count: int) -> None:
        give_up_s = time.monotonic() + 20.0
        while pool.get_stats().waiting != count:
            assert time.monotonic() < give_up_s, pool.get_stats()
            threading.Event().wait(0.0005)

    return wait
