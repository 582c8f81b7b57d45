"""Reads the conditions: once at the start, and again after the machine was watched for a while.

Waiting is the caller's: `start_reading(system)`, wait, `finish()`. On Linux the facts come from
/proc and /sys below `System.root`; elsewhere from psutil and os, and what those lack is unknown.
"""

import itertools
import os
import platform
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.conditions.model import Activity, Clock, Conditions, Memory, PythonBuild
from groundspeed.measure.conditions.parsing import CpuTimes
from groundspeed.measure.conditions.tree import Tree, UntoldError
from groundspeed.measure.git import Git

__all__ = ["Reading", "System", "describe_python", "measure_clock", "start_reading"]

Value = TypeVar("Value")

# Enough for a median that one interruption does not move; below a millisecond with any usual clock.
_CLOCK_READS = 1000

# They reach the measured interpreters, which are started with this process's environment.
_SLOWING_VARIABLES = (
    "PYTHONDEVMODE",
    "PYTHONMALLOC",
    "PYTHONTRACEMALLOC",
    "PYTHONASYNCIODEBUG",
    "PYTHONPROFILEIMPORTTIME",
)
_HARMLESS_ALLOCATORS = ("default", "pymalloc", "mimalloc")


def _allowed_cpus() -> tuple[int, ...]:
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


def _git_version() -> str | None:
    try:
        return Git(Path.cwd()).line("version").removeprefix("git version ")
    except UsageError:
        return None
    except BrokenError as error:
        raise UntoldError(str(error).splitlines()[0]) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """Where facts come from; tests give a recorded tree and clocks of their own.

    Attributes:
        root: What /proc and /sys are below.
        platform: As `sys.platform`.
        fork: Whether this system can fork.
        cpus: The CPUs this process may use; empty where the system does not tell.
        machine_cpu_count: How many there are.
        ticks_per_s: The unit of /proc/stat.
        environ: Variables the measured interpreters will get.
        clock_ns: The clock samples are read from.
        own_cpu_s: CPU time of this process.
        git_version: Asks git; None without git; raises UntoldError when git fails.
    """

    root: Path = Path("/")
    platform: str = sys.platform
    fork: bool = field(default_factory=lambda: hasattr(os, "fork"))
    cpus: tuple[int, ...] = field(default_factory=_allowed_cpus)
    machine_cpu_count: int = os.cpu_count() or 1
    ticks_per_s: float = float(os.sysconf("SC_CLK_TCK")) if hasattr(os, "sysconf") else 100.0
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    clock_ns: Callable[[], int] = time.perf_counter_ns
    own_cpu_s: Callable[[], float] = time.process_time
    git_version: Callable[[], str | None] = _git_version


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counters:
    """What only grows; two of them tell what happened between."""

    at_s: float
    own_cpu_s: float
    cpus: Mapping[int, CpuTimes]
    swapped_pages: int | None
    throttles: int | None


def start_reading(system: System | None = None) -> "Reading":
    """Begin to watch the machine."""
    return Reading(system or System())


