"""Laws of batched writes: as row by row, all or none, on both databases."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sergas.errors import BatchError
from sergas.optimizations.query_optimizer import insert_many, update_many, upsert_many

psycopg = pytest.importorskip("psycopg")

CREATE = 'CREATE TABLE "a table" (id INTEGER PRIMARY KEY, "a name" TEXT NOT NULL, n INTEGER)'
VALUES = st.tuples(
    st.integers(0, 9), st.sampled_from(["x", "y's", '"z"']), st.none() | st.integers(0, 5)
)
UNIQUE = st.lists(VALUES, max_size=10, unique_by=lambda row: row[0])
law = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def connection(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A connection of each driver, with one table whose names need quotes."""
    if request.param == "sqlite":
        made = sqlite3.connect(":memory:")
        made.execute(CREATE)
        yield made
        made.close()
        return
    server = request.getfixturevalue("postgres")
    with server.new_database() as dsn, psycopg.connect(dsn) as made:
        made.execute(CREATE)
        made.commit()
        yield made


def content(connection: Any) -> dict[int, tuple[str, int | None]]:
    """What the table holds."""
    rows = connection.execute('SELECT id, "a name", n FROM "a table"').fetchall()
    connection.rollback()
    return {row[0]: (row[1], row[2]) for row in rows}


def emptied(connection: Any) -> None:
    """Nothing in it."""
    connection.execute('DELETE FROM "a table"')
    connection.commit()


@law
@given(there=UNIQUE, given_rows=UNIQUE, chunk=st.integers(1, 7))
def test_batches_do_what_single_rows_do(
    connection: Any, there: list[Any], given_rows: list[Any], chunk: int
) -> None:
    """Insert, update what is there, insert or update the rest."""
    emptied(connection)
    columns = ("a name", "n")
    assert insert_many(connection, "a table", ("id", *columns), there, chunk=chunk) == len(there)
    expected = {row[0]: (row[1], row[2]) for row in there}
    assert content(connection) == expected
    changed = [row for row in given_rows if row[0] in expected]
    updated = update_many(connection, "a table", ("id",), columns, iter(given_rows), chunk=chunk)
    assert updated == len(changed)
    expected |= {row[0]: (row[1], row[2]) for row in changed}
    assert content(connection) == expected
    assert upsert_many(connection, "a table", ("id",), columns, given_rows, chunk=chunk) == len(
        given_rows
    )
    expected |= {row[0]: (row[1], row[2]) for row in given_rows}
    assert content(connection) == expected


@law
@given(rows=UNIQUE.filter(bool), bad=st.integers(0, 9), chunk=st.integers(1, 4))
def test_one_bad_row_is_named_and_nothing_is_written(
    connection: Any, rows: list[Any], bad: int, chunk: int
) -> None:
    """Wherever it stands; the transaction of the caller is as before."""
    emptied(connection)
    place = bad % len(rows)
    broken = [*rows[:place], (rows[place][0], None, 1), *rows[place + 1 :]]
    with pytest.raises(BatchError, match=f"row {place} cannot be written"):
        insert_many(connection, "a table", ("id", "a name", "n"), broken, chunk=chunk)
    assert content(connection) == {}


def test_an_open_transaction_goes_on(connection: Any) -> None:
    """Nothing is committed for the caller, and a failed batch takes only itself back."""
    emptied(connection)
    columns = ("id", "a name", "n")
    connection.execute("INSERT INTO \"a table\" VALUES (1, 'mine', 1)")
    insert_many(connection, "a table", columns, [(2, "x", None)])
    with pytest.raises(BatchError, match="row 0"):
        insert_many(connection, "a table", columns, [(2, "twice", None)])
    rows = connection.execute('SELECT id FROM "a table" ORDER BY id').fetchall()
    assert [row[0] for row in rows] == [1, 2]
    connection.rollback()
    assert content(connection) == {}


def test_rows_that_do_not_fit_are_told(connection: Any) -> None:
    """Too short, an input that breaks, no columns, a column twice, a chunk of none."""
    emptied(connection)

    def breaks() -> Iterator[Any]:
        yield (1, "x", 1)
        raise LookupError("the input broke")

    with pytest.raises(BatchError, match="row 1 has 2 values, needed 3: id, a name, n"):
        insert_many(connection, "a table", ("id", "a name", "n"), [(1, "x", 1), (2, "y")])
    with pytest.raises(LookupError, match="the input broke"):
        insert_many(connection, "a table", ("id", "a name", "n"), breaks(), chunk=1)
    with pytest.raises(BatchError, match="got no columns"):
        insert_many(connection, "a table", (), [])
    with pytest.raises(BatchError, match="a column twice"):
        update_many(connection, "a table", ("id",), ("id",), [])
    with pytest.raises(BatchError, match="got chunk=0"):
        insert_many(connection, "a table", ("id",), [], chunk=0)
    assert content(connection) == {}


def test_an_unknown_column_and_autocommit_are_told(postgres_dsn: str) -> None:
    """With the columns there are, and what to do."""
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
        with pytest.raises(BatchError, match="no column b; it has id, a"):
            update_many(connection, "t", ("id",), ("b",), [(1, 2)])
    with (
        psycopg.connect(postgres_dsn, autocommit=True) as connection,
        pytest.raises(BatchError, match="set autocommit to False"),
    ):
        insert_many(connection, "t", ("id",), [(1,)])
