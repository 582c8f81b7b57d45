"""Exact costs, and indexes that are tried for real and leave nothing behind."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer import QueryOptimizer

BY_OWNER = "SELECT * FROM accounts WHERE owner = ?"
OWNER = ("owner 7",)

WRITES = [
    "DELETE FROM accounts",
    "UPDATE accounts SET paid = 1",
    "INSERT INTO codes VALUES ('x', 'y')",
    "WITH doomed AS (SELECT 1) DELETE FROM accounts",
    "-- SELECT\n DROP TABLE accounts",
    "CREATE TABLE more (a)",
    "CREATE TEMP TABLE more (a)",
    "PRAGMA user_version = 5",
    "PRAGMA journal_mode = MEMORY",
    "ATTACH ':memory:' AS side",
    "BEGIN",
    "SAVEPOINT mine",
    "VACUUM",
    "VACUUM INTO (SELECT 'copy.db')",
    "DETACH main",
    "COMMIT",
    "SELECT 1 RETURNING 2",
    "REINDEX",
    "ANALYZE",
]


def contents(connection: sqlite3.Connection) -> list[str]:
    """The whole database as SQL."""
    return list(connection.iterdump())


def test_steps_are_the_same_each_time(connection: sqlite3.Connection) -> None:
    """The cost is a count, not a time: equal runs have equal costs, on a fresh optimizer too."""
    runs = {QueryOptimizer(connection).measure(BY_OWNER, OWNER) for _ in range(5)}
    assert len(runs) == 1
    assert runs.pop().rows == 20


def test_steps_grow_with_the_rows_visited(connection: sqlite3.Connection) -> None:
    """A scan costs the same number of steps for each row: the count is linear, not sampled."""
    optimizer = QueryOptimizer(connection)
    sql = "SELECT id FROM (SELECT id FROM accounts WHERE id <= ? AND paid = 99)"
    steps = [optimizer.measure(sql, (rows,)).vm_steps for rows in (100, 200, 300)]
    assert steps[2] - steps[1] == steps[1] - steps[0] > 100


def test_rows_are_the_real_rows(connection: sqlite3.Connection) -> None:
    """Rows are counted, not estimated."""
    optimizer = QueryOptimizer(connection)
    assert optimizer.measure("SELECT * FROM accounts").rows == 1000
    assert optimizer.measure("SELECT * FROM accounts WHERE paid = 99").rows == 0
    assert optimizer.measure("SELECT count(*) FROM accounts").rows == 1


@pytest.mark.parametrize("sql", WRITES)
def test_writes_are_never_run(connection: sqlite3.Connection, sql: str) -> None:
    """Whatever can change something is refused before any of it runs."""
    optimizer = QueryOptimizer(connection)
    before = contents(connection)
    for call in (
        lambda: optimizer.measure(sql),
        lambda: optimizer.suggest(sql),
        lambda: optimizer.evaluate_index(sql, (), "accounts", ["owner"]),
    ):
        with pytest.raises(QueryPlanError):
            call()
    assert contents(connection) == before
    assert not connection.in_transaction
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)


def test_endless_query_is_stopped(connection: sqlite3.Connection) -> None:
    """A query beyond the bound of steps is ended with the bound and the way out."""
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    with pytest.raises(QueryPlanError, match=r"more than 10000 steps.*vm_steps_max"):
        QueryOptimizer(connection, vm_steps_max=10_000).measure(endless)
    with pytest.raises(QueryPlanError, match="more than 10000 steps"):
        QueryOptimizer(connection, vm_steps_max=10_000).measure(endless + " ORDER BY i")
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_useful_index_helps(connection: sqlite3.Connection) -> None:
    """An index on the column of an equality is used and saves the scan."""
    found = QueryOptimizer(connection).evaluate_index(BY_OWNER, OWNER, "accounts", ["owner"])
    assert found.is_used
    assert found.helps
    assert found.vm_steps_after < found.vm_steps_before / 5
    assert found.saving == 1 - found.vm_steps_after / found.vm_steps_before
    assert found.plan_before.tables_scanned == {"accounts"}
    assert found.plan_after.tables_scanned == set()
    assert found.size_bytes >= 4096


def test_evaluation_is_true(connection: sqlite3.Connection) -> None:
    """Creating the proposed index gives exactly the cost that was measured."""
    optimizer = QueryOptimizer(connection)
    found = optimizer.evaluate_index(BY_OWNER, OWNER, "accounts", ["owner"])
    connection.execute(found.ddl)
    assert optimizer.measure(BY_OWNER, OWNER).vm_steps == found.vm_steps_after


def test_unused_index_does_not_help(connection: sqlite3.Connection) -> None:
    """An index that the plan does not use changes nothing and is no help."""
    found = QueryOptimizer(connection).evaluate_index(BY_OWNER, OWNER, "accounts", ["note"])
    assert (found.is_used, found.helps, found.saving) == (False, False, 0.0)
    assert found.vm_steps_after == found.vm_steps_before


def test_help_is_what_reaches_the_threshold(connection: sqlite3.Connection) -> None:
    """The same index helps or does not, as the stated least saving says."""
    sql = "SELECT * FROM accounts WHERE status = 'open'"
    found = QueryOptimizer(connection).evaluate_index(sql, (), "accounts", ["status"])
    assert found.is_used
    low = QueryOptimizer(connection, saving_min=found.saving)
    high = QueryOptimizer(connection, saving_min=found.saving + 0.01)
    assert low.evaluate_index(sql, (), "accounts", ["status"]).helps
    assert not high.evaluate_index(sql, (), "accounts", ["status"]).helps


Trial = Callable[[QueryOptimizer], object]
TRIALS: dict[str, Trial] = {
    "evaluated": lambda optimizer: optimizer.evaluate_index(BY_OWNER, OWNER, "accounts", ["owner"]),
    "suggested": lambda optimizer: optimizer.suggest(BY_OWNER, OWNER),
    "too long": lambda optimizer: optimizer.evaluate_index(
        "SELECT * FROM accounts, accounts b, deals", (), "accounts", ["owner"]
    ),
    "unknown table": lambda optimizer: optimizer.evaluate_index(BY_OWNER, OWNER, "x", ["owner"]),
}


def run_trial(connection: sqlite3.Connection, how: str) -> None:
    """Run a trial; errors are a way for it to end."""
    try:
        TRIALS[how](QueryOptimizer(connection, vm_steps_max=100_000))
    except QueryPlanError:
        assert how in {"too long", "unknown table"}


@pytest.mark.parametrize("how", sorted(TRIALS))
def test_file_is_left_as_it_was(tmp_path: Path, connection: sqlite3.Connection, how: str) -> None:
    """After a trial, failed or not, the file has the same bytes and no transaction is open."""
    path = tmp_path / "accounts.db"
    with closing(sqlite3.connect(path)) as on_disk:
        connection.backup(on_disk)
        before = path.read_bytes()
        run_trial(on_disk, how)
        assert not on_disk.in_transaction
        assert path.read_bytes() == before
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", sorted(TRIALS))
def test_open_transaction_goes_on(tmp_path: Path, connection: sqlite3.Connection, how: str) -> None:
    """The caller's uncommitted rows and savepoints survive a trial, and can still be undone."""
    path = tmp_path / "accounts.db"
    with closing(sqlite3.connect(path)) as on_disk:
        connection.backup(on_disk)
        before = contents(on_disk)
        on_disk.execute("INSERT INTO codes VALUES ('new', 'uncommitted')")
        on_disk.execute("SAVEPOINT mine")
        on_disk.execute("DELETE FROM codes WHERE code = '1'")
        during = contents(on_disk)
        run_trial(on_disk, how)
        assert on_disk.in_transaction
        assert contents(on_disk) == during
        on_disk.execute("ROLLBACK TO mine")
        assert on_disk.execute("SELECT * FROM codes WHERE code = '1'").fetchone() == ("1", "m")
        on_disk.rollback()
        assert contents(on_disk) == before


