"""What the search for indexes asks of a database, whichever it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sergas.optimizations.query_optimizer._advice import SkippedQuery
from sergas.optimizations.query_optimizer._index import Index

__all__ = ["Bench", "Cost", "Need", "Question"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one statement does with one table.

    Attributes:
        seeking: Columns that an index may begin with to be of use.
        read: All columns that it reads; an index on all of them spares it the table.
    """

    seeking: frozenset[str]
    read: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One statement of the workload, as the database understood it.

    Attributes:
        label: What reports call it.
        weight: How often it runs.
        is_write: Whether it changes rows.
        needs: What it does with each table.
    """

    label: str
    weight: float
    is_write: bool
    needs: Mapping[str, Need]

    def may_use(self, index: Index) -> bool:
        """Whether the index could change the plan: if not, there is no need to ask."""
        need = self.needs.get(index.table)
        return need is not None and (
            index.columns[0] in need.seeking or need.read <= set(index.columns)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one statement costs under some indexes.

    Attributes:
        value: In the bench's unit; infinite if it was stopped because it got worse.
        used: Those of the indexes that its plan uses.
    """

    value: float
    used: frozenset[Index]


class Bench(Protocol):
    """A database in which indexes can be imagined, or built where nobody sees them."""

    unit: str

    @property
    def questions(self) -> Sequence[Question]:
        """The statements that can be judged."""

    @property
    def skipped(self) -> Sequence[SkippedQuery]:
        """The others, with the reason."""

    @property
    def existing(self) -> frozenset[Index]:
        """Indexes that the tables have, those of their keys among them."""

    def cost(self, question: int, indexes: frozenset[Index], limit: float) -> Cost:
        """What a statement costs with exactly these indexes beside the existing ones.

        Args:
            question: Its place in `questions`.
            indexes: None of them exists.
            limit: Beyond it the cost need not be known; infinity to know it in any case.
        """

    def size_bytes(self, index: Index) -> int | None:
        """What it takes, in bytes; None if the database cannot have such an index."""

    def upkeep(self, index: Index) -> float:
        """What the workload's writes pay for it, in the bench's unit."""
