"""Laws of index advice: on random tables by SQLite itself, and of the search on invented costs."""

import math
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from sergas.optimizations.query_optimizer import (
    Advice,
    QueryOptimizer,
    SkippedQuery,
    Workload,
    WorkloadQuery,
)
from sergas.optimizations.query_optimizer._bench import Cost, Need, Question
from sergas.optimizations.query_optimizer._extend import Ledger, Limits, chosen, confirmed
from sergas.optimizations.query_optimizer._index import Index

ROWS = st.lists(st.tuples(*[st.integers(0, 9) | st.none()] * 3), min_size=1, max_size=80)
TESTED = st.builds(
    "{} {} {}".format,
    st.sampled_from("abc"),
    st.sampled_from(["=", "<", ">=", "IS NOT"]),
    st.integers(0, 9),
)
READS = st.builds(
    "SELECT {} FROM {} WHERE {} {}".format,
    st.sampled_from(["t.*", "t.a", "count(*)", "t.b, t.c"]),
    st.sampled_from(["t", "u AS t", "t JOIN (SELECT a AS k FROM u) ON k = t.b"]),
    st.lists(TESTED, min_size=1, max_size=3).map(lambda each: " AND ".join(f"t.{x}" for x in each)),
    st.sampled_from(["", "ORDER BY t.b", "ORDER BY t.c, t.a DESC"]),
)
WRITES = st.sampled_from(
    [
        "INSERT INTO t VALUES (1, 2, 3)",
        "UPDATE t SET c = c + 1 WHERE a = 3",
        "DELETE FROM u WHERE b < 2",
    ]
)


