"""The charts of the page that says how sure a verdict is: pure functions of the findings."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median
from types import MappingProxyType

from tools.evaluation.charts import (
    Bar,
    BarGroup,
    Line,
    Panel,
    Point,
    Style,
    bar_chart,
    line_chart,
)
from tools.evaluation.pools import IDENTICAL, Condition, Findings, Pool
from tools.evaluation.reading import rules_of
from tools.evaluation.records import TOOLS
from tools.evaluation.tally import Score, wilson

__all__ = ["charts_of"]

_COLOURS = ("blue", "teal", "orange", "purple")
_DASHES = ("", "7 3", "2 3")
_STYLES: Mapping[str, Style] = MappingProxyType(
    {
        rule: Style(colour=colour, dashes=dashes)
        for tool, colour in zip(TOOLS, _COLOURS, strict=True)
        for rule, dashes in zip(rules_of(tool), _DASHES, strict=False)
    }
)
_STEPS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200)
_MOST_TICKS = 8


def charts_of(findings: Findings) -> dict[str, str]:
    """Name -> SVG text of every chart that there are runs for."""
    drawn = {"alarms": _alarms(findings), "power": _power(findings), "wall": _wall(findings)}
    return {name: text for name, text in drawn.items() if text is not None}


def _power(findings: Findings) -> str | None:
    cases = findings.slowdowns

    def line(pool: Pool, rule: str) -> Line:
        points = tuple(_found(pool.score(rule, case)) for case in cases)
        return Line(name=rule, style=_STYLES[rule], points=points)

    def lines(condition: Condition) -> Iterator[Line]:
        for pool, rule in findings.ruled(condition):
            drawn = line(pool, rule)
            if any(drawn.points):
                yield drawn

    panels = [
        Panel(title=condition.name, lines=tuple(lines(condition)))
        for condition in findings.conditions
    ]
    title = "Truly slower rows that were called slower, by true slowdown"
    return line_chart(title, [case.title for case in cases], panels) if cases else None


def _found(score: Score) -> Point | None:
    if not score.to_find:
        return None
    low, high = wilson(score.found, score.to_find)
    return Point(value=score.found / score.to_find, low=low, high=high)


def _alarms(findings: Findings) -> str | None:
    def bar(pool: Pool, rule: str) -> Bar | None:
        score = pool.score(rule, IDENTICAL)
        if not score.runs:
            return None
        low, high = wilson(score.alarms, score.runs)
        return Bar(
            name=pool.condition.name,
            value=score.alarms / score.runs,
            low=low,
            high=high,
            text=f"{score.alarms}/{score.runs}",
        )

    rules = ((rule, _bars(findings, rule, bar)) for _, rule in findings.rules)
    groups = _groups((rule, rule, bars) for rule, bars in rules)
    ticks = [(percent / 100, f"{percent} %") for percent in (0, 25, 50, 75, 100)]
    title = "Checks of identical code that called something slower"
    return bar_chart(title, groups, most=1.0, ticks=ticks) if groups else None


def _wall(findings: Findings) -> str | None:
    def bar(pool: Pool, _: str) -> Bar | None:
        spent_s = pool.spent(lambda run: run.wall_s)
        if not spent_s:
            return None
        middle_s = median(spent_s)
        return Bar(
            name=pool.condition.name,
            value=middle_s,
            low=min(spent_s),
            high=max(spent_s),
            text=f"{middle_s:.0f} s",
        )

    first = ((tool, rules_of(tool)[0]) for tool in findings.tools)
    groups = _groups((tool, rule, _bars(findings, rule, bar)) for tool, rule in first)
    if not groups:
        return None
    most_s = max(bar.high for group in groups for bar in group.bars)
    step_s = next((s for s in _STEPS_S if most_s <= _MOST_TICKS * s), _STEPS_S[-1])
    ticks = [(float(s), f"{s} s") for s in range(0, int(most_s) + 1, step_s)]
    title = "Wall time of one verdict: median, least and greatest"
    return bar_chart(title, groups, most=most_s, ticks=ticks)


def _bars(findings: Findings, rule: str, bar: Callable[[Pool, str], Bar | None]) -> tuple[Bar, ...]:
    """The bars of one rule, a condition each."""
    pools = (pool for pool, ruled in findings.everywhere() if ruled == rule)
    return tuple(drawn for pool in pools if (drawn := bar(pool, rule)) is not None)


def _groups(named: Iterable[tuple[str, str, tuple[Bar, ...]]]) -> list[BarGroup]:
    return [
        BarGroup(name=name, style=_STYLES[rule], bars=bars) for name, rule, bars in named if bars
    ]
