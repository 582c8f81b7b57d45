"""A parsed statement with what is known of its tables."""

from typing import Any

from sergas.optimizations.query_optimizer._lint._facts import ColumnFacts, SchemaFacts, TableFacts
from sergas.optimizations.query_optimizer._shape import Dialect, sqlglot_module

__all__ = ["Statement"]


class Statement:
    """One statement.

    Args:
        tree: As sqlglot parsed it; rules change copies only.
        dialect: Whose SQL it is.
        facts: What is known of the tables.
    """

    def __init__(self, tree: Any, dialect: Dialect, facts: SchemaFacts) -> None:
        self.tree = tree
        self.dialect = dialect
        self.facts = facts
        self.exp: Any = sqlglot_module().exp

    def sql(self, node: Any) -> str:
        """A part of it as text."""
        return str(node.sql(dialect=self.dialect))

    def rewritten(self, node: Any, replacement: Any) -> str:
        """The whole statement with one node replaced."""
        path = []
        at = node
        while at is not self.tree:
            path.append((at.arg_key, at.index))
            at = at.parent
        copy = self.tree.copy()
        if not path:
            return self.sql(replacement)
        target = copy
        for key, index in reversed(path):
            child = target.args[key]
            target = child[index] if index is not None else child
        target.replace(replacement.copy())
        return self.sql(copy)

    def table_of(self, column: Any) -> TableFacts | None:
        """The table that a column is of, as far as its own SELECT tells; None if unknown."""
        sources = self.sources(column.find_ancestor(self.exp.Select))
        if column.table:
            return sources.get(column.table.lower())
        holders = [
            table
            for table in sources.values()
            if table is not None and column.name.lower() in table.columns
        ]
        return holders[0] if len(holders) == 1 else None

    def facts_of(self, column: Any) -> ColumnFacts | None:
        """What is known of a column."""
        table = self.table_of(column)
        return None if table is None else table.columns.get(column.name.lower())

    def sources(self, select: Any) -> dict[str, TableFacts | None]:
        """What a SELECT reads from, by alias in lower case; None for what is no known table."""
        if select is None:
            return {}
        found: dict[str, TableFacts | None] = {}
        hidden = {cte.alias.lower() for cte in self.tree.find_all(self.exp.CTE)}
        for source in self._from(select):
            if isinstance(source, self.exp.Table):
                name = source.name.lower()
                known = None if name in hidden else self.facts.tables.get(name)
                found[(source.alias or source.name).lower()] = known
            else:
                found[(source.alias or "").lower()] = None
        return found

    def _from(self, select: Any) -> list[Any]:
        begin = select.args.get("from_") or select.args.get("from")
        sources = [begin.this] if begin is not None else []
        return sources + [join.this for join in select.args.get("joins") or []]
