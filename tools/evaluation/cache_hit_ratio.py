"""How often caches hit on named traces, beside Belady's optimum and LRU.

Each cache is used as its users use it: get, and set after a miss. A row is a trace at a capacity;
its share is the hit ratio over Belady's. The table says how far each cache gets on the average, and
how far it falls under LRU at worst.

    python -m tools.evaluation.cache_hit_ratio [--table quoted] [--contestants ours,lru,theine]

String hashes are random in every process, and sketches depend on them; so that a figure can be
repeated, the run starts itself again with PYTHONHASHSEED=0, unless the variable is set.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tools.evaluation.cache_contestants import CONTESTANTS, MissingPeerError
from tools.evaluation.cache_optimum import optimal_hits
from tools.evaluation.cache_traces import TABLES

__all__ = ["Row", "main", "summary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A trace at a capacity.

    Attributes:
        name: `trace@capacity`.
        is_hard: Whether the trace is one of the hard kind.
        requests: Their number.
        optimum: Belady's hits.
        hits: Hits by contestant.
    """

    name: str
    is_hard: bool
    requests: int
    optimum: int
    hits: Mapping[str, int]

    def share(self, contestant: str) -> float:
        """Its hits as a share of Belady's."""
        return self.hits[contestant] / self.optimum

    def points_over_lru(self, contestant: str) -> float:
        """Its hit ratio less LRU's, in percentage points."""
        return 100 * (self.hits[contestant] - self.hits["lru"]) / self.requests


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and a JSON line at its end; returns the exit code."""
    options = _parser().parse_args(arguments)
    wanted = list(dict.fromkeys([*options.contestants.split(","), "lru"]))
    unknown = sorted(set(wanted) - set(CONTESTANTS))
    if unknown:
        print(
            f"cache_hit_ratio: no contestant {', '.join(unknown)}; there are"
            f" {', '.join(CONTESTANTS)}",
            file=sys.stderr,
        )
        return 2
    try:
        for name in wanted:
            CONTESTANTS[name].make(1).close()
    except MissingPeerError as error:
        print(f"cache_hit_ratio: {error}", file=sys.stderr)
        return 2
    jobs = [job for job in _jobs(options.table, wanted) if fnmatchcase(job.row, options.rows)]
    if not jobs:
        print(f"cache_hit_ratio: no row is called {options.rows!r}", file=sys.stderr)
        return 2
    rows = []
    print(f"{'row':20} {'optimum':>8}", *(f"{name:>14}" for name in wanted))
    with ProcessPoolExecutor(options.jobs) as pool:
        for row in pool.map(_replay, jobs):
            rows.append(row)
            percent = (f"{100 * row.hits[name] / row.requests:14.1f}" for name in wanted)
            print(f"{row.name:20} {100 * row.optimum / row.requests:8.1f}", *percent, flush=True)
    results = summary(rows, wanted)
    _print_summary(results)
    print(json.dumps({"table": options.table, "rows": len(rows), "summary": results}))
    return 0


def summary(
    rows: Sequence[Row], contestants: Sequence[str]
) -> dict[str, dict[str, dict[str, float | str]]]:
    """By group of rows (usual, hard, all; only those that have any) and contestant.

    Returns:
        `share`, the mean share of Belady's hits; `worst`, the least lead over LRU in points, which
        is negative for a loss; `worst_row`, where that is.
    """
    groups = {
        "usual": [row for row in rows if not row.is_hard],
        "hard": [row for row in rows if row.is_hard],
        "all": list(rows),
    }
    results: dict[str, dict[str, dict[str, float | str]]] = {}
    for group, members in groups.items():
        if not members:
            continue
        results[group] = {}
        for name in contestants:
            worst = min(members, key=lambda row: row.points_over_lru(name))
            share = sum(row.share(name) for row in members) / len(members)
            results[group][name] = {
                "share": round(share, 4),
                "worst": round(worst.points_over_lru(name), 2),
                "worst_row": worst.name,
            }
    return results


@dataclass(frozen=True, slots=True)
class _Job:
    """What a process needs to replay one row."""

    table: str
    index: int
    capacity: int
    row: str
    contestants: Sequence[str]


def _jobs(table: str, contestants: Sequence[str]) -> Iterator[_Job]:
    for index, trace in enumerate(TABLES[table]):
        for capacity in trace.capacities:
            yield _Job(table, index, capacity, f"{trace.name}@{capacity}", contestants)


def _replay(job: _Job) -> Row:
    trace = TABLES[job.table][job.index]
    keys = [f"key {number}" for number in trace.requests()]
    return Row(
        name=job.row,
        is_hard=trace.is_hard,
        requests=len(keys),
        optimum=optimal_hits(keys, job.capacity),
        hits={name: CONTESTANTS[name].hits(keys, job.capacity) for name in job.contestants},
    )


def _print_summary(results: Mapping[str, Mapping[str, Mapping[str, float | str]]]) -> None:
    for group, by_name in results.items():
        print(f"\n{group} rows: mean share of Belady's hits, and the worst beside LRU in points")
        for name, result in by_name.items():
            print(
                f"  {name:14} {result['share']:.3f}   {result['worst']:+6.1f}"
                f"  ({result['worst_row']})"
            )
    print()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.evaluation.cache_hit_ratio")
    parser.add_argument(
        "--table", choices=sorted(TABLES), default="quoted", help="which traces (quoted)"
    )
    parser.add_argument(
        "--contestants",
        default=",".join(CONTESTANTS),
        metavar="NAMES",
        help=f"of {', '.join(CONTESTANTS)}; lru is always added (all)",
    )
    parser.add_argument(
        "--rows", default="*", metavar="PATTERN", help="shell pattern for trace@capacity (*)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (1)")
    return parser


def _fix_hashes() -> None:
    """Start again with fixed string hashes, unless the user has decided on them."""
    if "PYTHONHASHSEED" not in os.environ:
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 itself


if __name__ == "__main__":
    _fix_hashes()
    sys.exit(main())
