"""The clocks around a sample: wall time, CPU time, and how long the work was kept from running.

Clean time is wall time without the delay. A process of one thread is delayed while that thread is
in the run queue, which the kernel counts. Of several threads one may be in the queue while another
works or while others are queued, too, so that the sum of their delays is too much. On one CPU:

    never waits    clean is at least the CPU time used, and at least the wall time less all delays:
                   the larger of the two
    waits          no thread runs and none is queued for at most as long as the least blocked of
                   them is blocked: that, and the CPU time used

Which of the two a row is, is calibrated. Both are right on a quiet machine; under load the first
would lose waits that happen side by side, and the second would keep the queueing of threads that
wait for each other.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Clocks", "Reading"]

_TASKS = "/proc/self/task"
_FIELD_BYTES = 100
_TICKS_NS = 25_000_000

Reading = dict[str, int]
"""wall_ns, cpu_ns (of all threads), main_ns (CPU time of this thread), delay_ns, clean_ns."""

_Used = tuple[int, int]
"""Nanoseconds that a thread ran, and that it was queued for a CPU."""


class Clocks:
    """Started before a sample and stopped after it.

    Args:
        timer: The benchmark's own clock in seconds, taken as wall time; None for the system's.
    """

    def __init__(self, timer: Callable[[], float] | None = None) -> None:
        self.own_timer = timer
        self._schedstat = _open_schedstat()
        self._threads: _Threads | None = None
        self._waits = False

    @property
    def counts_delay(self) -> bool:
        """Whether this kernel says how long a thread waited for a CPU."""
        return self._schedstat is not None

    def follow_threads(self, *, waits: bool) -> None:
        """From now on count the delays of every thread and not only of this one.

        Args:
            waits: Whether there are times at which every thread waits for something.
        """
        self._waits = waits
        if self.counts_delay and self._threads is None:
            self._threads = _Threads()

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
            delay_ns = self._delay_of_threads(self._threads.stop(), wall_ns, cpu_ns)
        return {
            "wall_ns": wall_ns,
            "cpu_ns": cpu_ns,
            "main_ns": main_ns,
            "delay_ns": delay_ns,
            "clean_ns": wall_ns - delay_ns,
        }

    def _delay_of_threads(self, threads: list[_Used], wall_ns: int, cpu_ns: int) -> int:
        most_ns = max(0, wall_ns - cpu_ns // _usable_cpus())
        delay_ns = min(most_ns, sum(queued_ns for _, queued_ns in threads))
        if not self._waits:
            return delay_ns
        blocked_ns = min(wall_ns - ran_ns - queued_ns for ran_ns, queued_ns in threads)
        return max(0, min(delay_ns, most_ns - blocked_ns))

    def _main_delay_ns(self) -> int:
        """Nanoseconds that the main thread was ready to run but did not."""
        if self._schedstat is None:
            return 0
        return int(os.pread(self._schedstat, _FIELD_BYTES, 0).split()[1])


class _Threads:
    """How long each thread ran and was queued, those that end meanwhile included."""

    def __init__(self) -> None:
        self._before: dict[int, _Used] = {}
        self._ended: list[tuple[int, _Used]] = []
        _tell_at_exit(self._ended)

    def start(self) -> None:
        self._ended.clear()
        self._before = dict(_living())

    def stop(self) -> list[_Used]:
        """Nanoseconds since `start`, a pair for each thread."""
        before = dict(self._before)
        none = (0, 0)
        return [
            (ran_ns - start[0], queued_ns - start[1])
            for thread, (ran_ns, queued_ns) in [*self._ended, *_living()]
            for start in (before.pop(thread, none),)
        ]


def _living() -> Iterator[tuple[int, _Used]]:
    for thread in os.listdir(_TASKS):  # noqa: PTH208 - pathlib costs start-up in each launch
        try:
            yield int(thread), _used(f"{_TASKS}/{thread}/schedstat")
        except (OSError, ValueError):  # it ended meanwhile
            continue


def _used(file: str) -> _Used:
    with open(file, "rb") as opened:  # noqa: PTH123 - pathlib costs start-up in each launch
        ran_ns, queued_ns, _ = opened.read().split()
    return int(ran_ns), int(queued_ns)


def _tell_at_exit(ended: list[tuple[int, _Used]]) -> None:
    """Have every Python thread that ends leave in `ended` what it used."""
    thread_class: Any = threading.Thread
    run_thread = thread_class._bootstrap_inner  # noqa: SLF001 - the one place every thread goes through

    def run_and_tell(self: threading.Thread) -> None:
        try:
            run_thread(self)
        finally:
            with contextlib.suppress(OSError, ValueError):  # what is unknown is none
                ended.append((threading.get_native_id(), _used("/proc/thread-self/schedstat")))

    thread_class._bootstrap_inner = run_and_tell  # noqa: SLF001


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_schedstat() -> int | None:
    """The file that counts run-queue delay; None where a kernel does not count it."""
    try:
        descriptor = os.open("/proc/self/schedstat", os.O_RDONLY)
    except OSError:
        return None
    # A process that has only begun may read zeros until the scheduler's next tick.
    until_ns = time.process_time_ns() + _TICKS_NS
    while True:
        try:
            ran_ns, _, turns = (int(f) for f in os.pread(descriptor, _FIELD_BYTES, 0).split())
        except (OSError, ValueError):
            return None
        if ran_ns and turns:
            return descriptor
        if time.process_time_ns() > until_ns:
            return None
