"""Does the gate keep its promise on this machine? Checks whose answers are known.

Two source trees are made from the same small project. Identical ones must raise no alarm; where a
row of the candidate does 103 units of work instead of 100, it is 3 % slower, and must be found.
Everything between the trees and the verdict is what a real check uses.
"""

import itertools
import random
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from groundspeed import __version__
from groundspeed.check.exchange import exchange_labels
from groundspeed.check.excuses import Excuses
from groundspeed.check.promise import (
    conclude,
    count_false_alarms,
    exit_code,
    rows_seen,
    seen_overall,
    sizes_found,
    smallest_seen,
)
from groundspeed.check.request import Progress
from groundspeed.check.roster import Selection
from groundspeed.check.session import Session
from groundspeed.errors import BrokenError
from groundspeed.measure.lockstep import Launcher
from groundspeed.measure.machine import CpuPlan, describe_machine, plan_cpus
from groundspeed.measure.scratch import cache_folder, explained, scratch_folder
from groundspeed.measure.turn_lock import take_turn
from groundspeed.model import Comparison, Outcome, Side
from groundspeed.stats import GateRule
from groundspeed.store.rules import NO_RULES
from groundspeed.store.selftests import (
    SELFTEST_SCHEMA,
    FalseAlarms,
    RowTried,
    SelftestCheck,
    SelftestRecord,
)
from groundspeed.units import format_duration, format_percent

__all__ = ["KINDS", "SelftestRequest", "run_selftest"]

KINDS = (
    "loops",
    "calls",
    "numbers",
    "dicts",
    "strings",
    "json",
    "sort",
    "regex",
    "objects",
    "sqlite",
    "asyncio",
    "threads",
)

UNITS = 100
"""Units of work in a call, so that one more is a slowdown of 1 %."""

