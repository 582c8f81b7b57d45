"""TPC-H at a hundredth: both databases hold the same rows and give the same answers."""

import math
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tools.evaluation.tpch import TpchError, generate, load_postgres, load_sqlite
from tools.evaluation.tpch_queries import ADVISED, QUERIES, queries

psycopg = pytest.importorskip("psycopg")

SCALE = 0.01


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once for these tests."""
    return generate(SCALE, tmp_path_factory.mktemp("tpch"))


@pytest.fixture(scope="module")
def sqlite(data: Path) -> Iterator[sqlite3.Connection]:
    """In memory."""
    connection = sqlite3.connect(":memory:")
    load_sqlite(connection, data)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def postgres(data: Path, postgres: Any) -> Iterator[Any]:
    """In a database of its own."""
    with postgres.new_database() as dsn, psycopg.connect(dsn) as connection:
        load_postgres(connection, data)
        yield connection


@pytest.mark.parametrize(("table", "rows"), [("orders", 15_000), ("nation", 25), ("part", 2_000)])
def test_tables_have_the_rows_of_the_specification(
    table: str, rows: int, sqlite: sqlite3.Connection, postgres: Any
) -> None:
    """At scale 0.01, in both."""
    count = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of ours
    assert sqlite.execute(count).fetchone() == (rows,)
    assert postgres.execute(count).fetchone() == (rows,)


@pytest.mark.parametrize("number", QUERIES)
def test_both_databases_give_the_same_answer(
    number: int, sqlite: sqlite3.Connection, postgres: Any
) -> None:
    """Row by row, within the rounding of real numbers."""
    if number == 20:
        # Without an index on lineitem(l_partkey) both take minutes, as everywhere.
        sqlite.execute("CREATE INDEX IF NOT EXISTS for_20 ON lineitem (l_partkey, l_suppkey)")
        postgres.execute("CREATE INDEX IF NOT EXISTS for_20 ON lineitem (l_partkey, l_suppkey)")
    mine = sqlite.execute(queries("sqlite")[number]).fetchall()
    theirs = postgres.execute(queries("postgres")[number]).fetchall()
    assert len(mine) == len(theirs)
    for row, other in zip(mine, theirs, strict=True):
        assert all(_is_same(a, b) for a, b in zip(row, other, strict=True)), (row, other)


def _is_same(mine: object, theirs: object) -> bool:
    if isinstance(mine, int | float) and theirs is not None:
        return math.isclose(mine, float(str(theirs)), rel_tol=1e-9, abs_tol=1e-6)
    return str(mine) == str(theirs)


def test_eighteen_queries_are_advised() -> None:
    """All but four."""
    assert len(ADVISED) == 18


def test_a_missing_generator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what brings it, and nothing is left behind."""
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(TpchError, match="tpchgen-cli is not installed"):
        generate(SCALE, tmp_path)
    assert list(tmp_path.iterdir()) == []
