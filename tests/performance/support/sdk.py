"""What the tests of the client share: records, things timed in turn, what the service counted."""

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import urllib3

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import Figure
from groundspeed.plugins.measured import Measured
from groundspeed.stats import FloatArray, OrderedSamples
from sergas.sdk.model import AccountFields, Address

__all__ = [
    "account_ids",
    "answered",
    "bare_driver",
    "in_turn",
    "keep_ratio",
    "record",
]

_WARM_UP = 3
_ANSWERED = re.compile(r'sergas_requests_total\{operation="(\w+)",status="2\d\d"\} (\S+)')


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


def answered(url: str) -> Counter[str]:
    """How many requests of each operation a service of one worker has answered well, by itself."""
    with urllib3.PoolManager() as pool:
        text = pool.request("GET", f"{url}/metrics").data.decode()
    counts: Counter[str] = Counter()
    for operation, count in _ANSWERED.findall(text):
        counts[operation] += int(float(count))
    return counts


def in_turn(
    measured: Measured, *functions: Callable[[], object], rounds: int
) -> tuple[FloatArray, ...]:
    """Time functions one after the other, round by round, so that each meets the same machine.

    Every other round goes the other way about.

    Args:
        measured: Its benchmark times the rounds.
        functions: What is timed.
        rounds: How many, >= 1; a few more come before.

    Returns:
        Seconds of each function, shape (rounds,); empty where timing is turned off.
    """
    taken: list[list[float]] = []

    def turn() -> None:
        row = [0.0] * len(functions)
        order = range(len(functions))
        for n in reversed(order) if len(taken) % 2 else order:
            began_s = time.perf_counter()
            functions[n]()
            row[n] = time.perf_counter() - began_s
        taken.append(row)

    measured.times(turn, rounds=rounds, warm_up=_WARM_UP)
    rows = np.asarray(taken[_WARM_UP:], dtype=np.float64).reshape(-1, len(functions))
    return tuple(rows.T)


def keep_ratio(measured: Measured, metric: str, over: FloatArray, under: FloatArray) -> None:
    """Keep how many times as much `over` is as `under`: the median of the rounds' ratios."""
    try:
        found = OrderedSamples(over / under).estimate(0.5)
    except TooFewSamplesError as error:
        measured.missing(metric, str(error))
        return
    measured.keep(Figure(metric=metric, value=found.value, low=found.low, high=found.high))


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
