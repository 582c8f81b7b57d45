"""Plans: what SQLite says, never what the text looks like."""

import sqlite3

import pytest

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer import PlanStep, QueryOptimizer, StepKind


def only_step(connection: sqlite3.Connection, sql: str) -> PlanStep:
    """The single step of the plan of `sql`."""
    (step,) = QueryOptimizer(connection).plan(sql).walk()
    return step


def test_scan_and_search_are_told_apart(connection: sqlite3.Connection) -> None:
    """A condition on an indexed column is a search with its terms, another one a scan."""
    search = only_step(connection, "SELECT * FROM deals WHERE account_id = 5")
    assert (search.kind, search.table, search.index, search.terms) == (
        StepKind.SEARCH,
        "deals",
        "deals_account",
        "account_id=?",
    )
    scan = only_step(connection, "SELECT * FROM deals WHERE amount = 5")
    assert (scan.kind, scan.table, scan.index, scan.terms) == (StepKind.SCAN, "deals", None, "")


def test_similar_names_are_not_an_index(connection: sqlite3.Connection) -> None:
    """A column whose name holds an indexed name ("paid" holds "id") does not use its index."""
    plan = QueryOptimizer(connection).plan("SELECT * FROM accounts WHERE paid = 1")
    assert plan.indexes == set()
    assert plan.tables_scanned == {"accounts"}


def test_layout_of_the_text_makes_no_difference(connection: sqlite3.Connection) -> None:
    """Lines, case and comments do not change the plan."""
    optimizer = QueryOptimizer(connection)
    flat = optimizer.plan("SELECT * FROM deals WHERE account_id = 5")
    spread = optimizer.plan("-- deals\nselect *\n  FROM\n deals /* id */\nwhere account_id\n= 5")
    assert (spread.steps, spread.tables_scanned) == (flat.steps, flat.tables_scanned)


def test_common_table_expression_is_planned(connection: sqlite3.Connection) -> None:
    """A statement that begins with WITH has the plan of what it does."""
    plan = QueryOptimizer(connection).plan(
        "WITH mine AS MATERIALIZED (SELECT id FROM accounts WHERE owner = 'owner 1')"
        " SELECT d.* FROM mine JOIN deals d ON d.account_id = mine.id"
    )
    assert plan.tables_scanned == {"accounts"}
    assert plan.indexes == {"deals_account"}
    assert len(list(plan.walk())) > len(plan.steps)


@pytest.mark.parametrize(
    ("sql", "tables", "indexes"),
    [
        ("DELETE FROM accounts WHERE paid = 1", {"accounts"}, set()),
        ("DELETE FROM deals WHERE account_id = 1", set(), {"deals_account"}),
        ("UPDATE deals SET amount = 0 WHERE account_id = 1", set(), {"deals_account"}),
        ("UPDATE deals SET amount = 0 WHERE amount > 1", {"deals"}, set()),
        ("INSERT INTO accounts (id, owner) VALUES (5000, 'x')", set(), set()),
        ("INSERT INTO deals (account_id) SELECT id FROM accounts", {"accounts"}, set()),
    ],
)
def test_writes_are_planned_and_not_run(
    connection: sqlite3.Connection, sql: str, tables: set[str], indexes: set[str]
) -> None:
    """Deletes, updates and inserts have real plans, and planning changes no row."""
    before = connection.total_changes
    plan = QueryOptimizer(connection).plan(sql)
    assert plan.tables_scanned == tables
    assert plan.indexes == indexes
    assert (connection.total_changes, connection.in_transaction) == (before, False)


def test_join_names_every_index(connection: sqlite3.Connection) -> None:
    """All indexes of a join are there, an outer join's too, under the aliases' tables."""
    connection.execute("CREATE INDEX accounts_owner ON accounts (owner)")
    plan = QueryOptimizer(connection).plan(
        "SELECT * FROM accounts a LEFT JOIN deals d ON d.account_id = a.id WHERE a.owner = ?", ["x"]
    )
    assert plan.indexes == {"accounts_owner", "deals_account"}
    assert [step.table for step in plan.walk()] == ["a", "d"]
    assert plan.tables_scanned == frozenset()


def test_alias_hides_no_scan(connection: sqlite3.Connection) -> None:
    """A scanned table is named by its own name, whatever the statement calls it."""
    plan = QueryOptimizer(connection).plan("SELECT * FROM accounts deals WHERE deals.paid = 1")
    assert plan.tables_scanned == {"accounts"}


def test_index_made_by_anybody_is_seen(connection: sqlite3.Connection) -> None:
    """Indexes are the database's, not a list that somebody keeps."""
    optimizer = QueryOptimizer(connection)
    sql = "SELECT * FROM accounts WHERE owner = 'x'"
    assert optimizer.plan(sql).indexes == frozenset()
    connection.execute("CREATE INDEX accounts_owner ON accounts (owner)")
    assert optimizer.plan(sql).indexes == {"accounts_owner"}
    connection.execute("DROP INDEX accounts_owner")
    assert optimizer.plan(sql).indexes == frozenset()


def test_covering_index_is_said(connection: sqlite3.Connection) -> None:
    """An index that alone answers is marked, a scan of it is not a scan of the table."""
    step = only_step(connection, "SELECT account_id FROM deals WHERE account_id > 5")
    assert (step.kind, step.index, step.is_covering) == (StepKind.SEARCH, "deals_account", True)
    plan = QueryOptimizer(connection).plan("SELECT account_id FROM deals")
    assert plan.indexes == {"deals_account"}
    assert plan.tables_scanned == set()
    step = only_step(connection, "SELECT * FROM deals WHERE account_id > 5")
    assert not step.is_covering


