"""What changed since the baseline, figure by figure."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tools.performance_report.amounts import Amount, amount_of, words
from tools.performance_report.blocks import (
    Axis,
    Block,
    Commands,
    Mark,
    Range,
    Ranges,
    Section,
    State,
    Table,
    said,
)
from tools.performance_report.material import Material, runs_with, title_of
from tools.performance_report.ratios import Ratio, between_runs, figure_of_ratio, mean_of, ratio_of
from tools.performance_report.stored import Figure, Result, StoredRun

from groundspeed.load.compare import WORSE_RATIO

__all__ = ["Change", "changes", "compared", "judge"]

_ROWS_MAX = 24
_HIGHER = ("throughput", "hit_rate", "efficiency", "speedup", "per_s")
_LOWER = ("error_rate", "latency", "cpu", "wait", "gap")
_STATES: tuple[State, ...] = (
    "worse",
    "looks worse",
    "undecided",
    "better",
    "looks better",
    "not worse",
    "looks alike",
    "not judged",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One figure in both runs.

    Attributes:
        test: Its title.
        metric: Its name for people.
        base: In the baseline; of several runs their geometric mean.
        now: In this run.
        ratio: How many times worse it is, with its interval; of what has no better, now / base.
        state: Worse, better, not worse, undecided, or not judged.
        runs: Runs of the baseline and of this code that the interval is made from.
    """

    test: str
    metric: str
    base: Figure
    now: Figure
    ratio: Ratio | None
    state: State
    runs: tuple[int, int]


def compared(material: Material) -> Section:
    """The comparison; one line where there is nothing to compare with."""
    title = "Compared with the baseline"
    baseline = material.baseline
    if baseline is None:
        note = said(f"Not compared: {material.no_baseline}.")
        return Section(title=title, blocks=(note,))
    found = changes(material)
    if not found:
        note = said("The two runs have no figure in common that says something of the code.")
        return Section(title=title, blocks=(note,))
    return Section(title=title, blocks=tuple(_blocks(baseline, found)))


def _blocks(baseline: StoredRun, found: Sequence[Change]) -> Iterator[Block]:
    states = [change.state for change in found]
    counted = ", ".join(f"{states.count(state)} {state}" for state in _STATES if state in states)
    allowed = f"{WORSE_RATIO:.2f}x"
    yield said(
        f"Against run {baseline.name} of commit {baseline.commit.short}: {counted}. The ratio "
        f"says how many times worse a figure is. It is worse where its whole 95 % interval "
        f"lies beyond {allowed}, not worse where none of it does, and better where all of it "
        f"lies below {1.0 / WORSE_RATIO:.2f}x."
    )
    if any(change.ratio is not None and min(change.runs) == 1 for change in found):
        yield said(
            "Where a side has a single run, the interval is that within the runs. Two runs at two "
            "times differ by more than that, so such a figure only looks worse, better or alike. "
            "Two sides measured in turns decide:"
        )
        yield Commands((f"groundspeed check --suite pytest {baseline.commit.id[:12]}",))
    rows = tuple(_range(change) for change in found if change.ratio is not None)[:_ROWS_MAX]
    if rows:
        axis = Axis(title="times worse than the baseline", unit="times", kind="log")
        yield Ranges(title="Ratios to the baseline, the clearest first", axis=axis, rows=rows)
    yield Table(
        caption="Every figure that both runs have",
        heads=("Test", "Figure", ">Baseline", ">Now", ">Ratio", ">Runs", "Verdict"),
        rows=tuple(
            (
                change.test,
                change.metric,
                amount_of(change.base),
                amount_of(change.now),
                _ratio(change.ratio),
                f"{change.runs[0]} and {change.runs[1]}",
                Mark(state=change.state),
            )
            for change in found
        ),
    )


def _ratio(ratio: Ratio | None) -> Amount:
    return Amount(value="no interval") if ratio is None else amount_of(figure_of_ratio(ratio))


