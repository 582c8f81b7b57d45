"""When a run says nothing about its target, because the generator or the machine was the limit."""

import numpy as np

from groundspeed.load._result import GeneratorFacts, Samples
from groundspeed.units import format_percent, format_seconds

__all__ = ["reasons_against"]

LAG_S_MAX = 0.001
LAG_SHARE_MAX = 0.1
BUSY_MAX = 0.8
QUEUED_MAX = 0.05
OTHERS_MAX = 0.25
MACHINE_FULL = 0.95
TAKEN_MIN = 0.98


def reasons_against(
    facts: GeneratorFacts, measured: Samples, *, duration_s: float
) -> tuple[str, ...]:
    """Say why the run is invalid, a sentence each; empty when it is valid.

    Args:
        facts: Of the generator.
        measured: The samples after the warm-up.
        duration_s: Of the schedule.
    """
    if not len(measured):
        return ("no request was made after the warm-up; run longer",)
    found = (
        _slept(facts),
        _lagged(facts, measured),
        _late(measured, duration_s),
        _busy(facts),
        _queued(facts, duration_s),
        _crowded(facts),
    )
    return tuple(reason for reason in found if reason)


def _slept(facts: GeneratorFacts) -> str:
    if facts.slept_s <= 0.0:
        return ""
    return f"the machine slept for {format_seconds(facts.slept_s)}; run again"


def _lagged(facts: GeneratorFacts, measured: Samples) -> str:
    good = measured.response_s
    middle_s = float(np.quantile(good, 0.5, method="inverted_cdf"))
    limit_s = max(LAG_S_MAX, LAG_SHARE_MAX * middle_s if np.isfinite(middle_s) else 0.0)
    if facts.lag_s_p99 <= limit_s:
        return ""
    return (
        f"the generator took up 1 request in 100 more than {format_seconds(facts.lag_s_p99)} late, "
        f"needed {format_seconds(limit_s)} at most; give it a CPU of its own or a lower rate"
    )


def _late(measured: Samples, duration_s: float) -> str:
    share = float(np.mean(measured.taken_ns <= (duration_s + LAG_S_MAX) * 1e9))
    if share >= TAKEN_MIN:
        return ""
    return (
        f"the generator took up {format_percent(share)} of the requests before its time was over, "
        f"needed {format_percent(TAKEN_MIN)}; ask for a lower rate or more processes"
    )


def _busy(facts: GeneratorFacts) -> str:
    if facts.busy_share_max <= BUSY_MAX:
        return ""
    return (
        f"a generator process was busy for {format_percent(facts.busy_share_max)} of the time, "
        f"needed {format_percent(BUSY_MAX)} at most: it may have been the limit; ask for a lower "
        "rate or more processes"
    )


def _queued(facts: GeneratorFacts, duration_s: float) -> str:
    if facts.queued_s is None:
        return ""
    share = facts.queued_s / facts.processes / duration_s
    if share <= QUEUED_MAX:
        return ""
    return (
        f"the generator waited for a CPU for {format_percent(share)} of the time, needed "
        f"{format_percent(QUEUED_MAX)} at most; stop what else runs here"
    )


def _crowded(facts: GeneratorFacts) -> str:
    if facts.others_cpu_share <= OTHERS_MAX or facts.machine_busy_share < MACHINE_FULL:
        return ""
    return (
        f"other programs used {format_percent(facts.others_cpu_share)} of a machine that was full; "
        "stop them"
    )