_WORKLOADS = Path(__file__).parent / "selftest_workloads"
_PROJECT = "selftest_project"
_SUITE = "selftest_suite"
_MORE_UNITS = (3, 0, 2, 0, 5, 0, 2, 0, 3, 0, 1, 0)
_ROW_TIMEOUT_S = 60.0
_PHASES = {False: "unchanged code", True: "known slowdowns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestRequest:
    """One `groundspeed selftest`.

    Attributes:
        seconds: How long it may take.
        rule: What decides.
        kinds: Of work, some of `KINDS`.
        seed: Of every random choice; None draws one.
    """

    seconds: float = 90.0
    rule: GateRule = field(default_factory=GateRule)
    kinds: tuple[str, ...] = KINDS
    seed: int | None = None


def run_selftest(
    request: SelftestRequest,
    *,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> SelftestRecord:
    """Run checks until the time is over and judge what they said; keeps and prints nothing.

    A check that the time cuts short is not counted, or what is found soon were found too often.

    Raises:
        BrokenError: If its own benchmarks cannot run here, or the time is too short for one check
            of identical sources and one of known slowdowns.
    """
    seed = secrets.randbits(32) if request.seed is None else request.seed
    cache = cache_folder()
    with explained(cache), scratch_folder(cache) as scratch, take_turn(cache, say=progress.say):
        started_at, start_s = datetime.now(UTC), clock()
        bench = _Bench(
            request=request,
            cpus=plan_cpus(),
            folder=scratch,
            chance=random.Random(seed),  # noqa: S311 - which rows change, no secret
            clock=clock,
            deadline_s=start_s + request.seconds,
            progress=progress,
        )
        checks = tuple(bench.checks())
        duration_s = clock() - start_s
    if {check.changed for check in checks} != {False, True}:
        raise BrokenError(
            f"selftest: {format_duration(request.seconds)} were too short for a check of unchanged "
            "code and one of known slowdowns; run it again with --seconds "
            f"{max(SelftestRequest().seconds, 2 * request.seconds):.0f}"
        )
    return _record(request, bench, checks, seed, started_at, duration_s)


@dataclass(kw_only=True)
class _Bench:
    """Runs one check after another while there is time."""

    request: SelftestRequest
    cpus: CpuPlan
    folder: Path
    chance: random.Random
    clock: Callable[[], float]
    deadline_s: float
    progress: Progress
    warnings: dict[str, None] = field(default_factory=dict, init=False)

    def checks(self) -> Iterator[SelftestCheck]:
        """Unchanged and changed by turns; near the end, whichever still fits."""
        took_s = {False: 0.0, True: 0.0}
        changes = _changes(self.request.kinds, self.chance.randrange(len(_MORE_UNITS)))
        for number in itertools.count():
            turn = bool(number % 2)
            left_s = self.deadline_s - self.clock()
            fitting = [kind for kind in (turn, not turn) if took_s[kind] < left_s]
            if not fitting:
                return
            check = self._check(number, next(changes) if fitting[0] else {})
            if check is None:
                return
            took_s[fitting[0]] = check.duration_s
            yield check

    def _check(self, number: int, more_units: Mapping[str, int]) -> SelftestCheck | None:
        """One check; None if the time was over before its end."""
        start_s = self.clock()
        folder = self.folder / f"{number:04d}"
        seed = self.chance.randrange(2**32)
        trees = _write_trees(folder, more_units)
        comparisons = self._compare(folder, trees, seed, changed=bool(more_units))
        shutil.rmtree(folder, ignore_errors=True)
        if not _is_whole(comparisons, self.request.rule):
            return None
        exchange = None
        if not more_units:
            exchange = exchange_labels(comparisons, self.request.rule, min_effects={}, seed=seed)
        return SelftestCheck(
            duration_s=self.clock() - start_s,
            rows=tuple(_tried(c, more_units) for c in comparisons),
            exchange=exchange,
        )

    def _compare(
        self, folder: Path, trees: Mapping[Side, Path], seed: int, *, changed: bool
    ) -> tuple[Comparison, ...]:
        session = Session(
            launcher=_launcher(folder, trees, self.cpus, seed),
            rule=self.request.rule,
            excuses=Excuses(rules=NO_RULES, entries=(), today=datetime.now(UTC).date()),
            selection=Selection(
                expressions=[rf"time_{kind}$" for kind in self.request.kinds],
                metric="time",
                keep=lambda labels: labels,
                default_timeout_s=_ROW_TIMEOUT_S,
            ),
            caches=folder / "caches",
            chance=random.Random(seed + 1),  # noqa: S311 - the order of turns, no secret
            clock=self.clock,
            deadline_s=self.deadline_s,
            progress=_Told(progress=self.progress, told=self._told(changed=changed)),
        )
        result = session.run()
        self.warnings |= dict.fromkeys(result.warnings)
        failures = [*result.file_failures, *(f for c in result.comparisons for f in c.failures)]
        if failures:
            raise BrokenError(
                f"selftest: its own benchmarks cannot run here: {failures[0].stage}: "
                f"{failures[0].message}; mend that Python, or install groundspeed into another one"
            )
        return result.comparisons

    def _told(self, *, changed: bool) -> str:
        left_s = max(0.0, self.deadline_s - self.clock())
        return f"{_PHASES[changed]}, about {format_duration(left_s)} left"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """The progress of one check among many."""

    progress: Progress
    told: str

    def say(self, text: str) -> None:
        self.progress.say(f"{self.told}: {text}")

    def advance(self, *, pairs: int, rows_open: int, rows: int, left_s: float | None) -> None:
        del left_s  # of this check alone
        self.say(f"{pairs} launch pairs, {rows - rows_open} of {rows} rows decided")


def _changes(kinds: tuple[str, ...], phase: int) -> Iterator[dict[str, int]]:
    """Which rows do how many more units, check by check: each row gets each amount in turn."""
    for shift in itertools.count(phase):
        more = {k: _MORE_UNITS[(i + shift) % len(_MORE_UNITS)] for i, k in enumerate(kinds)}
        if any(more.values()):
            yield {kind: units for kind, units in more.items() if units}


def _write_trees(folder: Path, more_units: Mapping[str, int]) -> dict[Side, Path]:
    """The project as it is and with more units of some kinds of work, and its benchmarks."""
    _copy(_SUITE, folder / "c")
    trees: dict[Side, Path] = {"base": folder / "a", "candidate": folder / "b"}
    for side, tree in trees.items():
        more = more_units if side == "candidate" else {}
        units = {kind: UNITS + more.get(kind, 0) for kind in KINDS}
        _copy(_PROJECT, tree)
        amounts = f'"""Units of work in a call, by kind."""\n\nUNITS = {units!r}\n'
        (tree / _PROJECT / "amounts.py").write_text(amounts, encoding="utf-8")
    return trees


def _copy(package: str, folder: Path) -> None:
    compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(_WORKLOADS / package, folder / package, ignore=compiled)


def _launcher(folder: Path, trees: Mapping[Side, Path], cpus: CpuPlan, seed: int) -> Launcher:
    others: dict[Side, Side] = {"base": "candidate", "candidate": "base"}
    return Launcher(
        interpreter=Path(sys.executable),
        isolated=True,
        sides={
            side: {
                "import_paths": [str(trees[side])],
                "site_dirs": [],
                "hidden_paths": [],
                "foreign": [f"{trees[other]}/"],
            }
            for side, other in others.items()
        },
        benchmark_dir=folder / "c" / _SUITE,
        variables={},
        cpus=cpus,
        folder=folder / "pairs",
        chance=random.Random(seed),  # noqa: S311 - hash seeds and padding, no secret
        trees=tuple(trees.values()),
    )


def _is_whole(comparisons: Iterable[Comparison], rule: GateRule) -> bool:
    """Whether every row was decided or had its last look, so that no lack of time left it open."""
    return all(
        c.outcome is not Outcome.UNDECIDED or len(c.pairs) >= rule.pairs_max for c in comparisons
    )


def _tried(comparison: Comparison, more_units: Mapping[str, int]) -> RowTried:
    label = comparison.row.label
    kind = label.rpartition("time_")[2]
    return RowTried(
        row=kind,
        size=more_units.get(kind, 0) / UNITS,
        outcome=comparison.outcome,
        ratio=comparison.ratio,
        pairs=len(comparison.pairs),
        detectable=comparison.detectable,
        metric=comparison.metric,
    )


def _record(
    request: SelftestRequest,
    bench: _Bench,
    checks: tuple[SelftestCheck, ...],
    seed: int,
    started_at: datetime,
    duration_s: float,
) -> SelftestRecord:
    rule = request.rule
    alarms, sizes = count_false_alarms(checks, rule.false_alarms), sizes_found(checks)
    rows = rows_seen(checks, rule.pairs_min, rule.pairs_max)
    conclusion = conclude(alarms, sizes)
    return SelftestRecord(
        schema=SELFTEST_SCHEMA,
        tool_version=__version__,
        started_at=started_at.isoformat(timespec="seconds"),
        duration_s=duration_s,
        conclusion=conclusion,
        exit_code=exit_code(conclusion),
        smallest_seen=smallest_seen(sizes),
        false_alarms=alarms,
        sizes=sizes,
        first=seen_overall({row.row: row.first for row in rows}, rule.pairs_min),
        last=seen_overall({row.row: row.last for row in rows}, rule.pairs_max),
        rows=rows,
        warnings=(*bench.warnings, *_warnings(alarms)),
        min_effect=rule.min_effect,
        looks=tuple(rule.looks),
        seed=seed,
        machine=describe_machine(bench.cpus),
        checks=checks,
    )


def _warnings(alarms: FalseAlarms) -> Iterator[str]:
    if alarms.exchanges_low > alarms.allowed:
        share = format_percent(alarms.exchanges_alarmed / alarms.exchanges)
        yield (
            f"with labels exchanged the recorded launch pairs alarm in {share} of cases, more than "
            f"the {format_percent(alarms.allowed)} allowed; a few checks can show that by chance: "
            "run it longer to be sure"
        )
