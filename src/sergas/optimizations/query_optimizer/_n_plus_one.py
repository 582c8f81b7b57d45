"""Find lookups that are made one by one where one statement would do: N+1.

The same statement, from the same place, by another key each time. Only lookups by equality count:
pages by key, lists of several values and searches by range repeat as well, and are as they should
be.
"""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sergas.errors import NPlusOneError, WorkloadError
from sergas.optimizations.query_optimizer._call_site import CallSite
from sergas.optimizations.query_optimizer._fingerprint import fingerprint
from sergas.optimizations.query_optimizer._listen import Executed, listening
from sergas.optimizations.query_optimizer._shape import key_values, shape_of

__all__ = ["NPlusOne", "NPlusOneDetector", "detect_n_plus_one"]

_KEYS_KEPT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class NPlusOne:
    """A lookup that was repeated key by key.

    Attributes:
        fingerprint: The statement.
        count: How often it was executed from there.
        keys: By how many different keys, at least the threshold; counted up to 1,000.
        site: Where.
    """

    fingerprint: str
    count: int
    keys: int
    site: CallSite

    # typing.override came with Python 3.12.
    def __str__(self) -> str:  # type: ignore[explicit-override]
        where = f"\n    from {'; called from '.join(map(str, self.site[:3]))}" if self.site else ""
        return (
            f"{self.count} x {self.fingerprint}{where}\n    {self.keys} keys, one by one: read "
            "them at once with IN (...), a join, or a loader that collects keys"
        )


class NPlusOneDetector:
    """Counts lookups by statement and place.

    Args:
        threshold: Different keys from one place that make it one, >= 2.
        allowed: Fingerprints, or parts of them, that are let pass.
    """

    def __init__(self, *, threshold: int = 5, allowed: Collection[str] = ()) -> None:
        if threshold < 2:  # noqa: PLR2004 - once is no repetition
            raise WorkloadError(f"threshold: got {threshold}, needed 2 or more")
        self._threshold = threshold
        self._allowed = tuple(part.lower() for part in allowed)
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, CallSite], int] = {}
        self._keys: dict[tuple[str, CallSite], set[tuple[object, ...]]] = {}
        self._dialects: dict[str, Executed] = {}

    def add(self, executed: Executed) -> None:
        """One more statement was executed."""
        shape = shape_of(executed.sql, executed.dialect)
        if executed.is_batch or shape.kind != "read" or not shape.keys:
            return
        values = key_values(shape, executed.parameters)
        place = (shape.text, executed.site)
        with self._lock:
            self._counts[place] = self._counts.get(place, 0) + 1
            keys = self._keys.setdefault(place, set())
            if len(keys) < _KEYS_KEPT:
                keys.add(values)
            self._dialects.setdefault(shape.text, executed)

    @property
    def found(self) -> tuple[NPlusOne, ...]:
        """What was repeated, the most often first."""
        with self._lock:
            places = [
                (place, len(keys))
                for place, keys in self._keys.items()
                if len(keys) >= self._threshold
            ]
            found = [
                NPlusOne(
                    fingerprint=self._name(text), count=self._counts[text, site], keys=n, site=site
                )
                for (text, site), n in places
            ]
        return tuple(
            sorted(
                (one for one in found if not self._lets_pass(one)),
                key=lambda one: (-one.count, one.fingerprint, one.site),
            )
        )

    def assert_none(self) -> None:
        """Make sure that nothing was repeated.

        Raises:
            NPlusOneError: If something was; the message says what, where and what to do.
        """
        if found := self.found:
            told = "\n".join(f"  {one}" for one in found)
            raise NPlusOneError(f"lookups were made one by one:\n{told}")

    def _name(self, text: str) -> str:
        executed = self._dialects[text]
        return fingerprint(executed.sql, executed.dialect).text

    def _lets_pass(self, one: NPlusOne) -> bool:
        return any(part in one.fingerprint.lower() for part in self._allowed)


@contextmanager
def detect_n_plus_one(
    *connections: Any, threshold: int = 5, allowed: Collection[str] = ()
) -> Iterator[NPlusOneDetector]:
    """Look for lookups one by one on the connections in the block, from any thread or task.

    Args:
        connections: Of sqlite3, psycopg or asyncpg.
        threshold: Different keys from one place that make it one, >= 2.
        allowed: Fingerprints, or parts of them, that are let pass.

    Raises:
        WorkloadError: If a connection is of no driver that is known, or a value out of range.
        MissingExtraError: If sqlglot is not installed.
    """
    shape_of("SELECT 1", "sqlite")  # what is missing is told before anything is executed
    detector = NPlusOneDetector(threshold=threshold, allowed=allowed)
    with listening(detector.add, *connections):
        yield detector
