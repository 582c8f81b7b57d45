"""The verdict, what to do about it, and where every service level stands."""

from collections.abc import Iterator
from itertools import groupby
from textwrap import shorten

from tools.performance_report.amounts import amount_of, scale_of
from tools.performance_report.blocks import (
    Axis,
    Block,
    Code,
    Fact,
    Inline,
    Link,
    Mark,
    Range,
    Ranges,
    Section,
    State,
    Table,
    VerdictCard,
    said,
)
from tools.performance_report.material import Judged, Material, times_target, title_of
from tools.performance_report.stored import STORE, Level, Result

from groundspeed.load import SERVICE_LEVELS

__all__ = ["card", "level_limit", "service_levels", "test_command"]

_REASONS_MAX = 5
_REASON_MAX = 160  # the whole of it stands with the test
_STANDINGS: tuple[State, ...] = ("met", "missed", "critical", "undecided")
_ORDER: dict[str, int] = {"failed": 0, "undecided": 1, "warned": 2, "passed": 3}
_COUNTED: tuple[State, ...] = ("passed", "warned", "undecided", "failed")


def card(material: Material) -> VerdictCard:
    """What a reader should know first."""
    counts = _counts(material)
    state, word, sentence = _verdict(counts, len(material.roster))
    return VerdictCard(
        state=state,
        word=word,
        sentence=sentence,
        counts=tuple(counts.items()),
        reasons=tuple(_reasons(material)),
        commands=tuple(_next_commands(material)),
        facts=tuple(_facts(material)),
    )


def test_command(result: Result) -> str:
    """How to run one test again."""
    return f'pytest "{result.test}" -v'


def level_limit(level: Level, limit: float) -> str:
    """A limit with its sign and unit: `< 20.0 ms`."""
    sign = "<" if level.better == "lower" else ">"
    return f"{sign} {scale_of(level.unit, limit).text(limit)}"


def _counts(material: Material) -> dict[State, int]:
    verdicts: list[State] = [result.verdict for result in material.results]
    counts: dict[State, int] = {state: verdicts.count(state) for state in _COUNTED}
    return counts | {"not run": len(material.missing)}


def _verdict(counts: dict[State, int], tests: int) -> tuple[State, str, str]:
    """The first that holds: a failure blocks, what is not known is not passed."""
    if counts["failed"]:
        return (
            "failed",
            "BLOCK",
            f"{_tests(counts['failed'])} failed: do not release before they pass.",
        )
    open_ends = counts["undecided"] + counts["not run"]
    if open_ends:
        return (
            "undecided",
            "INCONCLUSIVE",
            _doubt(counts["undecided"], counts["not run"], tests),
        )
    if counts["warned"]:
        return "warned", "WARN", f"{_tests(counts['warned'])} missed a target; nothing is critical."
    return "passed", "PASS", "Every test of the suite passed."


def _doubt(undecided: int, missing: int, tests: int) -> str:
    parts = [
        f"{_tests(undecided)} could not decide" if undecided else "",
        f"{missing} of the suite's {tests} are not in this run" if missing else "",
    ]
    return f"No test failed, but {' and '.join(filter(None, parts))}: not all is known."


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def _reasons(material: Material) -> Iterator[tuple[Inline, ...]]:
    worst = sorted(material.results, key=lambda result: _ORDER[result.verdict])
    told = [result for result in worst if result.verdict != "passed"]
    for result in told[:_REASONS_MAX]:
        link = Link(text=title_of(result.fullname), target="#every-test")
        why = shorten(result.reason or "no reason was kept", _REASON_MAX, placeholder=" …")
        yield Mark(state=result.verdict), " ", link, f": {why}"
    if len(told) > _REASONS_MAX:
        more = Link(text="every test", target="#every-test")
        yield f"and {len(told) - _REASONS_MAX} more, see ", more


