"""An SQLite table in memory: rows fetched and summed up."""

import sqlite3
from itertools import repeat

from .work import AGGREGATE_UNITS, QUERY_UNITS


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


def query(connection: sqlite3.Connection, size: int) -> None:
    """Fetch one account by its key."""
    for _ in repeat(None, QUERY_UNITS):
        connection.execute("SELECT * FROM accounts WHERE id = ?", (size // 2,)).fetchone()


def aggregate(connection: sqlite3.Connection) -> None:
    """Sum the balances up by region."""
    for _ in repeat(None, AGGREGATE_UNITS):
        connection.execute("SELECT region, SUM(balance) FROM accounts GROUP BY region").fetchall()
