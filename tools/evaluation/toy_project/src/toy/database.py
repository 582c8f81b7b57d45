"""An SQLite table in memory: rows fetched, summed up and inserted."""

import sqlite3
from itertools import repeat

from .work import AGGREGATE_UNITS, FETCH_UNITS, INSERT_UNITS, QUERY_UNITS

SIZES = (100, 1000)
"""Accounts of the tables that rows with a parameter read."""


def filled(size: int) -> sqlite3.Connection:
    """A database in memory that holds `size` accounts in 7 regions."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, region TEXT, balance REAL)")
    connection.executemany(
        "INSERT INTO accounts VALUES (?, ?, ?)",
        ((number, f"region-{number % 7}", number * 1.25) for number in range(size)),
    )
    connection.commit()
    return connection


def fetch(connection: sqlite3.Connection) -> None:
    """Fetch accounts of one region, a statement each."""
    for _ in repeat(None, FETCH_UNITS):
        _fetch_once(connection)


def _fetch_once(connection: sqlite3.Connection) -> float:
    chosen = connection.execute("SELECT balance FROM accounts WHERE id BETWEEN 40 AND 44")
    total = 0.0
    for (balance,) in chosen:
        total += balance
    return total


def query(connection: sqlite3.Connection, size: int) -> None:
    """Fetch one account by its key."""
    for _ in repeat(None, QUERY_UNITS):
        connection.execute("SELECT * FROM accounts WHERE id = ?", (size // 2,)).fetchone()


def aggregate(connection: sqlite3.Connection) -> None:
    """Sum the balances up by region."""
    for _ in repeat(None, AGGREGATE_UNITS):
        connection.execute("SELECT region, SUM(balance) FROM accounts GROUP BY region").fetchall()


def insert(connection: sqlite3.Connection) -> None:
    """Insert accounts and take that back."""
    for _ in repeat(None, INSERT_UNITS):
        connection.executemany(
            "INSERT INTO accounts (region, balance) VALUES (?, ?)",
            (("region-8", number * 1.5) for number in range(20)),
        )
        connection.rollback()
