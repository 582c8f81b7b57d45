from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.conditions import (
    Activity,
    Clock,
    Conclusion,
    Conditions,
    Finding,
    Memory,
    PythonBuild,
    Severity,
    conclude,
    judge,
)
from groundspeed.measure.conditions.parsing import parse_cpu_list

QUIET = Conditions(
    platform="linux",
    fork=True,
    git_version="2.45.0",
    cpus=(0, 1),
    cpu_count=2,
    machine_cpu_count=2,
    quota_cpus=None,
    schedstat=True,
    activity=Activity(window_s=1.0, busy_shares=(0.0, 0.0), foreign_cpus=0.0, steal_share=0.0),
    load_average_1m=0.0,
    governors=("performance",),
    frequency_driver="acpi-cpufreq",
    turbo=False,
    turbo_switch=None,
    throttles=0,
    autogroup=False,
    clock=Clock(source="tsc", step_s=20e-9, read_s=30e-9),
    hypervisor="",
    container="",
    siblings=(),
    memory=Memory(available_share=0.8, swap_used_bytes=0, stalled_share=0.0),
    randomisation=2,
    python=PythonBuild(version="CPython 3.12.4", debug=False),
)
# What a reading can leave open: the fields that may be None, but not those told with another.
READABLE = (
    "git_version",
    "quota_cpus",
    "schedstat",
    "activity",
    "load_average_1m",
    "governors",
    "turbo",
    "throttles",
    "autogroup",
    "hypervisor",
    "container",
    "siblings",
    "memory",
    "randomisation",
)

SHARES = st.floats(0, 1)
TWO_CPUS = st.tuples(SHARES, SHARES)
SEVERITIES = st.sampled_from(Severity)


def ranks(conditions: Conditions) -> dict[str, int]:
    """How bad each finding is."""
    return {finding.name: finding.severity.rank for finding in judge(conditions)}


def watched(busy: tuple[float, float], steal_share: float = 0.0) -> Conditions:
    """The quiet machine, but with others at work."""
    activity = Activity(
        window_s=1.0, busy_shares=busy, foreign_cpus=sum(busy), steal_share=steal_share
    )
    return replace(QUIET, activity=activity)


@given(TWO_CPUS, TWO_CPUS)
def test_more_work_by_others_is_never_better(
    one: tuple[float, float], other: tuple[float, float]
) -> None:
    """Severity does not fall when every CPU works more for others."""
    less, more = (
        tuple(choose(pair) for pair in zip(one, other, strict=True)) for choose in (min, max)
    )
    assert (
        ranks(watched((less[0], less[1])))["other work"]
        <= ranks(watched((more[0], more[1])))["other work"]
    )


@given(TWO_CPUS, SHARES, SHARES)
def test_more_steal_is_never_better(busy: tuple[float, float], one: float, other: float) -> None:
    """Severity does not fall when more is taken away, and nothing else changes."""
    less, more = sorted([one, other])
    before, after = (ranks(watched(busy, steal_share=share)) for share in (less, more))
    assert before["steal"] <= after["steal"]
    assert before | {"steal": 0} == after | {"steal": 0}


@given(TWO_CPUS)
def test_a_free_cpu_is_enough_to_measure(busy: tuple[float, float]) -> None:
    """Others' work is a warning only where no CPU is left for samples."""
    free = watched((busy[0], 0.0))
    assert ranks(free)["other work"] < Severity.WARNING.rank


@given(st.sets(st.sampled_from(READABLE)), TWO_CPUS)
def test_the_unknown_is_never_worse_than_a_note(
    open_facts: set[str], busy: tuple[float, float]
) -> None:
    """Each fact that cannot be read is a note with its reason; the other findings stand."""
    known = watched(busy, steal_share=0.5)
    reasons = {name: f"{name} cannot be read" for name in open_facts}
    nothing: dict[str, Any] = dict.fromkeys(open_facts)
    conditions = replace(known, unknown=reasons, **nothing)
    before = {finding.name: finding for finding in judge(known)}
    for finding in judge(conditions):
        if finding.known:
            same = before[finding.name]
            assert (finding.severity, finding.seen) == (same.severity, same.seen)
        else:
            assert finding.severity is Severity.NOTE
            assert finding.seen in reasons.values()


def test_every_fact_that_may_be_unknown_is_covered() -> None:
    """The facts above are all that may be None, but for details told with another."""
    optional = {field.name for field in fields(Conditions) if "None" in str(field.type)}
    assert optional - {"frequency_driver", "turbo_switch"} == set(READABLE)


@given(st.lists(SEVERITIES))
def test_the_worst_finding_decides(severities: list[Severity]) -> None:
    """Bad makes unfit, a warning usable, anything else is fit, in whatever order."""
    findings = [Finding(name="a", severity=s, seen="", effect="") for s in severities]
    expected = Conclusion.FIT
    if Severity.BAD in severities:
        expected = Conclusion.UNFIT
    elif Severity.WARNING in severities:
        expected = Conclusion.USABLE
    assert conclude(findings) is expected


@given(st.sets(st.integers(0, 300)))
def test_a_list_of_cpus_reads_as_the_kernel_writes_it(cpus: set[int]) -> None:
    """Ranges and single numbers, in any mixture."""
    ordered, parts = sorted(cpus), list[list[int]]()
    for cpu in ordered:
        if parts and parts[-1][-1] == cpu - 1:
            parts[-1].append(cpu)
        else:
            parts.append([cpu])
    text = ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
    assert parse_cpu_list(f"{text}\n") == tuple(ordered)


@pytest.mark.parametrize("text", ["a-b", "1-", "-", "1;2"])
def test_what_is_no_list_of_cpus_is_refused(text: str) -> None:
    """With an error, never half a list."""
    with pytest.raises(ValueError, match="invalid literal"):
        parse_cpu_list(text)
