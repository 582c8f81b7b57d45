"""What the tests of the client share: accounts to write and ask for, and a bare driver."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from sergas.sdk.model import AccountFields, Address

__all__ = ["account_ids", "bare_driver", "record"]


def record(n: int) -> AccountFields:
    """An account to be created, as full as those of the seed."""
    return AccountFields(
        name=f"Cedarline {n:06} AG",
        owner_id=f"own_{n % 50 + 1:03}",
        email=f"office{n}@cedarline.example",
        phone=f"+49 30 {n:07}",
        website=f"https://cedarline{n}.example",
        billing_address=Address(street=f"Am Hafen {n}", city="Bremen", country="DE"),
        annual_revenue=1_000_000 + n,
        employee_count=10 + n % 500,
        industry="logistics",
        health_score=n % 101,
        tags=["new", f"batch-{n // 100}"],
        custom_fields={"source": "import", "row": n},
    )


def account_ids(count: int) -> list[str]:
    """Those of the first seeded accounts."""
    return [f"acc_{n:06}" for n in range(count)]


@contextmanager
def bare_driver(url: str) -> Iterator[Callable[..., list[Any]]]:
    """A function that executes a statement on a database's own driver, committed by itself.

    Placeholders are `?`.
    """
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")  # as the store has it
            yield lambda sql, *values: connection.execute(sql, values).fetchall()
        return
    import psycopg

    with psycopg.connect(url, autocommit=True) as remote:

        def execute(sql: str, *values: object) -> list[Any]:
            cursor = remote.execute(sql.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []

        yield execute