def made(rows: list[tuple[int | None, ...]]) -> sqlite3.Connection:
    """Two tables; u is five times the rows and has an index."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(
        "CREATE TABLE t (a, b, c); CREATE TABLE u (a, b, c); CREATE INDEX u_b ON u (b);"
    )
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.executemany("INSERT INTO u VALUES (?, ?, ?)", rows * 5)
    return connection


@settings(max_examples=25)
@given(
    ROWS,
    st.lists(READS, min_size=1, max_size=4, unique=True),
    st.lists(WRITES, max_size=1),
    st.sampled_from([0, 8192, 65_536]),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([20, 1000]),
)
def test_advice_is_true_harmless_and_repeatable(
    rows: list[tuple[int | None, ...]],
    reads: list[str],
    writes: list[str],
    budget: int,
    width: int,
    sample_rows: int,
) -> None:
    """It keeps to its limits, creates, changes no result, makes no read worse, leaves naught."""
    workload = Workload(
        queries=tuple(
            WorkloadQuery(sql=sql, count=place + 1) for place, sql in enumerate(reads + writes)
        )
    )
    with closing(made(rows)) as connection:
        before = list(connection.iterdump())
        results = [sorted(connection.execute(sql).fetchall(), key=repr) for sql in reads]
        optimizer = QueryOptimizer(connection)
        advice = optimizer.advise(workload, budget, width, sample_rows=sample_rows)
        assert list(connection.iterdump()) == before
        assert optimizer.advise(workload, budget, width, sample_rows=sample_rows) == advice
        assert not advice.skipped
        assert advice.size_bytes <= budget
        connection.execute("ANALYZE")
        costs = [optimizer.measure(sql).vm_steps for sql in reads]
        for index in advice:
            assert 1 <= len(index.columns) <= width
            assert index.queries
            connection.execute(index.ddl)
        connection.execute("ANALYZE")
        superfluous = {found.name for found in optimizer.index_findings()}
        assert superfluous <= {'"u_b"'}  # what was there may have become the beginning of another
        for sql, steps, result, query in zip(reads, costs, results, advice.queries, strict=False):
            after = optimizer.measure(sql).vm_steps
            # The advisor counts in ticks of 16 steps, and so do its limits.
            assert abs(query.after - after) <= 16
            assert after <= steps * 1.01 + 32
            assert sorted(connection.execute(sql).fetchall(), key=repr) == result
        for index in advice:
            connection.execute(f'DROP INDEX "{index.name}"')


@dataclass
class Invented:
    """A database whose planner takes, for each table, the index that serves a query best.

    Attributes:
        questions: Statements.
        gains: What an index is worth to a query: negative if the planner is wrong about it.
        sizes: Bytes for each index; those that cannot be are missing.
        paid: Upkeep for each index.
    """

    questions: list[Question]
    gains: Mapping[tuple[int, Index], float]
    sizes: Mapping[Index, int]
    paid: Mapping[Index, float]
    unit: str = "units"
    skipped: list[SkippedQuery] = field(default_factory=list)
    existing: frozenset[Index] = frozenset({Index("t", ("key",))})

    def cost(self, question: int, indexes: frozenset[Index], limit: float) -> Cost:
        """The planner prefers what moves the cost most, either way."""
        total, used = 1000.0, set()
        for table in self.questions[question].needs:
            there = sorted(index for index in indexes if index.table == table)
            if there:
                best = max(there, key=lambda index: abs(self.gains.get((question, index), 0)))
                gain = self.gains.get((question, best), 0.0)
                total -= gain
                used |= {best} if gain else set()
        return Cost(value=total if total <= limit else math.inf, used=frozenset(used))

    def size_bytes(self, index: Index) -> int | None:
        """As invented."""
        return self.sizes.get(index)

    def upkeep(self, index: Index) -> float:
        """As invented."""
        return self.paid.get(index, 0.0)


@st.composite
def benches(draw: st.DrawFn) -> Invented:
    """Up to four queries on two tables of three columns and a key."""
    columns = ("a", "b", "key")
    indexes = [
        Index(table, each)
        for table in "tu"
        for each in [(x,) for x in columns] + [(x, y) for x in columns for y in columns if x != y]
    ]
    needs = st.dictionaries(
        st.sampled_from("tu"),
        st.frozensets(st.sampled_from(columns), min_size=1).map(
            lambda read: Need(seeking=read, read=read)
        ),
        min_size=1,
    )
    asked = draw(st.lists(st.tuples(needs, st.booleans()), min_size=1, max_size=4))
    questions = [
        Question(label=f"q{place}", weight=place + 1.0, is_write=is_write, needs=need)
        for place, (need, is_write) in enumerate(asked)
    ]
    keys = st.tuples(st.integers(0, len(asked) - 1), st.sampled_from(indexes))
    return Invented(
        questions=questions,
        gains=draw(st.dictionaries(keys, st.integers(-200, 480).map(float))),
        sizes=draw(st.dictionaries(st.sampled_from(indexes), st.integers(1, 50))),
        paid=draw(st.dictionaries(st.sampled_from(indexes), st.integers(0, 300).map(float))),
    )


@given(benches(), st.integers(0, 120), st.integers(1, 2), st.booleans())
def test_the_search_keeps_its_limits_whatever_the_planner_does(
    bench: Invented, budget: int, width: int, thorough: bool
) -> None:
    """Also with planners that choose badly, tables that cannot be indexed, and dear writes."""
    limits = Limits(budget_bytes=budget, width_max=width, saving_min=0.02, worse_max=0.05)
    ledger = Ledger(bench, limits.worse_max)
    indexes = chosen(ledger, limits, thorough=thorough)
    assert indexes == chosen(Ledger(bench, limits.worse_max), limits, thorough=thorough)
    assert ledger.size_bytes(indexes) <= budget
    assert all(len(index.columns) <= width for index in indexes)
    assert ledger.total(indexes) <= ledger.total(frozenset())
    for place, question in enumerate(bench.questions):
        assert question.is_write or bench.cost(place, indexes, math.inf).value <= 1050
    others = bench.existing | indexes
    assert not any(a.begins(b) for a in indexes for b in others - {a})


@given(benches(), st.integers(0, 120))
def test_what_is_confirmed_holds_on_the_other_bench(bench: Invented, budget: int) -> None:
    """Whatever a sample proposed, the result is harmless and within the budget, and never new."""
    limits = Limits(budget_bytes=budget, width_max=2, saving_min=0.02, worse_max=0.05)
    proposed = frozenset(sorted(bench.sizes)[:6])
    ledger = Ledger(bench, limits.worse_max)
    kept = confirmed(ledger, limits, proposed)
    assert kept <= proposed
    assert ledger.size_bytes(kept) <= budget
    assert ledger.is_harmless(kept)


def test_advice_knows_its_mean() -> None:
    """An empty workload costs what it cost."""
    advice = Advice(indexes=(), queries=(), skipped=(), unit="VM steps", what_if_calls=0)
    assert advice.cost_ratio == advice.ratio_geometric_mean == 1