class Reading:
    """A machine that is being watched."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._tree = Tree(system.root)
        self._unknown: dict[str, str] = {}
        self._before = self._known("activity", self._count)

    def finish(self) -> Conditions:
        """End the watch and read everything else."""
        system, tree = self._system, self._tree
        activity = self._known("activity", self._happened)
        frequency = self._on_linux("governors", lambda: tree.frequency(system.cpus))
        turbo = self._on_linux("turbo", tree.turbo)
        return Conditions(
            platform=system.platform,
            fork=system.fork,
            git_version=self._known("git_version", system.git_version),
            cpus=system.cpus,
            cpu_count=len(system.cpus) or system.machine_cpu_count,
            machine_cpu_count=system.machine_cpu_count,
            quota_cpus=self._on_linux("quota_cpus", tree.quota),
            # Only Linux counts it, so elsewhere there is nothing to find out.
            schedstat=self._known("schedstat", tree.schedstat) if self._is_linux else False,
            activity=activity,
            load_average_1m=self._known("load_average_1m", self._load_average),
            governors=frequency and frequency[0],
            frequency_driver=frequency and frequency[1],
            turbo=turbo and turbo[0],
            turbo_switch=turbo and turbo[1],
            throttles=self._on_linux("throttles", lambda: tree.throttles(system.cpus)),
            autogroup=self._on_linux("autogroup", tree.autogroup),
            clock=measure_clock(
                system.clock_ns, tree.clock_source() if self._is_linux else None, _CLOCK_READS
            ),
            hypervisor=self._on_linux("hypervisor", tree.hypervisor),
            container=self._on_linux("container", tree.container),
            siblings=self._on_linux("siblings", lambda: tree.siblings(system.cpus)),
            memory=self._known("memory", tree.memory if self._is_linux else _memory),
            randomisation=self._on_linux("randomisation", tree.randomisation),
            python=describe_python(system.environ),
            unknown=self._unknown,
        )

    @property
    def _is_linux(self) -> bool:
        return self._system.platform == "linux"

    def _known(self, name: str, read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except UntoldError as error:
            self._unknown.setdefault(name, str(error))
            return None

    def _on_linux(self, name: str, read: Callable[[], Value]) -> Value | None:
        if self._is_linux:
            return self._known(name, read)
        self._unknown[name] = f"groundspeed does not read it on {self._system.platform}"
        return None

    def _count(self) -> _Counters:
        system, tree = self._system, self._tree
        return _Counters(
            at_s=system.clock_ns() / 1e9,
            own_cpu_s=system.own_cpu_s(),
            cpus=tree.cpu_times(system.ticks_per_s) if self._is_linux else _cpu_times(),
            swapped_pages=_or_none(tree.swapped_pages) if self._is_linux else None,
            throttles=_or_none(lambda: tree.throttles(system.cpus)) if self._is_linux else None,
        )

    def _happened(self) -> Activity:
        if self._before is None:
            raise UntoldError(self._unknown["activity"])
        return _between(self._before, self._count(), self._system.cpus)

    def _load_average(self) -> float:
        if self._is_linux:
            return self._tree.load_average()
        if not hasattr(os, "getloadavg"):
            raise UntoldError(f"{self._system.platform} has none")
        return os.getloadavg()[0]


def _or_none(read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except UntoldError:
        return None


def _between(before: _Counters, after: _Counters, allowed: tuple[int, ...]) -> Activity:
    """What happened from one count to the other, on the allowed CPUs."""
    window_s = after.at_s - before.at_s
    both = before.cpus.keys() & after.cpus.keys()
    cpus = sorted(both & set(allowed)) if allowed else sorted(both)
    if window_s <= 0 or not cpus:
        raise UntoldError("no CPU was watched for any time")
    worked = [max(0.0, after.cpus[cpu].busy_s - before.cpus[cpu].busy_s) for cpu in cpus]
    own = after.own_cpu_s - before.own_cpu_s
    stolen = [_more(before.cpus[cpu].steal_s, after.cpus[cpu].steal_s) for cpu in cpus]
    known = [seconds for seconds in stolen if seconds is not None]
    return Activity(
        window_s=window_s,
        busy_shares=tuple(min(1.0, seconds / window_s) for seconds in worked),
        foreign_cpus=min(float(len(cpus)), max(0.0, sum(worked) - own) / window_s),
        steal_share=min(1.0, sum(known) / (window_s * len(cpus))) if known else None,
        swapped_pages=_more(before.swapped_pages, after.swapped_pages),
        throttled=_more(before.throttles, after.throttles),
    )


Number = TypeVar("Number", int, float)


def _more(before: Number | None, after: Number | None) -> Number | None:
    """By how much a counter grew; None where it is not there, 0 where it was reset."""
    return None if before is None or after is None else max(after - before, type(after)(0))


def measure_clock(clock_ns: Callable[[], int], source: str | None, reads: int) -> Clock:
    """What a read of the clock costs (median) and how finely it steps, from `reads` reads in a row.

    A clock too coarse to move meanwhile has a step that is not known.
    """
    times = [clock_ns() for _ in range(reads)]
    steps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    moved = [step for step in steps if step > 0]
    # Most steps of a coarse clock are 0; the mean then tells what a read costs.
    read_ns = steps[len(steps) // 2] or (times[-1] - times[0]) / len(steps)
    return Clock(source=source, step_s=moved[0] / 1e9 if moved else None, read_s=read_ns / 1e9)


def describe_python(environ: Mapping[str, str]) -> PythonBuild:
    """This interpreter, and the variables that would slow the measured ones."""
    version = f"{platform.python_implementation()} {platform.python_version()}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        version += ", free-threaded"
    found = ((name, environ.get(name, "")) for name in _SLOWING_VARIABLES)
    slowing = tuple(f"{n}={v}" for n, v in found if v and v not in _HARMLESS_ALLOCATORS)
    return PythonBuild(version=version, debug=hasattr(sys, "gettotalrefcount"), variables=slowing)


def _cpu_times() -> dict[int, CpuTimes]:
    """Per CPU, where there is no /proc/stat."""
    return {
        cpu: CpuTimes(busy_s=times.user + times.system + getattr(times, "nice", 0.0))
        for cpu, times in enumerate(psutil.cpu_times(percpu=True))
    }


def _memory() -> Memory:
    """Where there is no /proc/meminfo."""
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Memory(available_share=memory.available / memory.total, swap_used_bytes=swap.used)
