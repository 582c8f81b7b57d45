import os
import sys

import pytest

from groundspeed.errors import UsageError
from groundspeed.measure.machine import CpuPlan, describe_machine, plan_cpus

needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system cannot pin a process to a CPU"
)


def test_nothing_is_pinned_when_that_is_not_wanted() -> None:
    """--no-pin leaves every process where the system puts it."""
    assert plan_cpus(pin=False) == CpuPlan()


@needs_affinity
def test_each_lane_has_a_cpu_of_its_own() -> None:
    """Some allowed CPUs measure, at most one of a core; all others start what comes next."""
    allowed = os.sched_getaffinity(0)
    plan = plan_cpus()
    if len(allowed) < 2:
        assert plan == CpuPlan()
    else:
        assert 1 <= len(plan.measuring) <= 4
        assert not set(plan.measuring) & set(plan.starting)
        assert {*plan.measuring, *plan.starting} == allowed
        assert plan.lanes == tuple((cpu,) for cpu in plan.measuring)


@needs_affinity
def test_as_many_lanes_as_asked_for() -> None:
    """One is for whoever trusts no neighbour; more than there are CPUs is refused."""
    allowed = os.sched_getaffinity(0)
    assert len(plan_cpus(lanes=1).lanes) == 1
    with pytest.raises(UsageError, match=f"may use {len(allowed)} CPUs"):
        plan_cpus(lanes=len(allowed) + 1)


def test_without_a_choice_there_is_one_lane_anywhere() -> None:
    """An empty plan still measures."""
    assert CpuPlan().lanes == ((),)


@needs_affinity
def test_a_single_cpu_leaves_no_choice() -> None:
    """Confined to one CPU, the plan is empty instead of leaving nothing to start on."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert plan_cpus() == CpuPlan()
        assert describe_machine(CpuPlan()).cpus == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_fingerprint_is_the_machines_and_not_the_moments() -> None:
    """Two descriptions agree, whatever CPU was chosen."""
    one, other = describe_machine(CpuPlan()), describe_machine(CpuPlan(measuring=(0,)))
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 12
    assert other.measuring_cpus == (0,)


def test_the_machine_is_described() -> None:
    """Every field says something a reader can use."""
    machine = describe_machine(CpuPlan())
    assert machine.cpu
    assert 1 <= machine.cpus <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 2**20
    assert machine.python.endswith(".".join(map(str, sys.version_info[:3])))
