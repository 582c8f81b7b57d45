"""Machines that are not here: trees of /proc and /sys, and a clock that is told to go on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from groundspeed.measure.conditions import Conditions, System, start_reading

Files = dict[str, str | None]
"""Contents by path below the root; None where a file is taken away."""

CPU = "sys/devices/system/cpu"
KERNEL = "proc/sys/kernel"

MEMINFO = """\
MemTotal:       16000000 kB
MemAvailable:   12000000 kB
SwapTotal:       2000000 kB
SwapFree:        2000000 kB
HugePages_Total:       0
"""

MOUNTS_V2 = "30 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def stat(*cpus: tuple[int, int, int]) -> str:
    """/proc/stat of CPUs that each worked, idled and were stolen so many hundredths of a second."""
    lines = [
        f"cpu{n} {work} 0 0 {idle} 0 0 0 {steal} 0 0" for n, (work, idle, steal) in enumerate(cpus)
    ]
    return "\n".join(["cpu  1 0 0 1 0 0 0 0 0 0", *lines, "intr 3498761 0 0", "ctxt 5810684", ""])


def bare_metal() -> Files:
    """A quiet machine of four cores without hyper-threading, set up for measuring."""
    files: Files = {
        "proc/stat": stat(*[(5000, 90000, 0)] * 4),
        "proc/vmstat": "nr_free_pages 1000\npswpin 12\npswpout 30\n",
        "proc/loadavg": "0.08 0.03 0.01 1/331 7895\n",
        "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme de pse tsc msr\n",
        "proc/meminfo": MEMINFO,
        "proc/pressure/memory": "some avg10=0.00 avg60=0.00 avg300=0.00 total=23214366\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=15624953\n",
        "proc/self/schedstat": "613946 58457 2\n",
        "proc/self/personality": "00000000\n",
        "proc/self/cgroup": "0::/user.slice/session-1.scope\n",
        "proc/self/mountinfo": MOUNTS_V2,
        "sys/fs/cgroup/user.slice/cpu.max": "max 100000\n",
        f"{KERNEL}/randomize_va_space": "2\n",
        f"{KERNEL}/sched_autogroup_enabled": "0\n",
        f"{CPU}/intel_pstate/no_turbo": "1\n",
        "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
    }
    for cpu in range(4):
        files |= {
            f"{CPU}/cpu{cpu}/cpufreq/scaling_governor": "performance\n",
            f"{CPU}/cpu{cpu}/cpufreq/scaling_driver": "intel_pstate\n",
            f"{CPU}/cpu{cpu}/topology/thread_siblings_list": f"{cpu}\n",
            f"{CPU}/cpu{cpu}/thermal_throttle/core_throttle_count": "0\n",
        }
    return files


def without(files: Files, *parts: str) -> Files:
    """The files with those whose path has one of these parts taken away."""
    return {path: None if any(p in path for p in parts) else text for path, text in files.items()}


def busy_vm() -> Files:
    """Two CPUs of a virtual machine: no frequency, no throttle counters, hyper-threads shown."""
    return without(bare_metal(), "cpufreq", "thermal", "intel_pstate", "/cpu2/", "/cpu3/") | {
        "proc/stat": stat((50000, 90000, 70), (60000, 80000, 30)),
        "proc/loadavg": "3.60 2.71 2.08 4/331 7895\n",
        "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme tsc hypervisor lahf_lm\n",
        "proc/self/cgroup": "0::/\n",
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        "sys/class/dmi/id/product_name": "Standard PC\n",
        f"{KERNEL}/sched_autogroup_enabled": "1\n",
        f"{CPU}/cpu0/topology/thread_siblings_list": "0-1\n",
        f"{CPU}/cpu1/topology/thread_siblings_list": "0-1\n",
    }


@dataclass(slots=True, kw_only=True)
class Clock:
    """Goes on by `step_ns` at each read, and when it is told to."""

    now_ns: int = 0
    step_ns: int = 50

    def __call__(self) -> int:
        """Read it."""
        self.now_ns += self.step_ns
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine on record: what its files hold, what they hold a second later, and the rest."""

    files: Files
    later: Mapping[str, str | None] = field(default_factory=dict)
    cpus: tuple[int, ...] = (0, 1, 2, 3)
    system: Mapping[str, Any] = field(default_factory=dict)

    def examine(self, root: Path) -> Conditions:
        """Watch it for a second."""
        clock = Clock()
        told: dict[str, Any] = {
            "root": root,
            "platform": "linux",
            "fork": True,
            "cpus": self.cpus,
            "machine_cpu_count": len(self.cpus),
            "ticks_per_s": 100.0,
            "environ": {},
            "clock_ns": clock,
            "own_cpu_s": lambda: 0.0,
            "git_version": lambda: "2.45.0",
        }
        write(root, self.files)
        reading = start_reading(System(**(told | dict(self.system))))
        clock.advance(1.0)
        write(root, self.later)
        return reading.finish()


def write(root: Path, files: Mapping[str, str | None]) -> None:
    """Make the files below `root` what they are on record."""
    for path, text in files.items():
        place = root / path
        if text is None:
            place.unlink(missing_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


@pytest.fixture
def quiet() -> Machine:
    """Bare metal with nothing else to do."""
    return Machine(files=bare_metal(), later={"proc/stat": stat(*[(5001, 90099, 0)] * 4)})


@pytest.fixture
def busy() -> Machine:
    """A virtual machine whose two CPUs work for others, and are taken away for a while."""
    later: Files = {"proc/stat": stat((50096, 90000, 74), (60060, 80032, 38))}
    return Machine(files=busy_vm(), later=later, cpus=(0, 1))


@pytest.fixture
def examine(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Conditions]:
    """Examine a machine some of whose files, or whose system, differ."""

    def examined(machine: Machine, files: Files | None = None, **system: Any) -> Conditions:
        changed = Machine(
            files=machine.files | (files or {}),
            later=machine.later,
            cpus=system.pop("cpus", machine.cpus),
            system=system,
        )
        return changed.examine(tmp_path_factory.mktemp("root"))

    return examined
