"""Laws of the query optimizer over random tables and queries."""

import sqlite3
from contextlib import closing

from hypothesis import given, settings
from hypothesis import strategies as st

from sergas.optimizations.query_optimizer import QueryOptimizer

ROWS = st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=60)
CONDITION = st.builds(
    "{} {} {}".format,
    st.sampled_from("abc"),
    st.sampled_from(["=", "<", ">=", "<>"]),
    st.integers(0, 5),
)
QUERIES = st.builds(
    "SELECT {} FROM t WHERE {} {}".format,
    st.sampled_from(["*", "a", "count(*)", "b, c"]),
    st.lists(CONDITION, min_size=1, max_size=3).map(" AND ".join),
    st.sampled_from(["", "ORDER BY b", "ORDER BY c, a DESC"]),
)


@settings(max_examples=60, deadline=None)
@given(ROWS, QUERIES)
def test_suggestions_are_true_and_harmless(rows: list[tuple[int, ...]], sql: str) -> None:
    """Each suggestion costs what was measured, saves what was promised and changes no result."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        schema = list(connection.iterdump())
        optimizer = QueryOptimizer(connection)
        before = optimizer.measure(sql)
        results = sorted(connection.execute(sql).fetchall())
        for found in optimizer.suggest(sql):
            assert list(connection.iterdump()) == schema
            assert found.vm_steps_before == before.vm_steps
            connection.execute("BEGIN")
            connection.execute(found.ddl)
            after = optimizer.measure(sql)
            assert after.vm_steps == found.vm_steps_after <= before.vm_steps * 0.9
            assert after.rows == before.rows
            assert sorted(connection.execute(sql).fetchall()) == results
            connection.execute("ROLLBACK")
        assert list(connection.iterdump()) == schema
