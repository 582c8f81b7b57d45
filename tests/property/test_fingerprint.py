"""Laws of fingerprints: what differs in values, spacing, case and comments only has one name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sergas.optimizations.query_optimizer import fingerprint
from sergas.optimizations.query_optimizer._shape import key_values, shape_of

VALUES = st.one_of(
    st.integers(0, 10**9).map(str),
    st.text("abc'-; \n%?", max_size=8).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.sampled_from(["?", ":name", "@name", "1.5", "x'00ff'"]),
)
LISTS = st.lists(VALUES, min_size=2, max_size=6).map(", ".join)
TEMPLATE = (
    "SELECT a.id, b.name FROM accounts AS a JOIN deals AS b ON b.account = a.id WHERE a.owner = {}"
    " AND b.amount > {} AND a.kind IN ({}) ORDER BY a.id LIMIT {}"
)


@given(
    first=st.tuples(VALUES, VALUES, LISTS, VALUES), second=st.tuples(VALUES, VALUES, LISTS, VALUES)
)
def test_values_and_lengths_of_lists_do_not_count(
    first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    """One statement, whatever it asks for."""
    names = {fingerprint(TEMPLATE.format(*values), "sqlite") for values in (first, second)}
    assert len(names) == 1
    (name,) = names
    assert name.is_parsed
    assert name.kind == "read"


@given(
    values=st.tuples(VALUES, VALUES, LISTS, VALUES),
    gaps=st.lists(st.sampled_from([" ", "\n", "  ", " /* note */ ", " -- note\n"]), min_size=40),
    is_upper=st.booleans(),
)
def test_spacing_case_and_comments_do_not_count(
    values: tuple[str, ...], gaps: list[str], *, is_upper: bool
) -> None:
    """One statement, however it is written."""
    words = TEMPLATE.split(" ")
    written = "".join(
        (word.upper() if is_upper else word) + gap for word, gap in zip(words, gaps, strict=False)
    )
    assert fingerprint(written.format(*values), "sqlite") == fingerprint(
        TEMPLATE.format(*values), "sqlite"
    )


@given(column=st.sampled_from(["owner", "kind", "id"]), table=st.sampled_from(["a", "b"]))
def test_columns_and_tables_count(column: str, table: str) -> None:
    """Two statements that read different things have two names."""
    seen = {
        fingerprint(f"SELECT {c} FROM {t} WHERE x = 1", "postgres").text  # noqa: S608 - not run
        for c, t in ((column, table), ("other", table), (column, "other"))
    }
    assert len(seen) == 3


@given(st.text(max_size=60))
def test_any_text_has_a_stable_name(text: str) -> None:
    """Whatever it is; what is no SQL says so."""
    for dialect in ("sqlite", "postgres"):
        assert fingerprint(text, dialect) == fingerprint(text, dialect)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1", "read"),
        ("WITH x AS (SELECT 1) SELECT * FROM x", "read"),
        ("VALUES (1)", "read"),
        ("INSERT INTO t VALUES (1)", "write"),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "write"),
        ("UPDATE t SET a = 1", "write"),
        ("DELETE FROM t", "write"),
        ("REPLACE INTO t VALUES (1)", "write"),
        ("CREATE TABLE t (a)", "other"),
        ("BEGIN", "other"),
        ("PRAGMA user_version", "other"),
        ("", "other"),
        ("-- nothing", "other"),
        ("'unfinished", "other"),
    ],
)
def test_kinds(sql: str, kind: str) -> None:
    """Reads and writes of rows are told from the rest."""
    assert fingerprint(sql, "sqlite").kind == kind


@pytest.mark.parametrize(
    ("sql", "parameters", "keys"),
    [
        ("SELECT * FROM t WHERE a = ? AND b > ? AND ? = c", (1, 2, 3), (1, 3)),
        ("SELECT * FROM t WHERE a = ?2 AND b = ?1", ("x", "y"), ("y", "x")),
        ("SELECT * FROM t WHERE a = :a AND b = @b AND c = $c", {"a": 1, "b": 2, "c": 3}, (1, 2, 3)),
        ("SELECT * FROM t WHERE a = 'x' AND b == 7", (), ("x", "7")),
        ("SELECT * FROM t WHERE a IN (?) AND b IN (?, ?)", (1, 2, 3), (1,)),
        ("SELECT * FROM t WHERE a IS ? AND b IS NOT NULL", (1,), (1,)),
        ("SELECT * FROM t WHERE a >= ? AND a <= ? LIMIT ? OFFSET ?", (1, 2, 3, 4), ()),
        ("SELECT * FROM t WHERE a = ?", ([1, 2],), ("[1, 2]",)),
        ("SELECT * FROM t WHERE a = ?", (), (None,)),
    ],
)
def test_keys_are_what_is_looked_up_by_equality(
    sql: str, parameters: object, keys: tuple[object, ...]
) -> None:
    """In the order of the text, from wherever the value comes."""
    assert key_values(shape_of(sql, "sqlite"), parameters) == keys


@pytest.mark.parametrize(
    ("sql", "parameters", "keys"),
    [
        ("SELECT * FROM t WHERE a = %s AND b = %s", (1, 2), (1, 2)),
        ("SELECT * FROM t WHERE a = %(one)s AND b % 2 = 0", {"one": 1}, (1, "2", "0")),
        ("SELECT * FROM t WHERE a = $2 AND b = ANY($1)", ([1], 5), (5,)),
        ("SELECT * FROM t WHERE a = $$it's$$ AND b = E'x\\'y'", (), ("it's", "x'y")),
    ],
)
def test_keys_of_postgres(sql: str, parameters: object, keys: tuple[object, ...]) -> None:
    """With the placeholders of psycopg and asyncpg."""
    assert key_values(shape_of(sql, "postgres"), parameters) == keys


def test_a_name_holds_no_value() -> None:
    """Names may be logged."""
    name = fingerprint(
        "SELECT * FROM people WHERE name = 'secret' AND born = DATE '1995-01-01' AND pin = 1234",
        "postgres",
    )
    assert name.is_parsed
    assert not re.search(r"secret|1995|1234", name.text)
