"""The rules; each looks for one thing, and rewrites on a copy."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from sergas.optimizations.query_optimizer._lint._finding import Finding, Severity
from sergas.optimizations.query_optimizer._lint._statement import Statement

__all__ = ["RULES"]

Rule: TypeAlias = Callable[[Statement], Iterator[Finding]]
_LIMIT = 1000


def select_star(of: Statement) -> Iterator[Finding]:
    """`SELECT *` reads and sends columns that nobody asked for."""
    for select in of.tree.find_all(of.exp.Select):
        star = next((e for e in select.expressions if isinstance(e, of.exp.Star)), None)
        if star is None or isinstance(select.parent, of.exp.Exists):
            continue
        columns = _columns_of_star(of, select)
        rewritten = None
        if columns is not None and star.index is not None:
            listed = select.copy()
            at = star.index
            listed.set(
                "expressions", [*listed.expressions[:at], *columns, *listed.expressions[at + 1 :]]
            )
            rewritten = of.rewritten(select, listed)
        yield Finding(
            rule="select-star",
            severity=Severity.STYLE,
            place=of.sql(star),
            why="it reads every column, also those that are added later, and no index covers it",
            advice="name the columns that are used",
            rewritten=rewritten,
            is_equivalent=rewritten is not None,
        )


def _columns_of_star(of: Statement, select: Any) -> list[Any] | None:
    joins = select.args.get("joins") or []
    if any(join.args.get("using") or join.args.get("method") for join in joins):
        return None  # columns that are joined by name come once
    sources = of.sources(select)
    if not sources or any(table is None for table in sources.values()):
        return None
    return [
        of.exp.column(
            name, table=alias if len(sources) > 1 else None, quoted=not name.isidentifier()
        )
        for alias, table in sources.items()
        if table is not None
        for name in table.columns
    ]


def offset_paging(of: Statement) -> Iterator[Finding]:
    """`OFFSET n` reads n rows to throw them away."""
    for select in of.tree.find_all(of.exp.Select):
        offset = select.args.get("offset")
        if offset is None:
            continue
        yield Finding(
            rule="offset-paging",
            severity=Severity.SLOW,
            place=of.sql(offset),
            why="the rows before it are read and thrown away, and rows that come or go meanwhile "
            "are shown twice or never",
            advice="go on after the key of the last row that was shown: keyset paging",
            rewritten=_by_key(of, select),
        )


def _by_key(of: Statement, select: Any) -> str | None:
    """With `:after_<column>` instead of the offset, for columns all in one direction."""
    order = select.args.get("order")
    if order is None or select.args.get("group") or select.args.get("distinct"):
        return None
    keys = order.expressions
    columns = [key.this for key in keys]
    if not all(isinstance(column, of.exp.Column) for column in columns):
        return None
    if len({bool(key.args.get("desc")) for key in keys}) != 1:
        return None
    compare = of.exp.LT if keys[0].args.get("desc") else of.exp.GT
    values = [of.exp.Placeholder(this=f"after_{column.name}") for column in columns]
    if len(columns) == 1:
        condition = compare(this=columns[0].copy(), expression=values[0])
    else:
        condition = compare(
            this=of.exp.Tuple(expressions=[column.copy() for column in columns]),
            expression=of.exp.Tuple(expressions=values),
        )
    paged = select.copy()
    paged.set("offset", None)
    return of.rewritten(select, paged.where(condition, copy=False))


def function_on_column(of: Statement) -> Iterator[Finding]:
    """A condition on `f(column)` cannot use an index on the column."""
    for node in of.tree.find_all(of.exp.EQ, of.exp.GT, of.exp.GTE, of.exp.LT, of.exp.LTE):
        if node.find_ancestor(of.exp.Where, of.exp.Join) is None:
            continue
        for side, other in ((node.left, node.right), (node.right, node.left)):
            column = _inside(of, side)
            if column is None or other.find(of.exp.Column) is not None:
                continue
            facts = of.facts_of(column)
            if facts is None or not facts.is_indexed:
                continue
            solved = _solved(of, node, side, other)
            yield Finding(
                rule="function-on-column",
                severity=Severity.SLOW,
                place=of.sql(node),
                why=f"the index on {column.name} cannot be used for {of.sql(side)}",
                advice=(
                    "compare the column itself"
                    if solved
                    else f"compare the column itself with a range, or index the expression "
                    f"{of.sql(side)}"
                ),
                rewritten=None if solved is None else of.rewritten(node, solved),
                is_equivalent=solved is not None,
            )


def _inside(of: Statement, node: Any) -> Any | None:
    """The one column in a function or a calculation; None if it stands alone, or is one of many."""
    if isinstance(node, of.exp.Column | of.exp.Subquery | of.exp.AggFunc):
        return None
    if not isinstance(node, of.exp.Func | of.exp.Binary | of.exp.Cast | of.exp.Neg | of.exp.Paren):
        return None
    columns = list(node.find_all(of.exp.Column))
    if len(columns) != 1 or node.find(of.exp.Subquery, of.exp.AggFunc) is not None:
        return None
    return columns[0]


def _solved(of: Statement, node: Any, side: Any, other: Any) -> Any | None:
    """`column + 5 = 12` as `column = 7`, for integers of moderate size."""
    if not isinstance(side, of.exp.Add | of.exp.Sub) or node.right is not other:
        return None
    column, constant = side.left, side.right
    if not isinstance(column, of.exp.Column):
        return None
    facts = of.facts_of(column)
    if facts is None or facts.kind != "integer":
        return None
    numbers = [_integer(of, constant), _integer(of, other)]
    if numbers[0] is None or numbers[1] is None:
        return None
    sign = -1 if isinstance(side, of.exp.Add) else 1
    value = numbers[1] + sign * numbers[0]
    literal = of.exp.Literal.number(abs(value))
    return type(node)(
        this=column.copy(), expression=literal if value >= 0 else of.exp.Neg(this=literal)
    )


_MODERATE = 2**31  # sums of such numbers overflow nowhere


def _integer(of: Statement, node: Any) -> int | None:
    if isinstance(node, of.exp.Neg):
        inner = _integer(of, node.this)
        return None if inner is None else -inner
    if isinstance(node, of.exp.Literal) and not node.is_string and node.this.isdigit():
        value = int(node.this)
        return value if value < _MODERATE else None
    return None


def implicit_cast(of: Statement) -> Iterator[Finding]:
    """A column compared with a value of another type is converted row by row, or never equal."""
    for node in of.tree.find_all(of.exp.EQ):
        for column, value in ((node.left, node.right), (node.right, node.left)):
            if not (isinstance(column, of.exp.Column) and isinstance(value, of.exp.Literal)):
                continue
            facts = of.facts_of(column)
            fitting = None if facts is None else _fitting(of, facts.kind, value)
            if fitting is None:
                continue
            changed = node.copy()
            changed.set("expression" if value is node.right else "this", fitting)
            yield Finding(
                rule="implicit-cast",
                severity=Severity.SLOW,
                place=of.sql(node),
                why=f"{column.name} holds another type than {of.sql(value)}: the value is "
                "converted, or in its place every row",
                advice=f"write {of.sql(fitting)}",
                rewritten=of.rewritten(node, changed),
                is_equivalent=True,
            )


def _fitting(of: Statement, kind: str, value: Any) -> Any | None:
    """The value in the column's type, where both databases mean the same by it."""
    text = value.this
    if kind == "text" and not value.is_string and of.dialect == "sqlite" and text.isdigit():
        return of.exp.Literal.string(str(int(text)))
    whole, _, fraction = text.partition(".")
    if kind == "integer" and not value.is_string and whole.isdigit() and fraction:
        return of.exp.Literal.number(whole) if not fraction.strip("0") else None
    return None


