"""Look at a statement for what makes databases slow or wrong, and rewrite it where that is sure."""

from sergas.optimizations.query_optimizer._lint._facts import (
    ColumnFacts,
    SchemaFacts,
    TableFacts,
    facts_of,
)
from sergas.optimizations.query_optimizer._lint._finding import Finding, Severity
from sergas.optimizations.query_optimizer._lint._linter import lint

__all__ = [
    "ColumnFacts",
    "Finding",
    "SchemaFacts",
    "Severity",
    "TableFacts",
    "facts_of",
    "lint",
]
