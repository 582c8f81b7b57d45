"""The measuring of a check that compares executed instructions: one pair decides each row.

An ordinary launch pair says which rows there are and how many calls make a sample, in a few seconds
and with the failures that a row would have anyway; a second one, under valgrind, counts that many
calls on both sides. The certainty is that of `stats.exact`: no p-values and no correction.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

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
from groundspeed.measure.instructions import Counts, count, counting_launcher, find_valgrind
from groundspeed.measure.lockstep import SIDES, Launcher, LaunchPair, RowFailedError
from groundspeed.measure.rows import Calibration, RowContext, calibrate
from groundspeed.model import Comparison, Outcome, Row, ValuePair
from groundspeed.stats import Conclusion, ExactPair, spread_of_repeats

__all__ = ["COUNTS_MIN_EFFECT", "CountingSession", "compare_counts"]

COUNTS_MIN_EFFECT = 0.002
"""The least effect of counts unless the user states one: above what counts of one version differ by
where one thread works (docs/how-to/count-instructions.md)."""

_OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
# Which thread runs when is chance, and two counts may agree by chance, too.
_REPEATS_OF_THREADS = 3
# A row may have two states, some processes being in one and some in the other.
_CONFIRMING = 3
_THREADS = (
    "it works in several threads: their instructions are counted, what they wait for each other is "
    "not, and valgrind lets only one run at a time"
)


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
        counts = self.folder / "counts"
        counts.mkdir(parents=True)
        try:
            pair, descriptions = self._first_pair()
            selected = self._select(descriptions)
            under_valgrind = self._start(counting_launcher(self.launcher, valgrind, counts))
            found = self._compare(pair, under_valgrind, selected.rows, descriptions)
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
    ) -> dict[Row, Comparison]:
        """Every row that was reached, side by side on the lanes."""
        caches = Caches(pair, self.folder / "caches", self.selection.default_timeout_s)
        found: dict[Row, Comparison] = {}
        ready: list[tuple[Row, RowContext]] = []
        for row, context in contexts_of(rows, descriptions, self.selection, caches):
            if isinstance(context, Comparison):
                found[row] = context
            else:
                ready.append((row, context))

        def attempt(item: tuple[Row, RowContext], cpus: Sequence[int]) -> Comparison | None:
            return self._attempt(pair, under_valgrind, *item, cpus)

        done = 0
        for (row, _), ended in side_by_side(ready, self.launcher.cpus.lanes, self._pool, attempt):
            if ended is not None:
                found[row], done = ended, done + 1
                self.progress.say(f"counted {done} of {len(ready)}: {row.label}")
        return found

    def _attempt(
        self,
        pair: LaunchPair,
        under_valgrind: LaunchPair,
        row: Row,
        context: RowContext,
        cpus: Sequence[int],
    ) -> Comparison | None:
        """How the row ended; None if the time was over first."""
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
    ) -> Comparison:
        """Count and decide; whatever would be called slower or faster is counted again first."""
        min_effect = self._own_effects.get(row.label, self.min_effect)
        more = 1 if calibration.threads is None else _REPEATS_OF_THREADS

        def counted(repeats: int, candidates: int) -> Counts:
            return count(
                pair,
                context,
                calibration,
                repeats=repeats,
                candidates=candidates,
                dumps=self.folder / "counts",
                cpus=cpus,
            )

        counts = counted(self.repeats * more, 1)
        found = compare_counts(row, counts, calibration, min_effect=min_effect)
        if found.outcome in {Outcome.SLOWER, Outcome.FASTER}:
            counts += counted(_CONFIRMING, _CONFIRMING)
            found = compare_counts(row, counts, calibration, min_effect=min_effect)
        self._spreads[row.label] = _spread(counts)
        return found

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
            f"own: at most {_shown(most)} apart{where}"
        )
        return [told]


def compare_counts(
    row: Row, counts: Counts, calibration: Calibration, *, min_effect: float
) -> Comparison:
    """What the counts say of a row.

    Args:
        row: Which.
        counts: Those of base, at least two, and at least one of the candidate.
        calibration: How it was sampled.
        min_effect: Its least effect, as ratio - 1.
    """
    spread = _spread(counts)
    pair = ExactPair(base=counts.base[0], candidate=counts.candidate[0], spread=spread)
    conclusion = pair.conclude(min_effect=min_effect)
    low, high = pair.ratio_range
    notes = [_THREADS] if calibration.threads is not None else []
    if conclusion is Conclusion.OPEN:
        notes.append(
            f"counts of one side are {_shown(spread)} apart, which is a third of the "
            "minimum effect or more: it does not do the same in every run; compare its time"
        )
    return Comparison(
        row=row,
        outcome=_OUTCOMES[conclusion],
        metric="instructions",
        unit="instructions",
        loops=calibration.loops,
        ratio=pair.ratio,
        ratio_low=low,
        ratio_high=high,
        values=(ValuePair(pair=0, base=pair.base, candidate=pair.candidate),),
        notes=tuple(notes),
    )


def _spread(counts: Counts) -> float:
    """How far apart the counts of one side are, of the side where that is more."""
    sides = (counts.base, counts.candidate)
    return max(spread_of_repeats(side) for side in sides if len(side) > 1)


def _shown(spread: float) -> str:
    return f"{100.0 * spread:.2g} %"
