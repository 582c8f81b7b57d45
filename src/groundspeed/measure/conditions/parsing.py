"""The kernel's small text files, read as values; pure functions.

Formats: proc(5), cgroups(7), and the kernel's admin guide on cgroup v2, PSI and CPU topology. Each
function raises ValueError when the text is not what it should be.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = [
    "CpuTimes",
    "GroupMount",
    "container_of_group",
    "group_mounts",
    "group_paths",
    "is_delay_counted",
    "parse_cpu_list",
    "parse_cpu_times",
    "parse_meminfo",
    "parse_pressure",
    "parse_quota",
    "parse_quota_v1",
    "parse_swapped_pages",
]

_CPU_COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_WORKING = ("user", "nice", "system", "irq", "softirq")
_KIBIBYTE = 1024
_MOUNT_FIELDS = 6
_CONTAINERS = ("docker", "kubepods", "libpod", "lxc", "garden", "containerd")


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuTimes:
    """What one CPU did since the machine was started.

    Attributes:
        busy_s: Worked for anyone.
        steal_s: Was held by the host while something here was ready to run; None if not counted.
    """

    busy_s: float
    steal_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMount:
    """Where the hierarchy of control groups that governs CPU time is mounted.

    Attributes:
        version: 1 or 2.
        root: The group that is seen at `point`.
        point: The folder it is mounted on.
    """

    version: int
    root: PurePosixPath
    point: PurePosixPath


def parse_cpu_times(text: str, ticks_per_s: float) -> dict[int, CpuTimes]:
    """Per CPU, from /proc/stat."""
    times = {}
    for line in text.splitlines():
        if match := re.match(r"cpu(\d+) (.*)", line):
            values = [int(value) / ticks_per_s for value in match[2].split()]
            told = dict(zip(_CPU_COLUMNS, values, strict=False))
            busy = sum(told[column] for column in _WORKING if column in told)
            times[int(match[1])] = CpuTimes(busy_s=busy, steal_s=told.get("steal"))
    if not times:
        raise ValueError("it names no CPU")
    return times


def is_delay_counted(text: str) -> bool:
    """Whether /proc/self/schedstat counts: a kernel that does not shows zeros, or one number."""
    ran, *rest = (int(value) for value in text.split())
    return ran > 0 and len(rest) > 0


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs of a list such as `0-3,8`, in order; empty for an empty list."""
    cpus: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, dash, last = part.partition("-")
        cpus.update(range(int(first), int(last if dash else first) + 1))
    return tuple(sorted(cpus))


def parse_quota(text: str) -> float | None:
    """CPUs granted by cpu.max (cgroup v2); None without limit."""
    quota, _, period = text.strip().partition(" ")
    return None if quota == "max" else _cpus(int(quota), int(period or "100000"))


def parse_quota_v1(quota: str, period: str) -> float | None:
    """CPUs granted by cpu.cfs_quota_us and cpu.cfs_period_us; None without limit."""
    return None if int(quota) < 0 else _cpus(int(quota), int(period))


def _cpus(quota_us: int, period_us: int) -> float:
    if period_us <= 0:
        raise ValueError(f"its period is {period_us} microseconds")
    return quota_us / period_us


def group_paths(text: str) -> dict[int, PurePosixPath]:
    """This process's CPU group by version of the hierarchy, from /proc/self/cgroup."""
    paths = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if "cpu" in controllers.split(","):
            paths[1] = PurePosixPath(path)
        elif number == "0" and not controllers:
            paths[2] = PurePosixPath(path)
    return paths


def group_mounts(text: str) -> list[GroupMount]:
    """Where CPU groups are mounted, from /proc/self/mountinfo; version 1 first."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *more) = before.split(), after.split() or [""]
        if len(fields) < _MOUNT_FIELDS:
            continue
        root, point = PurePosixPath(fields[3]), PurePosixPath(fields[4])
        if kind == "cgroup" and "cpu" in more[-1].split(","):
            found.append(GroupMount(version=1, root=root, point=point))
        elif kind == "cgroup2":
            found.append(GroupMount(version=2, root=root, point=point))
    return sorted(found, key=lambda mount: mount.version)


def container_of_group(text: str) -> str:
    """The kind of container that /proc/self/cgroup gives away; empty when it does not."""
    return next((kind for kind in _CONTAINERS if kind in text), "")


def parse_meminfo(text: str) -> dict[str, int]:
    """Bytes by name, from /proc/meminfo."""
    sizes = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        value, *unit = rest.split()
        sizes[name] = int(value) * (_KIBIBYTE if unit else 1)
    return sizes


def parse_pressure(text: str) -> float:
    """Share of the last minute in which some process stalled, from /proc/pressure/*."""
    match = re.search(r"^some .*\bavg60=([\d.]+)", text, re.MULTILINE)
    if match is None:
        raise ValueError("it has no line `some` with avg60")
    return float(match[1]) / 100


def parse_swapped_pages(text: str) -> int:
    """Pages moved to and from swap since the machine was started, from /proc/vmstat."""
    counts: Mapping[str, str] = dict(line.split() for line in text.splitlines())
    if "pswpin" not in counts:
        raise ValueError("it does not count pages swapped")
    return int(counts["pswpin"]) + int(counts["pswpout"])
