"""How SQLite will run a statement, read from its own `EXPLAIN QUERY PLAN`.

SQLite documents the plan's text for people, not as an interface, so it is read with care: the
names of indexes are compared with those in the schema, and whatever is not recognised stays a step
of kind OTHER with its text. Which tables are walked from end to end does not come from the text at
all, but from the compiled program (see `_statement`).
"""

import enum
import re
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PlanStep", "QueryPlan", "StepKind", "plan_steps"]

_OWN_KEYS = ("INTEGER PRIMARY KEY", "PRIMARY KEY")
_JOIN_MARK = re.compile(r" (LEFT-JOIN|RIGHT-JOIN|EXISTS)$")
_CONSTANT = re.compile(r"CONSTANT ROW|\d+ CONSTANT ROWS?")
_IN_OPERATOR = " FOR IN-OPERATOR"
_IS_OLD_TEXT = sqlite3.sqlite_version_info < (3, 36)


class StepKind(enum.Enum):
    """What a step does."""

    SCAN = "scan"
    SEARCH = "search"
    SORT = "sort"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStep:
    """One line of the plan, with the lines below it.

    Attributes:
        detail: SQLite's own text.
        kind: SCAN goes through all of a source, SEARCH through a part of it, SORT builds a
            temporary b-tree (for ORDER BY, GROUP BY, DISTINCT or a compound), OTHER is the rest.
        table: The source as the statement calls it, which is its alias if it has one; None for
            steps that read no source.
        index: The index of the schema that is used; None for the table itself or its own key.
        is_covering: Whether the index alone answers, without the table.
        is_automatic: Whether SQLite builds an index for this one statement, each time.
        terms: The conditions that the search uses, such as `owner=? AND created_at>?`; else "".
        children: The steps below.
    """

    detail: str
    kind: StepKind
    table: str | None = None
    index: str | None = None
    is_covering: bool = False
    is_automatic: bool = False
    terms: str = ""
    children: tuple["PlanStep", ...] = ()

    def walk(self) -> Iterator["PlanStep"]:
        """This step and all below it, in the plan's order."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPlan:
    """SQLite's plan of one statement.

    Attributes:
        sql: The statement.
        steps: The top steps, in order.
        tables_scanned: Tables of the schema, by their own names, that the compiled program walks
            row by row from one end; a LIMIT may stop it earlier.
    """

    sql: str
    steps: tuple[PlanStep, ...]
    tables_scanned: frozenset[str]

    def walk(self) -> Iterator[PlanStep]:
        """All steps, in order."""
        for step in self.steps:
            yield from step.walk()

    @property
    def indexes(self) -> frozenset[str]:
        """Names of the schema's indexes that the plan uses."""
        return frozenset(step.index for step in self.walk() if step.index is not None)

    @property
    def sorts(self) -> bool:
        """Whether it builds a temporary b-tree."""
        return any(step.kind is StepKind.SORT for step in self.walk())

    def render(self) -> str:
        """The plan as text, a line for each step, two spaces deeper for each level."""
        return "\n".join(_rendered(self.steps, ""))


def _rendered(steps: Sequence[PlanStep], margin: str) -> Iterator[str]:
    for step in steps:
        yield margin + step.detail
        yield from _rendered(step.children, margin + "  ")


def plan_steps(
    rows: Sequence[tuple[int, int, str]], indexes: Collection[str]
) -> tuple[PlanStep, ...]:
    """The tree of steps.

    Args:
        rows: (id, parent's id or 0, text) for each line, in order.
        indexes: Names of all indexes of the schema.
    """
    below: dict[int, list[tuple[int, str]]] = {}
    for number, parent, detail in rows:
        below.setdefault(parent, []).append((number, detail))
    return _children(0, below, indexes)


def _children(
    parent: int, below: Mapping[int, Sequence[tuple[int, str]]], indexes: Collection[str]
) -> tuple[PlanStep, ...]:
    return tuple(
        _step(detail, _children(number, below, indexes), indexes)
        for number, detail in below.get(parent, ())
    )


def _step(detail: str, children: tuple[PlanStep, ...], indexes: Collection[str]) -> PlanStep:
    for kind in (StepKind.SCAN, StepKind.SEARCH):
        word = f"{kind.name} "
        if detail.startswith(word) and not _CONSTANT.fullmatch(detail, len(word)):
            return _source_step(kind, detail, children, indexes)
    if detail.startswith("USING INDEX ") and detail.endswith(_IN_OPERATOR):
        name = detail.removeprefix("USING INDEX ").removesuffix(_IN_OPERATOR)
        return PlanStep(detail=detail, kind=StepKind.SEARCH, index=name, children=children)
    is_sort = detail.startswith("USE TEMP B-TREE") or detail.endswith("USING TEMP B-TREE")
    kind = StepKind.SORT if is_sort else StepKind.OTHER
    return PlanStep(detail=detail, kind=kind, children=children)


def _source_step(
    kind: StepKind, detail: str, children: tuple[PlanStep, ...], indexes: Collection[str]
) -> PlanStep:
    text = _JOIN_MARK.sub("", detail.removeprefix(f"{kind.name} "))
    table, access = _split_access(text, indexes)
    index, terms = _index_and_terms(access, indexes)
    return PlanStep(
        detail=detail,
        kind=kind,
        table=_old_name(table) if _IS_OLD_TEXT else table,
        index=index,
        is_covering="COVERING INDEX" in access.removesuffix(index or ""),
        is_automatic=access.startswith("AUTOMATIC "),
        terms=terms,
        children=children,
    )


def _split_access(text: str, indexes: Collection[str]) -> tuple[str, str]:
    """The source's name and how it is accessed ("" if directly).

    Names may hold any words, so the text is cut where the rest is a way of access that exists.
    """
    for separator in (" USING ", " VIRTUAL TABLE INDEX "):
        place = text.find(separator)
        while place >= 0:
            access = text[place + len(separator) :]
            if separator != " USING " or _is_access(access, indexes):
                return text[:place], access if separator == " USING " else ""
            place = text.find(separator, place + 1)
    return text, ""


def _is_access(access: str, indexes: Collection[str]) -> bool:
    if access.startswith(("AUTOMATIC ", *_OWN_KEYS)):
        return True
    return _index_and_terms(access, indexes)[0] is not None


def _index_and_terms(access: str, indexes: Collection[str]) -> tuple[str | None, str]:
    for word in ("INDEX ", "COVERING INDEX "):
        rest = access.removeprefix(word)
        if rest == access:
            continue
        for name in sorted(indexes, key=len, reverse=True):
            if rest == name or rest.startswith(f"{name} ("):
                return name, rest.removeprefix(name).removeprefix(" (").removesuffix(")")
    opening = access.find(" (")
    return None, access[opening + 2 : -1] if opening >= 0 else ""


def _old_name(table: str) -> str:
    """Before 3.36 the text was `TABLE name AS alias`."""
    return table.removeprefix("TABLE ").rpartition(" AS ")[2]
