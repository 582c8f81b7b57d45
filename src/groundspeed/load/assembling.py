"""Makes the result of a run out of what its generators and its watch have found."""

from collections.abc import Sequence

import numpy as np

from groundspeed.load._result import (
    GeneratorFacts,
    LoadResult,
    Resources,
    Samples,
    StageSpan,
)
from groundspeed.load.arrivals import legs_of
from groundspeed.load.crew import Found
from groundspeed.load.merge import littles_law_gap, merge_parts
from groundspeed.load.models import Soak, describe_model
from groundspeed.load.monitor import resources_of
from groundspeed.load.scenario import Scenario
from groundspeed.load.validity import reasons_against
from groundspeed.load.warm_up import find_warm_up
from groundspeed.load.watch import Watch
from groundspeed.units import format_bytes, format_percent

__all__ = ["assemble"]

_GAP_MAX = 0.05
_GROWTH_MIN = 0.05


def assemble(
    scenario: Scenario, found: Sequence[Found], watch: Watch, *, partial: bool
) -> LoadResult:
    """Merge the shares, find the warm-up and judge the run."""
    parts = [part for part, _ in found]
    samples, overflow, outcomes = merge_parts(parts)
    drained_s = max(report.wall_ns for _, report in found) * 1e-9
    duration_s = min(scenario.duration, drained_s) if partial else scenario.duration
    warm_up_s, steady = _warm_up(scenario, samples)
    measured = samples.between(warm_up_s, np.inf)
    resources = resources_of(watch.monitor.readings, warm_up_s=warm_up_s)
    facts = _facts(scenario, found, watch, lag_s=measured.lag_s, resources=resources)
    gap = littles_law_gap(parts)
    legs = legs_of(scenario.model, scenario.stages)
    return LoadResult(
        name=scenario.name,
        model=describe_model(scenario.model),
        seed=scenario.seed,
        duration_s=duration_s,
        drained_s=drained_s,
        warm_up_s=warm_up_s,
        steady=steady,
        offered=sum(report.offered for _, report in found),
        samples=samples,
        overflow=overflow,
        operations=tuple(operation.name for operation in scenario.operations),
        outcomes=outcomes,
        stages=tuple(
            StageSpan(name=leg.name, start_s=leg.start_s, end_s=leg.end_s) for leg in legs
        ),
        resources=resources,
        generator=facts,
        littles_law_gap=gap,
        partial=partial,
        invalid=reasons_against(facts, measured, duration_s=duration_s),
        notes=_notes(scenario, resources, gap, steady=steady, partial=partial),
        started_ns=watch.start_ns,
    )


def _warm_up(scenario: Scenario, samples: Samples) -> tuple[float, bool]:
    """Seconds that are not judged, and whether a settled part was found."""
    if scenario.warm_up is not None:
        return scenario.warm_up, True
    count, steady = find_warm_up(samples.service_s)
    if not count:
        return 0.0, steady
    return float(samples.intended_ns[~samples.failed][count]) * 1e-9, steady


def _facts(
    scenario: Scenario,
    found: Sequence[Found],
    watch: Watch,
    *,
    lag_s: np.ndarray,
    resources: Resources | None,
) -> GeneratorFacts:
    reports = [report for _, report in found]
    queued = [report.queued_s for report in reports]
    cpu_s = sum(report.cpu_s for report in reports)
    # A caller in this process is busy with the target's own work, which is no fault of its own.
    busy = max(report.busy_share for report in reports) if scenario.is_http else 0.0
    target_s = float(resources.cpu_s[-1]) if resources is not None else None
    others_s = watch.busy_s - cpu_s - target_s if target_s is not None else 0.0
    return GeneratorFacts(
        processes=len(reports),
        busy_share_max=busy,
        cpu_s=cpu_s,
        queued_s=sum(q for q in queued if q is not None)
        if scenario.is_http and None not in queued
        else None,
        lag_s_p99=float(np.quantile(lag_s, 0.99, method="inverted_cdf")) if len(lag_s) else 0.0,
        slept_s=watch.slept_s,
        others_cpu_share=max(0.0, others_s / watch.machine_s) if watch.machine_s > 0.0 else 0.0,
        machine_busy_share=watch.busy_s / watch.machine_s if watch.machine_s > 0.0 else 0.0,
    )


def _notes(
    scenario: Scenario, resources: Resources | None, gap: float, *, steady: bool, partial: bool
) -> tuple[str, ...]:
    notes = []
    if partial:
        notes.append("it was interrupted; these are the samples until then")
    if not steady:
        notes.append("it did not settle in its first half, so that no warm-up was left out")
    if gap > _GAP_MAX:
        notes.append(f"Little's law: the number in flight is off by {format_percent(gap)}")
    if resources is None:
        notes.append("the target's processes could not be seen; name them in `watch`")
    soaked = any(isinstance(stage, Soak) for stage in scenario.stages)
    slope = resources.rss_slope_bytes_per_s if resources is not None else None
    if resources is not None and slope is not None and soaked:
        grown = slope * float(resources.at_s[-1] - resources.at_s[0])
        if grown > _GROWTH_MIN * resources.rss_bytes_peak:
            notes.append(f"the target's memory grows by {format_bytes(slope)} a second")
    return tuple(notes)
