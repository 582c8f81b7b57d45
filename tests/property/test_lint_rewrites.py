# ruff: noqa: S608 - the statements are made of numbers of our own
"""Laws of the linter: what is called equivalent gives the same rows, on any data, NULL included."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sergas.errors import QueryPlanError, WorkloadError
from sergas.optimizations.query_optimizer import SchemaFacts, Severity, facts_of, lint

psycopg = pytest.importorskip("psycopg")

SCHEMA = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, name TEXT)",
    "CREATE TABLE u (id INTEGER PRIMARY KEY, t_id INTEGER, k INTEGER NOT NULL, note TEXT)",
    "CREATE INDEX t_a ON t (a)",
    "CREATE INDEX t_b ON t (b)",
    "CREATE INDEX t_name ON t (name)",
)
SMALL = st.integers(-2, 3)
MAYBE = st.none() | SMALL
NAMES = st.none() | st.sampled_from(["0", "1", "01", "x", "X", ""])
ROWS = st.lists(st.tuples(MAYBE, MAYBE, NAMES), max_size=12)
OTHERS = st.lists(st.tuples(MAYBE, SMALL, NAMES), max_size=6)
SHARED = [HealthCheck.function_scoped_fixture]
CONSTANTS = st.integers(0, 3)
SIGNS = st.sampled_from(["=", "<", "<=", ">", ">="])


def filled(execute: Any, rows: list[Any], others: list[Any], mark: str) -> None:
    """The two tables with these rows."""
    execute("DELETE FROM t")
    execute("DELETE FROM u")
    for number, row in enumerate(rows):
        execute(f"INSERT INTO t VALUES ({mark}, {mark}, {mark}, {mark})", (number, *row))
    for number, row in enumerate(others):
        execute(f"INSERT INTO u VALUES ({mark}, {mark}, {mark}, {mark})", (number, *row))


@st.composite
def statements(draw: st.DrawFn) -> str:
    """Statements that the rules have something to say about."""
    one, two = draw(CONSTANTS), draw(CONSTANTS)
    return draw(
        st.sampled_from(
            [
                "SELECT * FROM t",
                f"SELECT * FROM t WHERE b > {one}",
                "SELECT * FROM t JOIN u ON u.t_id = t.id",
                "SELECT * FROM t AS x LEFT JOIN u AS y ON y.t_id = x.a",
                "SELECT a, * FROM t",
                f"SELECT id FROM t WHERE a + {one} {draw(SIGNS)} {two}",
                f"SELECT id FROM t WHERE a - {one} {draw(SIGNS)} -{two} AND b = {two}",
                f"SELECT id FROM t WHERE a = {one}.0",
                f"SELECT id FROM t WHERE {one}.00 = b",
                f"SELECT id FROM t WHERE a = {one} OR b = {two}",
                f"SELECT name FROM t WHERE a = {one} OR name = 'x'",
                f"SELECT id, b FROM t AS z WHERE z.b = {one} OR z.a = {two}",
                f"SELECT id FROM t WHERE id IN (SELECT t_id FROM u WHERE k = {one}.0)",
                "SELECT id FROM t WHERE EXISTS (SELECT * FROM u WHERE u.t_id = t.id AND k > 1)",
            ]
        )
    )


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    """With the two tables."""
    connection = sqlite3.connect(":memory:")
    for statement in SCHEMA:
        connection.execute(statement)
    yield connection
    connection.close()


@settings(
    deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sql=statements(), rows=ROWS, others=OTHERS)
def test_equivalent_rewrites_give_the_same_rows(
    sqlite: sqlite3.Connection, sql: str, rows: list[Any], others: list[Any]
) -> None:
    """As a multiset, with any NULLs."""
    filled(sqlite.execute, rows, others, "?")
    for finding in lint(sql, facts=facts_of(sqlite)):
        if finding.is_equivalent:
            assert finding.rewritten is not None
            before = Counter(sqlite.execute(sql).fetchall())
            assert Counter(sqlite.execute(finding.rewritten).fetchall()) == before, str(finding)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(number=CONSTANTS, rows=ROWS)
def test_text_compared_with_a_number_means_its_digits(
    sqlite: sqlite3.Connection, number: int, rows: list[Any]
) -> None:
    """SQLite converts the number, so '01' is not 1."""
    filled(sqlite.execute, rows, [], "?")
    sql = f"SELECT id FROM t WHERE name = {number}"
    (finding,) = lint(sql, facts=facts_of(sqlite))
    assert finding.rule == "implicit-cast"
    assert finding.rewritten is not None
    assert sqlite.execute(finding.rewritten).fetchall() == sqlite.execute(sql).fetchall()


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, others=OTHERS)
def test_not_exists_differs_from_not_in_by_what_null_hides(
    sqlite: sqlite3.Connection, rows: list[Any], others: list[Any]
) -> None:
    """Without NULL the same rows; with NULL never fewer."""
    filled(sqlite.execute, rows, others, "?")
    sql = "SELECT id FROM t WHERE a NOT IN (SELECT t_id FROM u)"
    finding = next(f for f in lint(sql, facts=facts_of(sqlite)) if f.rule == "not-in-null")
    assert finding.severity is Severity.WRONG
    assert finding.rewritten is not None
    before = set(sqlite.execute(sql).fetchall())
    after = set(sqlite.execute(finding.rewritten).fetchall())
    assert before <= after
    if not any(row[0] is None for row in [*rows, *others]):
        assert before == after


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, size=st.integers(1, 4), is_falling=st.booleans())
def test_paging_by_key_shows_what_paging_by_offset_shows(
    sqlite: sqlite3.Connection, rows: list[Any], size: int, *, is_falling: bool
) -> None:
    """Page after page, from the second on, where the key is unique and not NULL."""
    filled(sqlite.execute, rows, [], "?")
    way = "DESC" if is_falling else ""
    sql = f"SELECT id FROM t ORDER BY id {way} LIMIT {size} OFFSET {{}}"
    finding = next(f for f in lint(sql.format(size)) if f.rule == "offset-paging")
    assert finding.rewritten is not None
    shown = sqlite.execute(sql.format(0)).fetchall()
    while page := sqlite.execute(sql.format(len(shown))).fetchall():
        last = shown[-1][0]
        assert sqlite.execute(finding.rewritten, {"after_id": last}).fetchall() == page
        shown += page


def test_rewrites_hold_on_postgres_too(postgres_dsn: str) -> None:
    """The same statements, on rows with and without NULL."""
    rows = [(None, 1, "x"), (1, None, "1"), (1, 1, None), (2, 3, "01"), (0, 0, "")]
    others = [(1, 1, "x"), (None, 2, None), (2, 0, "y")]
    seen = set()
    with psycopg.connect(postgres_dsn) as connection:
        for statement in SCHEMA:
            connection.execute(statement)
        filled(connection.execute, rows, others, "%s")
        facts = facts_of(connection)
        for sql in (
            "SELECT * FROM t",
            "SELECT * FROM t AS x LEFT JOIN u AS y ON y.t_id = x.a",
            "SELECT id FROM t WHERE a + 1 = 2",
            "SELECT id FROM t WHERE a - 1 >= -1",
            "SELECT id FROM t WHERE a = 1.0",
            "SELECT id FROM t WHERE a = 1 OR b = 1",
            "SELECT id FROM t WHERE a NOT IN (SELECT t_id FROM u WHERE t_id IS NOT NULL) AND a > 0",
        ):
            for finding in lint(sql, dialect="postgres", facts=facts):
                if finding.is_equivalent or finding.rule == "not-in-null":
                    seen.add(finding.rule)
                    assert finding.rewritten is not None
                    before = Counter(connection.execute(sql).fetchall())
                    after = Counter(connection.execute(finding.rewritten).fetchall())
                    assert after == before, str(finding)
    assert seen == {
        "select-star", "function-on-column", "implicit-cast", "or-to-union", "not-in-null"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("SELECT id FROM t WHERE lower(name) = 'x'", {"function-on-column"}),
        ("SELECT id FROM t WHERE name LIKE '%x' AND a = 1", {"leading-wildcard"}),
        ("SELECT id FROM t WHERE name LIKE 'x%' AND a = 1", set()),
        ("SELECT id FROM t WHERE a NOT IN (SELECT k FROM u) LIMIT 5", set()),
        ("SELECT id FROM t WHERE a NOT IN (1, 2) LIMIT 5", set()),
        ("SELECT id FROM t", {"missing-limit"}),
        ("SELECT count(*) FROM t", set()),
        ("SELECT id FROM t WHERE a = ?", set()),
        ("SELECT id FROM t WHERE a = ? OR b = ?", {"or-to-union"}),
        ("SELECT id FROM t WHERE a = 1 OR a = 2", set()),
        ("SELECT 1", set()),
        ("DELETE FROM t WHERE a = 1", set()),
        ("CREATE TABLE z (a)", set()),
        ('SELECT "id" FROM "t" WHERE "a" = 1.0', {"implicit-cast"}),
        ("WITH x AS (SELECT id FROM t WHERE a = 1) SELECT id FROM x WHERE id = 2", set()),
        ("WITH t AS (SELECT 1 AS a) SELECT a FROM t WHERE a = 1.0", set()),
    ],
)
def test_rules_speak_when_they_should(
    sql: str, rules: set[str], sqlite: sqlite3.Connection
) -> None:
    """And are silent otherwise."""
    assert {finding.rule for finding in lint(sql, facts=facts_of(sqlite))} == rules


def test_without_facts_only_what_the_text_says_is_told() -> None:
    """No type, no index, no column is guessed."""
    sql = "SELECT * FROM t WHERE lower(name) = 'x' OR a = 1.0 OFFSET 5"
    found = lint(sql, facts=SchemaFacts())
    assert {finding.rule for finding in found} == {"select-star", "offset-paging"}
    assert all(finding.rewritten is None for finding in found)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC FROM", "cannot read"),
        ("SELECT 1; SELECT 2", "got 2 statements, needed one"),
        ("", "got 0 statements"),
        ("SELECT 'unfinished", "cannot read"),
    ],
)
def test_what_is_not_one_statement_is_refused(sql: str, message: str) -> None:
    """With what was seen."""
    with pytest.raises(QueryPlanError, match=message):
        lint(sql)


def test_a_stranger_has_no_facts() -> None:
    """With what was needed."""
    with pytest.raises(WorkloadError, match="needed a connection of sqlite3 or psycopg"):
        facts_of(object())
