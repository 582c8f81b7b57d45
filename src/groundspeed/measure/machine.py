"""The machine a check runs on: what it is, and which of its CPUs to measure on."""

import hashlib
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from groundspeed.measure.conditions.parsing import is_delay_counted
from groundspeed.model import Machine

__all__ = ["CpuPlan", "describe_machine", "plan_cpus"]


_SCHEDSTAT = Path("/proc/self/schedstat")
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuPlan:
    """Which CPUs do what; empty tuples where the system cannot pin or there is only one.

    Attributes:
        measuring: Where samples are taken.
        starting: Where the next launch pair starts and imports meanwhile, and the tool itself runs.
    """

    measuring: tuple[int, ...] = ()
    starting: tuple[int, ...] = ()


def plan_cpus(*, pin: bool = True) -> CpuPlan:
    """Measure on the CPU that is least busy just now and leave the others to everything else."""
    if not pin or not hasattr(os, "sched_getaffinity"):
        return CpuPlan()
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:  # noqa: PLR2004 - nothing to choose
        return CpuPlan()
    busy = psutil.cpu_percent(interval=_LOOK_S, percpu=True)
    load = {cpu: busy[cpu] if cpu < len(busy) else 0.0 for cpu in allowed}
    # The first CPU serves most interrupts, so on a tie the last one wins.
    chosen = min(reversed(allowed), key=load.__getitem__)
    return CpuPlan(measuring=(chosen,), starting=tuple(c for c in allowed if c != chosen))


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
