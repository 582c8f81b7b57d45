"""Index advice on a real PostgreSQL: with HypoPG where it is, and with real indexes without it."""

from collections.abc import Iterator
from typing import Any

import pytest

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer import QueryOptimizer, Workload, WorkloadQuery

psycopg = pytest.importorskip("psycopg")

SCHEMA = """
CREATE TABLE accounts (id bigint PRIMARY KEY, owner text, paid int, tags json, "Odd ""name" int);
CREATE TABLE deals (id bigint PRIMARY KEY, account_id bigint, amount numeric);
INSERT INTO accounts SELECT n, 'owner ' || n % 500, n % 7, '{}', n % 300
    FROM generate_series(1, 10000) n;
INSERT INTO deals SELECT n, n % 10000, n FROM generate_series(1, 20000) n;
"""
BY_OWNER = WorkloadQuery(sql="SELECT paid FROM accounts WHERE owner = %s", samples=(("owner 7",),))
JOINED = WorkloadQuery(
    sql="WITH mine AS (SELECT id FROM accounts WHERE owner = $1)"
    " SELECT sum(amount) FROM deals JOIN mine ON account_id = mine.id",
    samples=(("owner 7",), ("owner 8",)),
)
ODD = WorkloadQuery(sql='SELECT id FROM accounts a WHERE a."Odd ""name" = 17')


@pytest.fixture(params=["superuser", "owner"])
def connection(postgres_dsn: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """As superuser, who may create HypoPG if it is installed; as owner, who may only build."""
    with psycopg.connect(postgres_dsn, autocommit=True) as made:
        made.execute("DROP ROLE IF EXISTS sergas_owner, sergas_reader")
        made.execute("CREATE ROLE sergas_owner")
        made.execute("CREATE ROLE sergas_reader")
        made.execute("GRANT ALL ON SCHEMA public TO sergas_owner")
        if request.param == "owner":
            made.execute("SET ROLE sergas_owner")
        made.execute(SCHEMA)
        made.execute("ANALYZE accounts, deals")
        try:
            yield made
        finally:
            made.rollback()
            made.execute("RESET ALL")
            made.execute("RESET ROLE")
            made.execute("DROP OWNED BY sergas_owner, sergas_reader")
            made.execute("DROP ROLE sergas_owner, sergas_reader")


def contents(connection: Any) -> list[Any]:
    """Everything that advice could leave behind: relations, extensions, what HypoPG imagines."""
    left = connection.execute(
        "SELECT relname::text FROM pg_class UNION SELECT 'extension ' || extname FROM pg_extension"
        " ORDER BY 1"
    ).fetchall()
    if connection.execute("SELECT 1 FROM pg_proc WHERE proname = 'hypopg'").fetchone():
        left += connection.execute("SELECT indexname FROM hypopg()").fetchall()
    return list(left)


def results(connection: Any, workload: Workload) -> list[Any]:
    """What the statements return."""
    found = []
    for query in workload:
        kind = psycopg.RawCursor if "$1" in query.sql else psycopg.Cursor
        for parameters in query.samples:
            with kind(connection) as cursor:
                found.append(sorted(cursor.execute(query.sql, parameters or None).fetchall()))
    return found


def test_advice_creates_helps_changes_no_result_and_leaves_nothing(connection: Any) -> None:
    """The whole way: asked twice the same, created, cheaper by EXPLAIN, dropped."""
    workload = Workload(queries=(BY_OWNER, JOINED, ODD))
    optimizer = QueryOptimizer(connection)
    before, answers = contents(connection), results(connection, workload)
    advice = optimizer.advise(workload, "5MB")
    assert contents(connection) == before
    assert optimizer.advise(workload, "5MB") == advice
    assert advice.unit == "planner cost"
    assert not advice.skipped
    assert advice.size_bytes <= 5_000_000
    assert {index.table for index in advice} == {"accounts", "deals"}
    assert advice.cost_ratio < 0.5
    assert all(query.after <= query.before * 1.01 for query in advice.queries)
    for index in advice:
        connection.execute(index.ddl)
    assert results(connection, workload) == answers
    again = optimizer.advise(workload, "5MB")
    costs = [(query.before, query.after) for query in again.queries]
    promised = [query.after for query in advice.queries]
    assert [before for before, _ in costs] == pytest.approx(promised, rel=0.25)
    for index in advice:
        connection.execute(f'DROP INDEX "{index.name}"')
    assert contents(connection) == before


def test_an_open_transaction_goes_on(connection: Any) -> None:
    """What the caller has done and not committed is there before, during and afterwards."""
    connection.autocommit = False
    connection.execute("INSERT INTO accounts (id, owner) VALUES (0, 'me')")
    advice = QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))
    assert len(advice) == 1
    assert connection.info.transaction_status.name == "INTRANS"
    assert connection.execute("SELECT owner FROM accounts WHERE id = 0").fetchone() == ("me",)
    connection.rollback()
    assert connection.execute("SELECT owner FROM accounts WHERE id = 0").fetchone() is None


