"""Who holds a pool's connections, counted from outside and beside the pool's own figures."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sergas.optimizations.connection_pool import ConnectionPool, PoolStats

__all__ = ["Holders", "assert_whole", "read_account", "select_account"]


@dataclass(slots=True)
class Holders:
    """Connections that are held now, and the most that were.

    Attributes:
        most: Held at the same time at most.
        sizes: Connections that the pool itself said it had, whenever it was asked.
    """

    most: int = 0
    sizes: list[int] = field(default_factory=list)
    _held: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def holding(self, connection: Any) -> Iterator[None]:
        """Count one in, and out.

        Raises:
            AssertionError: If it has been lent to somebody else as well.
        """
        with self._lock:
            assert id(connection) not in self._held, "a connection was lent twice"
            self._held.add(id(connection))
            self.most = max(self.most, len(self._held))
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(id(connection))


def select_account(engine: str) -> str:
    """The statement that reads an account by its id, for the driver of an engine."""
    if engine.startswith("SQLite"):
        return "SELECT * FROM accounts WHERE id = ?"
    return "SELECT * FROM accounts WHERE id = %s"


def read_account(pool: ConnectionPool[Any], holders: Holders, sql: str, account: str) -> None:
    """Borrow a connection, read an account and give the connection back.

    Raises:
        AssertionError: If another account came, or the connection is somebody else's.
        PoolTimeoutError: If none is free for two seconds.
    """
    with pool.connection(timeout_s=2.0) as connection, holders.holding(connection):
        row = connection.execute(sql, (account,)).fetchone()
        assert row[0] == account


def assert_whole(stats: PoolStats) -> None:
    """Assert that a pool at rest has all its connections back and has lost none."""
    assert stats.lent == stats.waiting == 0, "connections were not given back"
    assert stats.refused == stats.lost == 0, "borrowers were refused, or connections broke"
    assert stats.loans == stats.requests, "a loan has not ended"
    assert stats.opened - stats.closed == stats.size - stats.opening, "connections went astray"
    assert stats.size <= stats.max_size, "there are more connections than the pool may have"
