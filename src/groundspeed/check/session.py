"""The measuring of one check: find the rows, calibrate them, take launch pairs until decided."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundspeed.check.ledger import Ledger
from groundspeed.check.request import Progress
from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.lockstep import (
    SIDES,
    Launcher,
    LaunchPair,
    RowFailedError,
    SideDescription,
    SuiteRow,
)
from groundspeed.measure.sampling import Calibration, RowContext, calibrate, measure
from groundspeed.model import Comparison, Failure, Outcome, PairSummary, Row, Side, log_ratio
from groundspeed.stats import Conclusion, GateRule
from groundspeed.store.rules import Rules

__all__ = ["Session", "SessionResult"]

_OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
_NAMES_SHOWN = 5


class _BudgetSpentError(Exception):
    """The time is over in the middle of a launch pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """What a session found.

    Attributes:
        comparisons: Every selected row, in suite order.
        file_failures: Benchmark files that could not be imported, per side.
        warnings: What a reader should know.
        measuring_s: Seconds spent in launch pairs.
    """

    comparisons: tuple[Comparison, ...]
    file_failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    measuring_s: float


@dataclass(kw_only=True)
class Session:
    """Takes launch pairs; everything it starts is ended when `run` returns or raises.

    Attributes:
        launcher: Starts launch pairs.
        rule: What decides.
        rules: What the project says of single rows.
        is_excused: Whether the row of this label is ignored or accepted, so that it alarms nobody.
        selection: Regular expressions on the rows' labels.
        default_timeout_s: For benchmarks that state none.
        caches: A private folder for the results of setup_cache.
        chance: Source of the rows' order and turns.
        clock: Monotonic seconds.
        deadline_s: On that clock; None without limit.
        progress: Whom to tell.
    """

    launcher: Launcher
    rule: GateRule
    rules: Rules
    is_excused: Callable[[str], bool]
    selection: Sequence[str]
    default_timeout_s: float
    caches: Path
    chance: random.Random
    clock: Callable[[], float]
    deadline_s: float | None
    progress: Progress
    _contexts: dict[Row, RowContext] = field(default_factory=dict, init=False)
    _calibrations: dict[Row, Calibration] = field(default_factory=dict, init=False)
    _pairs: dict[Row, list[PairSummary]] = field(default_factory=dict, init=False)
    _phases: dict[Row, int] = field(default_factory=dict, init=False)
    _ended: dict[Row, Comparison] = field(default_factory=dict, init=False)
    _warnings: list[str] = field(default_factory=list, init=False)
    _open_pairs: list[LaunchPair] = field(default_factory=list, init=False)

    def run(self) -> SessionResult:
        """Measure until every row is decided, the looks are used up or the time is over.

        Raises:
            UsageError: If nothing matches the selection.
            BrokenError: If a side cannot be imported at all.
        """
        start_s = self.clock()
        try:
            pair, descriptions = self._first_pair()
            rows = self._select(descriptions)
            self._prepare(pair, rows, descriptions)
            ledger = self._ledger([row for row in rows if row not in self._ended])
            self._take_pairs(pair, ledger)
        finally:
            self._close_all()
        failures = tuple(f for side in SIDES for f in descriptions[side].failures)
        return SessionResult(
            comparisons=tuple(self._comparison(row, ledger) for row in rows),
            file_failures=failures,
            warnings=tuple(self._warnings),
            measuring_s=self.clock() - start_s,
        )

    def _ledger(self, rows: Sequence[Row]) -> Ledger:
        own = self.rules.min_effects([row.label for row in rows])
        min_effects = {row: own[row.label] for row in rows if row.label in own}
        excused = [row for row in rows if self.is_excused(row.label)]
        return Ledger(rows, self.rule, min_effects=min_effects, excused=excused)

    # Launch pairs and their rows

    def _start(self, *, describe: bool = False) -> LaunchPair:
        pair = self.launcher.start(describe=describe)
        self._open_pairs.append(pair)
        return pair

    def _close(self, pair: LaunchPair) -> None:
        self._open_pairs.remove(pair)
        pair.close()

    def _close_all(self) -> None:
        while self._open_pairs:
            self._open_pairs.pop().close()

    def _first_pair(self) -> tuple[LaunchPair, dict[Side, SideDescription]]:
        self.progress.say("importing the benchmarks on both sides")
        pair = self._start(describe=True)
        descriptions = pair.descriptions()
        self._check_origin(descriptions)
        if any(d.threads for d in descriptions.values()):
            self._warnings.append(
                "importing the benchmarks starts threads, which a fork does not keep: each row "
                "imports them itself, which takes longer"
            )
            self._close(pair)
            self.launcher.import_in_row = True
            pair = self._start()
            pair.descriptions()
        return pair, descriptions

    def _check_origin(self, descriptions: Mapping[Side, SideDescription]) -> None:
        for side, description in descriptions.items():
            if description.foreign_files:
                raise BrokenError(
                    f"{side}: {description.foreign_files[0]} was imported, which is not this "
                    "side's own source; the benchmarks must not change sys.path, or use "
                    "--env wheel"
                )
        if not any(d.own_packages for d in descriptions.values()):
            self._warnings.append(
                "the benchmarks import nothing of the project, so both sides measure the same code"
            )

    def _select(self, descriptions: Mapping[Side, SideDescription]) -> list[Row]:
        known = {**descriptions["candidate"].rows, **descriptions["base"].rows}
        timed = [row for row, described in known.items() if described.kind == "time"]
        others = sorted({d.kind for d in known.values() if d.kind != "time"})
        if others:
            count = len(known) - len(timed)
            self._warnings.append(
                f"{count} {'row' if count == 1 else 'rows'} of other kinds "
                f"({', '.join(others)}) not compared: this version judges time_ benchmarks"
            )
        self._warnings += self.rules.unused([row.label for row in timed])
        patterns = [re.compile(expression) for expression in self.selection]
        chosen = [r for r in timed if not patterns or any(p.search(r.label) for p in patterns)]
        if not chosen and (timed or not any(d.failures for d in descriptions.values())):
            raise UsageError(_nothing_selected(self.selection, timed))
        return chosen

    def _prepare(
        self, pair: LaunchPair, rows: Sequence[Row], descriptions: Mapping[Side, SideDescription]
    ) -> None:
        caches = _Caches(pair, self.caches, self.default_timeout_s)
        for number, row in enumerate(rows):
            self.progress.say(f"calibrating {number + 1} of {len(rows)}: {row.label}")
            sides = {s: d.rows[row] for s, d in descriptions.items() if row in d.rows}
            missing = [s for s in SIDES if s not in sides]
            if missing:
                self._end(row, [_missing(s, descriptions[s], row) for s in missing])
                continue
            folders, failures = caches.of(sides)
            if failures:
                self._end(row, failures)
                continue
            timeout_s = sides["candidate"].timeout_s or self.default_timeout_s
            context = RowContext(sides=sides, timeout_s=timeout_s, caches=folders)
            trial = calibrate(pair, context)
            if trial.skipped:
                self._skip(row, trial.skipped, trial.failures)
            elif trial.failures or trial.calibration is None:
                self._end(row, trial.failures)
            else:
                self._contexts[row] = context
                self._calibrations[row] = trial.calibration

    def _take_pairs(self, pair: LaunchPair, ledger: Ledger) -> None:
        start_s = self.clock()
        rows = len(ledger.open_rows)
        while not ledger.finished:
            following = self._start() if self._may_start_ahead(ledger) else None
            try:
                self._add_pair(ledger, self._take_pair(pair, ledger))
            except _BudgetSpentError:
                break
            self._close(pair)
            self._tell(ledger, rows, self.clock() - start_s)
            if not ledger.finished:
                pair = following or self._start()
                pair.descriptions()
        ledger.close()

    def _add_pair(self, ledger: Ledger, summaries: Mapping[Row, PairSummary]) -> None:
        for row, summary in summaries.items():
            self._pairs.setdefault(row, []).append(summary)
        ledger.add_pair({row: log_ratio(p.base_s, p.candidate_s) for row, p in summaries.items()})

    def _may_start_ahead(self, ledger: Ledger) -> bool:
        """Start the next launch pair while one is measured, where it has a CPU of its own."""
        more = ledger.pairs_done + 1 < self.rule.looks[-1]
        return more and bool(self.launcher.cpus.starting)

    def _take_pair(self, pair: LaunchPair, ledger: Ledger) -> dict[Row, PairSummary]:
        rows = ledger.open_rows
        self.chance.shuffle(rows)
        summaries = {}
        for row in rows:
            if self.deadline_s is not None and self.clock() >= self.deadline_s:
                raise _BudgetSpentError
            try:
                summaries[row] = measure(
                    pair,
                    self._contexts[row],
                    self._calibrations[row],
                    number=ledger.pairs_done,
                    first=self._first_side(row, ledger.pairs_done),
                    chance=self.chance,
                )
            except RowFailedError as error:
                ledger.drop(row)
                self._end(row, [error.failure], broken=True)
        return summaries

    def _first_side(self, row: Row, number: int) -> Side:
        """Drawn for the first launch pair of a row; from then on they alternate."""
        phase = self._phases.setdefault(row, self.chance.randrange(2))
        return SIDES[(phase + number) % 2]

    def _tell(self, ledger: Ledger, rows: int, elapsed_s: float) -> None:
        still_open = len(ledger.open_rows)
        left_s = elapsed_s / ledger.pairs_done * ledger.pairs_to_next_look * still_open / rows
        if self.deadline_s is not None:
            left_s = min(left_s, max(0.0, self.deadline_s - self.clock()))
        self.progress.advance(
            pairs=ledger.pairs_done, rows_open=still_open, rows=rows, left_s=left_s
        )

    # How rows end

    def _end(self, row: Row, failures: Sequence[Failure], *, broken: bool = False) -> None:
        """A row that fails on base alone has no baseline; any other failure is broken."""
        on_base_alone = all(f.side == "base" for f in failures) and not broken
        outcome = Outcome.NO_BASELINE if on_base_alone else Outcome.BROKEN
        self._ended[row] = Comparison(row=row, outcome=outcome, failures=tuple(failures))

    def _skip(self, row: Row, skipped: frozenset[Side], failures: Sequence[Failure]) -> None:
        if failures:
            self._end(row, failures)
            return
        note = tuple(
            Failure(side=side, stage="setup", kind="skip", message="skipped by its own setup")
            for side in SIDES
            if side in skipped
        )
        outcome = Outcome.NO_BASELINE if skipped == {"base"} else Outcome.SKIPPED
        self._ended[row] = Comparison(row=row, outcome=outcome, failures=note)

    def _comparison(self, row: Row, ledger: Ledger) -> Comparison:
        if row in self._ended:
            return self._ended[row]
        calibration, estimate = self._calibrations[row], ledger.estimate(row)
        return Comparison(
            row=row,
            outcome=_OUTCOMES[ledger.conclusion(row)],
            metric=calibration.metric,
            loops=calibration.loops,
            ratio=estimate.ratio if estimate else None,
            ratio_low=estimate.ratio_low if estimate else None,
            ratio_high=estimate.ratio_high if estimate else None,
            confidence=self.rule.same_confidence if estimate else None,
            p_slower=estimate.p_slower if estimate else None,
            p_faster=estimate.p_faster if estimate else None,
            detectable=estimate.detectable if estimate else None,
            pairs=tuple(self._pairs.get(row, ())),
        )


