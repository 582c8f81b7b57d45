"""The machine a check runs on: what it is, and which of its CPUs to measure on."""

import hashlib
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from groundspeed.errors import UsageError
from groundspeed.measure.conditions.parsing import is_delay_counted
from groundspeed.model import Machine

__all__ = ["CpuPlan", "describe_machine", "plan_cpus"]


_SCHEDSTAT = Path("/proc/self/schedstat")
_SIBLINGS = "/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
_LOOK_S = 0.1
_MOST_LANES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuPlan:
    """Which CPUs do what; empty tuples where the system cannot pin or there is only one.

    Attributes:
        measuring: Where samples are taken: one lane a CPU.
        starting: Where launch pairs start and import; empty where no CPU is left for that alone.
    """

    measuring: tuple[int, ...] = ()
    starting: tuple[int, ...] = ()

    @property
    def lanes(self) -> tuple[tuple[int, ...], ...]:
        """The CPUs of each lane; a lane measures one row at a time."""
        return tuple((cpu,) for cpu in self.measuring) or ((),)


def plan_cpus(*, pin: bool = True, lanes: int | None = None) -> CpuPlan:
    """Choose the CPUs that are least busy just now, one of every core.

    Rows are measured side by side, each on a CPU of its own, which costs less precision than time
    it saves (docs/decisions/0011-lanes.md). From three cores on one is left to everything else.

    Args:
        pin: Whether to keep samples on CPUs at all.
        lanes: How many to measure on; None for what the machine has.

    Raises:
        UsageError: If there are fewer CPUs than lanes.
    """
    if not pin or not hasattr(os, "sched_getaffinity"):
        return CpuPlan()
    allowed = sorted(os.sched_getaffinity(0))
    if lanes is not None and lanes > len(allowed):
        raise UsageError(
            f"--lanes {lanes}: this process may use {len(allowed)} CPUs; ask for as many at most"
        )
    if len(allowed) < 2:  # noqa: PLR2004 - nothing to choose
        return CpuPlan()
    busy = psutil.cpu_percent(interval=_LOOK_S, percpu=True)
    load = {cpu: busy[cpu] if cpu < len(busy) else 0.0 for cpu in allowed}
    # The first CPU serves most interrupts, so on a tie the last one wins.
    ranked = sorted(allowed, key=lambda cpu: (load[cpu], -cpu))
    first_of_core = list({_core(cpu): cpu for cpu in reversed(ranked)}.values())[::-1]
    wanted = _lanes_for(len(first_of_core)) if lanes is None else lanes
    others = [cpu for cpu in ranked if cpu not in first_of_core]
    chosen = [*first_of_core, *others][:wanted]
    return CpuPlan(measuring=tuple(chosen), starting=tuple(c for c in allowed if c not in chosen))


def _lanes_for(cores: int) -> int:
    return cores if cores <= 2 else min(cores - 1, _MOST_LANES)  # noqa: PLR2004 - one is left free


def _core(cpu: int) -> str:
    """A name that CPUs of the same core share; the CPU's own where the system does not say."""
    try:
        return Path(_SIBLINGS.format(cpu=cpu)).read_text("ascii")
    except OSError:
        return str(cpu)


def describe_machine(plan: CpuPlan) -> Machine:
    """The machine as a record, with a fingerprint that is stable between checks."""
    cpu = _cpu_model()
    system = f"{platform.system()} {platform.release()}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    memory = psutil.virtual_memory().total
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    identity = "\n".join((cpu, str(os.cpu_count()), system, python, str(memory >> 28)))
    return Machine(
        fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:12],
        cpu=cpu,
        cpus=cpus,
        measuring_cpus=plan.measuring,
        memory_bytes=memory,
        system=system,
        python=python,
        load_average_1m=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        schedstat=_has_schedstat(),
    )


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _has_schedstat() -> bool:
    try:
        return is_delay_counted(_SCHEDSTAT.read_text(encoding="ascii"))
    except OSError:
        return False
