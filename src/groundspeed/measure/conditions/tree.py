"""Facts from a tree that has /proc and /sys as Linux shows them; each question reads once."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from groundspeed.measure.conditions import parsing
from groundspeed.measure.conditions.model import Memory
from groundspeed.measure.conditions.parsing import CpuTimes, GroupMount

__all__ = ["Tree", "UntoldError"]

_CPU = "sys/devices/system/cpu"
_NO_CPUFREQ = "no cpufreq here, as in most virtual machines"
_ADDR_NO_RANDOMIZE = 0x0040000  # personality(2)
_MACHINES = ("QEMU", "KVM", "VMware", "VirtualBox", "Virtual Machine", "Xen", "Parallels", "Bochs")

Fact = TypeVar("Fact")


class UntoldError(Exception):
    """A fact cannot be read; the message is the reason, for a person."""


class Tree:
    """The files below a root.

    Every method that has no answer raises UntoldError.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def cpu_times(self, ticks_per_s: float) -> dict[int, CpuTimes]:
        """What each CPU did since the start."""
        return self._parsed("proc/stat", lambda text: parsing.parse_cpu_times(text, ticks_per_s))

    def swapped_pages(self) -> int:
        """Pages moved to and from swap since the start."""
        return self._parsed("proc/vmstat", parsing.parse_swapped_pages)

    def load_average(self) -> float:
        """Of the last minute."""
        return self._parsed("proc/loadavg", lambda text: float(text.split()[0]))

    def schedstat(self) -> bool:
        """Whether run-queue delay is counted; False where only that file is missing."""
        if not self._has("proc/self"):
            raise UntoldError("/proc/self: not there")
        if not self._has("proc/self/schedstat"):
            return False
        return self._parsed("proc/self/schedstat", parsing.is_delay_counted)

    def frequency(self, cpus: tuple[int, ...]) -> tuple[tuple[str, ...], str | None]:
        """The governors in use on `cpus`, and the driver."""
        folders = [f"{_CPU}/cpu{cpu}/cpufreq" for cpu in cpus]
        if not folders or not self._has(folders[0]):
            raise UntoldError(_NO_CPUFREQ)
        governors = {self._text(f"{folder}/scaling_governor") for folder in folders}
        return tuple(sorted(governors)), self._maybe(f"{folders[0]}/scaling_driver")

    def turbo(self) -> tuple[bool, str]:
        """Whether turbo is on, and the file that switches it."""
        intel, other = f"{_CPU}/intel_pstate/no_turbo", f"{_CPU}/cpufreq/boost"
        if self._has(intel):
            return self._text(intel) == "0", f"/{intel}"
        if self._has(other):
            return self._text(other) == "1", f"/{other}"
        raise UntoldError(_NO_CPUFREQ)

    def throttles(self, cpus: tuple[int, ...]) -> int:
        """How often `cpus` were slowed for heat since the start."""
        kind = "thermal_throttle/core_throttle_count"
        counts = [self._maybe(f"{_CPU}/cpu{cpu}/{kind}") for cpu in cpus]
        told = [int(count) for count in counts if count is not None and count.isdigit()]
        if not told:
            raise UntoldError("no throttle counters here, as in most virtual machines")
        return sum(told)

    def autogroup(self) -> bool:
        """Whether autogroup decides for this process: it does not in a CPU group of its own."""
        if not self._has("proc/sys/kernel"):
            raise UntoldError("/proc/sys/kernel: not there")
        switch = self._maybe("proc/sys/kernel/sched_autogroup_enabled")
        return switch == "1" and not self._in_cpu_group()

    def quota(self) -> float | None:
        """CPUs that the control groups grant; None without limit."""
        mount, folders = self._cpu_groups()
        granted = [self._granted(mount, folder) for folder in folders]
        return min((cpus for cpus in granted if cpus is not None), default=None)

    def clock_source(self) -> str | None:
        """The kernel's clock."""
        return self._maybe("sys/devices/system/clocksource/clocksource0/current_clocksource")

    def hypervisor(self) -> str:
        """What this virtual machine calls itself; empty for a real machine."""
        product = self._maybe("sys/class/dmi/id/product_name") or ""
        vendor = self._maybe("sys/class/dmi/id/sys_vendor") or ""
        named = " ".join(filter(None, (vendor, product)))
        cpuinfo = self._text("proc/cpuinfo")
        flags = [line.split() for line in cpuinfo.splitlines() if line.startswith("flags")]
        if flags:
            return (named or "of a kind it does not name") if "hypervisor" in flags[0] else ""
        if self._has("proc/device-tree/hypervisor") or any(name in named for name in _MACHINES):
            return named or "of a kind it does not name"
        raise UntoldError("this kind of processor does not tell")

    def container(self) -> str:
        """What kind of container this is, and what says so; empty for none."""
        for path, kind in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
            if self._has(path):
                return f"{kind}, says /{path}"
        if named := self._maybe("run/systemd/container"):
            return f"{named}, says /run/systemd/container"
        kind = parsing.container_of_group(self._text("proc/self/cgroup"))
        return kind and f"{kind}, says /proc/self/cgroup"

    def siblings(self, cpus: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """The groups of several CPUs that share a core with one of `cpus`."""
        paths = [f"{_CPU}/cpu{cpu}/topology/thread_siblings_list" for cpu in cpus]
        groups = {self._parsed(path, parsing.parse_cpu_list) for path in paths}
        return tuple(sorted(group for group in groups if len(group) > 1))

    def memory(self) -> Memory:
        """How short memory is."""
        sizes = self._parsed("proc/meminfo", parsing.parse_meminfo)
        needed = ("MemAvailable", "MemTotal", "SwapTotal", "SwapFree")
        missing = [name for name in needed if name not in sizes]
        if missing or not sizes["MemTotal"]:
            raise UntoldError(f"/proc/meminfo: without {', '.join(missing) or 'any memory'}")
        pressure = "proc/pressure/memory"
        stalled = self._maybe(pressure)  # an old kernel has no such file, or one that errs
        return Memory(
            available_share=sizes["MemAvailable"] / sizes["MemTotal"],
            swap_used_bytes=sizes["SwapTotal"] - sizes["SwapFree"],
            stalled_share=_understood(pressure, stalled, parsing.parse_pressure)
            if stalled
            else None,
        )

    def randomisation(self) -> int:
        """0, 1 or 2, for this process and those it starts."""
        path = "proc/self/personality"
        personality = self._maybe(path)  # not readable everywhere
        if personality and _understood(path, personality, _hexadecimal) & _ADDR_NO_RANDOMIZE:
            return 0
        return self._parsed("proc/sys/kernel/randomize_va_space", int)

    def _in_cpu_group(self) -> bool:
        """Whether this process is in a control group that CPU time is shared out to."""
        try:
            mount, folders = self._cpu_groups()
        except UntoldError:
            return False
        if mount.version == 1:
            return len(folders) > 1 or mount.root != PurePosixPath("/")
        # Only groups below the real root have this file, so it shows even inside a container.
        return any(self._has(f"{folder}/cpu.weight") for folder in folders)

    def _cpu_groups(self) -> tuple[GroupMount, list[PurePosixPath]]:
        """The mounted hierarchy that governs, and this process's group in it up to the top."""
        mounts = self._parsed("proc/self/mountinfo", parsing.group_mounts)
        paths = self._parsed("proc/self/cgroup", parsing.group_paths)
        mount = next((m for m in mounts if m.version in paths), None)
        if mount is None:
            raise UntoldError("no control groups for CPU time are mounted here")
        path = paths[mount.version]
        inside = path.relative_to(mount.root) if path.is_relative_to(mount.root) else ""
        point = mount.point.relative_to("/")
        folder = point / inside
        above = [parent for parent in folder.parents if parent.is_relative_to(point)]
        return mount, [folder, *above]

    def _granted(self, mount: GroupMount, folder: PurePosixPath) -> float | None:
        if mount.version == 1:
            quota = self._maybe(f"{folder}/cpu.cfs_quota_us")
            period = self._maybe(f"{folder}/cpu.cfs_period_us")
            if quota is None or period is None:
                return None
            return _understood(
                f"{folder}/cpu.cfs_quota_us", quota, lambda q: parsing.parse_quota_v1(q, period)
            )
        limit = self._maybe(f"{folder}/cpu.max")
        return _understood(f"{folder}/cpu.max", limit, parsing.parse_quota) if limit else None

    def _has(self, path: str) -> bool:
        try:
            return (self._root / path).exists()
        except PermissionError:
            return False

    def _text(self, path: str) -> str:
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError as error:
            raise UntoldError(f"/{path}: {error.strerror}") from error

    def _maybe(self, path: str) -> str | None:
        """The text of a file that need not be there."""
        try:
            return self._text(path)
        except UntoldError:
            return None

    def _parsed(self, path: str, parse: Callable[[str], Fact]) -> Fact:
        return _understood(path, self._text(path), parse)


def _understood(path: str, text: str, parse: Callable[[str], Fact]) -> Fact:
    try:
        return parse(text)
    except (ValueError, IndexError, KeyError) as error:
        raise UntoldError(f"/{path}: not understood: {error}") from error


def _hexadecimal(text: str) -> int:
    return int(text, 16)
