"""The toy project's rows, by one name in both suites: pure.

A workload is called `KIND.ROW` or `KIND.ROW(PARAMETER)`, whether it was run as an asv benchmark or
as a pytest-benchmark test, so that what four tools say of it can be counted together.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tools.evaluation.records import EvaluationError

__all__ = ["KINDS", "SLOWED", "kind_of", "slowed_among", "workload_of"]

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "loops": "Python loops",
        "text": "strings",
        "mappings": "dictionaries",
        "documents": "JSON",
        "ordering": "sorting",
        "patterns": "regular expressions",
        "objects": "objects, collector on",
        "database": "SQLite",
        "tasks": "asyncio",
        "workers": "threads",
        "streams": "generators",
        "prepared": "small setup",
    }
)
"""Kind of work -> what a table calls it; one file of each suite has this name."""

SLOWED: Mapping[str, str] = MappingProxyType(
    {
        "loops.arithmetic": "ARITHMETIC_UNITS",
        "text.parse": "PARSE_UNITS",
        "mappings.lookup": "LOOKUP_UNITS",
        "documents.encode": "ENCODE_UNITS",
        "ordering.sort": "SORT_UNITS",
        "patterns.match": "MATCH_UNITS",
        "objects.cycles": "CYCLES_UNITS",
        "database.fetch": "FETCH_UNITS",
        "tasks.relay": "RELAY_UNITS",
        "workers.handover": "HANDOVER_UNITS",
        "streams.chain": "CHAIN_UNITS",
    }
)
"""The workloads that commits make slower, and the constant each takes its work from."""

_LABEL = re.compile(
    r"(?:^|[./])(?:test_)?(?P<kind>[a-z]+)(?:\.py)?(?:::|\.)(?:[A-Z]\w*(?:::|\.))?"
    r"(?:time|test)_(?P<row>\w+)(?:[\[(](?P<parameter>\w+)[\])])?$"
)


def workload_of(label: str) -> str:
    """The workload that a label of either suite stands for.

    Args:
        label: As asv, pytest-benchmark or groundspeed prints it, such as
            `database.Table.time_query(100)` or `tests/test_database.py::test_query[100]`.

    Raises:
        EvaluationError: If it is none of the toy project's.
    """
    found = _LABEL.search(label)
    if found is None or found["kind"] not in KINDS:
        raise EvaluationError(
            f"{label!r} is no row of the toy project; needed KIND.time_ROW or "
            f"tests/test_KIND.py::test_ROW with KIND one of {', '.join(KINDS)}"
        )
    name = f"{found['kind']}.{found['row']}"
    return f"{name}({found['parameter']})" if found["parameter"] else name


def kind_of(workload: str) -> str:
    """The kind of work a workload is of."""
    return workload.partition(".")[0]


def slowed_among(kinds: Iterable[str]) -> tuple[str, ...]:
    """The workloads of these kinds that commits make slower."""
    chosen = set(kinds)
    return tuple(workload for workload in SLOWED if kind_of(workload) in chosen)
