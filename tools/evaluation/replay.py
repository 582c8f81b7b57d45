"""Replay recorded launches through the rule of the gate: false alarms, slowdowns found, cost.

Suites of rows are drawn from launches that were recorded once, and the statistics of `groundspeed
check` follow each suite to its end. What the file may hold is said in `launches.py`.

    python tools/evaluation/replay.py FILE [--suites N] [--suite-rows N] [--trials N] [--seed N]
    python -m tools.evaluation.replay FILE

A row is a benchmark drawn from the file, as often as every other one, with launch groups drawn
without repeating one until all of them were used. Two kinds of suites hold identical code only: in
one, every pair has its labels exchanged or not by a coin, which makes it unchanged whatever was
recorded; in the other the pairs are as recorded, `0b` against `0`. In the suites with slowdowns one
row in ten is a slower version against `0`, the others are unchanged by exchange of labels.

The last line is JSON: `alarms_per_suite` is the share of suites in which any row was called slower,
of all suites of identical code, both kinds counted together; `power` the share of slowed rows
called slower, null for a version the file does not have; `pairs` the mean launch pairs of a row in
the suites of identical code.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

if not __package__:
    # Started by its path, it does not see the package it is part of.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.evaluation.launches import (
    SAME,
    SLOWDOWNS,
    Benchmark,
    LaunchesError,
    Recording,
    read_recording,
)
from tools.evaluation.tally import wilson

from groundspeed.stats import Conclusion, FloatArray, GateRule, run_to_conclusion
from groundspeed.units import format_percent, parse_share

__all__ = ["Plan", "Replay", "draw_pairs", "main", "replay"]

_T = TypeVar("_T")
_SLOWED_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is replayed.

    Attributes:
        rule: The gate's rule.
        suites: Suites of identical code of each of the two kinds, at least 1.
        suite_rows: Rows in every suite, at least 1.
        trials: Slowed rows for each slowdown, at least 1.
        seed: What the draws start from, at least 0.
    """

    rule: GateRule
    suites: int
    suite_rows: int
    trials: int
    seed: int

    @property
    def slowed_rows(self) -> int:
        """Slowed rows in a suite that has any."""
        return max(1, round(_SLOWED_SHARE * self.suite_rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEnd:
    """Where a row ended.

    Attributes:
        benchmark: Its name.
        conclusion: What it was called.
        pairs: Launch pairs it took.
        repeated: Of these, how many were drawn before in the same row.
    """

    benchmark: str
    conclusion: Conclusion
    pairs: int
    repeated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """All that was replayed.

    Attributes:
        exchanged: Suites of identical code by exchange of labels, each with its rows.
        raw: Suites of identical code as recorded.
        slowed: Slowdown -> the slowed rows; empty where the file does not have it.
    """

    exchanged: Sequence[Sequence[RowEnd]]
    raw: Sequence[Sequence[RowEnd]]
    slowed: dict[str, Sequence[RowEnd]]

    def as_json(self) -> str:
        """The result as one line."""
        suites = [*self.exchanged, *self.raw]
        power = {
            slowdown: _share(_count(rows, Conclusion.SLOWER), len(rows))
            for slowdown, rows in self.slowed.items()
        }
        result = {
            "alarms_per_suite": _share(_alarmed(suites, Conclusion.SLOWER), len(suites)),
            "power": power,
            "pairs": round(_mean_pairs([row for suite in suites for row in suite]), 4),
        }
        return json.dumps(result)


def replay(recording: Recording, plan: Plan) -> Replay:
    """Draw the suites of every kind and follow them to their ends.

    Every kind has a stream of chance of its own, so that one's number leaves the others as they
    are.
    """
    kinds = ["exchanged", "raw", *SLOWDOWNS]
    chance = {kind: np.random.default_rng([plan.seed, i]) for i, kind in enumerate(kinds)}
    return Replay(
        exchanged=list(_same_suites(recording, plan, chance["exchanged"], is_exchanged=True)),
        raw=list(_same_suites(recording, plan, chance["raw"], is_exchanged=False)),
        slowed={s: list(_slowed_rows(recording, plan, s, chance[s])) for s in SLOWDOWNS},
    )


def _same_suites(
    recording: Recording, plan: Plan, chance: np.random.Generator, *, is_exchanged: bool
) -> Iterator[list[RowEnd]]:
    unchanged = recording.with_version(SAME)
    for _ in range(plan.suites):
        rows = [(row, SAME) for row in _spread(unchanged, plan.suite_rows, chance)]
        yield _follow(rows, plan.rule, chance, exchanged_from=0 if is_exchanged else len(rows))


def _slowed_rows(
    recording: Recording, plan: Plan, slowdown: str, chance: np.random.Generator
) -> Iterator[RowEnd]:
    slower = recording.with_version(slowdown)
    if not slower:
        return
    unchanged = recording.with_version(SAME)
    trials = _spread(slower, plan.trials, chance)
    for start in range(0, plan.trials, plan.slowed_rows):
        slowed = [(row, slowdown) for row in trials[start : start + plan.slowed_rows]]
        others = _spread(unchanged, plan.suite_rows - len(slowed), chance)
        rows = slowed + [(row, SAME) for row in others]
        yield from _follow(rows, plan.rule, chance, exchanged_from=len(slowed))[: len(slowed)]


def _spread(items: Sequence[_T], count: int, chance: np.random.Generator) -> list[_T]:
    """So many of the items, each as often as every other up to one, in an order drawn anew."""
    return [items[i] for i in _permutations(len(items), count, chance)]


def _permutations(size: int, count: int, chance: np.random.Generator) -> list[int]:
    order: list[int] = []
    while len(order) < count:
        order += chance.permutation(size).tolist()
    return order[:count]


def draw_pairs(recorded: FloatArray, count: int, chance: np.random.Generator) -> FloatArray:
    """Draw launch pairs of a row: all of them in any order before one comes again.

    Args:
        recorded: log(version / base) of each launch group, shape (groups,), groups >= 1.
        count: How many to draw.
        chance: Draws them.
    """
    return recorded[_permutations(recorded.size, count, chance)]


def _follow(
    rows: Sequence[tuple[Benchmark, str]],
    rule: GateRule,
    chance: np.random.Generator,
    *,
    exchanged_from: int,
) -> list[RowEnd]:
    """Follow one suite; from one row on, each pair has its labels exchanged by a coin."""
    recorded = [benchmark.differences[version] for benchmark, version in rows]
    suite = np.stack([draw_pairs(values, rule.pairs_max, chance) for values in recorded])
    # The rows are of launches drawn apart, unlike those of a real check, hence a coin for each.
    suite[exchanged_from:] *= chance.choice([-1.0, 1.0], suite[exchanged_from:].shape)
    course = run_to_conclusion(suite, rule)
    return [
        RowEnd(
            benchmark=benchmark.name,
            conclusion=conclusion,
            pairs=pairs,
            repeated=max(0, pairs - values.size),
        )
        for (benchmark, _), conclusion, pairs, values in zip(
            rows, course.conclusions, course.pairs.tolist(), recorded, strict=True
        )
    ]


def _share(hits: int, trials: int) -> float | None:
    return round(hits / trials, 6) if trials else None


def _count(rows: Sequence[RowEnd], kind: Conclusion) -> int:
    return sum(row.conclusion is kind for row in rows)


def _alarmed(suites: Sequence[Sequence[RowEnd]], kind: Conclusion) -> int:
    return sum(_count(suite, kind) > 0 for suite in suites)


def _mean_pairs(rows: Sequence[RowEnd]) -> float:
    return sum(row.pairs for row in rows) / len(rows)


def _report(result: Replay, recording: Recording, plan: Plan, file: str) -> str:
    parts = [_heading(recording, plan, file), _table(result), _found_by_benchmark(result)]
    return "\n\n".join((*parts, result.as_json()))


def _heading(recording: Recording, plan: Plan, file: str) -> str:
    return "\n".join(
        (
            f"{file}: {len(recording.benchmarks)} benchmarks",
            *(f"  {_contents(benchmark)}" for benchmark in recording.benchmarks),
            *(f"note: {note}" for note in recording.notes),
            _settings(plan),
        )
    )


def _settings(plan: Plan) -> str:
    rule = plan.rule
    return (
        f"looks {', '.join(map(str, rule.looks))}; false alarms {format_percent(rule.false_alarms)}"
        f", minimum effect {format_percent(rule.min_effect)}, margin "
        f"{format_percent(rule.margin_resolved)}\n"
        f"{plan.suites} + {plan.suites} suites of identical code, {plan.suite_rows} rows each; "
        f"{plan.trials} slowed rows a slowdown, {plan.slowed_rows} in a suite; seed {plan.seed}"
    )


def _contents(benchmark: Benchmark) -> str:
    clocks = ", ".join(f"{count} by {metric} time" for metric, count in benchmark.metrics.items())
    return f"{benchmark.name}: launch groups {clocks}"


def _table(result: Replay) -> str:
    lines = [
        ("true slowdown", "alarms per suite or found", "undecided", "mean pairs", "repeated"),
        ("---", "---", "---", "---", "---"),
        _same_line("0 by label exchange", result.exchanged),
        _same_line("0 raw", result.raw),
        *(_slowed_line(f"{slowdown} %", rows) for slowdown, rows in result.slowed.items()),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _same_line(title: str, suites: Sequence[Sequence[RowEnd]]) -> tuple[str, ...]:
    alarms = _format_share(_alarmed(suites, Conclusion.SLOWER), len(suites))
    faster = _alarmed(suites, Conclusion.FASTER)
    rows = [row for suite in suites for row in suite]
    return title, f"{alarms} suites; {faster} with a `faster`", *_costs(rows)


def _slowed_line(title: str, rows: Sequence[RowEnd]) -> tuple[str, ...]:
    if not rows:
        return title, "not recorded", "-", "-", "-"
    return title, f"{_format_share(_count(rows, Conclusion.SLOWER), len(rows))} rows", *_costs(rows)


def _costs(rows: Sequence[RowEnd]) -> tuple[str, str, str]:
    undecided = 100 * _count(rows, Conclusion.OPEN) / len(rows)
    pairs = sum(row.pairs for row in rows)
    repeated = 100 * sum(row.repeated for row in rows) / pairs
    return f"{undecided:.2f} %", f"{pairs / len(rows):.2f}", f"{repeated:.2f} % of pairs"


def _format_share(hits: int, trials: int) -> str:
    low, high = wilson(hits, trials)
    return f"{100 * hits / trials:.2f} % ({100 * low:.2f}..{100 * high:.2f} %), {hits} of {trials}"


def _found_by_benchmark(result: Replay) -> str:
    names = sorted({row.benchmark for rows in result.slowed.values() for row in rows})
    header = ("found in", *(f"{slowdown} %" for slowdown in result.slowed))
    lines = [header, ("---",) * len(header)]
    for name in names:
        of_name = (
            [row for row in rows if row.benchmark == name] for rows in result.slowed.values()
        )
        lines.append((name, *(f"{_count(r, Conclusion.SLOWER)}/{len(r)}" for r in of_name)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay a file and print what came of it; returns the exit code, 2 for what cannot be."""
    options = _parser().parse_args(arguments)
    try:
        plan = Plan(
            rule=GateRule(
                false_alarms=options.false_alarms,
                min_effect=options.min_effect,
                margin=options.margin,
            ),
            suites=options.suites,
            suite_rows=options.suite_rows,
            trials=options.trials,
            seed=options.seed,
        )
        recording = read_recording(options.file, groups_min=plan.rule.looks[0])
    except (LaunchesError, ValueError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 2
    print(_report(replay(recording, plan), recording, plan, options.file.name))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.evaluation.replay",
        description="Replay recorded launches through the rule of `groundspeed check`.",
    )
    rule = GateRule()
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="launch groups, a JSON object a line; gzip or not")
    add("--suites", type=_at_least(1), default=600, metavar="N", help="A/A suites a kind (600)")
    add("--suite-rows", type=_at_least(1), default=50, metavar="N", help="rows of a suite (50)")
    add("--trials", type=_at_least(1), default=400, metavar="N", help="rows a slowdown (400)")
    add("--seed", type=_at_least(0), default=0, metavar="N", help="where the draws begin (0)")
    for option, default, text in (
        ("--min-effect", rule.min_effect, "the least slowdown worth the name (1%%)"),
        ("--margin", rule.margin, "differences inside it are `same` (2 x the minimum effect)"),
        ("--false-alarms", rule.false_alarms, "allowed share of suites with a false alarm (1%%)"),
    ):
        add(option, type=_share_option, default=default, metavar="SHARE", help=text)
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and int(text) >= least):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return parse


def _share_option(text: str) -> float:
    try:
        return parse_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
