"""From runs to tables: pure.

An alarm is a run in which a rule called a row slower that is not; a find is a row called slower
that is. Shares come with their 95 % interval (Wilson 1927), for twenty runs are few.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tools.evaluation.reading import rules_of
from tools.evaluation.records import Evaluation, Reading, Run, Setting, Tool
from tools.evaluation.toy import CASES, Case
from tools.evaluation.workloads import slowed_among

__all__ = [
    "PAIRED",
    "Score",
    "format_share",
    "format_span",
    "paired_ratios",
    "report",
    "score",
    "told_by",
    "truly_slower",
    "wilson",
]

PAIRED: tuple[tuple[Tool, Tool], ...] = (
    ("groundspeed", "asv"),
    ("groundspeed-pytest", "pytest-benchmark"),
)
"""Which tools run the same suite."""

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one rule did on one case.

    Attributes:
        runs: Runs that came to an end.
        alarms: Of these, how many called a row slower that is not.
        false_slower: Such rows, over all runs.
        false_faster: Rows called faster, over all runs; none of them is.
        found: Truly slower rows called slower, over all runs.
        to_find: Truly slower rows, over all runs.
        undecided: Rows left undecided, over all runs.
    """

    runs: int
    alarms: int
    false_slower: int
    false_faster: int
    found: int
    to_find: int
    undecided: int


def truly_slower(case: Case, setting: Setting) -> frozenset[str]:
    """The workloads that are slower than base in this case, of those that were measured."""
    return frozenset(slowed_among(setting.kinds)) if case.factor > 1 else frozenset()


def told_by(rule: str, runs: Iterable[Run]) -> list[Reading]:
    """What a rule said, of every run that came to an end."""
    ended = (run for run in runs if run.problem is None)
    return [reading for run in ended for reading in run.readings if reading.rule == rule]


