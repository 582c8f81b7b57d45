"""Loads that nobody waits for, or not to the end, in daemon threads of their own."""

import contextvars
import threading
import time
from collections.abc import Callable

__all__ = ["BackgroundThreads"]


class BackgroundThreads:
    """Starts a thread for each call, up to a bound.

    Daemon threads, so that a loader that hangs does not keep the interpreter from ending.

    Args:
        threads_max: Most threads at a time, >= 1.
    """

    __slots__ = ("_lock", "_threads", "_threads_max")

    def __init__(self, threads_max: int) -> None:
        self._threads_max = threads_max
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def start(self, call: Callable[[], None]) -> bool:
        """Run `call`, which raises nothing, in this context; False if there are too many."""
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=self._run, args=(context, call), name="sergas-cache-load", daemon=True
        )
        with self._lock:
            if len(self._threads) >= self._threads_max:
                return False
            self._threads.add(thread)
        thread.start()
        return True

    def join(self, timeout_s: float) -> bool:
        """Wait for what runs now; whether it all ended in time."""
        deadline_s = time.monotonic() + timeout_s
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _run(self, context: contextvars.Context, call: Callable[[], None]) -> None:
        try:
            context.run(call)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())
