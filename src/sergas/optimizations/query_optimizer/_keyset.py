"""Pages that go on after the last row shown, and not after so many rows.

`OFFSET n` reads n rows to throw them away, and shows rows twice or never when others come or go
meanwhile. After a key, the index is entered where the page begins.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sergas.errors import PageError, WorkloadError
from sergas.optimizations.query_optimizer._shape import Dialect
from sergas.optimizations.query_optimizer._values import plain, restored

__all__ = ["Key", "Keyset", "Page"]

_SEAL_SIZE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A column that rows are ordered by.

    Attributes:
        column: Its name in the result.
        is_descending: Whether the largest come first.
        nulls: Where NULL stands; None if the column has none.
    """

    column: str
    is_descending: bool = False
    nulls: Literal["first", "last"] | None = None

    def reversed(self) -> "Key":
        """The same, the other way round."""
        nulls = {"first": "last", "last": "first", None: None}[self.nulls]
        return Key(
            column=self.column,
            is_descending=not self.is_descending,
            nulls=nulls,  # type: ignore[arg-type] # one of the three
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows, and the tokens of the pages beside them.

    Attributes:
        rows: As the cursor gave them, in the order of the keys.
        next: Token of the page after; None if this is the last.
        previous: Token of the page before; None if this is the first.
    """

    rows: tuple[Any, ...]
    next: str | None
    previous: str | None


class Keyset:
    """Pages of a SELECT in the order of keys, both ways.

    The keys together have to be unique, or rows that are equal in them are shown on one page or
    left out. Tokens are opaque to whoever gets them; they hold the keys of the row at the edge, and
    a seal: with a secret nobody else can make one.

    Args:
        select: One SELECT without ORDER BY and LIMIT, parameters by name.
        keys: What the rows are ordered by, at least one; columns of the result.
        limit: Rows on a page, >= 1.
        dialect: Whose SQL it is: "sqlite" takes parameters as `:name`, "postgres" (psycopg) as
            `%(name)s`.
        secret: What seals tokens; None seals against mistakes only.

    Raises:
        PageError: If there is no key, or a value is out of its range.
    """

    def __init__(
        self,
        select: str,
        keys: Sequence[Key | str],
        *,
        limit: int,
        dialect: Dialect = "sqlite",
        secret: bytes | None = None,
    ) -> None:
        if not keys:
            raise PageError("Keyset: got no keys, needed at least one column to order by")
        if limit < 1:
            raise PageError(f"Keyset: got limit={limit}, needed 1 or more")
        self._select = select.strip().rstrip(";")
        self._keys = tuple(Key(column=key) if isinstance(key, str) else key for key in keys)
        self._limit = limit
        self._dialect = dialect
        named = ",".join(f"{k.column}/{k.is_descending}/{k.nulls}" for k in self._keys)
        self._seal_key = (secret or b"") + hashlib.sha256(f"{named}\n{select}".encode()).digest()

    def page(
        self, connection: Any, token: str | None = None, parameters: Mapping[str, Any] | None = None
    ) -> Page:
        """Read a page.

        Args:
            connection: Of sqlite3 or psycopg; rows may be tuples or mappings by column.
            token: Of a page beside it; None is the first page.
            parameters: Those of the SELECT, by name.

        Raises:
            PageError: If the token is none of this Keyset's.
        """
        values, is_backward = (None, False) if token is None else self._opened(token)
        sql, extra = self.query(values, is_backward=is_backward)
        cursor = connection.execute(sql, {**(parameters or {}), **extra})
        columns = [column[0] for column in cursor.description]
        rows = list(cursor.fetchall())
        has_more = len(rows) > self._limit
        rows = rows[: self._limit]
        if is_backward:
            rows.reverse()
        before = has_more if is_backward else token is not None
        after = token is not None if is_backward else has_more
        return Page(
            rows=tuple(rows),
            next=self._token(rows[-1], columns, is_backward=False) if rows and after else None,
            previous=self._token(rows[0], columns, is_backward=True) if rows and before else None,
        )

    def query(
        self, after: Sequence[Any] | None = None, *, is_backward: bool = False
    ) -> tuple[str, dict[str, Any]]:
        """The statement of a page, with one row more than is shown, and its own parameters.

        Args:
            after: The keys of the row at the edge; None for the first page.
            is_backward: Whether the page before that row is meant; its rows come in reverse.
        """
        keys = [key.reversed() for key in self._keys] if is_backward else list(self._keys)
        order = ", ".join(self._ordered(key) for key in keys)
        where, parameters = "", {}
        if after is not None:
            if len(after) != len(keys):
                raise PageError(f"Keyset: got {len(after)} values, needed one a key, {len(keys)}")
            parameters = {f"after_{n}": value for n, value in enumerate(after)}
            where = f" WHERE {self._condition(keys, after)}"
        sql = (
            f"SELECT * FROM ({self._select}) AS page{where} ORDER BY {order} "  # noqa: S608 - theirs
            f"LIMIT {self._limit + 1}"
        )
        return sql, parameters

    def token_after(self, values: Sequence[Any]) -> str:
        """The token of the page that begins after a row with these keys.

        For those who put pages of several databases together.

        Raises:
            PageError: If there are not as many values as keys.
        """
        if len(values) != len(self._keys):
            raise PageError(
                f"Keyset: got {len(values)} values, needed one a key, {len(self._keys)}"
            )
        return self._sealed(values, is_backward=False)

    def _ordered(self, key: Key) -> str:
        way = " DESC" if key.is_descending else ""
        nulls = "" if key.nulls is None else f" NULLS {key.nulls.upper()}"
        return f"{_quoted(key.column)}{way}{nulls}"

    def _mark(self, number: int) -> str:
        return f":after_{number}" if self._dialect == "sqlite" else f"%(after_{number})s"

    def _condition(self, keys: Sequence[Key], after: Sequence[Any]) -> str:
        """That a row comes after the one with these keys."""
        if len({key.is_descending for key in keys}) == 1 and all(k.nulls is None for k in keys):
            # One comparison of rows, which an index serves as it stands.
            columns = ", ".join(_quoted(key.column) for key in keys)
            marks = ", ".join(map(self._mark, range(len(keys))))
            sign = "<" if keys[0].is_descending else ">"
            return f"({columns}) {sign} ({marks})"
        cases = []
        for last, key in enumerate(keys):
            equal = [self._equal(keys[n], n) for n in range(last)]
            cases.append(" AND ".join([*equal, self._beyond(key, last, after[last])]))
        return " OR ".join(f"({case})" for case in cases)

    def _equal(self, key: Key, number: int) -> str:
        same = "IS" if self._dialect == "sqlite" else "IS NOT DISTINCT FROM"
        return f"{_quoted(key.column)} {same} {self._mark(number)}"

    def _beyond(self, key: Key, number: int, value: Any) -> str:
        column = _quoted(key.column)
        if value is None:
            return f"{column} IS NOT NULL" if key.nulls == "first" else "1 = 0"
        sign = "<" if key.is_descending else ">"
        beyond = f"{column} {sign} {self._mark(number)}"
        return f"({beyond} OR {column} IS NULL)" if key.nulls == "last" else beyond

    def _token(self, row: Any, columns: Sequence[str], *, is_backward: bool) -> str:
        values = []
        for key in self._keys:
            if key.column not in columns:
                raise PageError(
                    f"Keyset: the key {key.column} is not in the result, which has "
                    f"{', '.join(columns)}; select it as well"
                )
            # Tuples and sqlite3.Row go by place; what psycopg's dict_row gives by name.
            at = key.column if isinstance(row, Mapping) else columns.index(key.column)
            values.append(row[at])
        return self._sealed(values, is_backward=is_backward)

    def _sealed(self, values: Sequence[Any], *, is_backward: bool) -> str:
        try:
            body = msgspec.json.encode([is_backward, [plain(value) for value in values]])
        except WorkloadError as error:
            raise PageError(f"Keyset: a key cannot be in a token: {error}") from error
        return urlsafe_b64encode(self._seal(body) + body).decode().rstrip("=")

    def _opened(self, token: str) -> tuple[tuple[Any, ...], bool]:
        try:
            data = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            seal, body = data[:_SEAL_SIZE], data[_SEAL_SIZE:]
            if not hmac.compare_digest(seal, self._seal(body)):
                raise PageError("Keyset: the token is not of these pages; begin at the first page")
            is_backward, values = msgspec.json.decode(body, type=tuple[bool, list[Any]])
            return tuple(restored(value) for value in values), is_backward
        except (ValueError, msgspec.DecodeError) as error:
            if isinstance(error, PageError):
                raise
            raise PageError("Keyset: the token is damaged; begin at the first page") from error

    def _seal(self, body: bytes) -> bytes:
        return hmac.digest(self._seal_key, body, "sha256")[:_SEAL_SIZE]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