def test_automatic_index_is_not_an_index_of_the_schema(connection: sqlite3.Connection) -> None:
    """An index that SQLite builds for one statement is marked, and its table is scanned for it."""
    plan = QueryOptimizer(connection).plan(
        "SELECT a.id FROM accounts a JOIN accounts b ON a.owner = b.note"
    )
    assert [step.is_automatic for step in plan.walk()] == [False, True]
    assert plan.indexes == set()
    assert plan.tables_scanned == {"accounts"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM accounts ORDER BY created_at",
        "SELECT owner, count(*) FROM accounts GROUP BY owner",
        "SELECT DISTINCT owner FROM accounts",
        "SELECT owner FROM accounts UNION SELECT stage FROM deals",
    ],
)
def test_temporary_trees_are_seen(connection: sqlite3.Connection, sql: str) -> None:
    """Sorting, grouping, distinct and compounds without an index build a temporary b-tree."""
    assert QueryOptimizer(connection).plan(sql).sorts


def test_order_that_an_index_gives_is_not_sorted(connection: sqlite3.Connection) -> None:
    """An order that comes from the key or an index needs no temporary b-tree."""
    optimizer = QueryOptimizer(connection)
    assert not optimizer.plan("SELECT * FROM accounts ORDER BY id DESC").sorts
    assert not optimizer.plan("SELECT * FROM deals WHERE account_id = 1 ORDER BY id").sorts


def test_own_key_is_a_search_without_an_index(connection: sqlite3.Connection) -> None:
    """The primary key of a table, with a rowid or without, is no index of the schema."""
    for sql in ("SELECT * FROM accounts WHERE id = 5", "SELECT * FROM codes WHERE code = '5'"):
        step = only_step(connection, sql)
        assert (step.kind, step.index) == (StepKind.SEARCH, None)
        assert QueryOptimizer(connection).plan(sql).tables_scanned == frozenset()
    assert QueryOptimizer(connection).plan("SELECT * FROM codes").tables_scanned == {"codes"}


def test_alternatives_are_below_their_step(connection: sqlite3.Connection) -> None:
    """An OR over two indexes is a tree whose branches each search."""
    plan = QueryOptimizer(connection).plan("SELECT * FROM deals WHERE account_id = 1 OR id = 2")
    (root,) = plan.steps
    assert root.kind is StepKind.OTHER
    assert [step.kind for step in root.walk()].count(StepKind.SEARCH) == 2
    assert plan.indexes == {"deals_account"}
    assert plan.render().splitlines()[1] == f"  {root.children[0].detail}"


def test_rows_of_constants_read_nothing(connection: sqlite3.Connection) -> None:
    """A statement without a table scans no table."""
    for sql in ("SELECT 1", "VALUES (1), (2)"):
        plan = QueryOptimizer(connection).plan(sql)
        assert {step.table for step in plan.walk()} <= {None}
        assert plan.tables_scanned == frozenset()


@pytest.mark.parametrize(
    "name",
    [
        "x USING INDEX deals_account",
        "x (y=?)",
        'x "y"',
        "x LEFT",
        "CONSTANT",
        "TABLE x AS y",
        "ü [z]",
    ],
)
def test_names_may_be_anything(connection: sqlite3.Connection, name: str) -> None:
    """Tables and indexes whose names look like parts of a plan are read rightly."""
    table = '"' + name.replace('"', '""') + '"'
    index = '"' + name.replace('"', '""') + ' index"'
    connection.execute(f"CREATE TABLE {table} (a, b)")
    connection.execute(f"CREATE INDEX {index} ON {table} (a)")
    plan = QueryOptimizer(connection).plan(f"SELECT * FROM {table} WHERE a = 1")  # noqa: S608 quoted
    (step,) = plan.steps
    assert (step.table, step.index, step.terms) == (name, f"{name} index", "a=?")
    plan = QueryOptimizer(connection).plan(f"SELECT b FROM {table}")  # noqa: S608 quoted
    assert plan.tables_scanned == {name}


def test_attached_and_temporary_tables_are_known(connection: sqlite3.Connection) -> None:
    """Scans of tables outside the main database are named as well."""
    connection.execute("ATTACH ':memory:' AS side")
    connection.execute("CREATE TABLE side.events (a)")
    connection.execute("CREATE TEMP TABLE scratch (a)")
    plan = QueryOptimizer(connection).plan("SELECT * FROM events, scratch")
    assert plan.tables_scanned == {"events", "scratch"}


def test_virtual_table_is_a_scan_of_its_name(connection: sqlite3.Connection) -> None:
    """A table-valued function is a source without an index."""
    step = only_step(connection, "SELECT * FROM pragma_table_info('deals')")
    assert (step.kind, step.table, step.index) == (StepKind.SCAN, "pragma_table_info", None)


@pytest.mark.parametrize(
    "sql", ["", "SELEC 1", "SELECT * FROM nowhere", "SELECT 1; SELECT 2", "SELECT ?", "SELECT '\0'"]
)
def test_what_sqlite_refuses_is_an_error(connection: sqlite3.Connection, sql: str) -> None:
    """A statement that SQLite refuses is an error with the statement and SQLite's words."""
    with pytest.raises(QueryPlanError, match="QueryOptimizer: cannot"):
        QueryOptimizer(connection).plan(sql)


def test_rows_of_any_shape_are_fine(connection: sqlite3.Connection) -> None:
    """The caller's row factory is neither needed nor changed."""
    connection.row_factory = sqlite3.Row
    plan = QueryOptimizer(connection).plan("SELECT * FROM deals WHERE account_id = 5")
    assert plan.indexes == {"deals_account"}
    assert connection.row_factory is sqlite3.Row
