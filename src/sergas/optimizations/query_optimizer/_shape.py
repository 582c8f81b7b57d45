"""The shape of a statement: what stays of it when values are left out.

Cheap enough to be taken while a program runs: tokens are looked at, nothing is parsed. They are
sqlglot's, which know each dialect's quotes and comments.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from sergas.errors import MissingExtraError

__all__ = ["Dialect", "Shape", "StatementKind", "key_values", "shape_of", "sqlglot_module"]

Dialect: TypeAlias = Literal["sqlite", "postgres"]
StatementKind: TypeAlias = Literal["read", "write", "other"]
Token: TypeAlias = Any  # of sqlglot, which need not be installed

_SHAPES_KEPT = 4096
_READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE"})
_VALUES = frozenset(
    {
        "STRING",
        "NUMBER",
        "BYTE_STRING",
        "HEX_STRING",
        "BIT_STRING",
        "NATIONAL_STRING",
        "RAW_STRING",
        "HEREDOC_STRING",
        "UNICODE_STRING",
    }
)
_QUOTED = "IDENTIFIER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value in a statement: written there, or a placeholder's.

    Attributes:
        literal: Its text, if it is written there.
        place: Which parameter it is, from 0, by place.
        name: Which parameter it is, by name.
    """

    literal: str | None = None
    place: int | None = None
    name: str | None = None

    def of(self, parameters: Any) -> object:
        """The value that it has with these parameters; None if they do not have it."""
        if self.literal is not None:
            return self.literal
        if self.name is not None:
            return parameters.get(self.name) if isinstance(parameters, Mapping) else None
        if isinstance(parameters, Sequence) and self.place is not None:
            return parameters[self.place] if self.place < len(parameters) else None
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What stays of a statement when values, comments and spacing are left out.

    Attributes:
        text: Its words in upper case where they are keywords or plain names, each value as `?`,
            lists of values as one.
        kind: Whether it reads, writes, or does something else with the database.
        keys: The values that a column is compared with by equality, in order. A list of several
            values is none: that is a batch already.
    """

    text: str
    kind: StatementKind
    keys: tuple[Value, ...]


def sqlglot_module() -> Any:
    """The library that reads SQL.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import sqlglot
    except ImportError as error:
        raise MissingExtraError(
            'reading SQL needs sqlglot; run: pip install "groundspeed[postgres]"'
        ) from error
    return sqlglot


@lru_cache(maxsize=_SHAPES_KEPT)
def shape_of(sql: str, dialect: Dialect) -> Shape:
    """The shape of a statement; of text that is no SQL, the text itself.

    Raises:
        MissingExtraError: If sqlglot is not installed.
    """
    sqlglot = sqlglot_module()
    try:
        tokens = sqlglot.tokenize(sql, dialect=dialect)
    except sqlglot.errors.SqlglotError:
        return Shape(text=" ".join(sql.split()), kind="other", keys=())
    pieces = _folded(list(_pieces(tokens)))
    return Shape(
        text=" ".join("?" if isinstance(piece, Value) else piece for piece in pieces),
        kind=_kind(pieces),
        keys=tuple(_keys(pieces)),
    )


def key_values(shape: Shape, parameters: Any) -> tuple[object, ...]:
    """What the statement looks up with these parameters, comparable and hashable."""
    return tuple(_hashable(value.of(parameters)) for value in shape.keys)


def _hashable(value: object) -> object:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


Piece: TypeAlias = str | Value


def _pieces(tokens: Sequence[Token]) -> Iterator[Piece]:
    at, place = 0, 0
    while at < len(tokens):
        value, used = _value(tokens, at, place)
        if value is not None:
            place += value.place is not None
            yield value
            at += used
            continue
        token = tokens[at]
        name = token.token_type.name
        yield f'"{token.text}"' if name == _QUOTED else token.text.upper()
        at += 1


def _value(tokens: Sequence[Token], at: int, place: int) -> tuple[Value | None, int]:
    """A value that begins at a token, and how many tokens it has."""
    kind, text = tokens[at].token_type.name, tokens[at].text
    following = tokens[at + 1].text if at + 1 < len(tokens) else ""
    value, used = None, 1
    if kind in _VALUES:
        value = Value(literal=text)
    elif kind in ("PLACEHOLDER", "PARAMETER") and following.isdigit():  # ?1, $1
        value, used = Value(place=int(following) - 1), 2
    elif kind == "PLACEHOLDER":
        value = Value(place=place)
    elif kind == "PARAMETER" or (kind == "COLON" and _is_name(tokens[at + 1 : at + 2])):
        value, used = Value(name=following), 2  # @name, :name
    elif kind == "VAR" and text.startswith("$") and len(text) > 1:
        value = Value(name=text[1:])
    elif kind == "MOD":
        value, used = _percent(tokens, at, place)
    return value, used


def _is_name(tokens: Sequence[Token]) -> bool:
    return bool(tokens) and tokens[0].text.isidentifier()


def _percent(tokens: Sequence[Token], at: int, place: int) -> tuple[Value | None, int]:
    """`%s` and `%(name)s`, as psycopg has them."""
    texts = [token.text for token in tokens[at + 1 : at + 5]]
    if texts[:1] == ["s"]:
        return Value(place=place), 2
    if len(texts) == 4 and texts[0] == "(" and texts[2:] == [")", "s"]:  # noqa: PLR2004 - ( name ) s
        return Value(name=texts[1]), 5
    return None, 0


def _folded(pieces: list[Piece]) -> list[Piece]:
    """Lists of values as one value, several rows of values as one row."""
    out: list[Piece] = []
    for piece in pieces:
        out.append(piece)
        while _ends_as(out, (Value, ",", Value)):
            del out[-2:]
            out[-1] = Value()  # several: no key
        while _ends_as(out, ("(", Value, ")", ",", "(", Value, ")")):
            del out[-4:]
    return out


def _ends_as(pieces: list[Piece], pattern: tuple[Any, ...]) -> bool:
    if len(pieces) < len(pattern):
        return False
    return all(
        isinstance(piece, Value) if wanted is Value else piece == wanted
        for piece, wanted in zip(pieces[-len(pattern) :], pattern, strict=True)
    )


def _kind(pieces: list[Piece]) -> StatementKind:
    words = [piece for piece in pieces if isinstance(piece, str)]
    if not words:
        return "other"
    if words[0] == "WITH" and not _WRITES.isdisjoint(words):
        return "write"
    if words[0] in _READS:
        return "read"
    return "write" if words[0] in _WRITES else "other"


def _keys(pieces: list[Piece]) -> Iterator[Value]:
    """Values compared by equality: after or before `=`, after IS, alone in an IN list."""
    for at, piece in enumerate(pieces):
        if not isinstance(piece, Value) or piece == Value():
            continue
        before = pieces[at - 1] if at > 0 else ""
        after = pieces[at + 1] if at + 1 < len(pieces) else ""
        is_alone_in_list = before == "(" and after == ")" and at > 1 and pieces[at - 2] == "IN"
        if before in ("=", "==", "IS") or after in ("=", "==") or is_alone_in_list:
            yield piece
