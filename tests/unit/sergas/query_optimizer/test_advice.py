"""Index advice on SQLite: what it needs, what it refuses, and that nothing is left."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer import QueryOptimizer, Workload, WorkloadQuery, _scratch
from sergas.optimizations.query_optimizer._advise import size_of

BY_OWNER = WorkloadQuery(sql="SELECT * FROM accounts WHERE owner = ?", samples=(("owner 7",),))
BY_STAGE = WorkloadQuery(sql="SELECT sum(amount) FROM deals WHERE stage = 'won'")


def test_the_obvious_index_is_advised_and_explained(connection: sqlite3.Connection) -> None:
    """With its name, size, users and reason."""
    advice = QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))
    (index,) = advice
    assert index.ddl == 'CREATE INDEX "accounts_owner_idx" ON "accounts" ("owner")'
    assert index.queries == (BY_OWNER.sql,)
    assert index.benefit > 0.9
    assert index.write_cost == 0
    assert "1 statement uses it" in index.why
    assert advice.size_bytes == index.size_bytes > 0
    assert advice.cost_ratio == advice.ratio_geometric_mean < 0.1
    assert any("ANALYZE" in note for note in advice.notes)


def test_names_that_are_taken_are_not_given_again(connection: sqlite3.Connection) -> None:
    """Whatever has the name, and in whatever case."""
    connection.execute("CREATE TABLE ACCOUNTS_OWNER_IDX (a)")
    (index,) = QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))
    assert index.name == "accounts_owner1_idx"
    connection.execute(index.ddl)


def test_a_budget_of_nothing_buys_nothing(connection: sqlite3.Connection) -> None:
    """And the costs are then those of today."""
    advice = QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)), 0)
    assert len(advice) == 0
    assert advice.cost_ratio == 1


def test_writes_pay_for_indexes(connection: sqlite3.Connection) -> None:
    """Seldom read and often written is not indexed; the writes are undone."""
    sql = "INSERT INTO accounts (owner) VALUES (?)"
    before = list(connection.iterdump())
    optimizer = QueryOptimizer(connection)
    for count, expected in ((1, 1), (1e6, 0)):
        write = WorkloadQuery(sql=sql, samples=(("x",),), count=count, kind="write")
        assert len(optimizer.advise(Workload(queries=(BY_OWNER, write)))) == expected
    assert list(connection.iterdump()) == before


def test_an_update_pays_for_what_it_changes_only(connection: sqlite3.Connection) -> None:
    """An index on other columns is not touched by it."""
    optimizer = QueryOptimizer(connection)
    for column, expected in (("note", 1), ("owner", 0)):
        sql = f"UPDATE accounts SET {column} = 'x' WHERE id < 100"  # noqa: S608 two literals
        write = WorkloadQuery(sql=sql, count=1e5, kind="write")
        assert len(optimizer.advise(Workload(queries=(BY_OWNER, write)))) == expected


def test_a_recorded_insert_whose_row_is_there_counts_as_one(connection: sqlite3.Connection) -> None:
    """It was recorded when the row was new."""
    write = WorkloadQuery(sql="INSERT INTO codes VALUES ('1', 'm')", count=5, kind="write")
    by_meaning = WorkloadQuery(sql="SELECT code FROM codes WHERE meaning = 'none'", count=1e4)
    advice = QueryOptimizer(connection).advise(Workload(queries=(by_meaning, write)))
    assert not advice.skipped
    assert [index.columns for index in advice] == [("meaning",)]
    assert advice.indexes[0].write_cost > 0


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT 1; DROP TABLE deals", "one statement at a time"),
        ("DROP TABLE deals", "neither only reads"),
        ("CREATE TABLE more (a)", "neither only reads"),
        ("PRAGMA user_version = 5", "neither only reads"),
        ("VACUUM", "neither only reads"),
        ("BEGIN", "neither only reads"),
        ("SELECT * FROM nowhere", "no such table"),
        ("SELECT strange(owner) FROM accounts", "no such function"),
        ("SELECT * FROM accounts WHERE owner = ?", "bindings"),
    ],
)
def test_what_cannot_be_judged_is_left_out_with_a_reason(
    connection: sqlite3.Connection, sql: str, reason: str
) -> None:
    """The rest is judged; alone it is an error; and nothing of it is run."""
    before = list(connection.iterdump())
    optimizer = QueryOptimizer(connection)
    bad = WorkloadQuery(sql=sql)
    advice = optimizer.advise(Workload(queries=(bad, BY_OWNER)))
    assert [(skipped.label, reason in skipped.why) for skipped in advice.skipped] == [(sql, True)]
    assert len(advice) == 1
    with pytest.raises(QueryPlanError, match="at least one statement"):
        optimizer.advise(Workload(queries=(bad,)))
    assert list(connection.iterdump()) == before


def test_an_empty_workload_is_refused(connection: sqlite3.Connection) -> None:
    """Nothing can be said about nothing."""
    with pytest.raises(QueryPlanError, match="empty"):
        QueryOptimizer(connection).advise(Workload(queries=()))


def test_functions_come_with_prepare(connection: sqlite3.Connection) -> None:
    """They belong to a connection and do not travel with a copy."""
    sql = "SELECT twice(paid) FROM accounts WHERE owner = 'owner 7'"
    advice = QueryOptimizer(connection).advise(
        Workload.of([sql]), prepare=lambda copy: copy.create_function("twice", 1, lambda x: 2 * x)
    )
    assert len(advice) == 1


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, "text", b"bytes", bytearray(b"array"), 2**62, "\ud7ff", float("inf")]
)
def test_parameters_may_be_of_every_type(connection: sqlite3.Connection, value: object) -> None:
    """By place and by name."""
    workload = Workload(
        queries=(
            WorkloadQuery(sql="SELECT 1 FROM accounts WHERE note = ?", samples=((value,),)),
            WorkloadQuery(sql="SELECT 1 FROM accounts WHERE note IS :v", samples=({"v": value},)),
        )
    )
    assert not QueryOptimizer(connection).advise(workload).skipped


def test_a_value_that_sqlite_cannot_carry_is_told(connection: sqlite3.Connection) -> None:
    """The statement is left out."""
    bad = WorkloadQuery(sql="SELECT ? FROM accounts", samples=((2**64,),))
    advice = QueryOptimizer(connection).advise(Workload(queries=(bad, BY_OWNER)))
    assert [skipped.label for skipped in advice.skipped] == [bad.sql]


def test_views_ctes_and_odd_names(connection: sqlite3.Connection) -> None:
    """Columns are found wherever they are written, under whatever name."""
    connection.executescript(
        'CREATE TABLE "odd ""table" ("a b" TEXT, "select" INTEGER, v AS ("select" + 1));'
        "CREATE VIEW owners AS SELECT owner AS o, paid FROM accounts;"
    )
    connection.executemany(
        'INSERT INTO "odd ""table" VALUES (?, ?)', [(str(n), n) for n in range(500)]
    )
    workload = Workload.of(
        [
            "WITH mine AS (SELECT * FROM owners WHERE o = 'owner 7') SELECT count(*) FROM mine",
            'SELECT "select" FROM "odd ""table" WHERE "a b" = \'17\'',
            'SELECT "a b" FROM "odd ""table" WHERE v = 18',
        ]
    )
    advice = QueryOptimizer(connection).advise(workload)
    assert not advice.skipped
    assert {(index.table, index.columns[0]) for index in advice} == {
        ("accounts", "owner"),
        ('odd "table', "a b"),
        ('odd "table', "v"),
    }
    for index in advice:
        connection.execute(index.ddl)


def test_an_empty_table_needs_no_index(connection: sqlite3.Connection) -> None:
    """There is nothing to find faster."""
    connection.execute("CREATE TABLE bare (a, b)")
    advice = QueryOptimizer(connection).advise(Workload.of(["SELECT b FROM bare WHERE a = 1"]))
    assert len(advice) == 0
    assert not advice.skipped


def test_a_read_only_database_is_advised(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """Only a copy is written to, and no file is left beside it."""
    path = tmp_path / "accounts.db"
    with closing(sqlite3.connect(path)) as kept:
        connection.backup(kept)
    before = path.read_bytes()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        assert len(QueryOptimizer(reader).advise(Workload(queries=(BY_OWNER,)))) == 1
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_open_transaction_is_seen_and_goes_on(connection: sqlite3.Connection) -> None:
    """What is not committed is in the copy, and still not committed afterwards."""
    connection.execute("CREATE TABLE fresh (a, b)")
    connection.executemany("INSERT INTO fresh VALUES (?, 0)", [(n,) for n in range(2000)])
    assert connection.in_transaction
    advice = QueryOptimizer(connection).advise(Workload.of(["SELECT b FROM fresh WHERE a = 7"]))
    assert [index.table for index in advice] == ["fresh"]
    assert connection.in_transaction
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM fresh").fetchone() == (0,)


def test_a_database_that_others_lock_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not waited for without end."""
    monkeypatch.setattr(_scratch, "_BUSY_WAITS_MAX", 1)
    path = tmp_path / "accounts.db"
    with (
        closing(sqlite3.connect(path)) as other,
        closing(sqlite3.connect(path, timeout=0)) as reader,
    ):
        other.execute("CREATE TABLE t (a)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(QueryPlanError, match="locked"):
            QueryOptimizer(reader).advise(Workload.of(["SELECT * FROM t"]))


def test_a_closed_connection_is_told() -> None:
    """With the reason."""
    connection = sqlite3.connect(":memory:")
    connection.close()
    with pytest.raises(QueryPlanError, match="closed"):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))


