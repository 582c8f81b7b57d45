"""Laws of the result cache: what is read is what the database would say."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sergas.optimizations.query_optimizer import ResultCache

psycopg = pytest.importorskip("psycopg")

READS = (
    "SELECT n FROM a WHERE id = ?",
    "SELECT count(*) FROM a, b WHERE a.id >= ? AND b.id = a.id",
    "WITH x AS (SELECT n FROM b) SELECT sum(n) FROM x WHERE n >= ?",
    "SELECT max(n) FROM (SELECT n FROM b UNION ALL SELECT n FROM a) AS u WHERE n >= ?",
)
WRITES = (
    "UPDATE a SET n = n + ?",
    "INSERT INTO b (n) VALUES (?)",
    "DELETE FROM b WHERE id = ?",
    "INSERT INTO a (n) SELECT n FROM b WHERE id = ?",
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from(READS), st.integers(0, 3)),
        st.tuples(st.just("write"), st.sampled_from(WRITES), st.integers(0, 3)),
        st.tuples(st.sampled_from(["commit", "rollback"]), st.just(""), st.just(0)),
    ),
    max_size=40,
)


def database(path: str) -> sqlite3.Connection:
    """Two tables with three rows each."""
    connection = sqlite3.connect(path, check_same_thread=False)
    for table in "ab":
        connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, n INTEGER)")
        connection.executemany(f"INSERT INTO {table} (n) VALUES (?)", [(1,), (2,), (3,)])  # noqa: S608
    connection.commit()
    return connection


@settings(deadline=None, max_examples=200)
@given(STEPS)
def test_reads_are_those_of_the_database(steps: list[Any]) -> None:
    """In any order of reads, writes, commits and roll-backs."""
    connection = database(":memory:")
    cached = ResultCache().on(connection)
    for kind, sql, value in steps:
        if kind == "read":
            expected = tuple(connection.execute(sql, (value,)).fetchall())
            assert cached.query(sql, (value,)) == expected
            assert cached.query(sql, (value,)) == expected
        elif kind == "write":
            cached.execute(sql, (value,))
        else:
            getattr(cached, kind)()
    connection.close()


def test_a_result_is_fetched_once_and_writes_elsewhere_leave_it() -> None:
    """Other spellings of a statement share it, other values do not."""
    connection = database(":memory:")
    results = ResultCache()
    cached = results.on(connection)
    fetched: list[str] = []
    connection.set_trace_callback(fetched.append)
    for sql in ("SELECT n FROM a WHERE id = ?", "SELECT  n FROM a -- again\n WHERE id = ?"):
        assert cached.query(sql, (1,)) == ((1,),)
    cached.execute("INSERT INTO b (n) VALUES (9)")
    cached.commit()
    cached.query("SELECT n FROM a WHERE id = ?", (1,))
    assert sum("SELECT" in sql for sql in fetched) == 1
    cached.query("SELECT n FROM a WHERE id = ?", (2,))
    cached.query("SELECT n FROM a WHERE id = ?", (2.0,))
    cached.query("SELECT n FROM a WHERE id = 1")
    assert sum("SELECT" in sql for sql in fetched) == 4
    connection.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT random()",
        "SELECT CURRENT_TIMESTAMP",
        "SELECT datetime('now')",
        "PRAGMA user_version",
        "EXPLAIN SELECT 1",
        "VALUES (1), (2)",
    ],
)
def test_what_changes_by_itself_is_not_kept(sql: str) -> None:
    """Nor what is not understood."""
    connection = database(":memory:")
    results = ResultCache()
    cached = results.on(connection)
    cached.query(sql)
    cached.query(sql)
    assert results.cache.stats().hits == 0 or sql.startswith("VALUES")
    connection.close()


def test_unknown_statements_make_everything_stale() -> None:
    """DDL changes what a read means."""
    connection = database(":memory:")
    cached = ResultCache().on(connection)
    assert cached.query("SELECT * FROM a WHERE id = 1") == ((1, 1),)
    cached.execute("ALTER TABLE a ADD COLUMN more DEFAULT 7")
    assert cached.query("SELECT * FROM a WHERE id = 1") == ((1, 1, 7),)
    connection.close()


def test_what_a_trigger_touches_is_told() -> None:
    """A write to one table, a change in another."""
    connection = database(":memory:")
    connection.execute(
        "CREATE TRIGGER t AFTER UPDATE ON a BEGIN UPDATE b SET n = new.n WHERE id = new.id; END"
    )
    cached = ResultCache(touches={"a": ["b"]}).on(connection)
    assert cached.query("SELECT n FROM b WHERE id = 1") == ((1,),)
    cached.execute("UPDATE a SET n = 50 WHERE id = 1")
    cached.commit()
    assert cached.query("SELECT n FROM b WHERE id = 1") == ((50,),)
    connection.close()


def test_threads_with_connections_of_their_own_never_read_what_was_before_a_commit(
    tmp_path: Path,
) -> None:
    """A counter that one raises and three read: what they see never falls behind what was said."""
    path = str(tmp_path / "shared.db")
    database(path).close()
    results = ResultCache()
    said = 0
    stop = threading.Event()

    def read() -> int:
        connection = sqlite3.connect(path, timeout=20.0)
        cached = results.on(connection)
        looks = 0
        while not stop.is_set():
            least = said
            ((seen,),) = cached.query("SELECT n FROM a WHERE id = 1")
            assert seen >= least
            looks += 1
        connection.close()
        return looks

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read) for _ in range(3)]
        connection = sqlite3.connect(path, timeout=20.0)
        cached = results.on(connection)
        for number in range(2, 150):
            cached.execute("UPDATE a SET n = ? WHERE id = 1", (number,))
            cached.commit()
            said = number
        stop.set()
        connection.close()
        assert all(reader.result() > 0 for reader in readers)


def test_many_threads_that_miss_at_once_fetch_once() -> None:
    """The others wait for the one."""
    connection = database(":memory:")
    results = ResultCache()
    fetched: list[str] = []
    connection.set_trace_callback(fetched.append)
    gate = threading.Barrier(8)

    def read() -> Any:
        gate.wait()
        return results.on(connection).query("SELECT count(*) FROM a, b AS x, b AS y, b AS z")

    with ThreadPoolExecutor(8) as threads:
        answers = {future.result() for future in [threads.submit(read) for _ in range(8)]}
    assert answers == {((81,),)}
    assert len(fetched) == 1
    connection.close()


def test_postgres_is_cached_by_committed_writes(postgres_dsn: str) -> None:
    """Reads of a transaction that has written are its own; a snapshot is bypassed."""
    with psycopg.connect(postgres_dsn) as first, psycopg.connect(postgres_dsn) as second:
        first.execute("CREATE TABLE a (id int PRIMARY KEY, n int)")
        first.execute("INSERT INTO a VALUES (1, 1)")
        first.commit()
        results = ResultCache(dialect="postgres")
        one, two = results.on(first), results.on(second)
        sql = "SELECT n FROM a WHERE id = %s"
        assert one.query(sql, (1,)) == two.query(sql, (1,)) == ((1,),)
        assert results.cache.stats().hits == 1
        one.execute("UPDATE a SET n = 2")
        assert one.query(sql, (1,)) == ((2,),)
        assert two.query(sql, (1,)) == ((1,),)
        one.commit()
        assert two.query(sql, (1,)) == ((2,),)
        two.rollback()
        second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert two.query(sql, (1,)) == ((2,),)
        one.execute("UPDATE a SET n = 3")
        one.commit()
        assert two.query(sql, (1,)) == ((2,),)  # its snapshot
        assert one.query(sql, (1,)) == ((3,),)
