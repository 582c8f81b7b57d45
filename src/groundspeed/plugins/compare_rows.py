"""What a test is compared by, and what one comparison found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any

import pytest

from groundspeed.measure.directions import direction_of, unit_of
from groundspeed.measure.inside.marker import read_marker
from groundspeed.measure.inside.scenario import flat_numbers
from groundspeed.model import Direction
from groundspeed.plugins.reference import Reference, around
from groundspeed.plugins.stored_runs import Baseline, StoredTest
from groundspeed.stats.stored_runs import (
    FIGURE_NOISE,
    TIME_NOISE,
    Reading,
    RunComparison,
    RunNoise,
    RunVerdict,
    compare_with_stored,
    interval_reading,
    machine_change,
    rounds_reading,
    suite_noise,
)

__all__ = ["TIME", "Found", "Row", "Rows", "Standing", "Thresholds", "judge", "rows_of"]

TIME = "time"
FALSE_ALARMS = 0.01  # of suites, whatever the number of their tests

_MARKER = "groundspeed"
# From run to run of a machine whose own speed then is not known.
_UNKNOWN_PACE = 0.15
_TIME_EFFECT = 0.10
_FIGURE_EFFECT = 0.20
# What a test of a performance suite keeps beside its figures.
_NO_FIGURES = ("verdict", "reason", "levels", "figures", "series", "load", "setting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The smallest changes worth a verdict, as shares.

    Attributes:
        time: Of a median time.
        figure: Of a percentile, a throughput or another figure that a scenario records.
    """

    time: float = _TIME_EFFECT
    figure: float = _FIGURE_EFFECT

    @classmethod
    def of(cls, stated: float | None) -> "Thresholds":
        """One for all where the user states one, else those of each kind."""
        return cls() if stated is None else cls(time=stated, figure=stated)


