"""Functions, coroutines, SQL and cache commands under load."""

import asyncio
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from groundspeed.errors import BrokenError, UsageError
from groundspeed.load import (
    Cache,
    Call,
    Closed,
    LoadResult,
    Open,
    Operation,
    PartlyOpen,
    Scenario,
    Sql,
    Steady,
    Target,
    run,
)
from groundspeed.load.models import Model

_MODELS = [Closed(users=3, think=0.01), Open(rate=150), PartlyOpen(sessions=40, steps=3)]


def _run(model: Model, *targets: Target, seconds: float = 0.5, **changed: object) -> LoadResult:
    fields: dict[str, object] = {
        "name": "test",
        "operations": tuple(
            Operation(name=f"operation {n}", target=target) for n, target in enumerate(targets)
        ),
        "model": model,
        "stages": (Steady(duration=seconds),),
        "warm_up": 0.0,
    }
    result = run(Scenario(**(fields | changed)))  # type: ignore[arg-type]
    assert result.offered == result.recorded
    assert result.littles_law_gap == 0.0
    return result


def _quick(number: int) -> None:
    time.sleep(0.001 + number * 0.0001)


async def _quick_async(number: int) -> None:
    await asyncio.sleep(0.001 + number * 0.0001)


@pytest.mark.parametrize("model", _MODELS, ids=["closed", "open", "partly open"])
@pytest.mark.parametrize("function", [_quick, _quick_async])
def test_functions_and_coroutines_are_called_by_every_model(function: object, model: Model) -> None:
    """Each call takes what it takes, and no arrival is lost."""
    result = _run(model, Call(function=function, keys=3))
    assert result.errors == {}
    assert len(result.samples) >= 30
    assert result.service_s.min() >= 0.001


@pytest.mark.parametrize("is_async", [False, True], ids=["function", "coroutine"])
def test_what_raises_or_hangs_fails_by_its_class(is_async: bool) -> None:
    """A hanging call is given up after its timeout, and the run ends."""

    def raises() -> None:
        raise LookupError

    async def raises_async() -> None:
        raise LookupError

    def hangs() -> None:
        time.sleep(1.5)

    async def hangs_async() -> None:
        await asyncio.sleep(1.5)

    bad, slow = (raises_async, hangs_async) if is_async else (raises, hangs)
    began = time.monotonic()
    result = _run(
        Open(rate=40, arrivals="constant"),
        Call(function=bad),
        Call(function=slow),
        seconds=0.4,
        timeout=0.2,
    )
    assert time.monotonic() - began < 1.9
    assert set(result.errors) == {"raised LookupError", "timeout"}
    assert result.error_rate == 1.0


def test_no_more_calls_run_at_once_than_may() -> None:
    """Arrivals wait for a thread, and their waiting counts."""
    lock, running, most = threading.Lock(), 0, 0

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    result = _run(Open(rate=300, arrivals="constant"), Call(function=call), connections=2)
    assert most == 2
    assert result.response_s.max() > 0.2
    assert result.service_s.min() >= 0.02


def test_statements_of_sqlite_are_run_and_committed(tmp_path: Path) -> None:
    """Reads and writes by weight, each thread with a connection of its own."""
    file = tmp_path / "accounts.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, n INTEGER)")
        database.executemany("INSERT INTO account VALUES (?, 0)", [(n,) for n in range(50)])
    database.close()
    result = _run(
        Closed(users=2),
        Sql(
            database=str(file),
            statement="SELECT n FROM account WHERE id = ?",
            parameters=("{n}",),
            keys=50,
        ),
        Sql(
            database=str(file),
            statement="UPDATE account SET n = n + 1 WHERE id = ?",
            parameters=("{n}",),
            keys=50,
        ),
    )
    written = int(np.sum((result.samples.operation == 1) & ~result.samples.failed))
    with sqlite3.connect(file) as database:
        assert database.execute("SELECT sum(n) FROM account").fetchone() == (written,)
    database.close()
    assert written > 10


def test_commands_reach_a_real_valkey(valkey_url: str) -> None:
    """What was set is there."""
    result = _run(Closed(users=2), Cache(url=valkey_url, command=("SET", "load:{n}", "x"), keys=4))
    assert result.errors == {}
    assert len(result.samples) > 50


def test_functions_by_name_run_in_processes_of_their_own() -> None:
    """Two of them, with the CPU time of both told."""
    result = _run(Open(rate=200), Call(function="math:gcd"), processes=2)
    assert result.generator.processes == 2
    assert result.errors == {}


def test_targets_that_cannot_be_called_are_refused(tmp_path: Path) -> None:
    """A missing file, a missing server, and two kinds at once."""
    with pytest.raises(BrokenError, match="unable to open database file; needed an SQLite file"):
        _run(Open(rate=1), Sql(database=str(tmp_path / "none.db"), statement="SELECT 1"))
    with pytest.raises(BrokenError, match=r"cache redis://127.0.0.1:1.*; start it"):
        _run(Open(rate=1), Cache(url="redis://127.0.0.1:1", command=("GET", "a")))
    with pytest.raises(UsageError, match="needed one kind"):
        _run(Open(rate=1), Call(function=_quick, keys=1), Call(function=_quick_async, keys=1))