def leading_wildcard(of: Statement) -> Iterator[Finding]:
    """`LIKE '%x'` has to look at every row."""
    for node in of.tree.find_all(of.exp.Like, of.exp.ILike):
        pattern = node.expression
        if isinstance(pattern, of.exp.Literal) and pattern.is_string and pattern.this[:1] in "%_":
            if not pattern.this:
                continue
            index = "FTS5" if of.dialect == "sqlite" else "a trigram index (pg_trgm)"
            yield Finding(
                rule="leading-wildcard",
                severity=Severity.SLOW,
                place=of.sql(node),
                why="an index is ordered by how texts begin, so every row is looked at",
                advice=f"search for words or parts with {index}, or for the beginning of the text",
            )


def not_in_null(of: Statement) -> Iterator[Finding]:
    """`x NOT IN (SELECT y ...)` is never true once a y is NULL."""
    for negation in of.tree.find_all(of.exp.Not):
        test = negation.this
        if not isinstance(test, of.exp.In):
            continue
        query = test.args.get("query")
        select = getattr(query, "this", None)
        if not isinstance(select, of.exp.Select) or len(select.expressions) != 1:
            continue
        inner = select.expressions[0].unalias()
        facts = of.facts_of(inner) if isinstance(inner, of.exp.Column) else None
        if facts is not None and not facts.is_nullable:
            continue
        yield Finding(
            rule="not-in-null",
            severity=Severity.WRONG,
            place=of.sql(negation),
            why=f"a single NULL among {of.sql(inner)} makes it true for no row at all",
            advice="use NOT EXISTS, which ignores NULL on both sides: more rows may appear",
            rewritten=_not_exists(of, negation, test.this, select, inner),
        )


