"""Which service levels each test is held to, as a file that the owner of a service can read."""

import fnmatch
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from groundspeed.errors import UsageError
from groundspeed.load.service_levels import SERVICE_LEVELS, ServiceLevel, Unit, unit_of

__all__ = ["LevelTable", "read_levels"]

_NEEDED = ("metric", "target", "critical")

Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A `[[level]]` as it is written."""

    tests: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    like: str | None = None
    metric: Text | None = None
    target: float | None = None
    critical: float | None = None
    better: Literal["lower", "higher"] | None = None
    unit: Unit | None = None
    title: str | None = None
    in_turn: bool | None = None


class _Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: tuple[Any, ...] = ()


class LevelTable:
    """Which service levels each test is held to.

    Args:
        rows: Levels with the patterns of the tests they are for, such as
            `test_load.py::TestSmallScaleLoad::*`.
    """

    def __init__(self, rows: Iterable[tuple[ServiceLevel, tuple[str, ...]]] = ()) -> None:
        self.rows = tuple(rows)

    def of(self, node_id: str) -> tuple[ServiceLevel, ...]:
        """The levels of a test, in their order; its parameters make no difference."""
        name = node_id.partition("[")[0].rpartition("/")[2]
        return tuple(
            level
            for level, patterns in self.rows
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        )


def read_levels(path: Path) -> LevelTable:
    """Read a table of service levels, a TOML file of `[[level]]`.

    A level has `metric`, `target`, `critical`, `tests`, and may have `title`, `better` (`lower`,
    `higher`; told by the values without), `unit` (told by the metric without) and `in_turn`
    (`false` without); or it is `like` one of `groundspeed.load.SERVICE_LEVELS`, by its title, and
    says what differs.

    Raises:
        UsageError: If it cannot be read, or a level is not written so.
    """
    try:
        document = msgspec.toml.decode(path.read_bytes(), type=_Document)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"service levels: {path.name} cannot be read: {error}") from None
    return LevelTable(
        _level(row, f"{path.name}, level {n}") for n, row in enumerate(document.level, 1)
    )


def _level(written: Any, place: str) -> tuple[ServiceLevel, tuple[str, ...]]:
    try:
        row = msgspec.convert(written, _Row)
        return _meant(row), row.tests
    except (msgspec.ValidationError, UsageError) as error:
        fields = ", ".join(_Row.__struct_fields__)
        raise UsageError(f"{place}: {error}; a level has {fields}") from None


def _meant(row: _Row) -> ServiceLevel:
    written = {name: getattr(row, name) for name in ServiceLevel.__dataclass_fields__}
    given = {name: value for name, value in written.items() if value is not None}
    if row.like is not None:
        return replace(_named(row.like), **given)
    lacking = [name for name in _NEEDED if name not in given]
    if lacking:
        raise UsageError(f"got no {' and no '.join(lacking)}, needed {', '.join(_NEEDED)} or like")
    better = "lower" if given["target"] <= given["critical"] else "higher"
    return ServiceLevel(**{"better": better, "unit": unit_of(given["metric"]), **given})


def _named(title: str) -> ServiceLevel:
    known = {level.title: level for level in SERVICE_LEVELS}
    if title not in known:
        raise UsageError(f"got like = {title!r}, needed one of {', '.join(known)}")
    return known[title]
