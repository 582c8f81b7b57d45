"""A load run as programs read it: figures with intervals, levels, and the whole distribution."""

import math
from dataclasses import dataclass

import msgspec
import numpy as np

from groundspeed import __version__
from groundspeed.errors import TooFewSamplesError
from groundspeed.load import LoadResult
from groundspeed.load.figures import (
    Figure,
    error_rate,
    figure_of,
    latency,
    parse_latency_metric,
    ranked_latency,
    response_histogram,
    throughput,
)
from groundspeed.load.service_levels import LevelReport, Standings
from groundspeed.stats import Histogram, encode_histogram
from groundspeed.stats.quantile import percentile_name, quantile_rank, samples_needed

__all__ = [
    "LOAD_SCHEMA",
    "LoadRecord",
    "RecordedFigure",
    "RecordedLevel",
    "compared_figures",
    "encode_load",
    "load_exit_code",
    "percentile_plot",
    "record_load",
]

LOAD_SCHEMA = "groundspeed-load/1"
_PERCENTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_MS = 1e-6  # of nanoseconds
_HALVINGS = 25
_TICKS_PER_HALF = 5
_UNDECIDED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFigure:
    """A figure in seconds, bytes, per second or a share; null stands for infinite or unknown.

    Attributes:
        metric: Its name.
        value: The estimate.
        low: Lower end of the interval.
        high: Upper end.
        confidence: Coverage of the interval; null where there were too few samples for one.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLevel:
    """A service level and where the run stands.

    Attributes:
        metric: What is held to it.
        better: `lower` or `higher`.
        target: What it should be better than.
        critical: What it must be better than.
        standing: `met`, `missed`, `critical` or `undecided`.
        figure: What was found; null where nothing was.
        reason: Why it is undecided.
    """

    metric: str
    better: str
    target: float
    critical: float
    standing: str
    figure: RecordedFigure | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """A whole load run.

    Attributes:
        schema: Name and version of this shape.
        tool_version: The groundspeed that wrote it.
        name: The scenario's.
        model: The model and its numbers.
        seed: Of every random choice.
        duration_s: Of the schedule.
        drained_s: Until the last answer.
        warm_up_s: What was not judged.
        offered: Arrivals that were to be made.
        recorded: Arrivals that have an answer or a failure: all.
        failures: By class.
        figures: Percentiles of the response time, throughput and error rate.
        service_s_p50: Median from sending to the answer, of good answers; null without any.
        lag_s_p99: The generator's own lag.
        littles_law_gap: How far the number in flight is from rate times response time.
        valid: Whether the run says anything about the target.
        invalid: Why not.
        partial: Whether it was interrupted.
        notes: What a reader should know.
        levels: Where it stands.
        exit_code: What the command exits with.
        response_histogram: Response times of good answers in nanoseconds, in base64 of
            HdrHistogram V2.
    """

    schema: str
    tool_version: str
    name: str
    model: str
    seed: int
    duration_s: float
    drained_s: float
    warm_up_s: float
    offered: int
    recorded: int
    failures: dict[str, int]
    figures: tuple[RecordedFigure, ...]
    service_s_p50: float | None
    lag_s_p99: float
    littles_law_gap: float
    valid: bool
    invalid: tuple[str, ...]
    partial: bool
    notes: tuple[str, ...]
    levels: tuple[RecordedLevel, ...]
    exit_code: int
    response_histogram: str


def load_exit_code(result: LoadResult, standings: Standings) -> int:
    """What a run exits with: 1 beyond critical, 3 undecided or invalid, else 0."""
    return standings.exit_code or (0 if result.valid else _UNDECIDED)


def record_load(result: LoadResult, standings: Standings) -> LoadRecord:
    """Make the record of a run."""
    service = result.service_s
    return LoadRecord(
        schema=LOAD_SCHEMA,
        tool_version=__version__,
        name=result.name,
        model=result.model,
        seed=result.seed,
        duration_s=result.duration_s,
        drained_s=result.drained_s,
        warm_up_s=result.warm_up_s,
        offered=result.offered,
        recorded=result.recorded,
        failures=result.errors,
        figures=_figures(result),
        service_s_p50=float(np.median(service)) if service.size else None,
        lag_s_p99=result.generator.lag_s_p99,
        littles_law_gap=result.littles_law_gap,
        valid=result.valid,
        invalid=result.invalid,
        partial=result.partial,
        notes=result.notes,
        levels=tuple(_recorded_level(report) for report in standings.reports),
        exit_code=load_exit_code(result, standings),
        response_histogram=encode_histogram(response_histogram(result)),
    )


def encode_load(record: LoadRecord) -> bytes:
    """Write a record as JSON; what is infinite or not a number is null."""
    return msgspec.json.format(msgspec.json.encode(record)) + b"\n"


def compared_figures(record: LoadRecord) -> dict[str, float]:
    """What a check compares of a run: what is finite, and percentiles of runs long enough.

    Long enough is a matter of arrivals alone: whether samples hang together differs from run to
    run, and a row must not come and go with it. There the unit is the run.
    """
    return {
        figure.metric: figure.value
        for figure in record.figures
        if math.isfinite(figure.value) and record.recorded >= _arrivals_needed(figure.metric)
    }


def _arrivals_needed(metric: str) -> int:
    q = parse_latency_metric(metric)
    return 1 if q is None else samples_needed(q)


def percentile_plot(histogram: Histogram) -> str:
    """The distribution in milliseconds, as HdrHistogram's plotter reads it (`.hgrm`).

    Five lines for each halving of what is left above, until nothing is.
    """
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    count = histogram.count
    for q in _plotted_quantiles(count):
        rank = quantile_rank(count, q)
        value = histogram.value_at_rank(rank) * _MS
        lines.append(f"{value:12.3f} {q:2.12f} {rank:10d} {1.0 / (1.0 - q):14.2f}")
    if count:
        last = histogram.value_at_rank(count) * _MS
        lines.append(f"{last:12.3f} {1.0:2.12f} {count:10d}")
        lines.extend(_plot_footer(histogram, last))
    return "\n".join(lines) + "\n"


def _plotted_quantiles(count: int) -> list[float]:
    found = []
    for halving in range(_HALVINGS):
        start, left = 1.0 - 0.5**halving, 0.5**halving
        if left * count < 1.0:
            break
        found += [start + left / 2.0 * tick / _TICKS_PER_HALF for tick in range(_TICKS_PER_HALF)]
    return [q for q in found if q > 0.0]


def _plot_footer(histogram: Histogram, last: float) -> list[str]:
    index = np.flatnonzero(histogram.counts)
    layout, counts = histogram.layout, histogram.counts[index]
    middles = layout.least(index) + (layout.width(index) - 1) / 2.0
    deviation = math.sqrt(float(((middles - histogram.mean) ** 2) @ counts) / histogram.count)
    buckets = layout.size * 2 // layout.linear - 1
    return [
        f"#[Mean    = {histogram.mean * _MS:12.3f}, StdDeviation   = {deviation * _MS:12.3f}]",
        f"#[Max     = {last:12.3f}, Total count    = {histogram.count:12d}]",
        f"#[Buckets = {buckets:12d}, SubBuckets     = {layout.linear:12d}]",
    ]


def _figures(result: LoadResult) -> tuple[RecordedFigure, ...]:
    found = [_percentile(result, q) for q in _PERCENTILES if len(result.measured)]
    for make in (throughput, error_rate):
        try:
            found.append(_recorded(make(result)))
        except TooFewSamplesError:
            continue
    if result.resources is not None:
        found.append(_recorded(figure_of(result, "rss_bytes")))
    return tuple(found)


def _percentile(result: LoadResult, q: float) -> RecordedFigure:
    """With its interval, or without one where there are too few samples for it."""
    metric = f"latency_s_{percentile_name(q)}"
    try:
        estimate = latency(result, q)
    except TooFewSamplesError:
        ranked = ranked_latency(result)
        value = ranked.value_at_rank(quantile_rank(ranked.count, q))
        return RecordedFigure(metric=metric, value=value, low=None, high=None, confidence=None)
    return RecordedFigure(
        metric=metric,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        confidence=estimate.confidence,
    )


def _recorded(figure: Figure) -> RecordedFigure:
    return RecordedFigure(
        metric=figure.metric,
        value=figure.value,
        low=figure.low,
        high=figure.high,
        confidence=figure.confidence,
    )


def _recorded_level(report: LevelReport) -> RecordedLevel:
    return RecordedLevel(
        metric=report.level.metric,
        better=report.level.better,
        target=report.level.target,
        critical=report.level.critical,
        standing=report.standing.value,
        figure=None if report.figure is None else _recorded(report.figure),
        reason=report.reason,
    )