class Standing(StrEnum):
    """How a comparison ended."""

    SLOWER = "slower"
    UNDECIDED = "undecided"
    NOT_SLOWER = "not slower"
    FASTER = "faster"
    IGNORED = "ignored"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of one test.

    Attributes:
        nodeid: Of the test.
        metric: `time`, or the name of what a scenario records.
        unit: `s`, `bytes`, `per s`, ...
        direction: Which way is better.
        min_effect: The smallest change worth a verdict, a share.
        ignored: Why it takes no part, in the words of its marker; else empty.
        stored: What the stored runs hold of it, the newest first.
        tests: The test in those runs.
    """

    nodeid: str
    metric: str
    unit: str
    direction: Direction
    min_effect: float
    ignored: str
    stored: tuple[Reading, ...]
    tests: tuple[StoredTest, ...]

    @property
    def name(self) -> str:
        """The test, and the figure where it is not its time."""
        return self.nodeid if self.metric == TIME else f"{self.nodeid} {self.metric}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Everything that a run compares.

    Attributes:
        by_test: By node id.
        time_noise: What times differ by from run to run.
        figure_noise: What figures of scenarios do.
        other_machine: Why nothing of it is judged; else empty.
    """

    by_test: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    time_noise: RunNoise = TIME_NOISE
    figure_noise: RunNoise = FIGURE_NOISE
    other_machine: str = ""

    @property
    def nodeids(self) -> Sequence[str]:
        """The tests, in the order they run."""
        return list(self.by_test)

    @property
    def level(self) -> float:
        """Of each comparison, one-sided: all share what one suite may be wrong."""
        judged = sum(not row.ignored for rows in self.by_test.values() for row in rows)
        return FALSE_ALARMS / max(1, judged)

    def of(self, nodeid: str) -> Sequence[Row]:
        """Those of one test; none where no stored run holds it."""
        return self.by_test.get(nodeid, ())

    def noise_of(self, row: Row) -> RunNoise:
        """What a row's figure differs by from run to run."""
        return self.time_noise if row.metric == TIME else self.figure_noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one comparison found.

    Attributes:
        row: What was compared.
        standing: How it ended.
        comparison: The numbers; None where there are none to compare.
        reason: Why it was not judged or remains open, where more is to say than the numbers do.
    """

    row: Row
    standing: Standing
    comparison: RunComparison | None = None
    reason: str = ""


def rows_of(
    items: Iterable[pytest.Item], baseline: Baseline, thresholds: Thresholds, *, today: date
) -> Rows:
    """What the collected tests are compared by, as far as the stored runs hold them."""
    by_test: dict[str, list[Row]] = {}
    for item in items:
        stored = tuple(baseline.tests(item.nodeid))
        if stored:
            by_test[item.nodeid] = _rows(item, stored, thresholds, today)
    rows = [row for rows in by_test.values() for row in rows]
    times = [row.stored for row in rows if row.metric == TIME]
    figures = [row.stored for row in rows if row.metric != TIME]
    return Rows(
        by_test=by_test,
        time_noise=suite_noise(times, TIME_NOISE),
        figure_noise=suite_noise(figures, FIGURE_NOISE),
        other_machine=baseline.other_machine,
    )


def judge(row: Row, rows: Rows, bench: Any, reference: Reference) -> Found:
    """Compare one figure of a test that has just run.

    Args:
        row: The figure.
        rows: All of the run, which share a level.
        bench: What pytest-benchmark keeps of the test.
        reference: How fast the machine was around the tests so far.
    """
    now = bench.as_dict(include_data=False)
    reason = _other_conditions(row.tests[0], now)
    reading = _reading(now["stats"], now["extra_info"], row.metric)
    if reading is None or not row.stored:
        said = "a ratio needs numbers above 0 on both sides"
        return Found(row=row, standing=Standing.NOT_JUDGED, reason=reason or said)
    pace = _pace(row, reference)
    expected = rows.noise_of(row)
    least = max(expected.deviation, reference.deviation, 0.0 if pace else _UNKNOWN_PACE)
    comparison = compare_with_stored(
        row.stored,
        reading,
        noise=RunNoise(deviation=least, df=expected.df),
        machine=pace or 0.0,
        level=rows.level,
        min_effect=row.min_effect,
        more_is_better=row.direction == "higher",
    )
    reason = row.ignored or (rows.other_machine and "another machine") or reason
    if reason:
        standing = Standing.IGNORED if row.ignored else Standing.NOT_JUDGED
        return Found(row=row, standing=standing, comparison=comparison, reason=reason)
    return Found(row=row, standing=_STANDINGS[comparison.verdict], comparison=comparison)


def _pace(row: Row, reference: Reference) -> float | None:
    """How much faster or slower the machine itself was; None where a side did not say."""
    now = reference.around.get(row.nodeid)
    stored = [around(test.groundspeed) for test in row.tests]
    then = [pair for pair in stored if pair is not None]
    return machine_change(then, now) if now is not None and len(then) == len(stored) else None


_STANDINGS = {
    RunVerdict.SLOWER: Standing.SLOWER,
    RunVerdict.FASTER: Standing.FASTER,
    RunVerdict.NOT_SLOWER: Standing.NOT_SLOWER,
    RunVerdict.UNDECIDED: Standing.UNDECIDED,
}


def _rows(
    item: pytest.Item, stored: tuple[StoredTest, ...], thresholds: Thresholds, today: date
) -> list[Row]:
    marks = [(mark.args, mark.kwargs) for mark in item.iter_markers(_MARKER)]
    said = read_marker(item.nodeid, marks)
    ignored = said.get("ignore") and date.fromisoformat(said["until"]) >= today
    usual = {TIME: thresholds.time}
    return [
        Row(
            nodeid=item.nodeid,
            metric=metric,
            unit="s" if metric == TIME else _unit(stored[0], metric),
            direction=direction,
            min_effect=said.get("min_effect", usual.get(metric, thresholds.figure)),
            ignored=said["reason"] if ignored else "",
            stored=tuple(r for r in (_stored(test, metric) for test in stored) if r is not None),
            tests=stored,
        )
        for metric, direction in _metrics(said, stored[0]).items()
    ]


def _metrics(said: Mapping[str, Any], stored: StoredTest) -> dict[str, Direction]:
    """What a test is compared by; of a scenario what it names, else what says its own direction."""
    if not said.get("scenario"):
        return {TIME: "lower"}
    if "metrics" in said:
        return dict(said["metrics"])
    directions = {
        name: said.get("direction") or direction_of(name) for name in _figures(stored.extra_info)
    }
    return {name: way for name, way in directions.items() if way} or {TIME: "lower"}


def _figures(extra_info: Mapping[str, Any]) -> dict[str, float]:
    kept = {name: value for name, value in extra_info.items() if name not in _NO_FIGURES}
    return flat_numbers(kept)


def _stored(test: StoredTest, metric: str) -> Reading | None:
    summary = {
        "median": test.stats.median,
        "iqr": test.stats.iqr,
        "rounds": test.stats.rounds,
    }
    return _reading(summary, test.extra_info, metric)


def _reading(
    stats: Mapping[str, Any], extra_info: Mapping[str, Any], metric: str
) -> Reading | None:
    try:
        if metric == TIME:
            return rounds_reading(stats["median"], iqr=stats["iqr"], rounds=stats["rounds"])
        value = _figures(extra_info).get(metric, 0.0)
        return interval_reading(value, *_ends(extra_info, metric))
    except ValueError:  # 0, or no number at all: nothing that a ratio can be made of
        return None


def _ends(extra_info: Mapping[str, Any], metric: str) -> tuple[float | None, float | None]:
    figure = _figure(extra_info, metric)
    ends = flat_numbers({"low": figure.get("low"), "high": figure.get("high")})
    return ends.get("low"), ends.get("high")


def _unit(test: StoredTest, metric: str) -> str:
    unit = _figure(test.extra_info, metric).get("unit")
    return unit if isinstance(unit, str) and unit else unit_of(metric)


def _figure(extra_info: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    figures = extra_info.get("figures")
    figure = figures.get(metric) if isinstance(figures, Mapping) else None
    return figure if isinstance(figure, Mapping) else {}


def _other_conditions(then: StoredTest, now: Mapping[str, Any]) -> str:
    """What was different by intention: the clock, the collector, what the test was set up with."""
    sides = [
        {**_mapping(options, ("timer", "disable_gc")), **_mapping(extra.get("setting"), None)}
        for options, extra in (
            (then.options, then.extra_info),
            (now["options"], now["extra_info"]),
        )
    ]
    names = [n for n in {**sides[0], **sides[1]} if sides[0].get(n) != sides[1].get(n)]
    changes = [f"{name} was {sides[0].get(name)}, is {sides[1].get(name)}" for name in names]
    return f"another setting: {', '.join(changes)}" if changes else ""


def _mapping(value: Any, names: Sequence[str] | None) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    return {name: value[name] for name in value if names is None or name in names}
