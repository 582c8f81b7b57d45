"""What the two databases say differently: parameters, times, JSON and lists."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

__all__ = ["POSTGRES", "SQLITE", "Dialect"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NAMED = re.compile(r"(?<!:):([a-z_]\w*)")


class Dialect(Protocol):
    """How a database is spoken to.

    Attributes:
        name: As the query optimizer calls it.
        one_of: A condition that a column is in the list parameter `ids`.
        list_of: That parameter's value.
        lock: What follows a SELECT whose rows are about to be changed.
        days: The days between two columns.
    """

    name: Literal["sqlite", "postgres"]
    one_of: str
    lock: str
    days: str

    def sql(self, text: str) -> str:
        """A statement whose parameters are `:name`, in the driver's way."""
        ...

    def list_of(self, values: list[str]) -> object:
        """The parameter for `one_of`."""
        ...

    def time(self, value: datetime | None) -> object:
        """A time as a parameter."""
        ...

    def when(self, value: Any) -> datetime | None:
        """A time from a row, or from JSON that the database made."""
        ...

    def parsed(self, value: Any) -> Any:
        """A JSON column's value."""
        ...

    def filled(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        """Rows whose times are microseconds, as the database takes them."""
        ...


class _Sqlite:
    name: Literal["sqlite", "postgres"] = "sqlite"
    one_of = "IN (SELECT value FROM json_each(:ids))"
    lock = ""
    days = "({end} - {start}) / 86400e6"

    def sql(self, text: str) -> str:
        return text

    def list_of(self, values: list[str]) -> object:
        return msgspec.json.encode(values).decode()

    def time(self, value: datetime | None) -> object:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def when(self, value: Any) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)

    def parsed(self, value: Any) -> Any:
        return msgspec.json.decode(value)

    def filled(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        del columns  # they are microseconds here as well
        return rows


class _Postgres:
    name: Literal["sqlite", "postgres"] = "postgres"
    one_of = "= ANY(:ids)"
    lock = " FOR UPDATE"
    days = "extract(epoch FROM {end} - {start}) / 86400.0"

    def sql(self, text: str) -> str:
        return _NAMED.sub(r"%(\1)s", text.replace("%", "%%"))

    def list_of(self, values: list[str]) -> object:
        return values

    def time(self, value: datetime | None) -> object:
        return value

    def when(self, value: Any) -> datetime | None:
        if isinstance(value, str):
            return datetime.fromisoformat(value).astimezone(UTC)
        when: datetime | None = value
        return when

    def parsed(self, value: Any) -> Any:
        return value

    def filled(
        self, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterable[Sequence[Any]]:
        places = [place for place, column in enumerate(columns) if column.endswith("_at")]
        for row in rows:
            values = list(row)
            for place in places:
                if values[place] is not None:
                    values[place] = _EPOCH + timedelta(microseconds=values[place])
            yield values


SQLITE: Dialect = _Sqlite()
POSTGRES: Dialect = _Postgres()
