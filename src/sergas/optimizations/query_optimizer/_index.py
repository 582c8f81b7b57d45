"""An index as the advisor thinks of it: a table and columns, in order."""

from dataclasses import dataclass

__all__ = ["Index"]


@dataclass(frozen=True, slots=True, order=True)
class Index:
    """A B-tree index, whether it exists or not.

    Attributes:
        table: The table as its dialect names it: as in the schema (SQLite), or as SQL would write
            it, with a schema and quotes where needed (PostgreSQL).
        columns: Names of columns as in the schema, in order, at least one.
    """

    table: str
    columns: tuple[str, ...]

    def begins(self, other: "Index") -> bool:
        """Whether `other` can do all that this one can: it has the same columns first."""
        return self.table == other.table and other.columns[: len(self.columns)] == self.columns

    def widened(self, column: str) -> "Index":
        """The same with one more column at the end."""
        return Index(self.table, (*self.columns, column))