def test_trial_sees_uncommitted_rows(connection: sqlite3.Connection) -> None:
    """Inside a transaction the costs are those of the rows as the caller sees them."""
    optimizer = QueryOptimizer(connection)
    connection.execute("DELETE FROM accounts WHERE id > 100")
    found = optimizer.evaluate_index("SELECT * FROM accounts", (), "accounts", ["owner"])
    assert optimizer.measure("SELECT * FROM accounts").rows == 100
    assert found.vm_steps_before < 2000


def test_read_only_database_is_an_error(tmp_path: Path, connection: sqlite3.Connection) -> None:
    """Where no index can be built, evaluating says so and measuring still works."""
    path = tmp_path / "accounts.db"
    with closing(sqlite3.connect(path)) as on_disk:
        connection.backup(on_disk)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as read_only:
        optimizer = QueryOptimizer(read_only)
        assert optimizer.measure(BY_OWNER, OWNER).rows == 20
        with pytest.raises(QueryPlanError, match="readonly"):
            optimizer.evaluate_index(BY_OWNER, OWNER, "accounts", ["owner"])
        assert not read_only.in_transaction


@pytest.mark.parametrize(
    "columns", [[], ["nothing"], ["owner", "OWNER"], ["owner", "a b"], ["id)--"]]
)
def test_unknown_columns_are_refused(
    connection: sqlite3.Connection, columns: Sequence[str]
) -> None:
    """Columns that are not there are refused; SQLite would take them for strings."""
    with pytest.raises(QueryPlanError, match="each once"):
        QueryOptimizer(connection).evaluate_index(BY_OWNER, OWNER, "accounts", columns)


@pytest.mark.parametrize("table", ["nowhere", "open_accounts", "sqlite_master", "a\0b", "numbers"])
def test_only_tables_can_be_indexed(connection: sqlite3.Connection, table: str) -> None:
    """Views, virtual tables, SQLite's own and unknown tables are refused."""
    connection.execute("CREATE VIEW open_accounts AS SELECT * FROM accounts WHERE status = 'open'")
    connection.execute("CREATE VIRTUAL TABLE numbers USING fts5(owner)")
    with pytest.raises(QueryPlanError):
        QueryOptimizer(connection).evaluate_index(BY_OWNER, OWNER, table, ["owner"])


