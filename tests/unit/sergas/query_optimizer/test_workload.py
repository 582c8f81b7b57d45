"""A workload says what it was told, and refuses what cannot be meant."""

import math

import pytest

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer import Workload, WorkloadQuery


def test_statements_become_queries_in_their_order() -> None:
    """Nothing is merged or sorted: that is the recorder's affair."""
    workload = Workload.of(["SELECT 2", "SELECT 1", "SELECT 2"])
    assert [query.sql for query in workload] == ["SELECT 2", "SELECT 1", "SELECT 2"]
    assert len(workload) == 3
    assert all(query.samples == ((),) and query.count == 1 for query in workload)


def test_a_query_is_called_by_its_fingerprint_where_it_has_one() -> None:
    """The label is what reports show."""
    assert WorkloadQuery(sql="SELECT 1").label == "SELECT 1"
    assert WorkloadQuery(sql="SELECT 1", fingerprint="SELECT ?").label == "SELECT ?"


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        ({"sql": "  \n"}, "needed a statement"),
        ({"sql": "SELECT 1", "samples": ()}, "at least one"),
        ({"sql": "SELECT 1", "count": 0}, "more than 0"),
        ({"sql": "SELECT 1", "count": math.nan}, "more than 0"),
        ({"sql": "SELECT 1", "count": math.inf}, "finite"),
        ({"sql": "SELECT 1", "kind": "delete"}, "'read' or 'write'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, object], needed: str) -> None:
    """The error says what was needed."""
    with pytest.raises(QueryPlanError, match=needed):
        WorkloadQuery(**arguments)  # type: ignore[arg-type]
