"""What a project says of its rows: `[tool.groundspeed]` of a pyproject.toml, and pytest markers."""

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, get_args

from groundspeed.errors import UsageError
from groundspeed.model import Direction, Ignored
from groundspeed.store.tables import Table, read_toml
from groundspeed.units import parse_share

__all__ = [
    "KEYS",
    "METRICS",
    "NO_RULES",
    "RULE_KEYS",
    "SUITES",
    "RowRule",
    "Rules",
    "find_rules",
    "parse_rules",
]

KEYS = ("min-effect", "false-alarms", "budget", "test-groups", "rules")
RULE_KEYS = ("match", "suite", "min-effect", "direction", "metric", "ignore", "reason", "until")

SUITES = ("asv", "pytest")
"""Whose rows a rule can be for."""

METRICS = ("time", "clean", "wall", "cpu", "allocations")
"""What a rule can have compared of a timed row; `clean` is another word for `time`."""

_FILE = "pyproject.toml"
_HEAD = "[tool.groundspeed]"
_SHARE = 'a share above 0 and below 1 such as "1%" or 0.01'


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """One of `[[tool.groundspeed.rules]]`.

    Attributes:
        match: Regular expression; it holds for rows whose label it matches somewhere.
        suite: Whose rows those are, one of `SUITES`; None: whichever is measured.
        min_effect: The smallest change worth reporting of them, as ratio - 1; None: not said.
        direction: Which way is better of their values; None: not said.
        metric: What to compare of them where they are times, one of `METRICS`; None: not said.
        ignore: Whether they take no part in the verdict; None: not said.
        reason: Why they are ignored; empty unless they are.
        until: The last day they are ignored; None unless they are.
    """

    match: str
    suite: str | None = None
    min_effect: float | None = None
    direction: Direction | None = None
    metric: str | None = None
    ignore: bool | None = None
    reason: str = ""
    until: date | None = None

    def holds_for(self, label: str) -> bool:
        """Whether the row is one of those meant."""
        return re.search(self.match, label) is not None

    def expired(self, today: date) -> bool:
        """Whether its day is over, so that it ignores nothing any more."""
        return self.until is not None and self.until < today


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The whole table. Of several rules that say something of a row, the last holds.

    Attributes:
        place: Where it is written, for messages.
        min_effect: Default of `--min-effect`; None: not said.
        false_alarms: Default of `--false-alarms`.
        budget_s: Default of `--budget`.
        test_groups: Dependency groups or extras that the project's tests need in a built
            environment, beside pytest and pytest-benchmark.
        rows: The rules, in their order.
        marked: What markers say, by label; every rule that says the same thing wins over it.
    """

    place: str
    min_effect: float | None = None
    false_alarms: float | None = None
    budget_s: float | None = None
    test_groups: tuple[str, ...] = ()
    rows: tuple[RowRule, ...] = ()
    marked: Mapping[str, RowRule] = field(default_factory=dict)

    def for_suite(self, suite: str) -> "Rules":
        """These without the rules for rows of another suite."""
        rows = tuple(rule for rule in self.rows if rule.suite in {None, suite})
        return replace(self, rows=rows)

    def with_markers(self, markers: Mapping[str, Mapping[str, Any]]) -> "Rules":
        """These rules, and what the markers of tests say where no rule does.

        Args:
            markers: What each says, by the test's label, as `measure.inside.marker` has checked it.
                It holds for all that the test records; `metrics` names quantities one by one.
        """
        marked = {
            name: rule for label, said in markers.items() for name, rule in _marked(label, said)
        }
        return replace(self, marked=marked)

    def min_effects(self, labels: Sequence[str]) -> dict[str, float]:
        """The minimum effects of those rows that have one of their own."""
        return self._last(labels, "min_effect")

    def directions(self, labels: Sequence[str]) -> dict[str, Direction]:
        """Which way is better of those rows of which it was said."""
        return self._last(labels, "direction")

    def metrics(self, labels: Sequence[str]) -> dict[str, str]:
        """What to compare of those rows that have a metric of their own, one of `METRICS`."""
        return self._last(labels, "metric")

    def ignored(self, label: str, today: date) -> Ignored | None:
        """Why the row takes no part in the verdict; None where it does."""
        said = [
            rule
            for rule in self._that_hold_for(label)
            if rule.ignore is not None and not rule.expired(today)
        ]
        if not said or not said[-1].ignore:
            return None
        return Ignored(reason=said[-1].reason, until=str(said[-1].until))

    def unused(self, labels: Sequence[str]) -> tuple[str, ...]:
        """A sentence for each rule that matches none of the rows."""
        return tuple(
            f"{self.place}: the rule for {rule.match!r} matches no row of the suite; "
            "mend its match or remove it"
            for rule in self.rows
            if not any(rule.holds_for(label) for label in labels)
        )

    def expired(self, today: date) -> tuple[str, ...]:
        """A sentence for each rule and each marker whose day is over."""
        rules = (
            f"{self.place}: the rule that ignored {rule.match!r} ended on {rule.until}, so its "
            "rows count again; give it a new day and reason, or remove it"
            for rule in self.rows
            if rule.expired(today)
        )
        markers = (
            f"{label}: its marker ignored it until {rule.until}, so it counts again; give it a new "
            "day and reason, or remove ignore=True"
            for label, rule in self.marked.items()
            if rule.expired(today)
        )
        return (*rules, *markers)

    def _last(self, labels: Sequence[str], name: str) -> dict[str, Any]:
        return {
            label: value
            for label in labels
            for rule in self._that_hold_for(label)
            if (value := getattr(rule, name)) is not None
        }

    def _that_hold_for(self, label: str) -> Iterator[RowRule]:
        """Those that say something of a row, each outweighed by the ones after it."""
        yield from self._marked_for(label)
        yield from (rule for rule in self.rows if rule.holds_for(label))

    def _marked_for(self, label: str) -> Iterator[RowRule]:
        """The markers of the test and of the quantity, which a space parts in the label."""
        if self.marked:
            ends = [match.start() for match in re.finditer(" ", label)]
            starts = (label[:end] for end in (*ends, len(label)))
            yield from (self.marked[start] for start in starts if start in self.marked)


def _marked(label: str, said: Mapping[str, Any]) -> Iterator[tuple[str, RowRule]]:
    """The labels that a marker speaks of, with what it says of each."""
    until = said.get("until")
    yield (
        label,
        RowRule(
            match=re.escape(label),
            min_effect=said.get("min_effect"),
            direction=said.get("direction"),
            metric=said.get("metric"),
            ignore=said.get("ignore"),
            reason=said.get("reason", ""),
            until=None if until is None else date.fromisoformat(until),
        ),
    )
    for name, direction in said.get("metrics", {}).items():
        quantity = f"{label} {name}"
        yield quantity, RowRule(match=re.escape(quantity), direction=direction)


NO_RULES = Rules(place=_FILE)


def find_rules(start: Path, root: Path) -> Rules:
    """The rules that serve the folder `start`: of the nearest file up to `root` that has some.

    A pyproject.toml that does not name groundspeed anywhere is not parsed: what is wrong with such
    a file is for the build to say.

    Raises:
        UsageError: If the table cannot be read or is not what it must be.
    """
    for folder in (start, *start.parents):
        path = folder / _FILE
        if path.is_file() and (rules := _read_rules(path)) is not None:
            return rules
        if folder in (root, root.resolve()):
            break
    return NO_RULES


def _read_rules(path: Path) -> Rules | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; mend that") from error
    if b"groundspeed" not in content:
        return None
    tool = read_toml(path, content).get("tool", {})
    if not isinstance(tool, dict) or "groundspeed" not in tool:
        return None
    if not isinstance(tool["groundspeed"], dict):
        raise UsageError(f"{path}: tool.groundspeed must be a table, {_HEAD}")
    return parse_rules(tool["groundspeed"], place=f"{path}: {_HEAD}")


def parse_rules(values: Mapping[str, Any], *, place: str) -> Rules:
    """The rules that the table `[tool.groundspeed]` holds.

    Args:
        values: The table as tomllib gives it.
        place: Where it is written, for messages.

    Raises:
        UsageError: If a key is unknown or a value is not what it must be.
    """
    table = Table(place, values)
    table.check_keys(KEYS)
    return Rules(
        place=place,
        min_effect=_share(table, "min-effect"),
        false_alarms=_false_alarms(table),
        budget_s=_budget_s(table),
        test_groups=table.texts("test-groups"),
        rows=tuple(map(_row_rule, table.tables("rules"))),
    )


def _share(table: Table, key: str) -> float | None:
    if key not in table.values:
        return None
    value = table.values[key]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise table.wrong(key, _SHARE)
    try:
        return parse_share(str(value))
    except ValueError:
        raise table.wrong(key, _SHARE) from None


def _false_alarms(table: Table) -> float | None:
    share = _share(table, "false-alarms")
    if share is not None and share >= 0.5:  # noqa: PLR2004 - a coin would do as well
        raise table.wrong("false-alarms", 'a share below one half such as "1%"')
    return share


def _budget_s(table: Table) -> float | None:
    need = "a number of seconds above 0"
    if "budget" not in table.values:
        return None
    seconds = table.number("budget", need)
    if not 0 < seconds < math.inf:
        raise table.wrong("budget", need)
    return seconds


def _row_rule(table: Table) -> RowRule:
    table.check_keys(RULE_KEYS)
    ignore = table.flag("ignore") if "ignore" in table.values else None
    min_effect = _share(table, "min-effect")
    direction = _choice(table, "direction", get_args(Direction))
    metric = _choice(table, "metric", METRICS)
    if all(said is None for said in (ignore, min_effect, direction, metric)):
        raise UsageError(
            f"{table.place}: does nothing; give it min-effect, direction, metric, or ignore = true"
        )
    for key in _without_ignore(table, ignore=bool(ignore)):
        raise UsageError(
            f"{table.place}: {key} says why or how long a row is ignored; "
            "add ignore = true, or remove it"
        )
    return RowRule(
        match=_expression(table),
        suite=_choice(table, "suite", SUITES),
        min_effect=min_effect,
        direction=direction,
        metric=metric,
        ignore=ignore,
        reason=table.text("reason") if ignore else "",
        until=table.day("until") if ignore else None,
    )


def _choice(table: Table, key: str, allowed: Sequence[str]) -> Any:
    """One of the words; None where the key is missing."""
    if key not in table.values:
        return None
    value = table.values[key]
    if value in allowed:
        return value
    near = difflib.get_close_matches(str(value), allowed, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise table.wrong(key, f"one of {', '.join(allowed)}{hint}")


def _without_ignore(table: Table, *, ignore: bool) -> Iterator[str]:
    return (key for key in ("reason", "until") if key in table.values and not ignore)


def _expression(table: Table) -> str:
    text = table.text("match")
    try:
        re.compile(text)
    except re.error as error:
        raise table.wrong("match", f"a regular expression, but {error}") from error
    return text
