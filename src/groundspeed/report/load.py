"""A load run for a person: the metrics block in its fixed layout, then what it cannot hold.

Readers of the block go by its lines, so not one is changed or added: all else comes after it.
"""

import math
from collections.abc import Iterator

import numpy as np

from groundspeed.load import LoadResult
from groundspeed.load.figures import ranked_latency
from groundspeed.load.service_levels import (
    LevelReport,
    Standing,
    Standings,
    Unit,
    format_figure,
)
from groundspeed.report.load_record import LoadRecord, RecordedFigure, record_load
from groundspeed.report.text import Style, plain
from groundspeed.stats.quantile import quantile_rank
from groundspeed.units import format_bytes, format_duration, format_percent, format_seconds

__all__ = ["load_report", "metrics_block"]

_RULE = "=" * 80
_MS = 1e3
_MB = 1e6
_STYLES = {
    Standing.MET: "good",
    Standing.MISSED: "doubt",
    Standing.CRITICAL: "bad",
    Standing.UNDECIDED: "doubt",
}


def metrics_block(result: LoadResult, *, accounts: int, users: int | None = None) -> str:
    """The metrics block, ending in a newline.

    Percentiles count from the intended start and hold the failures: where these reach into one it
    is `infms`. Average, least and most are of good answers. Without a single one, or of a target
    that was not watched, a figure is `nan`.

    Args:
        result: The run.
        accounts: How many the target held, or keys were drawn from.
        users: Concurrent users; without a number, those in flight on average.
    """
    good = result.measured.response_s[~result.measured.failed] * _MS
    resources = result.resources
    memory = resources.rss_bytes_peak / _MB if resources else math.nan
    cpu = resources.cpu_share * 100.0 if resources else math.nan
    p50, p95, p99 = (_percentile_ms(result, q) for q in (0.5, 0.95, 0.99))
    mean, least, most = (
        (float(good.mean()), float(good.min()), float(good.max())) if good.size else (math.nan,) * 3
    )
    lines = [
        _RULE,
        f"Load Test Results: {result.name}",
        _RULE,
        "Test Configuration:",
        f"  Accounts: {accounts}",
        f"  Concurrent Users: {_in_flight(result) if users is None else users}",
        "",
        "Performance Metrics:",
        f"  Total Duration: {result.drained_s:.2f}s",
        f"  Throughput: {result.throughput_per_s:.2f} ops/sec",
        f"  Average Response: {mean:.2f}ms",
        "",
        "Latency Distribution:",
        f"  P50: {p50:.2f}ms",
        f"  P95: {p95:.2f}ms",
        f"  P99: {p99:.2f}ms",
        f"  Min: {least:.2f}ms",
        f"  Max: {most:.2f}ms",
        "",
        "Reliability:",
        f"  Successes: {result.recorded - result.failures}",
        f"  Failures: {result.failures}",
        f"  Error Rate: {result.error_rate * 100.0:.2f}%",
        "",
        "Resource Usage:",
        f"  Memory Used: {memory:.2f}MB",
        f"  CPU: {cpu:.1f}%",
        _RULE,
    ]
    return "\n".join(lines) + "\n"


def load_report(
    result: LoadResult,
    standings: Standings,
    *,
    accounts: int,
    users: int | None = None,
    style: Style = plain,
) -> str:
    """The block and what it cannot hold, ending in a newline.

    Args:
        result: The run.
        standings: Where it stands; empty where it is held to nothing.
        accounts: As in `metrics_block`.
        users: As in `metrics_block`.
        style: How to colour what follows the block; plain by default.
    """
    record = record_load(result, standings)
    after = [
        *_validity(record, style),
        _how(record),
        *(_figure_line(figure) for figure in record.figures),
        *_failures(record),
        *_generator(result),
        *(_level_line(report, style) for report in standings.reports),
        *(f"{style('note:', 'doubt')} {note}" for note in record.notes),
    ]
    return metrics_block(result, accounts=accounts, users=users) + "\n".join(after) + "\n"


def _percentile_ms(result: LoadResult, q: float) -> float:
    if not len(result.measured) and result.overflow is None:
        return math.nan
    ranked = ranked_latency(result)
    return ranked.value_at_rank(quantile_rank(ranked.count, q)) * _MS


def _in_flight(result: LoadResult) -> int:
    """Mean number of requests between their intended start and their end."""
    spent = result.samples.end_ns - result.samples.intended_ns
    total = float(np.asarray(spent, dtype=np.float64).sum()) * 1e-9
    return max(1, round(total / result.drained_s)) if result.drained_s > 0.0 else 1


def _how(record: LoadRecord) -> str:
    return (
        f"model: {record.model}; seed {record.seed}; warm-up of "
        f"{format_duration(record.warm_up_s)} left out; response times from the intended start"
    )


def _validity(record: LoadRecord, style: Style) -> Iterator[str]:
    for reason in record.invalid:
        yield f"{style('INVALID', 'bad')}: {reason}; nothing is said of the target"
    if record.partial:
        yield f"{style('PARTIAL', 'doubt')}: the run was interrupted; this is what it had by then"


def _figure_line(figure: RecordedFigure) -> str:
    unit: Unit = "s"
    name = figure.metric.removeprefix("latency_s_")
    match figure.metric:
        case "throughput_per_s":
            name, unit = "throughput", "per s"
        case "error_rate":
            name, unit = "error rate", "share"
        case "rss_bytes":
            return f"memory at most: {format_bytes(figure.value)}"
        case _:
            pass
    said = f"{name}: {format_figure(figure.value, unit)}"
    if figure.low is None or figure.high is None or figure.confidence is None:
        return f"{said}, too few samples for an interval"
    low, high = format_figure(figure.low, unit), format_figure(figure.high, unit)
    return f"{said}, {figure.confidence * 100:g} % interval {low} to {high}"


def _failures(record: LoadRecord) -> Iterator[str]:
    if record.failures:
        named = ", ".join(f"{name} {count:,}" for name, count in record.failures.items())
        yield f"failed: {named}"


def _generator(result: LoadResult) -> Iterator[str]:
    facts = result.generator
    yield (
        f"generator: lag p99 {format_seconds(facts.lag_s_p99)}, busy "
        f"{format_percent(facts.busy_share_max)} of its time; offered {result.offered:,}, recorded "
        f"{result.recorded:,}; Little's law off by {format_percent(result.littles_law_gap)}"
    )


def _level_line(report: LevelReport, style: Style) -> str:
    level = report.level
    sign = "<" if level.better == "lower" else ">"
    target, critical = (
        format_figure(limit, level.unit) for limit in (level.target, level.critical)
    )
    said = f"{level.name}: {style(report.standing.value, _STYLES[report.standing])}"
    if report.figure is not None:
        value, low, high = (
            format_figure(end, level.unit)
            for end in (report.figure.value, report.figure.low, report.figure.high)
        )
        said += f", {value} ({low} to {high})"
    said += f"; target {sign} {target}, critical {sign} {critical}"
    return f"{said}; {report.reason}" if report.reason else said
