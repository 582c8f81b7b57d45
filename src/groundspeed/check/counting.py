"""The measuring of a check that compares executed instructions: one pair decides each row.

An ordinary launch pair says which rows there are and how many calls make a sample, in a few seconds
and with the failures that a row would have anyway; a second one, under valgrind, counts that many
calls on both sides. Whatever looks changed is counted in three more, each with its own layout of
memory, before it is called so.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundspeed.check.counts import CHANGED, compare_counts, confirm, percent_apart, spread_of
from groundspeed.check.excuses import Excuses
from groundspeed.check.lanes import side_by_side
from groundspeed.check.request import Progress
from groundspeed.check.roster import (
    Caches,
    Descriptions,
    Selected,
    Selection,
    check_origin,
    contexts_of,
    ended_by,
    ended_in_trial,
    select_rows,
)
from groundspeed.check.session import SessionResult
from groundspeed.measure.instructions import count, counting_launcher, find_valgrind
from groundspeed.measure.lockstep import SIDES, Launcher, LaunchPair, RowFailedError
from groundspeed.measure.rows import Calibration, RowContext, calibrate
from groundspeed.model import Comparison, Outcome, Row

__all__ = ["CountingSession"]

# Which thread runs when is chance, and two counts may agree by chance, too.
_REPEATS_OF_THREADS = 3
# Two layouts agree by chance now and then.
_LAYOUTS_TO_CONFIRM = (1, 2, 3)
_NO_TIME_TO_CONFIRM = (
    "it looks changed, and the time was over before it was counted with other layouts of memory"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A row that was counted, and what is needed to count it again."""

    comparison: Comparison
    context: RowContext
    calibration: Calibration


