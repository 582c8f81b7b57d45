"""Whether the current code runs inside a worker.

Workers that wait for workers can wait for ever, and processes that start processes multiply. A call
inside a worker therefore works its items off right there.
"""

import os
import threading

__all__ = ["become_worker", "is_worker", "usable_processors"]


class _Here(threading.local):
    is_worker = False


_here = _Here()


def become_worker() -> None:
    """The current thread is a worker from now on."""
    _here.is_worker = True


def is_worker() -> bool:
    """Whether the current thread is a worker."""
    return _here.is_worker


def usable_processors() -> int:
    """Processors this process may run on, where the system tells, or those there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
