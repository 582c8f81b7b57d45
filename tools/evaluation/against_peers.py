"""Groundspeed beside its peers: alarms on identical code, slowdowns found, and wall time.

All tools judge the same commits of the same toy project on the same machine, in turns; who goes
first changes from turn to turn. Every run is kept at once in `runs.json`; the tables are printed
at the end.

    python -m tools.evaluation.against_peers --out FOLDER [--repeats N] [--cases aa,plus5,plus20]
"""

import argparse
import hashlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tools.evaluation.busy import competing_loops
from tools.evaluation.contest import TIMEOUT_S, Contest
from tools.evaluation.contestants import prepare, run_once
from tools.evaluation.records import (
    SCHEMA,
    TOOLS,
    Evaluation,
    EvaluationError,
    Run,
    Setting,
    Tool,
    load,
    save,
)
from tools.evaluation.tally import report
from tools.evaluation.toy import CASES, Case
from tools.evaluation.workloads import KINDS

import groundspeed
from groundspeed.measure.machine import CpuPlan, describe_machine

__all__ = ["main", "order_of_tools", "turns_left"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make an evaluation, or go on with one, and print its tables; returns the exit code."""
    options = _parser().parse_args(arguments)
    if not hasattr(os, "fork"):
        print(f"against_peers: needs Linux or macOS, not {sys.platform}", file=sys.stderr)
        return 2
    try:
        evaluation = _evaluate(options)
    except EvaluationError as error:
        print(f"against_peers: {error}", file=sys.stderr)
        return 5
    except KeyboardInterrupt:
        print("against_peers: interrupted; --resume goes on", file=sys.stderr)
        return 130
    print(report(evaluation), end="")
    return 0


def turns_left(
    evaluation: Evaluation, cases: Sequence[Case], repeats: int
) -> Iterator[tuple[Case, int]]:
    """The turns still to make: one of every case, then the next of every case."""
    for turn in range(repeats):
        for case in cases:
            if not evaluation.has(case.name, turn):
                yield case, turn


def order_of_tools(tools: Sequence[Tool], turn: int) -> tuple[Tool, ...]:
    """Who goes first, second and so on in this turn; the first one goes last in the next."""
    first = turn % len(tools)
    return (*tools[first:], *tools[:first])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.evaluation.against_peers",
        description="Compare `groundspeed check` with its peers where the truth is known.",
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="where everything is kept")
    add("--repeats", type=_count, default=20, metavar="N", help="turns per case (20)")
    for option, type_, known, default in (
        ("--cases", _cases, CASES, "aa,plus2,plus5"),
        ("--tools", _tools, TOOLS, "groundspeed,asv"),
        ("--kinds", _kinds, KINDS, ",".join(KINDS)),
    ):
        shown = "all" if default == ",".join(known) else default
        add(option, type=type_, default=default, help=f"which of {','.join(known)} ({shown})")
    add("--seconds", type=float, metavar="S", help="begin no turn after this long")
    add("--resume", action="store_true", help="go on with the evaluation in FOLDER")
    add("--tables", action="store_true", help="measure nothing, show what FOLDER holds")
    add("--busy", type=_count, default=0, metavar="N", help="competing CPU loops (0)")
    add("--budget", metavar="S", help="end each check of groundspeed so: to try out, not to quote")
    add("--cpu-affinity", type=_cpus, metavar="CPUS", help="keep everything on these, as in 0,1")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _cases(text: str) -> tuple[Case, ...]:
    return tuple(CASES[name] for name in _chosen(text, CASES))


def _tools(text: str) -> tuple[Tool, ...]:
    chosen = _chosen(text, TOOLS)
    return tuple(tool for tool in TOOLS if tool in chosen)


def _kinds(text: str) -> tuple[str, ...]:
    chosen = _chosen(text, KINDS)
    return tuple(kind for kind in KINDS if kind in chosen)


def _chosen(text: str, known: Collection[str]) -> list[str]:
    chosen = text.split(",")
    unknown = set(chosen).difference(known)
    if unknown:
        told = f"{', '.join(sorted(unknown))}: not in {', '.join(known)}"
        raise argparse.ArgumentTypeError(told)
    return chosen


def _cpus(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(cpu) for cpu in text.split(",")}))


def _evaluate(options: argparse.Namespace) -> Evaluation:
    path = options.out.absolute() / "runs.json"
    if options.tables:
        return load(path)
    if options.cpu_affinity:
        _keep_on(options.cpu_affinity)
    if path.exists() and not options.resume:
        raise EvaluationError(f"{path} is there; add --resume, or choose another --out")
    kept = load(path) if path.exists() else None
    contest = Contest(out=path.parent, kinds=options.kinds, budget=options.budget)
    contest.logs.mkdir(parents=True, exist_ok=True)
    setting = _setting(contest, options)
    if kept is not None:
        _check_same(kept.setting, setting)
    evaluation = kept or Evaluation(schema=SCHEMA, setting=setting, preparation_s={})
    left = tuple(turns_left(evaluation, options.cases, options.repeats))
    if left:
        print("preparing: environments and wheels", file=sys.stderr)
        steps = prepare(contest, options.tools, options.cases)
        # Once built they are found again at once: what a newcomer waits is the first time.
        evaluation = replace(evaluation, preparation_s=steps | evaluation.preparation_s)
    return _make_turns(evaluation, contest, left, seconds=options.seconds)


def _make_turns(
    evaluation: Evaluation,
    contest: Contest,
    left: Sequence[tuple[Case, int]],
    *,
    seconds: float | None,
) -> Evaluation:
    """Make the turns that are left while there is time, keeping each as soon as it is made."""
    start_s = time.perf_counter()
    for case, turn in left:
        if seconds is not None and time.perf_counter() - start_s >= seconds:
            print("time is up; --resume goes on", file=sys.stderr)
            break
        made = _make_turn(contest, evaluation.setting, case, turn)
        _check_same(evaluation.setting, replace(evaluation.setting, groundspeed_sha256=_digest()))
        evaluation = replace(evaluation, runs=evaluation.runs + made)
        save(evaluation, contest.out / "runs.json")
        told = ", ".join(f"{run.tool} {run.wall_s:.1f} s (exit {run.exit_code})" for run in made)
        print(f"{case.name}, turn {turn}: {told}", file=sys.stderr)
    return evaluation


def _make_turn(contest: Contest, setting: Setting, case: Case, turn: int) -> tuple[Run, ...]:
    # All tools within the life of the same loops, so that all meet the same competitors.
    order = order_of_tools(setting.tools, turn)
    with competing_loops(setting.busy, limit_s=(len(order) + 1) * TIMEOUT_S):
        return tuple(
            run_once(contest, tool, case, turn=turn, place=place)
            for place, tool in enumerate(order)
        )


def _keep_on(cpus: tuple[int, ...]) -> None:
    """Keep this process and what it starts on `cpus`."""
    if not hasattr(os, "sched_setaffinity"):
        raise EvaluationError(f"--cpu-affinity: {sys.platform} has no such thing; leave it away")
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        raise EvaluationError(
            f"--cpu-affinity {','.join(map(str, cpus))}: {error.strerror}; "
            f"this process may use {sorted(os.sched_getaffinity(0))}"
        ) from error


def _setting(contest: Contest, options: argparse.Namespace) -> Setting:
    machine = describe_machine(CpuPlan())
    programs = ("groundspeed", "asv", "asv_runner", "pytest", "pytest-benchmark")
    return Setting(
        cpu=machine.cpu,
        cpus=machine.cpus,
        system=machine.system,
        python=machine.python,
        versions={tool: importlib.metadata.version(tool) for tool in programs},
        groundspeed_sha256=_digest(),
        commits=contest.commits(),
        tools=options.tools,
        kinds=contest.kinds,
        affinity=options.cpu_affinity or (),
        busy=options.busy,
    )


def _digest() -> str:
    """One digest of groundspeed's source as it is now, names included."""
    folder = Path(groundspeed.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _check_same(kept: Setting, now: Setting) -> None:
    """Refuse to count runs together that were not made alike."""
    differing = [name for name in Setting.__slots__ if getattr(kept, name) != getattr(now, name)]
    if differing:
        told = "; ".join(f"{n} was {getattr(kept, n)!r}, is {getattr(now, n)!r}" for n in differing)
        raise EvaluationError(
            f"runs made in another setting cannot be counted together: {told}. "
            "Choose another --out; --tables shows what is kept"
        )


if __name__ == "__main__":
    sys.exit(main())
