"""Which rows a check measures and how: what both sides define, what was selected, what it costs."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.lockstep import (
    SIDES,
    LaunchPair,
    RowFailedError,
    SideDescription,
    SuiteRow,
)
from groundspeed.measure.rows import Calibration, Method, RowContext, Trial
from groundspeed.model import Comparison, Direction, Failure, Metric, Outcome, Row, Side
from groundspeed.store.rules import METRICS

__all__ = [
    "Caches",
    "Descriptions",
    "Selected",
    "Selection",
    "check_origin",
    "contexts_of",
    "directed",
    "ended_by",
    "ended_in_trial",
    "labels_of",
    "select_rows",
    "without_direction",
]

Descriptions = Mapping[Side, SideDescription]

_SAME_CODE = "the benchmarks import nothing of the project, so both sides measure the same code"
_NAMES_SHOWN = 5
_VALUES = ("peakmemory", "memory", "track")
_OF_THE_BENCHMARK: tuple[Metric, ...] = ("track", "recorded")
# What a scenario is measured by beside what it records itself.
_OF_EVERY_RUN = ("time_s", "peak_memory_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was asked for.

    Attributes:
        expressions: Regular expressions on the rows' labels; none for all.
        metric: What to compare of timed rows: `time`, or a `Metric`.
        metrics: The same of single rows for which a rule or marker says another, by label.
        keep: Which of the selected labels belong to this check; the others are another shard's.
        default_timeout_s: For benchmarks that state none.
        whole_suite: Whether every row of the suite is described, selected or not; arguments of
            pytest may leave some out.
    """

    expressions: Sequence[str]
    metric: str
    keep: Callable[[Sequence[str]], Sequence[str]]
    default_timeout_s: float
    whole_suite: bool = True
    metrics: Mapping[str, str] = field(default_factory=dict)

    def metric_of(self, row: Row) -> str:
        """What to compare of this row if it is timed."""
        return self.metrics.get(row.label, self.metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The rows of a check.

    Attributes:
        rows: Those to measure, in suite order.
        others: Rows that were selected but are another shard's.
        labels: Of every row of the suite, selected or not.
        notes: What a reader should know.
    """

    rows: tuple[Row, ...]
    others: int
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def check_origin(descriptions: Descriptions) -> tuple[str, ...]:
    """Sentences for the reader about where the benchmarks take the project from.

    Raises:
        UsageError: If its tests cannot be run with these arguments.
        BrokenError: If a side imported what is not its own.
    """
    refusals = {side: d.refusal for side, d in descriptions.items() if d.refusal is not None}
    if refusals:
        told = dict.fromkeys(refusals.values())
        both = len(refusals) > len(told)  # one reason, which is no side's own
        raise UsageError("; ".join(told if both else [f"{s}: {r}" for s, r in refusals.items()]))
    for side, description in descriptions.items():
        if description.foreign_files:
            raise BrokenError(
                f"{side}: {description.foreign_files[0]} was imported, which is not this "
                "side's own source; the benchmarks must not change sys.path, or use "
                "--env wheel"
            )
    notes = dict.fromkeys(note for d in descriptions.values() for note in d.notes)
    if not any(d.own_packages for d in descriptions.values()):
        return (*notes, _SAME_CODE)
    return tuple(notes)


def select_rows(descriptions: Descriptions, selection: Selection) -> Selected:
    """The rows that were asked for, as the candidate orders them.

    Raises:
        UsageError: If nothing matches.
    """
    known = {**descriptions["candidate"].rows, **descriptions["base"].rows}
    able = [row for row, described in known.items() if _method(described, selection)]
    unable = sorted({d.kind for row, d in known.items() if row not in set(able)})
    notes = [_left_out(len(known) - len(able), unable, selection.metric)] if unable else []
    patterns = [re.compile(expression) for expression in selection.expressions]
    chosen = [r for r in able if not patterns or any(p.search(r.label) for p in patterns)]
    if not chosen and (able or not any(d.failures for d in descriptions.values())):
        raise UsageError(_nothing_selected(selection, able))
    kept = set(selection.keep([row.label for row in chosen]))
    rows = tuple(row for row in chosen if row.label in kept)
    notes += _compared_by_time([row for row in rows if known[row].kind == "time"], selection)
    return Selected(
        rows=rows,
        others=len(chosen) - len(rows),
        labels=tuple(row.label for row in known),
        notes=tuple(notes),
    )


def _method(described: SuiteRow, selection: Selection) -> Method | None:
    """How to measure a row for its metric; None if that makes no sense."""
    if described.kind in _VALUES or described.marker.get("scenario"):
        wanted_too = selection.metric == "time"
        kind: Method = "scenario" if described.marker.get("scenario") else "valued"
        return kind if wanted_too else None
    if described.kind != "time":
        return None
    return "allocations" if selection.metric_of(described.row) == "allocations" else "timed"


def _compared_by_time(rows: Sequence[Row], selection: Selection) -> Iterator[str]:
    """A sentence for each metric that some rows ask for and this version cannot compare."""
    asking: dict[str, list[str]] = {}
    for row in rows:
        if (metric := selection.metric_of(row)) not in (*METRICS, selection.metric):
            asking.setdefault(metric, []).append(row.label)
    for metric, labels in asking.items():
        more = f" and {len(labels) - _NAMES_SHOWN} more" if len(labels) > _NAMES_SHOWN else ""
        yield (
            f"this version cannot compare {metric}, which a marker asks for of "
            f"{', '.join(labels[:_NAMES_SHOWN])}{more}; time is compared instead"
        )


def _left_out(count: int, kinds: Sequence[str], metric: str) -> str:
    rows = "row" if count == 1 else "rows"
    why = "this version cannot compare them"
    if metric != "time":
        why = f"--metric {metric} is asked of time_ benchmarks"
    return f"{count} {rows} of other kinds ({', '.join(kinds)}) not compared: {why}"


def _nothing_selected(selection: Selection, able: Sequence[Row]) -> str:
    if not able:
        return (
            "the suite has no benchmarks to compare; add one to the benchmark folder (asv's "
            "naming: def time_x), or a test that uses the benchmark fixture (--suite pytest); "
            "arguments of pytest may leave all of them out"
        )
    shown = ", ".join(row.label for row in able[:_NAMES_SHOWN])
    more = f" and {len(able) - _NAMES_SHOWN} more" if len(able) > _NAMES_SHOWN else ""
    return (
        f"-b {' '.join(selection.expressions)}: matches none of the {len(able)} rows; "
        f"there are {shown}{more}"
    )


def contexts_of(
    rows: Sequence[Row], descriptions: Descriptions, selection: Selection, caches: "Caches"
) -> Iterator[tuple[Row, RowContext | Comparison]]:
    """What each row needs to run, or how it ended before it could."""
    for row in rows:
        sides = {s: d.rows[row] for s, d in descriptions.items() if row in d.rows}
        missing = [s for s in SIDES if s not in sides]
        if missing:
            yield row, ended_by(row, [_missing(s, descriptions[s], row) for s in missing])
            continue
        folders, failures = caches.of(sides)
        if failures:
            yield row, ended_by(row, failures)
            continue
        candidate = sides["candidate"]
        yield (
            row,
            RowContext(
                sides=sides,
                method=_method(candidate, selection) or "timed",
                timeout_s=candidate.timeout_s or selection.default_timeout_s,
                caches=folders,
                wanted=_wanted(selection.metric_of(row)),
            ),
        )


def _wanted(metric: str) -> Metric | None:
    match metric:
        case "wall" | "cpu":
            return metric
        case _:
            return None


def directed(
    row: Row, calibration: Calibration, directions: Mapping[str, Direction]
) -> Calibration:
    """The calibration with what rules and markers say of which way is better.

    Only of what a benchmark itself gives: of the time and memory it takes less is always better.

    Args:
        row: The benchmark.
        calibration: What was found on base.
        directions: What is said, by the label of the quantity.
    """
    quantities = {
        name: replace(quantity, direction=directions.get(label, quantity.direction))
        if quantity.metric in _OF_THE_BENCHMARK and name not in _OF_EVERY_RUN
        else quantity
        for (name, quantity), label in zip(
            calibration.quantities.items(), labels_of(row, calibration), strict=True
        )
    }
    return replace(calibration, quantities=quantities)


def labels_of(row: Row, calibration: Calibration) -> tuple[str, ...]:
    """The label of each quantity that the benchmark gives."""
    return tuple(replace(row, quantity=name).label for name in calibration.quantities)


def without_direction(row: Row, calibration: Calibration) -> str | None:
    """A sentence about what cannot be judged since nobody said which way is better; or None."""
    names = [name for name, q in calibration.quantities.items() if q.direction is None]
    if not names:
        return None
    shown = [repr(name) for name in names[:_NAMES_SHOWN]]
    if len(names) > _NAMES_SHOWN:
        shown.append(f"{len(names) - _NAMES_SHOWN} more")
    listed = " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
    return (
        f"{row.label} records {listed}, and nobody said which way is better; "
        f"say metrics={{{names[0]!r}: 'lower'}} in its marker, or direction in "
        "[[tool.groundspeed.rules]]"
    )


def _missing(side: Side, description: SideDescription, row: Row) -> Failure:
    """Why a row is not there on one side: its file could not be imported, or it is not defined."""
    for failure in description.failures:
        if _is_of(row.name, failure.stage.removeprefix("import of ")):
            return failure
    return Failure(side=side, stage="import", kind="absent", message="this side does not define it")


def _is_of(name: str, failed: str) -> bool:
    """Whether a row is defined in what could not be imported: a test's file, or asv's module."""
    file, is_test, _ = name.partition("::")
    if is_test:
        place, _, last = failed.rpartition("/")
        return file == failed or (last == "conftest.py" and file.startswith(place))
    return name.startswith(failed.partition(".")[2])


def ended_by(row: Row, failures: Sequence[Failure], *, broken: bool = False) -> Comparison:
    """A row that fails on base alone has no baseline; any other failure is broken."""
    on_base_alone = all(f.side == "base" for f in failures) and not broken
    outcome = Outcome.NO_BASELINE if on_base_alone else Outcome.BROKEN
    return Comparison(row=row, outcome=outcome, failures=tuple(failures))


def ended_in_trial(row: Row, trial: Trial) -> Comparison | None:
    """How a row ended while it was calibrated; None if it did not."""
    if trial.skipped and not trial.failures:
        note = tuple(
            Failure(side=side, stage="setup", kind="skip", message="skipped by its own setup")
            for side in SIDES
            if side in trial.skipped
        )
        outcome = Outcome.NO_BASELINE if trial.skipped == {"base"} else Outcome.SKIPPED
        return Comparison(row=row, outcome=outcome, failures=note)
    if trial.failures or trial.calibration is None:
        return ended_by(row, trial.failures)
    return None


class Caches:
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
