"""What a program asks of its database: the statements, how often, and with which parameters.

Recording produces it and `QueryOptimizer.advise` reads it. One `WorkloadQuery` is one shape of
statement: the same SQL text with other parameters counts as the same query, and a few of the
parameters that were seen are kept, because a plan is only as good as the values it is made for.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sergas.errors import QueryPlanError

__all__ = ["Parameters", "QueryKind", "Workload", "WorkloadQuery"]

Parameters = Sequence[object] | Mapping[str, object]
"""Values for the statement's placeholders, by place or by name, as its driver takes them."""

QueryKind = Literal["read", "write"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadQuery:
    """One shape of statement.

    Attributes:
        sql: One statement, with the placeholders of the driver that runs it (`?` or `:name` for
            sqlite3, `%s` or `%(name)s` for psycopg, `$1` for asyncpg).
        samples: Parameters that it ran with, one entry an execution; `((),)` if it has none. Each
            sample has an equal share of `count`.
        count: How often it runs, or any other weight, > 0 and finite.
        fingerprint: Names the shape where `sql` would be long; "" stands for `sql` itself.
        kind: "write" for what inserts, updates or deletes. The advisor asks the database itself.

    Raises:
        QueryPlanError: If there is no SQL or no sample, or a value is out of its range.
    """

    sql: str
    samples: tuple[Parameters, ...] = ((),)
    count: float = 1.0
    fingerprint: str = ""
    kind: QueryKind = "read"

    def __post_init__(self) -> None:
        if not self.sql.strip():
            raise QueryPlanError(f"WorkloadQuery: got sql={self.sql!r}, needed a statement")
        if not self.samples:
            raise QueryPlanError(
                f"WorkloadQuery {self.label!r}: got no samples, needed at least one, which is ()"
                f" for a statement without placeholders"
            )
        if not (self.count > 0 and math.isfinite(self.count)):
            raise QueryPlanError(
                f"WorkloadQuery {self.label!r}: got count={self.count}, needed more than 0, finite"
            )
        if self.kind not in get_args(QueryKind):
            raise QueryPlanError(
                f"WorkloadQuery {self.label!r}: got kind={self.kind!r}, needed 'read' or 'write'"
            )

    @property
    def label(self) -> str:
        """The fingerprint, or the SQL where there is none."""
        return self.fingerprint or self.sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The statements of a program, in the order in which they were first seen."""

    queries: tuple[WorkloadQuery, ...]

    @classmethod
    def of(cls, statements: Iterable[str]) -> "Workload":
        """A workload of statements without placeholders, each run once."""
        return cls(queries=tuple(WorkloadQuery(sql=sql) for sql in statements))

    def __iter__(self) -> Iterator[WorkloadQuery]:
        return iter(self.queries)

    def __len__(self) -> int:
        return len(self.queries)