def score(readings: Sequence[Reading], truth: Collection[str]) -> Score:
    """How the readings, one per run, compare with the truth: the workloads that are slower."""
    slower = set(truth)
    false = [len(set(reading.slower) - slower) for reading in readings]
    return Score(
        runs=len(readings),
        alarms=sum(rows > 0 for rows in false),
        false_slower=sum(false),
        false_faster=sum(len(reading.faster) for reading in readings),
        found=sum(len(slower & set(reading.slower)) for reading in readings),
        to_find=len(slower) * len(readings),
        undecided=sum(len(reading.undecided) for reading in readings),
    )


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson (1927), as two shares; (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    share, weight = hits / trials, _Z95**2 / trials
    centre = share + weight / 2
    half = math.sqrt(share * (1 - share) * weight + weight**2 / 4)
    return max(0.0, (centre - half) / (1 + weight)), min(1.0, (centre + half) / (1 + weight))


def format_share(hits: int, trials: int) -> str:
    """`1/20 (1..24 %)`, or `-` when nothing was tried."""
    if not trials:
        return "-"
    low, high = wilson(hits, trials)
    return f"{hits}/{trials} ({100 * low:.0f}..{100 * high:.0f} %)"


def format_span(values: Sequence[float], *, digits: int) -> str:
    """`21.5 [21.1..22.0]`: median, least and greatest; `-` without values."""
    if not values:
        return "-"
    shown = (f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
    return "{} [{}..{}]".format(*shown)


def paired_ratios(
    runs: Iterable[Run], pair: tuple[Tool, Tool], measure: Callable[[Run], float | None]
) -> list[float]:
    """First / second tool by `measure`, one per turn of a case in which both came to an end."""
    turns: dict[tuple[str, int], dict[Tool, float]] = {}
    for run in runs:
        value = measure(run)
        if run.tool in pair and run.problem is None and value is not None:
            turns.setdefault((run.case, run.turn), {})[run.tool] = value
    first, second = pair
    return [turn[first] / turn[second] for turn in turns.values() if turn.keys() == set(pair)]


def report(evaluation: Evaluation) -> str:
    """Every table, as text for a terminal."""
    setting = evaluation.setting
    parts = [_heading(evaluation)]
    for case in CASES.values():
        runs = [run for run in evaluation.runs if run.case == case.name]
        if runs:
            slower = truly_slower(case, setting)
            parts += [_title(case, slower, runs), _verdict_table(setting, slower, runs)]
            parts.append(_cost_table(setting, runs))
    parts += _problems(evaluation.runs)
    return "\n\n".join(parts) + "\n"


def _heading(evaluation: Evaluation) -> str:
    setting = evaluation.setting
    tools = ", ".join(f"{name} {version}" for name, version in setting.versions.items())
    kept = f", kept on CPU {','.join(map(str, setting.affinity))}" if setting.affinity else ""
    steps = ", ".join(f"{step} {s:.1f} s" for step, s in evaluation.preparation_s.items())
    return "\n".join(
        (
            f"{tools}, Python {setting.python}",
            f"{setting.cpu}, {setting.cpus} CPUs, {setting.system}{kept}",
            f"competing CPU loops: {setting.busy}",
            f"preparation, in no run: {steps}",
        )
    )


def _title(case: Case, slower: Collection[str], runs: Sequence[Run]) -> str:
    slowed = f" in {len(slower)} rows" if slower else ""
    rows = "/".join(sorted({str(run.rows) for run in runs if run.problem is None}))
    loads = [run.load_1m for run in runs if run.load_1m is not None]
    load = f", load average {format_span(loads, digits=1)}" if loads else ""
    turns = len({run.turn for run in runs})
    counted = f"{turns} turn" if turns == 1 else f"{turns} turns"
    return f"== {case.title}{slowed}: {counted} of {rows} rows{load}"


def _verdict_table(setting: Setting, slower: Collection[str], runs: Sequence[Run]) -> str:
    lines = [("rule", "false alarms", "false slower", "false faster", "found", "undecided")]
    for rule in (rule for tool in setting.tools for rule in rules_of(tool)):
        result = score(told_by(rule, runs), slower)
        lines.append(
            (
                rule,
                format_share(result.alarms, result.runs),
                str(result.false_slower),
                str(result.false_faster),
                format_share(result.found, result.to_find),
                str(result.undecided),
            )
        )
    return _table(lines)


def _cost_table(setting: Setting, runs: Sequence[Run]) -> str:
    lines = [("tool", "wall s", "CPU s", "foreign CPU s", "exit codes")]
    for tool in setting.tools:
        own = [run for run in runs if run.tool == tool]
        ended = [run for run in own if run.problem is None]
        cpu = [run.cpu_s for run in ended if run.cpu_s is not None]
        foreign = [run.foreign_cpu_s for run in ended if run.foreign_cpu_s is not None]
        lines.append(
            (
                tool,
                format_span([run.wall_s for run in ended], digits=1),
                format_span(cpu, digits=1),
                format_span(foreign, digits=1),
                _counted([run.exit_code for run in own]),
            )
        )
    for pair in PAIRED:
        if set(pair) <= set(setting.tools):
            wall = paired_ratios(runs, pair, lambda run: run.wall_s)
            cpu = paired_ratios(runs, pair, lambda run: run.cpu_s)
            spans = [format_span(ratios, digits=2) for ratios in (wall, cpu)]
            lines.append((" / ".join(pair), spans[0], spans[1], "", ""))
    return _table(lines)


def _counted(codes: Sequence[int]) -> str:
    return ", ".join(f"{code}: {codes.count(code)}" for code in sorted(set(codes)))


def _problems(runs: Iterable[Run]) -> list[str]:
    told = [
        f"{run.tool} on {run.case}, turn {run.turn}, exit {run.exit_code}: {run.problem}"
        for run in runs
        if run.problem is not None
    ]
    return ["== runs that say nothing and are not counted\n" + "\n".join(told)] if told else []


def _table(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
