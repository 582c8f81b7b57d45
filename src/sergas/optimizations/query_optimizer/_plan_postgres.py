"""What PostgreSQL's plan (`EXPLAIN (VERBOSE, FORMAT JSON)`) says about tables and columns.

With VERBOSE each column stands behind its table's name or alias. A node that was never seen before
is no problem: what is read of it is which relation it has, and which columns its texts name.
"""

import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from sergas.errors import QueryPlanError

__all__ = ["PlannedStatement", "read_plan"]

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\uffff][\w$]*)'
_COLUMN = re.compile(rf"(?<![\w.\"])({_NAME})\.({_NAME})")
_TEXT = re.compile(r"'(?:[^']|'')*'")
_SOUGHT = ("Cond", "Filter", "Key")  # ends of names such as "Hash Cond", "Join Filter", "Sort Key"


@dataclass(slots=True)
class PlannedStatement:
    """One plan.

    Attributes:
        cost: The planner's estimate of all of it.
        indexes: Names of indexes it uses.
        sought: Columns in conditions and sort keys, for each table as (schema, name).
        read: All columns that are named anywhere.
        table_written: The table whose rows it changes, or None; first as `schema.name`.
        rows_written: How many, as the planner guesses; at least one if there is such a table.
    """

    cost: float
    indexes: frozenset[str] = frozenset()
    sought: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    read: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    written: tuple[str, str] | None = None
    table_written: str | None = None
    rows_written: float = 0.0


def read_plan(explained: Any) -> PlannedStatement:
    """Read it.

    Raises:
        QueryPlanError: If it is not what EXPLAIN gives for a statement with a plan.
    """
    try:
        top = explained[0]["Plan"]
        planned = PlannedStatement(cost=float(top["Total Cost"]))
    except (KeyError, IndexError, TypeError, ValueError):
        raise QueryPlanError(
            f"QueryOptimizer: got {str(explained)[:80]!r}, needed a plan; statements such as CREATE"
            f" and SET have none"
        ) from None
    nodes = list(_walk(top))
    planned.indexes = frozenset(node["Index Name"] for node in nodes if "Index Name" in node)
    aliases: dict[str, set[tuple[str, str]]] = {}
    for node in nodes:
        if "Relation Name" in node:
            relation = (str(node.get("Schema", "")), str(node["Relation Name"]))
            aliases.setdefault(str(node.get("Alias", relation[1])), set()).add(relation)
            planned.sought.setdefault(relation, set())
            planned.read.setdefault(relation, set())
        if node.get("Node Type") == "ModifyTable":
            planned.written = (str(node.get("Schema", "")), str(node["Relation Name"]))
            below = node.get("Plans", [{}])[0]
            planned.rows_written = max(1.0, float(below.get("Plan Rows", 1)))
    for node in nodes:
        # A scan may say that it puts out all its table's columns where its parent needs a few.
        is_vague = "Relation Name" in node and node is not top
        _note_columns(node, {"Plans", "Output"} if is_vague else {"Plans"}, aliases, planned)
    return planned


def _note_columns(
    node: Mapping[str, Any],
    left_out: AbstractSet[str],
    aliases: Mapping[str, set[tuple[str, str]]],
    planned: PlannedStatement,
) -> None:
    for name in sorted(node.keys() - left_out):
        value = node[name]
        texts = " ".join(str(text) for text in (value if isinstance(value, list) else [value]))
        for alias, column in _COLUMN.findall(_TEXT.sub("''", texts)):
            for relation in aliases.get(_plain(alias), ()):
                planned.read[relation].add(_plain(column))
                if name.endswith(_SOUGHT):
                    planned.sought[relation].add(_plain(column))


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
