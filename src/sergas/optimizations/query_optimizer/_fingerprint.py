"""One name for all statements that differ in values, spacing, case or comments only."""

from dataclasses import dataclass
from functools import lru_cache

from sergas.optimizations.query_optimizer._shape import (
    Dialect,
    StatementKind,
    shape_of,
    sqlglot_module,
)

__all__ = ["Fingerprint", "fingerprint"]

_KEPT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a statement is called.

    Attributes:
        text: The statement in one spelling, each value as `?`, lists of values as one.
        is_parsed: Whether the dialect's grammar was understood; otherwise `text` is made of tokens
            and two spellings of one statement may have two names.
        kind: Whether it reads, writes, or does something else with the database.
    """

    text: str
    is_parsed: bool
    kind: StatementKind


def fingerprint(sql: str, dialect: Dialect) -> Fingerprint:
    """Name a statement.

    Args:
        sql: One statement, with any placeholders: `?`, `?1`, `:name`, `@name`, `$1`, `%s`,
            `%(name)s`.
        dialect: Whose SQL it is.

    Raises:
        MissingExtraError: If sqlglot is not installed.
    """
    shape = shape_of(sql, dialect)
    text = _spelt_alike(shape.text, dialect)
    return Fingerprint(text=text or shape.text, is_parsed=text is not None, kind=shape.kind)


@lru_cache(maxsize=_KEPT)
def _spelt_alike(text: str, dialect: Dialect) -> str | None:
    """The statement as sqlglot writes it, in lower case; None if it cannot read it.

    The name of a statement, not a statement: names in quotes keep their case, others lose it.
    """
    sqlglot = sqlglot_module()
    from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

    try:
        # A placeholder cannot stand everywhere a value can: DATE '1995-01-01'.
        whole = " ".join("'?'" if word == "?" else word for word in text.split(" "))
        statements = sqlglot.parse(whole, dialect=dialect)
    except (sqlglot.errors.SqlglotError, RecursionError):
        return None
    if len(statements) != 1 or statements[0] is None:
        return None
    if isinstance(statements[0], sqlglot.exp.Command):  # passed through unread
        return None
    placeholder, literal = sqlglot.exp.Placeholder, sqlglot.exp.Literal
    tree = normalize_identifiers(statements[0], dialect=dialect).transform(
        lambda node: placeholder() if isinstance(node, literal) else node
    )
    return str(tree.sql(dialect=dialect, comments=False))
