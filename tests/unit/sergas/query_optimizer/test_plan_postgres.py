"""Tables and columns in PostgreSQL's plans, also in plans that nobody has seen before."""

from typing import Any

import pytest

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._plan_postgres import read_plan

DEALS = ("public", "deals")


def explained(node: dict[str, Any]) -> list[dict[str, Any]]:
    """As EXPLAIN gives it."""
    return [{"Plan": {"Total Cost": 12.5, **node}}]


def scan(**more: object) -> dict[str, Any]:
    """A node on a table that is called d."""
    return {
        "Node Type": "Seq Scan",
        "Schema": "public",
        "Relation Name": "deals",
        "Alias": "d",
        **more,
    }


def test_conditions_and_keys_are_sought_and_output_is_read() -> None:
    """What is behind the table's alias counts for the table."""
    plan = read_plan(
        explained(
            {
                "Node Type": "Sort",
                "Output": ["d.amount", "(d.stage || 'd.not_a_column')"],
                "Sort Key": ["d.created DESC"],
                "Plans": [scan(Filter="(d.owner = 'it''s d.neither'::text)", Output=["d.all"])],
            }
        )
    )
    assert plan.cost == 12.5
    assert plan.sought[DEALS] == {"created", "owner"}
    assert plan.read[DEALS] == {"created", "owner", "amount", "stage"}


def test_quoted_names_are_read() -> None:
    """With dots, brackets and quotes in them."""
    plan = read_plan(explained(scan(Alias='a "b.c', Filter='("a ""b.c"."x (""y" > 3)')))
    assert plan.sought[DEALS] == {'x ("y'}


def test_an_unknown_node_tells_what_it_can() -> None:
    """Its conditions are conditions, whatever it does."""
    plan = read_plan(
        explained(
            {
                "Node Type": "Quantum Join",
                "Entangled Cond": "(d.a = e.b)",
                "Odd": {"d.x": 1},
                "Plans": [scan(), scan(Alias="e")],
            }
        )
    )
    assert plan.sought[DEALS] == {"a", "b"}


def test_a_write_says_which_table_and_how_many_rows() -> None:
    """At least one row."""
    below = scan(**{"Plan Rows": 0})
    plan = read_plan(
        explained(
            {
                "Node Type": "ModifyTable",
                "Operation": "Delete",
                "Schema": "public",
                "Relation Name": "deals",
                "Alias": "deals",
                "Plans": [below],
            }
        )
    )
    assert plan.written == DEALS
    assert plan.rows_written == 1


@pytest.mark.parametrize("found", [None, [], [{}], ["Utility Statement"], [{"Plan": {}}], 7])
def test_what_is_no_plan_is_refused(found: object) -> None:
    """Statements such as CREATE have none."""
    with pytest.raises(QueryPlanError, match="needed a plan"):
        read_plan(found)
