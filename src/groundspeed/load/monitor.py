"""Watches a process tree while it is under load."""

import contextlib
import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
import psutil

from groundspeed.load._result import Resources

__all__ = ["Monitor", "Reading", "listener_of", "resources_of", "slope_of"]

_INTERVAL_S = 0.5
_FAMILY_EVERY = 4
_READINGS_MIN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The tree at one moment; CPU seconds and switches count what has ended, too."""

    at_s: float
    cpu_s: float
    rss_bytes: int
    threads: int
    descriptors: int
    switches: int


@dataclass(slots=True)
class _Seen:
    """What one process has used until it was last seen."""

    process: psutil.Process
    cpu_s: float = 0.0
    switches: int = 0


@dataclass(slots=True)
class Monitor:
    """Reads the trees of some processes twice a second in a thread of its own.

    Args:
        roots: Their ids; those that are gone are left out.
        leave_out: Processes of the trees that do not belong to the target.
        elapsed_s: Seconds of the run.
    """

    roots: Collection[int]
    leave_out: Collection[int]
    elapsed_s: Callable[[], float]
    readings: list[Reading] = field(default_factory=list)
    _seen: dict[int, _Seen] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Read once, and go on reading."""
        self._find_family()
        self._read()
        self._thread = threading.Thread(target=self._go_on, name="groundspeed-monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read a last time, and end."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
        self._read()

    def _go_on(self) -> None:
        turn = 0
        while not self._stopped.wait(_INTERVAL_S):
            turn += 1
            if turn % _FAMILY_EVERY == 0:  # finding children reads every process there is
                self._find_family()
            self._read()

    def _find_family(self) -> None:
        for root in self.roots:
            with contextlib.suppress(psutil.Error):
                parent = psutil.Process(root)
                for process in (parent, *parent.children(recursive=True)):
                    if process.pid not in self.leave_out:
                        self._seen.setdefault(process.pid, _Seen(process))

    def _read(self) -> None:
        rss_bytes = threads = descriptors = 0
        for seen in self._seen.values():
            with contextlib.suppress(psutil.Error), seen.process.oneshot():
                times, switches = seen.process.cpu_times(), seen.process.num_ctx_switches()
                seen.cpu_s = times.user + times.system
                seen.switches = switches.voluntary + switches.involuntary
                rss_bytes += seen.process.memory_info().rss
                threads += seen.process.num_threads()
                descriptors += seen.process.num_fds() if hasattr(seen.process, "num_fds") else 0
        self.readings.append(
            Reading(
                at_s=self.elapsed_s(),
                cpu_s=sum(seen.cpu_s for seen in self._seen.values()),
                rss_bytes=rss_bytes,
                threads=threads,
                descriptors=descriptors,
                switches=sum(seen.switches for seen in self._seen.values()),
            )
        )


def resources_of(readings: list[Reading], *, warm_up_s: float) -> Resources | None:
    """The readings as arrays; None where there is none, or no process was ever there."""
    if not readings or not any(reading.threads for reading in readings):
        return None
    at_s = np.array([reading.at_s for reading in readings])
    rss = np.array([reading.rss_bytes for reading in readings], dtype=np.float64)
    cpu = np.array([reading.cpu_s for reading in readings])
    switches = np.array([reading.switches for reading in readings], dtype=np.int64)
    settled = at_s >= warm_up_s
    return Resources(
        at_s=at_s,
        cpu_s=cpu - cpu[0],
        rss_bytes=rss,
        threads=np.array([reading.threads for reading in readings], dtype=np.int64),
        descriptors=np.array([reading.descriptors for reading in readings], dtype=np.int64),
        switches=switches - switches[0],
        rss_slope_bytes_per_s=slope_of(at_s[settled], rss[settled]),
    )


def slope_of(at_s: np.ndarray, values: np.ndarray) -> float | None:
    """Theil and Sen's slope: the median over all pairs, so that one step is not a trend.

    Returns:
        The slope per second; None of fewer than 10 readings.
    """
    if len(at_s) < _READINGS_MIN:
        return None
    kept = np.unique(np.linspace(0, len(at_s) - 1, num=min(len(at_s), 400)).astype(int))
    first, second = np.triu_indices(len(kept), k=1)
    spans = at_s[kept][second] - at_s[kept][first]
    rises = values[kept][second] - values[kept][first]
    return float(np.median(rises[spans > 0] / spans[spans > 0]))


def listener_of(host: str, port: int) -> int | None:
    """The process here that listens at an address; None where none can be seen."""
    if host not in {"127.0.0.1", "localhost", "::1", "0.0.0.0"}:  # noqa: S104 - compared, not bound
        return None
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                return int(connection.pid) if connection.pid else None
    return None


def own_cpu_s() -> float:
    """CPU seconds of this process until now."""
    times = os.times()
    return times.user + times.system
