"""What a test needs of the machine, and what it may take: looked at before and after it."""

import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from groundspeed.errors import UsageError
from groundspeed.measure.machine import CpuPlan, describe_machine

__all__ = ["Limits", "MemoryWatch", "lack", "tree_rss_bytes"]

_MIB = 1024**2
_LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the environment allows.

    Attributes:
        workers: MAX_WORKERS, most workers of a kind that a test may start; 0: no limit.
        memory_mb: MAX_MEMORY_MB, most resident memory that a test may gain, in MiB; 0: no limit.
    """

    workers: int = 0
    memory_mb: int = 0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Limits":
        """As the environment says.

        Raises:
            UsageError: If a variable is not a whole number above 0.
        """
        return cls(
            workers=_whole(environment, "MAX_WORKERS"),
            memory_mb=_whole(environment, "MAX_MEMORY_MB"),
        )

    def at_most(self, workers: int) -> int:
        """So many workers, or as many as are allowed."""
        return min(workers, self.workers) if self.workers else workers


def _whole(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise UsageError(f"{name}: got {text!r}, needed a whole number above 0")
    return int(text)


def lack(limits: Limits, *, memory_mb: int = 0, files: int = 0, cpus: int = 0) -> str:
    """What the machine has too little of, and what to do; empty when there is enough.

    Args:
        limits: What may be used of it.
        memory_mb: MiB that the test gains.
        files: Descriptors that it opens at a time.
        cpus: CPUs without which it shows nothing.
    """
    if limits.memory_mb and limits.memory_mb < memory_mb:
        return (
            f"needs {memory_mb} MiB of memory, and MAX_MEMORY_MB allows {limits.memory_mb};"
            " raise it"
        )
    free_mb = _free_bytes() // _MIB
    if free_mb < memory_mb:
        return f"needs {memory_mb} MiB of memory, and {free_mb} are free; stop what uses the others"
    can_open = _files_max()
    if can_open < files:
        return f"needs {files} open files, and {can_open} are allowed; run `ulimit -n {files}`"
    there_are = describe_machine(CpuPlan()).cpus
    if there_are < cpus:
        return f"needs {cpus} CPUs to show anything, and there is {there_are}"
    return ""


def _free_bytes() -> int:
    """What can be had: of the machine, and of the control group that the process is in."""
    free = int(psutil.virtual_memory().available)
    if sys.platform == "win32":
        return free
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        free = min(free, limit - psutil.Process().memory_info().vms)
    for folder in _control_groups():
        with suppress(OSError, ValueError):
            limit = int((folder / "memory.max").read_text())
            used = int((folder / "memory.current").read_text())
            free = min(free, limit - used)
    return max(0, free)


def _control_groups() -> list[Path]:
    with suppress(OSError):
        name = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("0::")[2].strip()
        own = Path("/sys/fs/cgroup") / name.lstrip("/")
        return [own, *(parent for parent in own.parents if "cgroup" in parent.parts)]
    return []


def _files_max() -> int:
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


@dataclass(slots=True)
class MemoryWatch:
    """Reads what the process and those it has started hold, four times a second, in a thread.

    Attributes:
        first_bytes: Held when it began.
        most_bytes: The most that was seen.
    """

    first_bytes: int = field(default_factory=lambda: tree_rss_bytes())  # noqa: PLW0108 - it is defined below
    most_bytes: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._go_on, name="memory-watch", daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End; gives the bytes gained at most."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self.most_bytes = max(self.most_bytes, tree_rss_bytes())
        return max(0, self.most_bytes - self.first_bytes)

    def _go_on(self) -> None:
        while not self._stopped.wait(_LOOK_EVERY_S):
            self.most_bytes = max(self.most_bytes, tree_rss_bytes())


def tree_rss_bytes(root: int | None = None) -> int:
    """Resident memory of a process, this one unless given, and of all that it has started."""
    total = 0
    with suppress(psutil.Error):
        first = psutil.Process(os.getpid() if root is None else root)
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_info().rss
    return total
