"""The second level as the manager sees it: values for bytes, counted failures, no stale answers.

A write that fails leaves the old value in the level. Such a key is *suspect* and is not read again
before the level has confirmed that it is gone; when there are too many suspects to remember, the
whole level is one.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from sergas.errors import CacheLevelError, UncacheableError
from sergas.optimizations.cache_manager._codec import Codec
from sergas.optimizations.cache_manager._level import CacheLevel

__all__ = ["Found", "SecondLevel"]

_SUSPECTS_MAX = 1024
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Found:
    """A value from level 2 with the seconds left to it; None for ever."""

    value: object
    ttl_s: float | None


class SecondLevel:
    """A `CacheLevel` with its codec.

    Attributes:
        order: Held around a write of both levels, so that they change in the same order.
        errors: Times the level failed or held what could not be read.
        refusals: Values that the codec could not carry.
    """

    __slots__ = (
        "_codec",
        "_counting",
        "_is_all_suspect",
        "_level",
        "_suspects",
        "errors",
        "order",
        "refusals",
    )

    def __init__(self, level: CacheLevel, codec: Codec) -> None:
        self.order = threading.RLock()
        self.errors = 0
        self.refusals = 0
        self._level = level
        self._codec = codec
        self._counting = threading.Lock()
        self._suspects: set[str] = set()
        self._is_all_suspect = False

    def read(self, key: str) -> Found | None:
        """What the level holds under `key`; a failure is counted and is None."""
        try:
            if self._is_suspect(key):
                self._make_sure_gone(key)
            stored = self._level.get(key)
            if stored is None:
                return None
            return Found(self._codec.decode(stored.data), stored.ttl_s)
        except CacheLevelError:
            self._count_error()
            return None

    def write(self, key: str, value: object, ttl_s: float | None) -> None:
        """Store `value`, or remove the key if the codec cannot carry it; `order` is held.

        Raises:
            CacheLevelError: If the level failed; the key is suspect from now on.
        """
        try:
            data = self._codec.encode(value)
        except UncacheableError:
            with self._counting:
                self.refusals += 1
            self.delete(key)
            return
        self._change(lambda: self._level.set(key, data, ttl_s=ttl_s), key)
        self._suspects.discard(key)

    def try_write(self, key: str, value: object, ttl_s: float | None) -> None:
        """As `write`, but a failure is only counted and remembered."""
        with suppress(CacheLevelError):
            self.write(key, value, ttl_s)

    def delete(self, key: str) -> bool:
        """Remove `key`; whether it was there. `order` is held.

        Raises:
            CacheLevelError: If the level failed; the key is suspect from now on.
        """
        was_there = self._change(lambda: self._level.delete(key), key)
        self._suspects.discard(key)
        return was_there

    def delete_matching(self, pattern: str) -> None:
        """Remove what matches; `order` is held.

        Raises:
            CacheLevelError: If the level failed; all of it is suspect from now on.
        """
        self._change(lambda: self._level.delete_matching(pattern), None)

    def clear(self) -> None:
        """Remove everything; `order` is held.

        Raises:
            CacheLevelError: If the level failed; all of it is suspect from now on.
        """
        self._change(self._level.clear, None)
        self._suspects.clear()
        self._is_all_suspect = False

    def _change(self, change: Callable[[], _R], key: str | None) -> _R:
        try:
            return change()
        except CacheLevelError:
            self._count_error()
            self._suspect(key)
            raise

    def _suspect(self, key: str | None) -> None:
        if key is None or len(self._suspects) >= _SUSPECTS_MAX:
            self._is_all_suspect = True
            self._suspects.clear()
        else:
            self._suspects.add(key)

    def _is_suspect(self, key: str) -> bool:
        return self._is_all_suspect or key in self._suspects

    def _make_sure_gone(self, key: str) -> None:
        with self.order:
            if self._is_all_suspect:
                self._level.clear()
                self._is_all_suspect = False
            elif key in self._suspects:
                self._level.delete(key)
                self._suspects.discard(key)

    def _count_error(self) -> None:
        with self._counting:
            self.errors += 1
