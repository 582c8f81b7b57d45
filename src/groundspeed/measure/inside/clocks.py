"""The clocks around a sample: wall time, CPU time, and how long the work was kept from running.

Clean time is wall time without the delay. A process of one thread is delayed while that thread is
in the run queue, which the kernel counts. Of several threads one may be in the queue while another
works, so that the sum of their delays is too much. What is sure of them, on one CPU, are two lower
bounds of the undisturbed time: the CPU time they used, and the wall time less all their delays. The
larger of the two is taken: it keeps waits for I/O and locks in, and it is never less than the work.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Clocks", "Reading"]

_TASKS = "/proc/self/task"
_FIELD_BYTES = 100

Reading = dict[str, int]
"""wall_ns, cpu_ns (of all threads), main_ns (CPU time of this thread), delay_ns, clean_ns."""


class Clocks:
    """Started before a sample and stopped after it.

    Args:
        timer: The benchmark's own clock in seconds, taken as wall time; None for the system's.
    """

    def __init__(self, timer: Callable[[], float] | None = None) -> None:
        self.own_timer = timer
        self._schedstat = _open_schedstat()
        self._threads: _ThreadDelays | None = None

    @property
    def counts_delay(self) -> bool:
        """Whether this kernel says how long a thread waited for a CPU."""
        return self._schedstat is not None

    def follow_threads(self) -> None:
        """From now on count the delays of every thread and not only of this one."""
        if self.counts_delay and self._threads is None:
            self._threads = _ThreadDelays()

    def start(self) -> None:
        """Begin a sample; what is read last is the wall clock and the delay."""
        self._main_ns, self._cpu_ns = time.thread_time_ns(), time.process_time_ns()
        if self._threads is not None:
            self._threads.start()
        if self.own_timer is not None:
            self._own_s = self.own_timer()
        self._wall_ns = time.perf_counter_ns()
        self._delay_ns = self._main_delay_ns()

    def stop(self) -> Reading:
        """End the sample and read what it took, in nanoseconds."""
        delay_ns = self._main_delay_ns() - self._delay_ns
        wall_ns = time.perf_counter_ns() - self._wall_ns
        if self.own_timer is not None:
            wall_ns, delay_ns = round((self.own_timer() - self._own_s) * 1e9), 0
        cpu_ns = time.process_time_ns() - self._cpu_ns
        main_ns = time.thread_time_ns() - self._main_ns
        if self._threads is not None and self.own_timer is None:
            delay_ns = min(self._threads.stop(), max(0, wall_ns - cpu_ns // _usable_cpus()))
        return {
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "main_ns": main_ns,
            "delay_ns": delay_ns,
            "clean_ns": wall_ns - delay_ns,
        }

    def _main_delay_ns(self) -> int:
        """Nanoseconds that the main thread was ready to run but did not."""
        if self._schedstat is None:
            return 0
        return int(os.pread(self._schedstat, _FIELD_BYTES, 0).split()[1])


class _ThreadDelays:
    """The run-queue delay of all threads, those that end meanwhile included."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._ended: list[tuple[int, int]] = []
        _tell_at_exit(self._ended)

    def start(self) -> None:
        self._ended.clear()
        self._before = dict(_living())

    def stop(self) -> int:
        """Nanoseconds since `start`, summed over threads."""
        before = dict(self._before)
        ended = list(self._ended)
        of_ended = sum(delay_ns - before.pop(thread, 0) for thread, delay_ns in ended)
        of_living = sum(delay_ns - before.get(thread, 0) for thread, delay_ns in _living())
        return of_ended + of_living


def _living() -> Iterator[tuple[int, int]]:
    for thread in os.listdir(_TASKS):  # noqa: PTH208 - pathlib costs start-up in each launch
        try:
            with open(f"{_TASKS}/{thread}/schedstat", "rb") as file:  # noqa: PTH123
                yield int(thread), int(file.read().split()[1])
        except (OSError, IndexError):  # it ended meanwhile
            continue


def _tell_at_exit(ended: list[tuple[int, int]]) -> None:
    """Have every Python thread that ends leave its own delay in `ended`."""
    thread_class: Any = threading.Thread
    run_thread = thread_class._bootstrap_inner  # noqa: SLF001 - the one place every thread goes through

    def run_and_tell(self: threading.Thread) -> None:
        try:
            run_thread(self)
        finally:
            try:
                with open("/proc/thread-self/schedstat", "rb") as file:  # noqa: PTH123
                    ended.append((threading.get_native_id(), int(file.read().split()[1])))
            except (OSError, IndexError):
                pass  # an unknown delay is none

    thread_class._bootstrap_inner = run_and_tell  # noqa: SLF001


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_schedstat() -> int | None:
    """The file that counts run-queue delay; None where a kernel does not count it."""
    try:
        descriptor = os.open("/proc/self/schedstat", os.O_RDONLY)
        run_ns, _, turns = (int(field) for field in os.pread(descriptor, _FIELD_BYTES, 0).split())
    except (OSError, ValueError):
        return None
    # This process has run, so zeros mean that nothing is counted.
    return descriptor if run_ns and turns else None
