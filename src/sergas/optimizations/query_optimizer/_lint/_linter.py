"""One statement through every rule."""

from typing import Any

from sergas.errors import QueryPlanError
from sergas.optimizations.query_optimizer._lint._facts import SchemaFacts
from sergas.optimizations.query_optimizer._lint._finding import Finding
from sergas.optimizations.query_optimizer._lint._rules import RULES
from sergas.optimizations.query_optimizer._lint._statement import Statement
from sergas.optimizations.query_optimizer._shape import Dialect, sqlglot_module

__all__ = ["lint"]


def lint(
    sql: str, *, dialect: Dialect = "sqlite", facts: SchemaFacts | None = None
) -> tuple[Finding, ...]:
    """What is found in one statement, in the order of the rules.

    Args:
        sql: One statement. What neither reads nor writes rows has no findings.
        dialect: Whose SQL it is; `rewritten` is in it.
        facts: What is known of the tables (`facts_of`). Rules that need types or indexes say
            nothing without.

    Raises:
        QueryPlanError: If the text does not parse, or is several statements.
        MissingExtraError: If sqlglot is not installed.
    """
    statement = Statement(_parsed(sql, dialect), dialect, facts or SchemaFacts())
    return tuple(finding for rule in RULES for finding in rule(statement))


def _parsed(sql: str, dialect: Dialect) -> Any:
    sqlglot = sqlglot_module()
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=dialect) if tree is not None]
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        lines = str(error).strip().splitlines() or ["no reason told"]
        raise QueryPlanError(f"lint: cannot read {sql!r}: {lines[0]}") from error
    if len(trees) != 1:
        raise QueryPlanError(f"lint: got {len(trees)} statements, needed one; give them one by one")
    return trees[0]