def test_a_statement_without_end_is_left_out(connection: sqlite3.Connection) -> None:
    """It is stopped at the limit."""
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n"
    optimizer = QueryOptimizer(connection, vm_steps_max=1_000_000)
    advice = optimizer.advise(Workload(queries=(WorkloadQuery(sql=endless), BY_OWNER)))
    assert "vm_steps_max" in advice.skipped[0].why
    assert len(advice) == 1


def test_a_sample_finds_what_all_rows_confirm(connection: sqlite3.Connection) -> None:
    """Rows of one key stay together, so that joins keep their shape."""
    joined = "SELECT sum(amount) FROM accounts a JOIN deals d ON d.account_id = a.id WHERE paid = 9"
    workload = Workload(queries=(BY_OWNER, BY_STAGE, WorkloadQuery(sql=joined)))
    optimizer = QueryOptimizer(connection)
    whole, sampled = (optimizer.advise(workload, sample_rows=rows) for rows in (10_000, 300))
    assert {index.columns[0] for index in sampled} == {index.columns[0] for index in whole}
    assert all(query.ratio <= 1.01 for query in sampled.queries)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [(0, 0), (17, 17), ("100MB", 10**8), ("64 MiB", 2**26), ("1.5kb", 1500), ("3", 3), ("2 B", 2)],
)
def test_sizes_are_read(budget: int | str, expected: int) -> None:
    """Decimal and binary units."""
    assert size_of(budget) == expected