def test_nothing_is_left_after_an_error(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the search breaks off with indexes out."""
    from sergas.optimizations.query_optimizer import _bench_postgres

    before = contents(connection)
    asked = _bench_postgres.PostgresBench.cost

    def broken(self: Any, question: int, indexes: Any, limit: float) -> Any:
        found = asked(self, question, indexes, limit)
        if indexes:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(_bench_postgres.PostgresBench, "cost", broken)
    with pytest.raises(KeyboardInterrupt):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))
    monkeypatch.undo()
    assert contents(connection) == before
    assert len(QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))) == 1


def test_writes_pay(connection: Any) -> None:
    """An index that one rare query wants is not worth a thousand inserts."""
    insert = "INSERT INTO accounts (id, owner) VALUES (%s, 'x')"
    often = WorkloadQuery(sql=insert, samples=((-1,),), count=1e6, kind="write")
    once = WorkloadQuery(sql=insert, samples=((-1,),), count=1, kind="write")
    optimizer = QueryOptimizer(connection)
    cheap = optimizer.advise(Workload(queries=(BY_OWNER, once)))
    assert [index.columns[0] for index in cheap] == ["owner"]
    assert 0 < cheap.indexes[0].write_cost < 0.1
    assert len(optimizer.advise(Workload(queries=(BY_OWNER, often)))) == 0
    assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (10_000,)


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC 1",
        "SELECT 1; DROP TABLE deals",
        "SELECT 1; COMMIT; DROP TABLE deals",
        "CREATE TABLE more (a int)",
        "BEGIN",
        "VACUUM",
        "SELECT * FROM nowhere",
        "SELECT id FROM accounts WHERE owner = %s",
    ],
)
def test_what_cannot_be_judged_is_left_out_with_a_reason(connection: Any, sql: str) -> None:
    """The rest is judged; alone it is an error; and nothing of it is run."""
    before = contents(connection)
    bad = WorkloadQuery(sql=sql)
    optimizer = QueryOptimizer(connection)
    advice = optimizer.advise(Workload(queries=(bad, BY_OWNER)))
    assert [skipped.label for skipped in advice.skipped] == [sql]
    assert advice.skipped[0].why
    assert len(advice) == 1
    with pytest.raises(QueryPlanError, match="at least one statement"):
        optimizer.advise(Workload(queries=(bad,)))
    assert contents(connection) == before


def test_a_reader_without_rights_is_told(connection: Any) -> None:
    """Without HypoPG somebody who may only read cannot try indexes, and hears what would help."""
    if connection.execute("SELECT current_user").fetchone() != ("sergas_owner",):
        pytest.skip("the superuser may do anything")
    connection.execute("GRANT SELECT ON accounts TO sergas_reader")
    connection.execute("RESET ROLE")
    connection.execute("SET ROLE sergas_reader")
    with pytest.raises(QueryPlanError, match="CREATE EXTENSION hypopg"):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))


def test_a_read_only_transaction_is_told(connection: Any) -> None:
    """Building is refused there, and HypoPG cannot be created; the transaction stays usable."""
    connection.execute("SET default_transaction_read_only = on")
    with pytest.raises(QueryPlanError, match="HypoPG"):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_failed_transaction_is_told(connection: Any) -> None:
    """The next step is said."""
    connection.autocommit = False
    with pytest.raises(psycopg.Error):
        connection.execute("SELEC")
    with pytest.raises(QueryPlanError, match="roll back"):
        QueryOptimizer(connection).advise(Workload(queries=(BY_OWNER,)))
    connection.rollback()


def test_tables_without_statistics_are_named(connection: Any) -> None:
    """The advice is given all the same; empty and never analysed."""
    connection.execute("CREATE TABLE bare (a int, b int)")
    advice = QueryOptimizer(connection).advise(Workload.of(["SELECT b FROM bare WHERE a = 1"]))
    assert any("bare" in note and "ANALYZE" in note for note in advice.notes)


def test_superfluous_indexes_are_found(connection: Any) -> None:
    """Twice there, the beginning of another, never used; what keeps a rule stays."""
    for name, columns in (
        ("twin_a", "owner"),
        ("twin_b", "owner"),
        ("short", "paid"),
        ("long", "paid, owner"),
        ("idle", '"Odd ""name"'),
    ):
        connection.execute(f"CREATE INDEX {name} ON accounts ({columns})")
    connection.execute("CREATE UNIQUE INDEX one_id ON accounts (id)")
    found = {each.name: each.kind for each in QueryOptimizer(connection).index_findings()}
    assert found["twin_b"] == "duplicate"
    assert found["short"] == "redundant"
    assert found["idle"] == "unused"
    assert not found.keys() & {"one_id", "accounts_pkey", "long"}
    for each in QueryOptimizer(connection).index_findings():
        connection.execute(each.ddl)
    # What the short one was redundant for is not called unused before it stands alone.
    assert [each.name for each in QueryOptimizer(connection).index_findings()] == ["long"]
