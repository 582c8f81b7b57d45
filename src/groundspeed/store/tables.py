"""Tables of a TOML file, read with their keys and types checked.

Every complaint names the file, the table and the key, what was there and what is needed.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from groundspeed.errors import UsageError

__all__ = ["Table", "read_toml"]


def read_toml(path: Path, content: bytes) -> dict[str, Any]:
    """The whole of a TOML file.

    Raises:
        UsageError: If it is not UTF-8 or not TOML.
    """
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}; mend it and try again") from error


@dataclass(frozen=True, slots=True)
class Table:
    """One table; `place` says which, for messages: `pyproject.toml: [tool.groundspeed]`."""

    place: str
    values: Mapping[str, Any]

    def check_keys(self, known: Sequence[str]) -> None:
        """Refuse a key that means nothing, for it is most likely a slip of the pen.

        Raises:
            UsageError: If there is one.
        """
        for key in self.values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                raise UsageError(f"{self.place}: unknown key {key!r}; {hint}")

    def text(self, key: str) -> str:
        """A text with something in it.

        Raises:
            UsageError: If it is missing, empty or something else.
        """
        value = self._required(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "a text in quotes that is not empty")
        return value

    def flag(self, key: str) -> bool:
        """True or false.

        Raises:
            UsageError: If it is missing or something else.
        """
        value = self._required(key)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false, without quotes")
        return value

    def number(self, key: str, need: str) -> float:
        """A number; `need` says which ones make sense.

        Raises:
            UsageError: If it is missing or something else.
        """
        value = self._required(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, need)
        return float(value)

    def day(self, key: str) -> date:
        """A day.

        Raises:
            UsageError: If it is missing or something else, a time of day included.
        """
        value = self._required(key)
        if isinstance(value, datetime) or not isinstance(value, date):
            raise self.wrong(key, "a day without quotes, such as 2027-01-31")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of texts with something in each; none where the key is missing.

        Raises:
            UsageError: If it is something else.
        """
        values = self.values.get(key, [])
        if isinstance(values, list) and all(isinstance(v, str) and v.strip() for v in values):
            return tuple(values)
        raise self.wrong(key, 'an array of texts, such as ["test"]')

    def tables(self, key: str) -> list["Table"]:
        """The tables of an array of tables; none where the key is missing.

        Raises:
            UsageError: If it is something else.
        """
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.wrong(key, "an array of tables")
        return [
            Table(f"{self.place} {key}, number {number}", value)
            for number, value in enumerate(values, start=1)
        ]

    def wrong(self, key: str, need: str) -> UsageError:
        """The complaint about a value: what it is and what is needed."""
        return UsageError(f"{self.place}: {key} is {_shown(self.values[key])}; it must be {need}")

    def _required(self, key: str) -> Any:
        if key not in self.values:
            raise UsageError(f"{self.place}: {key} is missing; add it")
        return self.values[key]


def _shown(value: Any) -> str:
    """A value as TOML writes it, or what it is where that would be long."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return repr(value)
        case list():
            return "an array"
        case dict():
            return "a table"
        case _:
            return str(value)