class _Caches:
    """The results of setup_cache: made once per side and key, by that side's own code."""

    def __init__(self, pair: LaunchPair, folder: Path, default_timeout_s: float) -> None:
        self._pair = pair
        self._folder = folder
        self._default_timeout_s = default_timeout_s
        self._made: dict[tuple[Side, str], Path | Failure] = {}

    def of(
        self, sides: Mapping[Side, SuiteRow]
    ) -> tuple[dict[Side, Path | None], tuple[Failure, ...]]:
        """The folder of each side (None without setup_cache), or why there is none."""
        folders: dict[Side, Path | None] = {}
        failures = []
        for side, row in sides.items():
            made = self._make(side, row) if row.cache_key else None
            if isinstance(made, Failure):
                failures.append(made)
            else:
                folders[side] = made
        return folders, tuple(failures)

    def _make(self, side: Side, row: SuiteRow) -> Path | Failure:
        key = (side, row.cache_key or "")
        if key not in self._made:
            folder = self._folder / f"{len(self._made):05d}{side[0]}"
            folder.mkdir(parents=True)
            timeout_s = row.cache_timeout_s or row.timeout_s or self._default_timeout_s
            try:
                self._pair.make_cache(side, row, folder, timeout_s=timeout_s)
                self._made[key] = folder
            except RowFailedError as error:
                self._made[key] = error.failure
        return self._made[key]


def _missing(side: Side, description: SideDescription, row: Row) -> Failure:
    """Why a row is not there on one side: its file could not be imported, or it is not defined."""
    for failure in description.failures:
        module = failure.stage.removeprefix("import of ").partition(".")[2]
        if row.name.startswith(module):
            return failure
    return Failure(side=side, stage="import", kind="absent", message="this side does not define it")


def _nothing_selected(selection: Sequence[str], timed: Sequence[Row]) -> str:
    if not timed:
        return (
            "the suite has no time_ benchmarks, so there is nothing to compare; "
            "add one to the benchmark folder (asv's naming: def time_x)"
        )
    shown = ", ".join(row.label for row in timed[:_NAMES_SHOWN])
    more = f" and {len(timed) - _NAMES_SHOWN} more" if len(timed) > _NAMES_SHOWN else ""
    return (
        f"-b {' '.join(selection)}: matches none of the {len(timed)} rows; there are {shown}{more}"
    )
