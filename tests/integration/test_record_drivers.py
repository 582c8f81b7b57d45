"""Workloads recorded from real drivers, kept in files, and read back."""

import asyncio
import datetime as dt
import decimal
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from sergas.errors import WorkloadError
from sergas.optimizations.query_optimizer import (
    RecordedConnection,
    Recorder,
    Workload,
    WorkloadQuery,
    load_workload,
    record,
    save_workload,
)

psycopg = pytest.importorskip("psycopg")
asyncpg = pytest.importorskip("asyncpg")

EVERY_TYPE: tuple[Any, ...] = (
    None, True, 1, 1.5, "text", b"\x00\xff", decimal.Decimal("1.10"), uuid.UUID(int=7),
    dt.datetime(2026, 11, 26, 9, 30, tzinfo=dt.UTC), dt.date(2026, 11, 26), dt.time(9, 30),
    dt.timedelta(seconds=1.5),
)  # fmt: skip


def test_sqlite_tells_counts_times_parameters_and_places() -> None:
    """One record a fingerprint; a few distinct samples of each."""
    connection = sqlite3.connect(":memory:", factory=RecordedConnection)
    with record(connection, recorder=Recorder(samples_max=3)) as recorder:
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, n) for n in range(10)])
        for n in [1, 2, 2, 3, 4, 5]:
            connection.execute("SELECT b FROM t WHERE a = ?", (n,)).fetchall()
    create, insert, select = recorder.records()
    assert [r.count for r in (create, insert, select)] == [1, 1, 6]
    assert select.samples == [(1,), (2,), (3,)]
    assert select.total_s >= select.longest_s > 0.0
    ((site, count),) = select.sites.items()
    assert count == 6
    assert site[0].file == __file__
    assert [(q.sql, q.count, q.kind) for q in recorder.workload()] == [
        ("INSERT INTO t VALUES (?, ?)", 1.0, "write"),
        ("SELECT b FROM t WHERE a = ?", 6.0, "read"),
    ]
    connection.execute("SELECT 1")
    assert len(recorder.records()) == 3
    connection.close()


def test_a_plain_sqlite_connection_is_heard_too() -> None:
    """Its values are in the text, and each is a sample of its own text only."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a)")
    with record(connection) as recorder:
        for n in range(4):
            connection.execute("SELECT * FROM t WHERE a = ?", (n,))
    (query,) = recorder.workload()
    assert query.count == 4.0
    assert query.samples == ((),)
    connection.execute(query.sql)
    connection.close()


def test_memory_is_bounded() -> None:
    """What comes after the last fingerprint that is kept is counted."""
    connection = sqlite3.connect(":memory:")
    with record(connection, recorder=Recorder(queries_max=3)) as recorder:
        for n in range(10):
            connection.execute(f"SELECT 1 AS c{n}")
    assert len(recorder.records()) == 3
    assert recorder.dropped == 7
    connection.close()
    with pytest.raises(WorkloadError, match="got queries_max=0"):
        Recorder(queries_max=0)


def test_statements_that_fail_change_nothing_for_the_program() -> None:
    """The driver's own error comes through."""
    connection = sqlite3.connect(":memory:", factory=RecordedConnection)
    with record(connection) as recorder, pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT * FROM nothing")
    assert recorder.records() == ()
    connection.close()


def test_psycopg_and_asyncpg_are_recorded(postgres_dsn: str) -> None:
    """Parameters as the program gave them, of every type."""
    with psycopg.connect(postgres_dsn) as connection, record(connection) as recorder:
        connection.execute("SELECT %s::uuid, %s::numeric", (uuid.UUID(int=7), decimal.Decimal(2)))
        connection.execute("SELECT %(n)s::int", {"n": 5})
        with connection.cursor() as cursor:
            cursor.executemany("SELECT %s::int", [(1,), (2,)])
    queries = {query.sql: query for query in recorder.workload()}
    assert queries["SELECT %(n)s::int"].samples == ({"n": 5},)
    assert queries["SELECT %s::uuid, %s::numeric"].samples == (
        (uuid.UUID(int=7), decimal.Decimal(2)),
    )

    async def main() -> Workload:
        connection = await asyncpg.connect(postgres_dsn)
        with record(connection) as recorder:
            assert await connection.fetchval("SELECT $1::int + 1", 4) == 5
            await connection.executemany("SELECT $1::int", [(1,), (2,)])
            assert await connection.execute("SELECT 1") == "SELECT 1"
        await connection.close()
        return recorder.workload()

    workload = asyncio.run(main())
    assert [query.sql for query in workload] == ["SELECT $1::int + 1", "SELECT $1::int", "SELECT 1"]
    assert workload.queries[0].samples == ((4,),)


def test_a_workload_survives_its_file(tmp_path: Path) -> None:
    """Parameters of every type, by place, by name and in lists."""
    workload = Workload(
        queries=(
            WorkloadQuery(sql="SELECT ?", samples=(EVERY_TYPE, ((1, 2), "x")), count=3.0),
            WorkloadQuery(sql="UPDATE t SET a = :a", samples=({"a": b"x"},), kind="write"),
        )
    )
    save_workload(workload, tmp_path / "workload.json")
    assert load_workload(tmp_path / "workload.json") == workload
    assert [path.name for path in tmp_path.iterdir()] == ["workload.json"]


def test_files_and_values_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """Nothing half is written."""
    path = tmp_path / "workload.json"
    strange = Workload(queries=(WorkloadQuery(sql="SELECT ?", samples=((object(),),)),))
    with pytest.raises(WorkloadError, match="a value of type object"):
        save_workload(strange, path)
    assert list(tmp_path.iterdir()) == []
    for text, message in (
        ("not json", "not a workload"),
        ('{"version": 9, "queries": []}', "version 9, needed 1"),
        ('{"version": 1, "queries": [], "more": 1}', "not a workload"),
    ):
        path.write_text(text)
        with pytest.raises(WorkloadError, match=message):
            load_workload(path)
    path.write_text(
        '{"version": 1, "queries": [{"sql": "s", "samples": [[{"type": "date", "value": "x"}]],'
        ' "count": 1, "fingerprint": "", "kind": "read"}]}'
    )
    with pytest.raises(WorkloadError, match="is no date"):
        load_workload(path)