@dataclass(kw_only=True)
class CountingSession:
    """Counts every row once; everything it starts is ended when `run` returns or raises.

    Attributes:
        launcher: Starts launch pairs without valgrind; those with it are made of it.
        min_effect: The least effect of rows without a rule of their own, as ratio - 1.
        excuses: What the project says of single rows; markers are added when they are known.
        selection: Which rows.
        folder: A private folder for the results of setup_cache and of valgrind.
        clock: Monotonic seconds.
        deadline_s: On that clock; None without limit.
        progress: Whom to tell.
        repeats: How often base is counted, at least 2: how much it varies says what to believe.
            Three times as often where several threads work.
    """

    launcher: Launcher
    min_effect: float
    excuses: Excuses
    selection: Selection
    folder: Path
    clock: Callable[[], float]
    deadline_s: float | None
    progress: Progress
    repeats: int = 2
    _own_effects: dict[str, float] = field(default_factory=dict, init=False)
    _spreads: dict[str, float] = field(default_factory=dict, init=False)
    _warnings: list[str] = field(default_factory=list, init=False)
    _open_pairs: list[LaunchPair] = field(default_factory=list, init=False)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(len(self.launcher.cpus.lanes))

    def run(self) -> SessionResult:
        """Count every row that can be counted while there is time.

        Raises:
            UsageError: If there is no valgrind, or nothing matches the selection.
            BrokenError: If a side cannot be imported at all.
        """
        start_s, valgrind = self.clock(), find_valgrind()
        self._dumps.mkdir(parents=True)
        try:
            pair, descriptions = self._first_pair()
            selected = self._select(descriptions)
            found, counted = self._compare(
                pair, self._start_counting(valgrind), selected.rows, descriptions
            )
            found |= {row: c.comparison for row, c in counted.items()}
            found |= self._confirm(
                valgrind, {row: c for row, c in counted.items() if c.comparison.outcome in CHANGED}
            )
        finally:
            self._end_all()
        self._warnings += self._spread_told()
        return SessionResult(
            comparisons=tuple(
                found.get(row) or Comparison(row=row, outcome=Outcome.UNDECIDED)
                for row in selected.rows
            ),
            file_failures=tuple(f for side in SIDES for f in descriptions[side].failures),
            warnings=tuple(self._warnings),
            measuring_s=self.clock() - start_s,
            excuses=self.excuses,
            other_rows=selected.others,
        )

    # Launch pairs

    def _start(self, launcher: Launcher, *, describe: bool = False) -> LaunchPair:
        pair = launcher.start(describe=describe)
        self._open_pairs.append(pair)
        return pair

    def _start_counting(self, valgrind: Path, *, layout: int = 0) -> LaunchPair:
        return self._start(counting_launcher(self.launcher, valgrind, self._dumps, layout=layout))

    @property
    def _dumps(self) -> Path:
        return self.folder / "counts"

    def _end_all(self) -> None:
        # First the processes, for which the pool's threads may be waiting.
        while self._open_pairs:
            self._open_pairs.pop().close()
        self._pool.shutdown(cancel_futures=True)

    def _first_pair(self) -> tuple[LaunchPair, Descriptions]:
        self.progress.say("importing the benchmarks on both sides")
        pair = self._start(self.launcher, describe=True)
        descriptions = pair.descriptions()
        self._warnings += check_origin(descriptions)
        if any(d.threads for d in descriptions.values()):
            self._warnings.append(
                "importing the benchmarks starts threads, which a fork does not keep: each row "
                "imports them itself, under valgrind too, which takes long"
            )
            self._open_pairs.remove(pair)
            pair.close()
            self.launcher.import_in_row = True
            pair = self._start(self.launcher)
            pair.descriptions()
        return pair, descriptions

    def _select(self, descriptions: Descriptions) -> Selected:
        known = {**descriptions["base"].rows, **descriptions["candidate"].rows}
        self.excuses = self.excuses.with_markers({r.label: d.marker for r, d in known.items()})
        selected = select_rows(descriptions, self.selection)
        rules = self.excuses.rules
        self._own_effects = rules.min_effects([row.label for row in selected.rows])
        self._warnings += [*selected.notes, *rules.unused(selected.labels)]
        self.launcher.time_only = True
        return selected

    # Rows

    def _compare(
        self,
        pair: LaunchPair,
        under_valgrind: LaunchPair,
        rows: Sequence[Row],
        descriptions: Descriptions,
    ) -> tuple[dict[Row, Comparison], dict[Row, _Counted]]:
        """Every row that was reached, side by side on the lanes: how it ended, or its counts."""
        caches = Caches(pair, self.folder / "caches", self.selection.default_timeout_s)
        found: dict[Row, Comparison] = {}
        counted: dict[Row, _Counted] = {}
        ready: list[tuple[Row, RowContext]] = []
        for row, context in contexts_of(rows, descriptions, self.selection, caches):
            if isinstance(context, Comparison):
                found[row] = context
            else:
                ready.append((row, context))

        def attempt(
            item: tuple[Row, RowContext], cpus: Sequence[int]
        ) -> Comparison | _Counted | None:
            return self._attempt(pair, under_valgrind, *item, cpus)

        for (row, _), ended in side_by_side(ready, self.launcher.cpus.lanes, self._pool, attempt):
            if isinstance(ended, _Counted):
                counted[row] = ended
            elif ended is not None:
                found[row] = ended
            done = len(found) + len(counted) - (len(rows) - len(ready))
            self.progress.say(f"counted {done} of {len(ready)}: {row.label}")
        return found, counted

    def _attempt(
        self,
        pair: LaunchPair,
        under_valgrind: LaunchPair,
        row: Row,
        context: RowContext,
        cpus: Sequence[int],
    ) -> Comparison | _Counted | None:
        """How the row ended, or its counts; None if the time was over first."""
        if not self._has_time():
            return None
        trial = calibrate(pair, context, cpus=cpus)
        ended = ended_in_trial(row, trial)
        if ended is not None or trial.calibration is None:
            return ended
        under_valgrind.descriptions()
        if not self._has_time():
            return None
        try:
            return self._count(under_valgrind, row, context, trial.calibration, cpus)
        except RowFailedError as error:
            return ended_by(row, [error.failure], broken=True)

    def _count(
        self,
        pair: LaunchPair,
        row: Row,
        context: RowContext,
        calibration: Calibration,
        cpus: Sequence[int],
    ) -> _Counted:
        more = 1 if calibration.threads is None else _REPEATS_OF_THREADS
        counts = count(
            pair, context, calibration, repeats=self.repeats * more, dumps=self._dumps, cpus=cpus
        )
        self._spreads[row.label] = spread_of(counts)
        compared = compare_counts(row, counts, calibration, min_effect=self._min_effect(row))
        return _Counted(comparison=compared, context=context, calibration=calibration)

    def _min_effect(self, row: Row) -> float:
        return self._own_effects.get(row.label, self.min_effect)

    # What looks changed

    def _confirm(self, valgrind: Path, changed: Mapping[Row, _Counted]) -> dict[Row, Comparison]:
        """What is left of the rows that look changed when things lie elsewhere in memory."""
        if not changed:
            return {}
        self.progress.say(f"{len(changed)} looks changed: counting with other layouts of memory")
        pairs = [self._start_counting(valgrind, layout=n) for n in _LAYOUTS_TO_CONFIRM]

        def attempt(item: tuple[Row, _Counted], cpus: Sequence[int]) -> Comparison:
            return self._count_elsewhere(pairs, *item, cpus)

        told = side_by_side(list(changed.items()), self.launcher.cpus.lanes, self._pool, attempt)
        return {row: comparison for (row, _), comparison in told}

    def _count_elsewhere(
        self, pairs: Sequence[LaunchPair], row: Row, counted: _Counted, cpus: Sequence[int]
    ) -> Comparison:
        found, elsewhere = counted.comparison, []
        for pair in pairs:
            if not self._has_time():
                notes = (*found.notes, _NO_TIME_TO_CONFIRM)
                return replace(found, outcome=Outcome.UNDECIDED, notes=notes)
            pair.descriptions()
            try:
                elsewhere.append(
                    count(
                        pair,
                        counted.context,
                        counted.calibration,
                        repeats=1,
                        dumps=self._dumps,
                        cpus=cpus,
                    )
                )
            except RowFailedError as error:
                return ended_by(row, [error.failure], broken=True)
        return confirm(found, elsewhere, min_effect=self._min_effect(row))

    def _has_time(self) -> bool:
        return self.deadline_s is None or self.clock() < self.deadline_s

    def _spread_told(self) -> Sequence[str]:
        """How far apart the counts of one side were, in a sentence; none without counts."""
        if not self._spreads:
            return []
        label, most = max(self._spreads.items(), key=lambda item: item[1])
        where = f" ({label})" if most else ""
        told = (
            f"each row's base was counted {self.repeats} times or more, each in a process of its "
            f"own: at most {percent_apart(most)} apart{where}"
        )
        return [told]
