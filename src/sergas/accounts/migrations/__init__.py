"""The steps that make the tables, each a file of SQL for both databases or for one.

`0001_tables.sqlite.sql` is the first step on SQLite; a file without a database's name is for both.
What is written here is never changed again: a new step is a new number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from sergas.errors import SchemaVersionError

__all__ = ["Step", "pending", "statements", "steps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: its number from 1, its name and its SQL."""

    number: int
    name: str
    sql: str


def steps(database: Literal["sqlite", "postgres"]) -> tuple[Step, ...]:
    """All steps of a database, in order."""
    found = []
    for file in resources.files(__name__).iterdir():
        stem, *kinds = file.name.removesuffix(".sql").split(".")
        if file.name.endswith(".sql") and (not kinds or kinds == [database]):
            number, _, name = stem.partition("_")
            found.append(Step(number=int(number), name=name, sql=file.read_text(encoding="utf-8")))
    return tuple(sorted(found, key=lambda step: step.number))


def pending(known: Sequence[Step], version: int) -> tuple[Step, ...]:
    """The steps that a database of this version lacks.

    Raises:
        SchemaVersionError: If the version is newer than the last step.
    """
    last = known[-1].number
    if version > last:
        raise SchemaVersionError(
            f"store: the tables have version {version}, this program knows up to {last}; "
            "run a newer sergas, or name another database"
        )
    return tuple(step for step in known if step.number > version)


def statements(sql: str) -> list[str]:
    """The statements of a step; a trigger with its body is one."""
    from sqlite3 import complete_statement

    found, part = [], ""
    for line in sql.splitlines(keepends=True):
        if not part.strip() and line.lstrip().startswith("--"):
            continue
        part += line
        if complete_statement(part):
            found.append(part.strip())
            part = ""
    return found