@pytest.mark.parametrize("budget", [-1, "", "much", "10 parsecs", "-3MB", 1.5, None])
def test_sizes_that_are_none_are_refused(budget: object, connection: sqlite3.Connection) -> None:
    """The message shows what would do."""
    with pytest.raises(QueryPlanError, match="100MB"):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)), budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{"max_width": 0}, {"worse_max": -1}, {"sample_rows": 0}])
def test_numbers_out_of_range_are_refused(
    connection: sqlite3.Connection, arguments: dict[str, int]
) -> None:
    """With what was seen."""
    with pytest.raises(QueryPlanError, match=next(iter(arguments))):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)), **arguments)  # type: ignore[arg-type]


def test_another_kind_of_connection_is_refused() -> None:
    """By its type's name."""
    with pytest.raises(QueryPlanError, match=r"builtins\.str"):
        QueryOptimizer("postgresql://somewhere")


def test_superfluous_indexes_are_found(connection: sqlite3.Connection) -> None:
    """Twice there, the beginning of another, and, by a workload's plans, never used."""
    connection.executescript(
        "CREATE INDEX twin_a ON accounts (owner); CREATE INDEX twin_b ON accounts (owner);"
        "CREATE INDEX short ON deals (stage); CREATE INDEX long ON deals (stage, amount);"
        "CREATE UNIQUE INDEX rule ON accounts (id, owner);"
        "CREATE INDEX partly ON accounts (status) WHERE paid = 1;"
    )
    optimizer = QueryOptimizer(connection)
    assert {found.name: found.kind for found in optimizer.index_findings()} == {
        '"twin_b"': "duplicate",
        '"short"': "redundant",
    }
    workload = Workload(queries=(BY_OWNER, WorkloadQuery(sql="SELEC")))
    found = {each.name: each for each in optimizer.index_findings(workload)}
    assert found['"deals_account"'].kind == "unused"
    assert not found.keys() & {'"rule"', '"long"', '"partly"'}
    for each in found.values():
        connection.execute(each.ddl)
