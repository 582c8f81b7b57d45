"""The measuring of one check: find the rows, calibrate them, take launch pairs until decided."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundspeed.check.budget import Budget
from groundspeed.check.excuses import Excuses
from groundspeed.check.kept import Kept
from groundspeed.check.lanes import Done, Round, Task, side_by_side
from groundspeed.check.ledger import Ledger, bounded, family_of
from groundspeed.check.request import Progress
from groundspeed.check.roster import (
    Caches,
    Descriptions,
    Selected,
    Selection,
    check_origin,
    contexts_of,
    directed,
    ended_by,
    ended_in_trial,
    labels_of,
    select_rows,
    without_direction,
)
from groundspeed.check.shards import rows_elsewhere
from groundspeed.check.units import (
    Unit,
    expected_s,
    not_recorded,
    unit_of,
    values_of,
    without_ratio,
)
from groundspeed.measure.lockstep import SIDES, Launcher, LaunchPair
from groundspeed.measure.rows import (
    Calibration,
    Measured,
    Quantity,
    RowContext,
    Trial,
    calibrate,
    measure,
)
from groundspeed.measure.wakefulness import read_clocks, slept_s
from groundspeed.model import (
    Comparison,
    Failure,
    Outcome,
    PairSummary,
    Row,
    ValuePair,
    log_ratio,
)
from groundspeed.stats import GateRule

__all__ = ["Session", "SessionResult"]

_SLEPT = "the machine slept in the middle: what was being measured then was measured again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionResult:
    """What a session found.

    Attributes:
        comparisons: Every selected row, in suite order.
        file_failures: Benchmark files that could not be imported, per side.
        warnings: What a reader should know.
        measuring_s: Seconds spent in launch pairs.
        excuses: Those of the session, with what markers say.
        other_rows: Rows that were selected but are another shard's.
    """

    comparisons: tuple[Comparison, ...]
    file_failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    measuring_s: float
    excuses: Excuses
    other_rows: int = 0


@dataclass(kw_only=True)
class Session:
    """Takes launch pairs; everything it starts is ended when `run` returns or raises.

    Attributes:
        launcher: Starts launch pairs.
        rule: What decides.
        excuses: What the project says of single rows; markers are added when they are known.
        selection: Which rows, and what to compare of them.
        caches: A private folder for the results of setup_cache.
        chance: Source of the rows' order and turns.
        clock: Monotonic seconds.
        deadline_s: On that clock; None without limit.
        progress: Whom to tell.
        kept: What is kept for a check that goes on after this one, and what this one takes over.
    """

    launcher: Launcher
    rule: GateRule
    excuses: Excuses
    selection: Selection
    caches: Path
    chance: random.Random
    clock: Callable[[], float]
    deadline_s: float | None
    progress: Progress
    kept: Kept = field(default_factory=Kept)
    _units: dict[Row, Unit] = field(default_factory=dict, init=False)
    _ended: dict[Row, Comparison] = field(default_factory=dict, init=False)
    _warnings: list[str] = field(default_factory=list, init=False)
    _open_pairs: list[LaunchPair] = field(default_factory=list, init=False)
    _pool: ThreadPoolExecutor = field(init=False)
    _budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        lanes = len(self.launcher.cpus.lanes)
        self._budget = Budget(clock=self.clock, deadline_s=self.deadline_s, lanes=lanes)
        self._pool = ThreadPoolExecutor(lanes)

    def run(self) -> SessionResult:
        """Measure until every row is decided, the looks are used up or the time is over.

        Raises:
            UsageError: If nothing matches the selection.
            BrokenError: If a side cannot be imported at all.
        """
        start_s = self.clock()
        try:
            pair, descriptions = self._first_pair()
            selected = self._select(descriptions)
            self._prepare(pair, selected.rows, descriptions)
            self._warnings += self._unused_rules(selected, descriptions)
            ledger = self._ledger(selected.others)
            self._take_pairs(pair, ledger)
        finally:
            self._close_all()
            self._pool.shutdown(cancel_futures=True)
        failures = tuple(f for side in SIDES for f in descriptions[side].failures)
        return SessionResult(
            comparisons=tuple(c for row in selected.rows for c in self._comparisons(row, ledger)),
            file_failures=failures,
            warnings=(*self._warnings, *self.kept.told),
            measuring_s=self.clock() - start_s,
            excuses=self.excuses,
            other_rows=selected.others,
        )

    # Launch pairs

    def _start(self, *, describe: bool = False) -> LaunchPair:
        pair = self.launcher.start(describe=describe)
        self._open_pairs.append(pair)
        return pair

    def _close(self, pair: LaunchPair) -> None:
        """End a launch pair; of two who would, the first does."""
        try:
            self._open_pairs.remove(pair)
        except ValueError:
            return
        pair.close()

    def _close_all(self) -> None:
        while self._open_pairs:
            self._open_pairs.pop().close()

    # Before the first launch pair counts

    def _first_pair(self) -> tuple[LaunchPair, Descriptions]:
        self.progress.say("importing the benchmarks on both sides")
        pair = self._start(describe=True)
        descriptions = pair.descriptions()
        self._warnings += check_origin(descriptions)
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

    def _select(self, descriptions: Descriptions) -> Selected:
        known = descriptions["candidate"].rows
        described = {**descriptions["base"].rows, **known}
        self.excuses = self.excuses.with_markers({r.label: d.marker for r, d in described.items()})
        own = self.excuses.rules.metrics([row.label for row in described])
        self.selection = replace(self.selection, metrics=own)
        selected = select_rows(descriptions, self.selection)
        self._warnings += selected.notes
        self.launcher.time_only = all(known[r].kind == "time" for r in selected.rows if r in known)
        return selected

    def _prepare(self, pair: LaunchPair, rows: Sequence[Row], descriptions: Descriptions) -> None:
        """Calibrate every row that can be measured; a row there is no time for stays out."""
        caches = Caches(pair, self.caches, self.selection.default_timeout_s)
        ready: list[tuple[Row, RowContext]] = []
        for row, found in contexts_of(rows, descriptions, self.selection, caches):
            if isinstance(found, Comparison):
                self._ended[row] = found
            else:
                ready.append((row, found))
        for row, context, trial, took_s in self._trials(pair, ready):
            ended = ended_in_trial(row, trial)
            if ended is not None:
                self._ended[row] = ended
            elif trial.calibration is not None:
                self._units[row] = Unit(
                    context=context,
                    calibration=self._directed(row, trial.calibration),
                    phase=self.chance.randrange(2),
                    cost_s=expected_s(trial.calibration, took_s),
                    measured=self.kept.measured(row, trial.calibration),
                )
                self._end_if_broken_before(row)

    def _directed(self, row: Row, found: Calibration) -> Calibration:
        """With which way is better as the project says; what nobody says is told."""
        calibration = directed(row, found, self.excuses.rules.directions(labels_of(row, found)))
        sentence = without_direction(row, calibration)
        if sentence is not None:
            self._warnings.append(sentence)
        return calibration

    def _unused_rules(self, selected: Selected, descriptions: Descriptions) -> tuple[str, ...]:
        """Sentences about rules that match nothing, where all is known that they could match.

        What a scenario records is known only if it ran.
        """
        if not self.selection.whole_suite:
            return ()
        known = {row: d for side in SIDES for row, d in descriptions[side].rows.items()}
        if any(d.marker.get("scenario") and row not in self._units for row, d in known.items()):
            return ()
        recorded = [x for row, u in self._units.items() for x in labels_of(row, u.calibration)]
        return self.excuses.rules.unused([*selected.labels, *recorded])

    def _end_if_broken_before(self, row: Row) -> None:
        failures = self.kept.broken(row)
        if failures:
            self._ended[row] = ended_by(row, failures, broken=True)
            del self._units[row]

    def _trials(
        self, pair: LaunchPair, ready: Sequence[tuple[Row, RowContext]]
    ) -> list[tuple[Row, RowContext, Trial, float]]:
        """Calibrate side by side while there is time; in suite order, with the seconds it took."""

        def attempt(
            item: tuple[Row, RowContext], cpus: Sequence[int]
        ) -> tuple[Trial, float] | None:
            row, context = item
            known = self.kept.calibration(row)
            if known is not None:
                return Trial(calibration=known, skipped=frozenset(), failures=()), 0.0
            if not self._budget.has_time():
                return None
            start_s = self.clock()
            trial = calibrate(pair, context, cpus=cpus)
            return trial, self.clock() - start_s

        done: dict[Row, tuple[Trial, float]] = {}
        for (row, _), tried in side_by_side(ready, self.launcher.cpus.lanes, self._pool, attempt):
            if tried is not None:
                done[row] = tried
                self._keep_calibration(row, tried[0])
                self.progress.say(f"calibrated {len(done)} of {len(ready)}: {row.label}")
        return [(row, context, *done[row]) for row, context in ready if row in done]

    def _keep_calibration(self, row: Row, trial: Trial) -> None:
        calibrated = trial.calibration is not None and not trial.failures and not trial.skipped
        if calibrated and trial.calibration is not None and self.kept.calibration(row) is None:
            self.kept.keep_calibration(row, trial.calibration)

    def _ledger(self, others: int) -> Ledger:
        quantities: dict[Row, Quantity] = {}
        for name, unit in self._units.items():
            quantities |= unit.rows(name)
        own = self.excuses.rules.min_effects([row.label for row in quantities])
        families = {row: family_of(quantity.metric) for row, quantity in quantities.items()}
        elsewhere = rows_elsewhere(quantities, others)
        ledger = Ledger(
            [*quantities, *elsewhere],
            self.rule,
            families=families,
            min_effects={row: own[row.label] for row in quantities if row.label in own},
            excused=[row for row in quantities if self.excuses.possible(row.label)],
        )
        ledger.set_aside(elsewhere)
        return ledger

    # Launch pairs until decided

    def _take_pairs(self, pair: LaunchPair, ledger: Ledger) -> None:
        rows = len(ledger.open_rows)
        ahead: LaunchPair | None = pair
        while not ledger.finished:
            self._look_closer(ledger)
            self._budget.fit(ledger, lambda row: (unit_of(row), self._units[unit_of(row)].cost_s))
            if ledger.finished:
                break
            numbers = range(ledger.pairs_done, ledger.pairs_done + ledger.pairs_to_next_look)
            tasks = [task for number in numbers for task in self._tasks(ledger, number)]
            cut_short = False
            if tasks:
                round_ = self._round(tasks, following=numbers[-1] + 1)
                if ahead is not None:
                    round_.hold(tasks[0].number, ahead)
                for done in round_.run():
                    self._take(done, ledger)
                    self._tell(ledger, done.task.number, rows)
                ahead, cut_short = round_.take_following(), round_.cut_short
            self._add_pairs(ledger, numbers)
            if cut_short:
                break
        ledger.close()

    def _look_closer(self, ledger: Ledger) -> None:
        """From the first look on, open rows get more samples a launch pair."""
        if ledger.pairs_done >= self.rule.looks[0]:
            for row in ledger.open_rows:
                self._units[unit_of(row)].look_closer()

    def _round(self, tasks: Sequence[Task], *, following: int) -> Round:
        return Round(
            tasks,
            lanes=self.launcher.cpus.lanes,
            pool=self._pool,
            start=self._start,
            close=self._close,
            measure=self._measure,
            may_begin=lambda task: self._budget.has_time(self._units[task.row].cost_s),
            following=following if following < self.rule.looks[-1] else None,
            eager=bool(self.launcher.cpus.starting),
        )

    def _tasks(self, ledger: Ledger, number: int) -> Iterable[Task]:
        """The rows of one launch pair in an order of its own; their first sides alternate.

        What an interrupted check has measured already is not measured again.
        """
        units = list(dict.fromkeys(unit_of(row) for row in ledger.open_rows))
        for row in self.chance.sample(units, len(units)):
            unit = self._units[row]
            task = Task(
                number=number,
                row=row,
                first=SIDES[(unit.phase + number) % 2],
                closer=unit.closer,
                seed=self.chance.randrange(2**32),
            )
            if number not in unit.measured:
                yield task

    def _measure(self, pair: LaunchPair, task: Task, cpus: Sequence[int]) -> Measured:
        unit, start_s = self._units[task.row], self.clock()
        while True:
            before = read_clocks()
            measured = measure(
                pair,
                unit.context,
                unit.calibration,
                number=task.number,
                first=task.first,
                closer=task.closer,
                cpus=cpus,
                chance=random.Random(task.seed),  # noqa: S311 - the order of turns, no secret
            )
            if not slept_s(before, read_clocks()):
                break
            self._note(_SLEPT)  # what was measured around it says nothing: once more
        unit.cost_s = self.clock() - start_s
        return measured

    def _note(self, sentence: str) -> None:
        if sentence not in self._warnings:
            self._warnings.append(sentence)

    def _take(self, done: Done, ledger: Ledger) -> None:
        unit = self._units[done.task.row]
        if done.measured is not None:
            unit.measured[done.task.number] = done.measured
            self.kept.keep(done.task.row, done.task.number, done.measured)
        elif done.failure is not None:
            for row in unit.rows(done.task.row):
                ledger.drop(row)
            self._ended[done.task.row] = ended_by(done.task.row, [done.failure], broken=True)
            self.kept.keep_broken(done.task.row, [done.failure])

    def _add_pairs(self, ledger: Ledger, numbers: Iterable[int]) -> None:
        """Give the ledger every launch pair that has all open rows."""
        for number in numbers:
            differences: dict[Row, float] = {}
            for row in ledger.open_rows:
                measured = self._units[unit_of(row)].measured.get(number)
                if measured is None:
                    return
                if row.quantity in measured:
                    self._add_difference(ledger, row, measured[row.quantity], differences)
                else:
                    self._drop(ledger, not_recorded(row))
            if ledger.finished:
                return
            ledger.add_pair(differences)

    def _add_difference(
        self,
        ledger: Ledger,
        row: Row,
        pair: PairSummary | ValuePair,
        differences: dict[Row, float],
    ) -> None:
        quantity = self._units[unit_of(row)].calibration.quantities[row.quantity]
        values = values_of(pair)
        ratio = log_ratio(*values, quantity.direction or "lower")
        if math.isnan(ratio):
            self._drop(ledger, without_ratio(row, *values))
        else:
            differences[row] = bounded(ratio)

    def _drop(self, ledger: Ledger, ended: Comparison) -> None:
        """Leave a row out that cannot be compared after all, and say so."""
        ledger.drop(ended.row)
        self._ended[ended.row] = ended
        self._warnings.append(f"{ended.row.label}: {ended.failures[0].message}; not compared")

    def _tell(self, ledger: Ledger, number: int, rows: int) -> None:
        open_rows = ledger.open_rows
        pairs_left = max(ledger.pairs_done + ledger.pairs_to_next_look - number, 0)
        cost_s = sum(self._units[unit_of(row)].cost_s for row in open_rows)
        left_s = cost_s * pairs_left / len(self.launcher.cpus.lanes)
        self.progress.advance(
            pairs=number,
            rows_open=len(open_rows),
            rows=rows,
            left_s=min(left_s, self._budget.left_s()),
        )

    # How rows end

    def _comparisons(self, name: Row, ledger: Ledger) -> Iterable[Comparison]:
        unit = self._units.get(name)
        if name in self._ended:
            yield self._ended[name]
        elif unit is None:  # the time was over before it was its turn
            yield Comparison(row=name, outcome=Outcome.UNDECIDED)
        else:
            for row, quantity in unit.rows(name).items():
                yield self._ended.get(row) or unit.comparison(row, quantity, ledger, self.rule)