def test_names_are_quoted(connection: sqlite3.Connection) -> None:
    """Tables and columns of any name can be evaluated and the statement given works."""
    connection.execute('CREATE TABLE "select ""x"" --" ("order by" INTEGER, "a,b" TEXT)')
    connection.executemany(
        'INSERT INTO "select ""x"" --" VALUES (?, ?)', [(n, n) for n in range(99)]
    )
    optimizer = QueryOptimizer(connection)
    sql = 'SELECT * FROM "select ""x"" --" WHERE "order by" = 5'
    (found,) = [s for s in optimizer.suggest(sql) if s.columns == ("order by",)]
    connection.execute(found.ddl)
    assert optimizer.measure(sql).vm_steps == found.vm_steps_after


def test_table_outside_main_is_indexed_there(connection: sqlite3.Connection) -> None:
    """A temporary or attached table gets its trial index in its own database."""
    connection.execute("ATTACH ':memory:' AS side")
    connection.execute("CREATE TABLE side.events AS SELECT id, owner FROM accounts")
    connection.execute("CREATE TEMP TABLE scratch AS SELECT id, owner FROM accounts")
    optimizer = QueryOptimizer(connection)
    events = "SELECT * FROM events WHERE owner = 'owner 3'"
    assert optimizer.evaluate_index(events, (), "events", ["owner"]).helps
    scratch = "SELECT * FROM scratch WHERE owner = 'owner 3'"
    assert optimizer.evaluate_index(scratch, (), "scratch", ["owner"]).helps


def test_suggestion_for_an_equality(connection: sqlite3.Connection) -> None:
    """The column of an equality is suggested; columns that are only returned are not."""
    assert [s.columns for s in QueryOptimizer(connection).suggest(BY_OWNER, OWNER)] == [("owner",)]


def test_suggestion_for_a_range(connection: sqlite3.Connection) -> None:
    """The column of a range is found as well as one of an equality."""
    sql = "SELECT id, note FROM accounts WHERE created_at BETWEEN 10 AND 20"
    best = QueryOptimizer(connection).suggest(sql)[0]
    assert best.columns[0] == "created_at"


def test_suggestion_for_an_order(connection: sqlite3.Connection) -> None:
    """A column that only orders is suggested, and the sorting goes away."""
    sql = "SELECT * FROM accounts ORDER BY created_at LIMIT 5"
    best = QueryOptimizer(connection).suggest(sql)[0]
    assert best.columns == ("created_at",)
    assert (best.plan_before.sorts, best.plan_after.sorts) == (True, False)


def test_suggestion_widens_while_it_pays(connection: sqlite3.Connection) -> None:
    """Equality and order together give one index on both, in the order that works."""
    sql = "SELECT * FROM accounts WHERE owner = ? ORDER BY created_at"
    best = QueryOptimizer(connection).suggest(sql, OWNER)[0]
    assert best.columns == ("owner", "created_at")
    assert not best.plan_after.sorts


def test_suggestion_through_alias_view_and_join(connection: sqlite3.Connection) -> None:
    """The table behind an alias, a view or a join is found by itself, not by its name there."""
    connection.execute("CREATE VIEW mine AS SELECT x.owner AS who, x.id AS id FROM accounts x")
    sql = "SELECT d.amount FROM mine m JOIN deals d ON d.account_id = m.id WHERE m.who = 'owner 7'"
    best = QueryOptimizer(connection).suggest(sql)[0]
    assert (best.table, best.columns[0]) == ("accounts", "owner")


def test_nothing_is_suggested_where_nothing_helps(connection: sqlite3.Connection) -> None:
    """A query that needs every row, or has its index, gets no suggestion."""
    optimizer = QueryOptimizer(connection)
    assert optimizer.suggest("SELECT * FROM accounts") == ()
    assert optimizer.suggest("SELECT * FROM accounts WHERE id = 5") == ()
    assert optimizer.suggest("SELECT * FROM deals WHERE account_id = 5") == ()
    assert optimizer.suggest("SELECT 1") == ()
    assert optimizer.suggest("SELECT name FROM sqlite_master WHERE name = 'x'") == ()


def test_suggestions_are_always_the_same(connection: sqlite3.Connection) -> None:
    """The order of suggestions does not depend on chance."""
    sql = "SELECT * FROM accounts WHERE owner = ? AND status = 'open' AND created_at > 500"
    suggestions = [
        [found.columns for found in QueryOptimizer(connection).suggest(sql, OWNER)]
        for _ in range(3)
    ]
    assert suggestions[0] == suggestions[1] == suggestions[2]
    assert len(suggestions[0]) >= 2


@pytest.mark.parametrize("numbers", [{"saving_min": 0}, {"saving_min": 1.5}, {"vm_steps_max": 0}])
def test_impossible_numbers_are_refused(
    connection: sqlite3.Connection, numbers: dict[str, float]
) -> None:
    """A threshold or bound out of its range is refused with what was needed."""
    with pytest.raises(QueryPlanError, match="needed more than 0"):
        QueryOptimizer(connection, **numbers)  # type: ignore[arg-type]
