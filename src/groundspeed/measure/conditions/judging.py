"""What the conditions mean for a check: one finding for each thing that was looked at."""

from collections.abc import Callable, Sequence

from groundspeed.measure.conditions import competition, equipment
from groundspeed.measure.conditions.model import Conclusion, Conditions, Finding, Severity

__all__ = ["conclude", "judge"]

_LOOKS: tuple[Callable[[Conditions], Finding], ...] = (
    equipment.judge_fork,
    equipment.judge_git,
    competition.judge_other_work,
    competition.judge_load,
    competition.judge_steal,
    competition.judge_cpus,
    competition.judge_quota,
    equipment.judge_schedstat,
    competition.judge_autogroup,
    equipment.judge_governor,
    equipment.judge_turbo,
    equipment.judge_heat,
    competition.judge_siblings,
    competition.judge_memory,
    equipment.judge_clock,
    equipment.judge_randomisation,
    equipment.judge_virtual,
    equipment.judge_container,
    equipment.judge_python,
)


def judge(conditions: Conditions) -> tuple[Finding, ...]:
    """All findings, in the order in which they are best explained."""
    return tuple(look(conditions) for look in _LOOKS)


def conclude(findings: Sequence[Finding]) -> Conclusion:
    """The worst finding decides; of none, nothing is wrong."""
    worst = max((finding.severity.rank for finding in findings), default=0)
    if worst >= Severity.BAD.rank:
        return Conclusion.UNFIT
    return Conclusion.USABLE if worst >= Severity.WARNING.rank else Conclusion.FIT
