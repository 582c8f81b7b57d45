"""Index advice on PostgreSQL with HypoPG beside other ways to choose, on TPC-H, in one run.

    python -m tools.evaluation.advice_postgres [--scale 0.1] [--width 2] [--set NAME=VALUE ...]

The costs are the planner's. They depend on its settings, so all ways are judged by one server, and
`--set` gives it others, such as `random_page_cost=1.1` for a disk without heads or
`max_parallel_workers_per_gather=0`. The ways are:

- one column: every single column at once, and of these what some plan uses (no budget);
- DB2Advis: for each query all candidates at once, what it uses shares its saving; then by saving
  for each byte until the budget is full (Valentin et al., ICDE 2000; without its random swaps);
- Extend: one search with steps ranked by saving for each byte, single columns first;
- sergas: `QueryOptimizer.advise`;
- all at once: every candidate, whatever it takes. No advisor with these candidates can do better.

A PostgreSQL with HypoPG has to be installed, such as Debian's postgresql-15-hypopg.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from tools.evaluation.tpch import generate, load_postgres
from tools.evaluation.tpch_queries import ADVISED, queries

from sergas.optimizations.query_optimizer import QueryOptimizer, Workload, WorkloadQuery
from sergas.optimizations.query_optimizer._bench_postgres import PostgresBench, opened
from sergas.optimizations.query_optimizer._extend import Ledger, Limits, candidates, chosen
from sergas.optimizations.query_optimizer._index import Index
from sergas.servers import OWN, start_postgres

__all__ = ["main"]

_MB = 1e6
_WORSE = 1.01
_NONE: frozenset[Index] = frozenset()
_Way = Callable[[PostgresBench, Ledger, Limits], frozenset[Index]]


def _used(bench: PostgresBench, ledger: Ledger, offered: frozenset[Index]) -> frozenset[Index]:
    return _NONE.union(*(ledger.cost(n, offered).used for n in range(len(bench.questions))))


def _offered(bench: PostgresBench, width: int) -> frozenset[Index]:
    listed = candidates(bench, width, pairs=True)
    return frozenset(index for index in listed if bench.size_bytes(index) is not None)


def one_column(bench: PostgresBench, ledger: Ledger, _limits: Limits) -> frozenset[Index]:
    """Single columns that some plan uses when all are there."""
    return _used(bench, ledger, _offered(bench, 1))


def all_at_once(bench: PostgresBench, ledger: Ledger, limits: Limits) -> frozenset[Index]:
    """What the plans use when everything is there."""
    return _used(bench, ledger, _offered(bench, limits.width_max))


def db2advis(bench: PostgresBench, ledger: Ledger, limits: Limits) -> frozenset[Index]:
    """By saving for each byte, each query's saving shared among the indexes that its plan uses."""
    offered = _offered(bench, limits.width_max)
    savings: dict[Index, float] = {}
    for number, question in enumerate(bench.questions):
        cost = ledger.cost(number, offered)
        saved = (ledger.cost(number, _NONE).value - cost.value) * question.weight
        for index in cost.used:
            savings[index] = savings.get(index, 0.0) + saved / len(cost.used)
    found = _NONE
    ranked = sorted(savings, key=lambda each: (-savings[each] / ledger.size_bytes([each]), each))
    for index in ranked:
        if ledger.size_bytes(found | {index}) <= limits.budget_bytes:
            found |= {index}
    return found


def extend(_bench: PostgresBench, ledger: Ledger, limits: Limits) -> frozenset[Index]:
    """The published search."""
    return chosen(ledger, limits, thorough=False)


def _workload() -> Workload:
    texts = queries("postgres")
    return Workload(
        queries=tuple(
            WorkloadQuery(sql=texts[number], fingerprint=f"Q{number}") for number in ADVISED
        )
    )


def _line(name: str, ratio: float, mean: float, size_bytes: float, rest: str) -> str:
    return f"| {name} | {size_bytes / _MB:.1f} | {ratio:.1%} | {mean:.3f} | {rest} |"


def _compare(connection: Any, width: int, budgets: list[str]) -> None:
    ways: dict[str, _Way] = {"one column": one_column, "all at once": all_at_once}
    by_budget: dict[str, _Way] = {"DB2Advis": db2advis, "Extend": extend}
    megabytes = {budget: int(budget.removesuffix("MB")) * 10**6 for budget in budgets}
    listed = [(name, way, budgets[-1]) for name, way in ways.items()]
    listed += [(f"{name} {b}", way, b) for b in budgets for name, way in by_budget.items()]
    print("| way | MB | cost | geometric mean | indexes | what-if calls | s |")
    print("|---|---|---|---|---|---|---|")
    for name, way, budget in listed:
        limits = Limits(
            budget_bytes=megabytes[budget], width_max=width, saving_min=0.02, worse_max=0.01
        )
        start_s = time.perf_counter()
        with opened(connection, _workload()) as bench:
            ledger = Ledger(bench, limits.worse_max)
            found = way(bench, ledger, limits)
            numbers = range(len(bench.questions))
            ratios = [ledger.cost(n, found).value / ledger.cost(n, _NONE).value for n in numbers]
            mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
            ratio = ledger.total(found) / ledger.total(_NONE)
            rest = f"{len(found)} | {ledger.calls} | {time.perf_counter() - start_s:.2f}"
            print(_line(name, ratio, mean, ledger.size_bytes(found), rest), flush=True)
    for budget in budgets:
        start_s = time.perf_counter()
        advice = QueryOptimizer(connection).advise(_workload(), budget, width)
        taken_s = time.perf_counter() - start_s
        rest = f"{len(advice)} | {advice.what_if_calls} | {taken_s:.2f}"
        mean = advice.ratio_geometric_mean
        worse = [query.label for query in advice.queries if query.ratio > _WORSE]
        print(_line(f"sergas {budget}", advice.cost_ratio, mean, advice.size_bytes, rest))
        print(f"worse: {', '.join(worse) or 'none'}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    """Print the table."""
    import psycopg

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--width", type=int, default=2)
    parser.add_argument("--budgets", default="20MB,50MB,100MB")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    with (
        start_postgres(sources=OWN) as server,
        server.new_database() as dsn,
        psycopg.connect(dsn) as connection,
    ):
        load_postgres(connection, generate(options.scale))
        connection.autocommit = True
        connection.execute("CREATE EXTENSION hypopg")
        connection.execute("VACUUM ANALYZE")
        for setting in options.set:
            name, _, value = setting.partition("=")
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))
        print(
            f"PostgreSQL {server.version}, scale {options.scale}, {len(ADVISED)} queries,"
            f" width {options.width}, {' '.join(options.set) or 'default settings'}"
        )
        _compare(connection, options.width, options.budgets.split(","))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
