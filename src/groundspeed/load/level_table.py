"""Which service levels each test is held to, as a file that the owner of a service can read."""

import fnmatch
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from groundspeed.errors import UsageError
from groundspeed.load.service_levels import SERVICE_LEVELS, ServiceLevel

__all__ = ["LevelTable", "read_levels"]

_FIELDS = {"title", "like", "metric", "target", "critical", "better", "unit", "tests"}


class LevelTable:
    """Which service levels each test is held to.

    Args:
        rows: Levels with the patterns of the tests they are for, such as
            `test_load.py::TestSmallScaleLoad::*`.
    """

    def __init__(self, rows: Iterable[tuple[ServiceLevel, tuple[str, ...]]] = ()) -> None:
        self.rows = tuple(rows)

    def of(self, node_id: str) -> tuple[ServiceLevel, ...]:
        """The levels of a test, in their order."""
        name = node_id.rpartition("/")[2].partition("[")[0]
        return tuple(
            level
            for level, patterns in self.rows
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        )


def read_levels(path: Path) -> LevelTable:
    """Read a table of service levels, a TOML file of `[[level]]`.

    A level has `metric`, `target`, `critical`, `tests`, and may have `title`, `better` (`lower`,
    `higher`) and `unit`; or it is `like` one of `groundspeed.load.SERVICE_LEVELS`, by its title,
    and says what differs.

    Raises:
        UsageError: If it cannot be read, or a level is not written so.
    """
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"service levels: {path.name} cannot be read: {error}") from None
    rows = document.get("level", [])
    return LevelTable(_row(row, f"{path.name}, level {n}") for n, row in enumerate(rows, 1))


def _row(row: Mapping[str, Any], place: str) -> tuple[ServiceLevel, tuple[str, ...]]:
    fields = dict(row)
    unknown = sorted(fields.keys() - _FIELDS)
    if unknown:
        raise UsageError(f"{place}: got {unknown[0]!r}, needed only {', '.join(sorted(_FIELDS))}")
    tests, like = fields.pop("tests", ()), fields.pop("like", None)
    try:
        level = ServiceLevel(**fields) if like is None else replace(_named(like, place), **fields)
    except TypeError:
        raise UsageError(
            f"{place}: got {', '.join(sorted(row))}, needed metric, target, critical and tests, or"
            " like and tests"
        ) from None
    return level, tuple(tests)


def _named(title: str, place: str) -> ServiceLevel:
    known = {level.title: level for level in SERVICE_LEVELS}
    if title not in known:
        raise UsageError(f"{place}: got like = {title!r}, needed one of {', '.join(known)}")
    return known[title]