def _range(change: Change) -> Range:
    low, middle, high = change.ratio or (1.0, 1.0, 1.0)
    return Range(
        name=f"{change.test}: {change.metric}",
        value=middle,
        low=low,
        high=high,
        text=_ratio(change.ratio).text,
        target=1.0,
        critical=WORSE_RATIO,
        state=change.state,
    )


def changes(material: Material) -> list[Change]:
    """Every figure that both runs have, worse ones first."""
    if material.baseline is None:
        return []
    before = {result.fullname: result for result in material.baseline.results}
    found = [
        _change(name, result, material)
        for result in material.results
        if result.fullname in before
        for name in _figures(result)
        if name in _figures(before[result.fullname])
    ]
    return sorted(found, key=lambda c: (_STATES.index(c.state), -_clear(c), c.test, c.metric))


def _clear(change: Change) -> float:
    """How far it is from no change."""
    return abs(math.log(change.ratio[1])) if change.ratio else 0.0


def _figures(result: Result) -> Mapping[str, Figure]:
    """Its figures, and those of its load runs under the names of the runs; none of invalid ones."""
    own = {
        name: figure
        for name, figure in result.extra_info.figures.items()
        if all(run.valid for run in runs_with(result, name, figure))
    }
    for run in result.extra_info.load:
        for metric in (figure.metric for figure in run.figures):
            figure = run.figure(metric)
            # A test that keeps a run's figure as its own has it once.
            if figure is not None and metric not in own and run.valid:
                own[f"{run.name} {metric}"] = figure
    return own


def _change(name: str, result: Result, material: Material) -> Change:
    before = _sides(material.baseline_like, result.fullname, name)
    after = _sides(material.like, result.fullname, name)
    better = _better(name, result, after[0])
    # The ratio grows as things get worse.
    good, bad = (after, before) if better == "higher" else (before, after)
    ratio = between_runs(*(_values(side) for side in (good, bad)))
    several = ratio is not None
    if ratio is None:
        ratio = ratio_of(good[0], bad[0])
    return Change(
        test=title_of(result.fullname),
        metric=words(name),
        base=mean_of(_values(before), before[0].unit) if several else before[0],
        now=mean_of(_values(after), after[0].unit) if several else after[0],
        ratio=ratio,
        state=judge(None if better is None else ratio, several=several),
        runs=(len(before), len(after)) if several else (1, 1),
    )


def _sides(runs: Sequence[StoredRun], test: str, name: str) -> list[Figure]:
    """The figure in each run that has it, the chosen run first."""
    held = (result for run in runs for result in run.results if result.fullname == test)
    return [figures[name] for result in held if name in (figures := _figures(result))]


def _values(side: Sequence[Figure]) -> list[float]:
    return [figure.value if figure.value is not None else 0.0 for figure in side]


def _better(name: str, result: Result, figure: Figure) -> Literal["lower", "higher"] | None:
    """Which way is better: as a level has it, by its name, or by its unit."""
    for level in result.extra_info.levels:
        if level.metric == name.rpartition(" ")[2]:
            return level.better
    if any(part in name for part in _HIGHER):
        return "higher"
    if any(part in name for part in _LOWER) or figure.unit in {"s", "bytes"}:
        return "lower"
    return "higher" if figure.unit == "per s" else None


def judge(ratio: Ratio | None, *, several: bool) -> State:
    """What an interval of a ratio says; without one, nothing.

    Args:
        ratio: How many times worse.
        several: Whether it holds what differs from run to run; without, it is but a hint.
    """
    if ratio is None:
        return "not judged"
    low, _, high = ratio
    if low > WORSE_RATIO:
        return "worse" if several else "looks worse"
    if high < 1.0 / WORSE_RATIO:
        return "better" if several else "looks better"
    if high <= WORSE_RATIO:
        return "not worse" if several else "looks alike"
    return "undecided"
