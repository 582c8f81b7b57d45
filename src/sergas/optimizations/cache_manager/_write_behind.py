"""Writing values to where they belong, some time after they were put: in batches, each key once.

What is pending is bounded: `put` waits for room. Of several values put under a key the last one is
written. One thread writes, so the writes of a key come in order. A batch that fails is tried again
with growing pauses, without the keys that have a newer value by then; one that keeps failing is
given up, and `flush` and `close` say so.
"""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from sergas.errors import CacheValueError, WriteBehindError

__all__ = ["WriteBehind", "Writer"]

Writer = Callable[[Mapping[str, object]], None]
"""Writes values under their keys to where they belong; may be called again after it raised."""


class WriteBehind:
    """A bounded queue in front of a writer, and the thread that empties it.

    Args:
        write: Called with up to `batch_max` values, one call at a time.
        pending_max: Most keys that wait, >= 1.
        batch_max: Most keys in a call, >= 1.
        delay_s: How long a value may wait for others to go with it, >= 0 seconds.
        attempts_max: How often a batch is tried, >= 1.
        pause_s: Pause after the first failure, > 0 seconds; it doubles each time.

    Raises:
        CacheValueError: If a number is out of its range.
    """

    def __init__(
        self,
        write: Writer,
        *,
        pending_max: int = 10_000,
        batch_max: int = 100,
        delay_s: float = 0.05,
        attempts_max: int = 5,
        pause_s: float = 0.1,
    ) -> None:
        if min(pending_max, batch_max, attempts_max) < 1 or delay_s < 0 or pause_s <= 0:
            raise CacheValueError(
                f"WriteBehind: got pending_max={pending_max}, batch_max={batch_max},"
                f" attempts_max={attempts_max}, delay_s={delay_s}, pause_s={pause_s}; needed 1 or"
                f" more each, 0 or more seconds of delay, more than 0 of pause"
            )
        self._write = write
        self._pending_max = pending_max
        self._batch_max = batch_max
        self._delay_s = delay_s
        self._attempts_max = attempts_max
        self._pause_s = pause_s
        self._changed = threading.Condition()
        self._pending: dict[str, object] = {}
        self._is_writing = False
        self._is_closed = False
        self._flushers = 0
        self._failed: dict[str, Exception] = {}
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pending(self) -> int:
        """How many keys wait to be written."""
        return len(self._pending)

    def put(self, items: Mapping[str, object], *, timeout_s: float = 5.0) -> None:
        """Have values written soon; waits while there is no room.

        Raises:
            WriteBehindError: If there is no room within `timeout_s`, or after `close`; the values
                that had room are written all the same.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            for key, value in items.items():
                while key not in self._pending and len(self._pending) >= self._pending_max:
                    if self._is_closed or not self._changed.wait(deadline_s - time.monotonic()):
                        break
                if self._is_closed or (
                    key not in self._pending and len(self._pending) >= self._pending_max
                ):
                    reason = "it is closed" if self._is_closed else f"{self.pending} keys wait"
                    raise WriteBehindError(
                        f"WriteBehind.put({key!r}): {reason}; write less, write faster, or give it"
                        f" a larger pending_max than {self._pending_max}",
                        failed={},
                    )
                self._pending[key] = value
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="sergas-cache-write", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float = 30.0) -> None:
        """Wait until everything has been written or given up.

        Raises:
            WriteBehindError: If keys were given up since the last time it was told, with their
                errors; or if it takes longer than `timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._flushers += 1
            self._changed.notify_all()
            try:
                is_done = self._changed.wait_for(
                    lambda: not self._pending and not self._is_writing,
                    max(0.0, deadline_s - time.monotonic()),
                )
            finally:
                self._flushers -= 1
            failed, self._failed = self._failed, {}
            if failed or not is_done:
                raise WriteBehindError(
                    f"WriteBehind: {len(failed)} keys could not be written"
                    + (f" ({next(iter(failed.values()))!r} is the first error)" if failed else "")
                    + ("" if is_done else f", {self.pending} still wait after {timeout_s} s")
                    + "; write them again",
                    failed=failed,
                )

    def close(self, timeout_s: float = 30.0) -> None:
        """Write what waits, then take nothing any more. Closing twice does nothing.

        Raises:
            WriteBehindError: As for `flush`.
        """
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._changed.notify_all()
        try:
            self.flush(timeout_s)
        finally:
            if self._thread is not None:
                self._thread.join(timeout_s)

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            error = self._attempt(batch)
            with self._changed:
                if error is not None:
                    self._failed.update(dict.fromkeys(batch, error))
                    while len(self._failed) > self._pending_max:
                        del self._failed[next(iter(self._failed))]
                self._is_writing = False
                self._changed.notify_all()

    def _next_batch(self) -> dict[str, object] | None:
        """What to write next; None when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._is_closed)
            self._changed.wait_for(
                lambda: len(self._pending) >= self._batch_max or self._is_closed or self._flushers,
                self._delay_s,
            )
            if not self._pending:
                return None
            keys = list(self._pending)[: self._batch_max]
            self._is_writing = True
            batch = {key: self._pending.pop(key) for key in keys}
            self._changed.notify_all()
            return batch

    def _attempt(self, batch: dict[str, object]) -> Exception | None:
        """Write a batch, several times if need be; the last error if it was given up."""
        pause_s = self._pause_s
        error: Exception | None = None
        for attempt in range(self._attempts_max):
            if attempt:
                with self._changed:
                    self._changed.wait_for(lambda: self._is_closed, pause_s)
                    for key in [key for key in batch if key in self._pending]:
                        del batch[key]
                pause_s *= 2
            try:
                if batch:
                    self._write(dict(batch))
            except Exception as failure:  # noqa: BLE001 the writer is somebody else's
                error = failure
            else:
                return None
        return error
