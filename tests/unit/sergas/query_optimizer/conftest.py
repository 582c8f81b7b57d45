"""A seeded database of accounts and deals."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

SCHEMA = """
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, owner TEXT, status TEXT, paid INTEGER, created_at REAL, note TEXT
);
CREATE TABLE deals (id INTEGER PRIMARY KEY, account_id INTEGER, stage TEXT, amount REAL);
CREATE INDEX deals_account ON deals (account_id);
CREATE TABLE codes (code TEXT PRIMARY KEY, meaning TEXT) WITHOUT ROWID;
"""


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """1,000 accounts of 50 owners with two deals each; only deals(account_id) is indexed."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(SCHEMA)
        made.executemany(
            "INSERT INTO accounts (owner, status, paid, created_at, note) VALUES (?, ?, ?, ?, ?)",
            [
                (f"owner {n % 50}", ("open", "closed")[n % 2], n % 3, (n * 7919) % 1000, "x")
                for n in range(1000)
            ],
        )
        made.executemany(
            "INSERT INTO deals (account_id, stage, amount) VALUES (?, ?, ?)",
            [(n % 1000, ("won", "lost")[n % 2], n) for n in range(2000)],
        )
        made.executemany("INSERT INTO codes VALUES (?, ?)", [(str(n), "m") for n in range(20)])
        made.commit()
        yield made
