"""From a workload to advice: the search on a bench, and its result put into words."""

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._advice import (
    Advice,
    IndexAdvice,
    QueryCost,
    SkippedQuery,
)
from sergas.optimizations.query_optimizer._bench import Bench
from sergas.optimizations.query_optimizer._bench_sqlite import SqliteBench
from sergas.optimizations.query_optimizer._extend import Ledger, Limits, chosen, confirmed
from sergas.optimizations.query_optimizer._index import Index
from sergas.optimizations.query_optimizer._scratch import Prepare, Scratch, copied, thinned
from sergas.optimizations.query_optimizer._statement import quoted, rows_of
from sergas.optimizations.query_optimizer._workload import Workload

__all__ = ["SqliteSearch", "advise_postgres", "advise_sqlite", "size_of"]

_UNITS = {"": 1, "b": 1} | {
    f"{prefix}{unit}": base**power
    for unit, base in (("b", 1000), ("ib", 1024))
    for power, prefix in enumerate("kmgt", start=1)
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_NAME_BYTES_MAX = 63  # PostgreSQL cuts what is longer


def size_of(budget: int | str) -> int:
    """Bytes, from a number or a text such as "100MB" (10**8) or "64 MiB" (2**26).

    Raises:
        QueryPlanError: If it is neither, or negative.
    """
    if isinstance(budget, str) and (match := _SIZE.fullmatch(budget)):
        number, unit = match.groups()
        if unit.lower() in _UNITS:
            return int(float(number) * _UNITS[unit.lower()])
    elif isinstance(budget, int) and budget >= 0:
        return budget
    raise QueryPlanError(
        f"advise: got budget={budget!r}, needed bytes >= 0 or a text such as '100MB' or '64 MiB'"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteSearch:
    """How to search on SQLite.

    Attributes:
        sample_rows: Rows of the largest table to search with; what is found is confirmed on all.
        vm_steps_max: Most instructions of one run.
        prepare: Registers functions and collations on a copy, or None.
    """

    sample_rows: int
    vm_steps_max: int
    prepare: Prepare | None


def advise_sqlite(
    connection: sqlite3.Connection, workload: Workload, limits: Limits, search: SqliteSearch
) -> Advice:
    """Advice for the main database of a connection, which is only read.

    Raises:
        QueryPlanError: If it cannot be read, or no statement can be judged.
    """
    with contextlib.ExitStack() as stack:

        def bench(sample_rows: int | None) -> SqliteBench:
            copy = stack.enter_context(contextlib.closing(copied(connection, search.prepare)))
            one_in = {} if sample_rows is None else thinned(copy, sample_rows)
            found = SqliteBench(Scratch(copy, one_in), workload, search.vm_steps_max)
            _check_any(found.questions, found.skipped)
            return found

        few = bench(search.sample_rows)
        few_ledger = Ledger(few, limits.worse_max)
        indexes = chosen(few_ledger, limits, thorough=False)
        ledger = few_ledger
        if few.is_sample:
            ledger = Ledger(bench(None), limits.worse_max)
            indexes = confirmed(ledger, limits, indexes)
            ledger.calls += few_ledger.calls
        taken = {name for (name,) in rows_of(connection, "SELECT name FROM sqlite_master")}
        notes = ("run ANALYZE when the indexes are there: costs are those with fresh statistics",)
        return _advice(ledger, indexes, _Words(taken, quoted, quoted), notes)


def advise_postgres(connection: Any, workload: Workload, limits: Limits) -> Advice:
    """Advice for what a psycopg connection sees; nothing of the search is left.

    Raises:
        QueryPlanError: If the connection cannot be used, or no statement can be judged.
    """
    from sergas.optimizations.query_optimizer._bench_postgres import opened

    with opened(connection, workload) as bench:
        _check_any(bench.questions, bench.skipped)
        ledger = Ledger(bench, limits.worse_max)
        indexes = chosen(ledger, limits, thorough=True)
        # A table's name is SQL already.
        words = _Words(set(bench.taken_names()), str, quoted)
        return _advice(ledger, indexes, words, bench.notes)


def _check_any(questions: Iterable[object], skipped: Iterable[SkippedQuery]) -> None:
    if any(True for _ in questions):
        return
    reasons = "; ".join(f"{each.label[:60]!r}: {each.why}" for each in skipped)
    raise QueryPlanError(
        f"advise: needed at least one statement that can be judged, got none: {reasons or 'empty'}"
    )


@dataclass(slots=True)
class _Words:
    """Names for indexes, none of them twice, and their SQL."""

    taken: set[str]
    table: Callable[[str], str]
    column: Callable[[str], str]

    def name(self, index: Index) -> str:
        plain = re.sub(r"\W+", "_", "_".join([index.table, *index.columns])).strip("_")
        stem = plain.encode()[: _NAME_BYTES_MAX - 8].decode(errors="ignore")
        names = (f"{stem}{number or ''}_idx" for number in range(len(self.taken) + 1))
        folded = {name.casefold() for name in self.taken}
        name = next(name for name in names if name.casefold() not in folded)
        self.taken.add(name)
        return name

    def ddl(self, index: Index, name: str) -> str:
        columns = ", ".join(map(self.column, index.columns))
        return f"CREATE INDEX {quoted(name)} ON {self.table(index.table)} ({columns})"


def _advice(
    ledger: Ledger, indexes: frozenset[Index], words: _Words, notes: tuple[str, ...]
) -> Advice:
    bench = ledger.bench
    none: frozenset[Index] = frozenset()
    queries = tuple(
        QueryCost(
            label=question.label,
            count=question.weight,
            before=ledger.cost(number, none).value,
            after=ledger.cost(number, indexes).value,
            is_write=question.is_write,
        )
        for number, question in enumerate(bench.questions)
    )
    before = sum(query.count * query.before for query in queries) or 1.0
    found = [_index_advice(ledger, indexes, index, words, before) for index in sorted(indexes)]
    return Advice(
        indexes=tuple(sorted(found, key=lambda each: (-each.benefit, each.table, each.columns))),
        queries=queries,
        skipped=tuple(bench.skipped),
        unit=bench.unit,
        what_if_calls=ledger.calls,
        notes=notes,
    )


def _index_advice(
    ledger: Ledger, indexes: frozenset[Index], index: Index, words: _Words, before: float
) -> IndexAdvice:
    bench = ledger.bench
    users = []
    lost = 0.0
    for number, question in enumerate(bench.questions):
        cost = ledger.cost(number, indexes)
        if index in cost.used:
            users.append(question.label)
            without = min(ledger.cost(number, indexes - {index}).value, ledger.limit(number))
            lost += question.weight * (without - cost.value)
    name = words.name(index)
    benefit = max(0.0, lost / before)
    return IndexAdvice(
        ddl=words.ddl(index, name),
        name=name,
        table=index.table,
        columns=index.columns,
        benefit=benefit,
        size_bytes=bench.size_bytes(index) or 0,
        write_cost=bench.upkeep(index) / before,
        queries=tuple(users),
        why=_why(bench, index, len(users), benefit, before),
    )


def _why(bench: Bench, index: Index, users: int, benefit: float, before: float) -> str:
    price = bench.upkeep(index) / before
    paid = f"; writes pay {price:.2%} of it" if price else "; no write of the workload pays for it"
    queries = "1 statement uses" if users == 1 else f"{users} statements use"
    return f"{queries} it; without it {benefit:.1%} of the workload's cost would come back{paid}"
