"""What the advisor says: which indexes, what they are worth, and why."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Advice", "IndexAdvice", "QueryCost", "SkippedQuery"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAdvice:
    """One index to create.

    Attributes:
        ddl: The statement that creates it.
        name: The name that `ddl` gives it; no index of the database has it.
        table: The table, as its dialect names it.
        columns: The index's columns, in order.
        benefit: Share of the workload's cost that would be lost again without it, in [0, 1], if
            all other advised indexes are there.
        size_bytes: What it takes; an estimate where it was only imagined.
        write_cost: Share of the workload's cost that its writes pay for it, >= 0.
        queries: Labels of the statements whose plan uses it.
        why: The same in a sentence.
    """

    ddl: str
    name: str
    table: str
    columns: tuple[str, ...]
    benefit: float
    size_bytes: int
    write_cost: float
    queries: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCost:
    """One statement of the workload without the advised indexes and with them.

    Attributes:
        label: Its fingerprint, or its SQL.
        count: How often it runs.
        before: Its cost today, in the advice's unit, mean over its samples.
        after: The same with all advised indexes.
        is_write: Whether it changes rows.
    """

    label: str
    count: float
    before: float
    after: float
    is_write: bool

    @property
    def ratio(self) -> float:
        """`after` in `before`; 1 if it costs nothing either way."""
        return self.after / self.before if self.before else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedQuery:
    """A statement that could not be judged, and why."""

    label: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Indexes for a workload. Iterating gives them, the most useful first.

    Attributes:
        indexes: To create, all of them: their costs were judged together.
        queries: What each statement costs before and after.
        skipped: Statements that were left out.
        unit: What costs are counted in: "VM steps", exact, or "planner cost", an estimate.
        what_if_calls: How often the database was asked.
        notes: What else should be known.
    """

    indexes: tuple[IndexAdvice, ...]
    queries: tuple[QueryCost, ...]
    skipped: tuple[SkippedQuery, ...]
    unit: str
    what_if_calls: int
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[IndexAdvice]:
        return iter(self.indexes)

    def __len__(self) -> int:
        return len(self.indexes)

    @property
    def size_bytes(self) -> int:
        """All indexes together."""
        return sum(index.size_bytes for index in self.indexes)

    @property
    def cost_ratio(self) -> float:
        """The whole workload's cost after in that before, each statement as often as it runs."""
        before = math.fsum(query.count * query.before for query in self.queries)
        after = math.fsum(query.count * query.after for query in self.queries)
        return after / before if before else 1.0

    @property
    def ratio_geometric_mean(self) -> float:
        """Geometric mean of the queries' ratios: each has one vote, however much it costs."""
        ratios = [query.ratio for query in self.queries]
        if not ratios or min(ratios) <= 0:
            return 0.0 if ratios else 1.0
        return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