def _not_exists(of: Statement, negation: Any, outer: Any, select: Any, inner: Any) -> str | None:
    """NOT EXISTS with the comparison inside; both columns have to name their tables."""
    if select.args.get("group") or select.args.get("limit") or select.args.get("having"):
        return None
    if not (isinstance(outer, of.exp.Column) and isinstance(inner, of.exp.Column)):
        return None
    around = _named(of, outer)
    within = _named(of, inner)
    if around is None or within is None or around.table.lower() in of.sources(select):
        return None
    body = select.copy()
    body.set("expressions", [of.exp.Literal.number(1)])
    body.set("distinct", None)
    body.set("order", None)
    body = body.where(of.exp.EQ(this=within, expression=around), copy=False)
    return of.rewritten(negation, of.exp.Not(this=of.exp.Exists(this=body)))


def _named(of: Statement, column: Any) -> Any | None:
    """The column with its table's name, if there is only one it can be of."""
    if column.table:
        return column.copy()
    sources = of.sources(column.find_ancestor(of.exp.Select))
    if len(sources) != 1 or "" in sources:
        return None
    return of.exp.column(column.name, table=next(iter(sources)))


def missing_limit(of: Statement) -> Iterator[Finding]:
    """A list without a LIMIT grows with the table."""
    select = of.tree
    if not isinstance(select, of.exp.Select) or select.args.get("limit") is not None:
        return
    is_aggregate = select.args.get("group") is not None or any(
        part.find(of.exp.AggFunc) is not None for part in select.expressions
    )
    if is_aggregate or not of.sources(select) or _looks_up(of, select):
        return
    yield Finding(
        rule="missing-limit",
        severity=Severity.SLOW,
        place=of.sql(select.args.get("from_") or select.args.get("from")),
        why="the result grows with the table, and the memory of who reads it too",
        advice=f"read it page by page; with LIMIT {_LIMIT} no more than that come back",
        rewritten=of.rewritten(select, select.copy().limit(_LIMIT, copy=False)),
    )


def _looks_up(of: Statement, select: Any) -> bool:
    """Whether something is looked up by a value."""
    where = select.args.get("where")
    if where is None:
        return False
    return any(
        isinstance(side, of.exp.Literal | of.exp.Placeholder | of.exp.Parameter)
        for node in where.find_all(of.exp.EQ)
        for side in (node.left, node.right)
    ) or (where.find(of.exp.In) is not None)


def or_to_union(of: Statement) -> Iterator[Finding]:
    """`a = 1 OR b = 2` over two columns often cannot use the index of either."""
    for select in of.tree.find_all(of.exp.Select):
        where = select.args.get("where")
        test = where.this if where is not None else None
        if not isinstance(test, of.exp.Or) or len(of.sources(select)) != 1:
            continue
        columns = [_compared(of, side) for side in (test.left, test.right)]
        if None in columns or len({column.name.lower() for column in columns}) != 2:  # type: ignore[union-attr] # noqa: PLR2004
            continue
        facts = [of.facts_of(column) for column in columns]
        if not any(known is not None and known.is_indexed for known in facts):
            continue
        yield Finding(
            rule="or-to-union",
            severity=Severity.SLOW,
            place=of.sql(test),
            why="one search by either of two columns; where the plan has no way to join two "
            "indexes, every row is looked at",
            advice="search by each and put the results together; look at the plan of both",
            rewritten=_union(of, select, test),
            is_equivalent=_union(of, select, test) is not None,
        )


def _compared(of: Statement, node: Any) -> Any | None:
    if isinstance(node, of.exp.EQ) and isinstance(node.left, of.exp.Column):
        return node.left if node.right.find(of.exp.Column) is None else None
    return None


_BESIDE = ("order", "limit", "offset", "group", "having", "distinct", "with_", "with", "windows")


def _union(of: Statement, select: Any, test: Any) -> str | None:
    """Both halves, the second without what the first has; only for a statement that is no more."""
    if select is not of.tree or any(select.args.get(key) for key in _BESIDE):
        return None
    if any(e.find(of.exp.AggFunc, of.exp.Window) is not None for e in select.expressions):
        return None
    # The values of `?` go by place, and the first half's would be needed twice.
    if any(not mark.this for mark in test.find_all(of.exp.Placeholder)):
        return None
    first, second = select.copy(), select.copy()
    first.args["where"].set("this", test.left.copy())
    is_not_true = f"({of.sql(test.left)}) IS NOT TRUE"
    second.args["where"].set("this", test.right.copy())
    return f"{of.sql(first)} UNION ALL {of.sql(second)} AND {is_not_true}"


RULES: tuple[Rule, ...] = (
    not_in_null,
    function_on_column,
    implicit_cast,
    leading_wildcard,
    offset_paging,
    or_to_union,
    missing_limit,
    select_star,
)
