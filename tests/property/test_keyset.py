"""Laws of keyset paging: the pages together are the result, whatever comes and goes meanwhile."""

import sqlite3
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sergas.errors import PageError
from sergas.optimizations.query_optimizer import Key, Keyset

psycopg = pytest.importorskip("psycopg")

NUMBERS = st.none() | st.integers(0, 4)
ROWS = st.lists(st.tuples(NUMBERS, st.sampled_from(["x", "y", "z"])), max_size=25)
law = settings(deadline=None, max_examples=150)


@st.composite
def orders(draw: st.DrawFn) -> list[Key]:
    """Keys that end with a unique one, in any directions, NULLs at either end."""
    first = Key(
        column="a",
        is_descending=draw(st.booleans()),
        nulls=draw(st.sampled_from(["first", "last"])),
    )
    second = Key(column="name", is_descending=draw(st.booleans()))
    unique = Key(column="id", is_descending=draw(st.booleans()))
    return [*draw(st.sampled_from([[], [first], [second], [first, second]])), unique]


def table(rows: list[Any]) -> sqlite3.Connection:
    """The rows, with an id each."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, name TEXT NOT NULL)")
    connection.executemany("INSERT INTO t (a, name) VALUES (?, ?)", rows)
    return connection


def ordered(connection: sqlite3.Connection, keys: list[Key]) -> list[Any]:
    """All rows in the order of the keys."""
    parts = [
        f"{key.column}{' DESC' if key.is_descending else ''}"
        + (f" NULLS {key.nulls.upper()}" if key.nulls else "")
        for key in keys
    ]
    return connection.execute(f"SELECT * FROM t ORDER BY {', '.join(parts)}").fetchall()  # noqa: S608


@law
@given(rows=ROWS, keys=orders(), limit=st.integers(1, 7))
def test_pages_together_are_the_result_there_and_back(
    rows: list[Any], keys: list[Key], limit: int
) -> None:
    """Forwards every row once in order; backwards the same pages."""
    connection = table(rows)
    pages = Keyset("SELECT * FROM t", keys, limit=limit)
    there = [pages.page(connection)]
    while there[-1].next is not None:
        there.append(pages.page(connection, there[-1].next))
    assert [row for page in there for row in page.rows] == ordered(connection, keys)
    assert all(len(page.rows) == limit for page in there[:-1])
    back = [there[-1]]
    while back[-1].previous is not None:
        back.append(pages.page(connection, back[-1].previous))
    assert [row for page in reversed(back) for row in page.rows] == ordered(connection, keys)
    connection.close()


@law
@given(
    rows=ROWS,
    added=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["x", "y"])), max_size=6),
    keys=orders(),
    limit=st.integers(1, 5),
)
def test_rows_that_come_meanwhile_move_no_other(
    rows: list[Any], added: list[Any], keys: list[Key], limit: int
) -> None:
    """Each row that was there from the beginning is shown exactly once."""
    connection = table(rows)
    before = {row[0] for row in ordered(connection, keys)}
    pages = Keyset("SELECT * FROM t", keys, limit=limit)
    page = pages.page(connection)
    shown = [row[0] for row in page.rows]
    while page.next is not None:
        if added:
            connection.execute("INSERT INTO t (a, name) VALUES (?, ?)", added.pop())
        page = pages.page(connection, page.next)
        shown += [row[0] for row in page.rows]
    assert sorted(number for number in shown if number in before) == sorted(before)
    assert len(shown) == len(set(shown))
    connection.close()


@law
@given(st.text(max_size=40))
def test_tokens_of_somebody_else_are_refused(text: str) -> None:
    """Whatever they are."""
    connection = table([(1, "x")])
    with pytest.raises(PageError, match="begin at the first page"):
        Keyset("SELECT * FROM t", ["id"], limit=1).page(connection, text)
    connection.close()


def test_tokens_are_good_for_the_same_pages_only() -> None:
    """Other keys, another statement, another secret: refused."""
    connection = table([(n, "x") for n in range(5)])
    made = Keyset("SELECT * FROM t", ["id"], limit=2, secret=b"mine")
    token = made.page(connection).next
    assert [row[0] for row in made.page(connection, token).rows] == [3, 4]
    for other in (
        Keyset("SELECT * FROM t", ["id"], limit=2, secret=b"other"),
        Keyset("SELECT * FROM t", [Key(column="id", is_descending=True)], limit=2, secret=b"mine"),
        Keyset("SELECT * FROM t WHERE a > 0", ["id"], limit=2, secret=b"mine"),
    ):
        with pytest.raises(PageError, match="not of these pages"):
            other.page(connection, token)
    connection.close()


def test_parameters_and_an_index_are_used() -> None:
    """The plan enters the index where the page begins."""
    connection = table([(n % 3, "x") for n in range(50)])
    connection.execute("CREATE INDEX t_a ON t (a, id)")
    pages = Keyset("SELECT id, a FROM t WHERE a = :a", ["a", "id"], limit=5)
    first = pages.page(connection, parameters={"a": 1})
    second = pages.page(connection, first.next, {"a": 1})
    assert [row[0] for row in (*first.rows, *second.rows)] == list(range(2, 32, 3))
    sql, extra = pages.query((1, 20))
    plan = " ".join(
        row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", {"a": 1, **extra})
    )
    assert "SEARCH" in plan
    assert "TEMP B-TREE" not in plan
    connection.close()


def test_pages_on_postgres(postgres_dsn: str) -> None:
    """With NULLs, both ways, rows as mappings too."""
    keys = [Key(column="a", is_descending=True, nulls="last"), Key(column="id")]
    with psycopg.connect(postgres_dsn) as connection:
        connection.execute("CREATE TABLE t (id bigserial PRIMARY KEY, a int)")
        for value in [1, None, 2, 2, None, 0, 1]:
            connection.execute("INSERT INTO t (a) VALUES (%s)", (value,))
        pages = Keyset("SELECT * FROM t WHERE id > %(low)s", keys, limit=2, dialect="postgres")
        shown, token = [], None
        while True:
            page = pages.page(connection, token, {"low": 0})
            shown += [row[0] for row in page.rows]
            if (token := page.next) is None:
                break
        assert shown == [3, 4, 1, 7, 6, 2, 5]
        assert page.previous is not None
        before = pages.page(connection, page.previous, {"low": 0})
        assert [row[0] for row in before.rows] == [6, 2]
        connection.row_factory = psycopg.rows.dict_row
        assert pages.page(connection, None, {"low": 0}).rows[0] == {"id": 3, "a": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [({"keys": []}, "got no keys"), ({"limit": 0}, "got limit=0")],
)
def test_pages_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    """With what was needed."""
    with pytest.raises(PageError, match=message):
        Keyset("SELECT 1", options.get("keys", ["id"]), limit=options.get("limit", 5))


def test_a_key_that_is_not_selected_is_told() -> None:
    """A page that has another after it needs the key's value."""
    connection = table([(1, "x"), (2, "y")])
    with pytest.raises((PageError, sqlite3.OperationalError)):
        Keyset("SELECT a FROM t", ["id"], limit=1).page(connection)
    connection.close()