def _next_commands(material: Material) -> Iterator[str]:
    """What helps, the worst first; the same for the same verdicts."""
    failed = [result for result in material.results if result.verdict == "failed"]
    if failed:
        yield test_command(failed[0])
        yield "groundspeed check --suite pytest"
    undecided = [result for result in material.results if result.verdict == "undecided"]
    if undecided and not failed:
        yield test_command(undecided[0])
        yield "groundspeed doctor"
    if material.missing:
        yield STORE
    if material.baseline is None and not material.missing and not failed:
        yield "groundspeed check --suite pytest"


def _facts(material: Material) -> Iterator[Fact]:
    run = material.run
    yield Fact(name="Commit", words=(Code(run.commit.short),))
    yield Fact(name="Stored", words=(f"{run.at:%Y-%m-%d %H:%M} UTC, run ", Code(run.name)))
    cpus = "unknown CPUs" if run.machine.cpu.count is None else f"{run.machine.cpu.count} CPUs"
    yield Fact(name="Machine", words=(f"{cpus}, {run.machine.cpu.brand_raw}",))
    baseline = material.baseline
    if baseline is None:
        yield Fact(name="Baseline", words=(material.no_baseline,))
    else:
        words = (Code(baseline.commit.short), f" of {baseline.at:%Y-%m-%d}, run {baseline.name}")
        yield Fact(name="Baseline", words=words)


def service_levels(material: Material) -> Section:
    """Every level, how many tests were held to it, and where the worst of them stands."""
    judged = sorted(material.judged(), key=lambda one: one.level.title)
    grouped = {title: list(found) for title, found in groupby(judged, lambda j: j.level.title)}
    # The table's own levels first and always, then those that tests bring.
    titles = [level.name for level in SERVICE_LEVELS]
    titles += [title for title in grouped if title not in titles]
    blocks: list[Block] = [
        said(
            "A level is met where the whole interval is better than its target, missed where "
            "it lies between target and critical value, critical where it is no better than "
            "the critical value, and undecided where a limit lies within it."
        ),
        Table(
            caption="Service levels over all tests, each with its worst figure",
            heads=(
                "Level",
                "Tests",
                ">Worst figure",
                "Of test",
                ">Its target",
                ">Its critical value",
                "Stands",
            ),
            rows=tuple(_level_row(title, grouped.get(title, [])) for title in titles),
        ),
    ]
    rows = tuple(_position(title, worst(grouped[title])) for title in titles if title in grouped)
    if rows:
        title = "The worst figure of each level, as a multiple of its target"
        axis = Axis(title="times the target; beyond 1 it is worse", unit="times", kind="log")
        blocks.append(Ranges(title=title, axis=axis, rows=rows))
    return Section(title="Service levels", blocks=tuple(blocks))


def worst(judged: list[Judged]) -> Judged:
    """The one that stands worst; of equals the one with the least headroom."""
    return min(judged, key=lambda one: (*one.severity, one.result.fullname))


def _level_row(title: str, judged: list[Judged]) -> tuple[Inline, ...]:
    if not judged:
        known = next(level for level in SERVICE_LEVELS if level.name == title)
        level = Level(
            title=title,
            metric=known.metric,
            unit=known.unit,
            better=known.better,
            target=known.target,
            critical=known.critical,
            standing="undecided",
        )
        limits = (level_limit(level, level.target), level_limit(level, level.critical))
        return title, "none", "", "", *limits, Mark(state="not judged")
    shown = worst(judged)
    standings: list[State] = [one.level.standing for one in judged]
    return (
        title,
        ", ".join(f"{standings.count(s)} {s}" for s in _STANDINGS if s in standings),
        amount_of(shown.level.figure),
        title_of(shown.result.fullname),
        level_limit(shown.level, shown.level.target),
        level_limit(shown.level, shown.level.critical),
        Mark(state=shown.level.standing),
    )


def _position(title: str, judged: Judged) -> Range:
    level = judged.level
    value = times_target(level, level.value) if level.value is not None else 1.0
    ends = [
        times_target(level, end) if end is not None else value for end in (level.low, level.high)
    ]
    text = amount_of(level.figure).text
    return Range(
        name=title,
        value=value,
        low=min(ends),
        high=max(ends),
        text=text,
        target=1.0,
        critical=times_target(level, level.critical),
        state=level.standing,
    )
