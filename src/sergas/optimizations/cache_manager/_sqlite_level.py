"""A second level in one SQLite file, shared by the threads and processes of a machine.

Time here is the wall clock, because processes do not share a monotonic one across restarts. If
the wall clock is set back, an entry that seems to come from the future counts as expired, and so
does a claim.

Reading writes nothing, so the bound drops the entries written longest ago, expired ones first.
`entries_max` bounds their number and `size_bytes_max` the file (SQLite's `max_page_count`); the
write-ahead log beside it is cut back to a few megabytes by SQLite's own checkpoints. Writes are
not forced to the disk one by one: after a power cut the last of them may be undone, removals too.

**Listening.** Every write and removal is also noted in a table of changes, and the number of the
last one in memory that all processes share (`Signal`). A level 1 that compares that number with the
last one it has seen before it serves a hit misses no change whose call has returned: the number is
set before the change is committed. Two files beside the database hold it together: they must be
removed only together, when no process has them open.
"""

import os
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from sergas.clock import SystemClock, WallClock
from sergas.errors import CacheLevelError, CacheValueError
from sergas.optimizations.cache_manager._level import (
    Answer,
    Claim,
    LevelListener,
    StoredValue,
    key_matcher,
)
from sergas.optimizations.cache_manager._sqlite_file import (
    Signal,
    SqliteFile,
    is_full,
    transaction,
)
from sergas.optimizations.cache_manager._sqlite_rows import (
    delete,
    drop_share,
    find,
    generations_of,
    insert,
    last_change,
    next_fence,
    take_claim,
)
from sergas.optimizations.cache_manager._threaded import ThreadedTwin

__all__ = ["SqliteLevel"]

_SIZE_BYTES_MIN = 64 * 1024
_CHANGES_KEPT = 10_000
_TAGS_MAX = 100_000


class SqliteLevel:
    """A `CacheLevel` in a SQLite file; threads share one connection, each process has its own.

    Args:
        path: The file; made if it is not there. Whoever can write it decides what is served.
        entries_max: Most entries kept, >= 1.
        size_bytes_max: Most bytes the file may have, >= 65536.
        timeout_s: How long to wait for another process's write, > 0.
        clock: The wall clock.

    Raises:
        CacheLevelError: If the file cannot be opened or is not such a cache.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        entries_max: int = 100_000,
        size_bytes_max: int = 256 * 1024 * 1024,
        timeout_s: float = 1.0,
        clock: WallClock | None = None,
    ) -> None:
        if entries_max < 1 or size_bytes_max < _SIZE_BYTES_MIN or timeout_s <= 0:
            raise CacheLevelError(
                f"SqliteLevel: got entries_max={entries_max}, size_bytes_max={size_bytes_max},"
                f" timeout_s={timeout_s}; needed at least 1, {_SIZE_BYTES_MIN} and more than 0"
            )
        self._entries_max = entries_max
        self._clock: WallClock = clock if clock is not None else SystemClock()
        self._file = SqliteFile(os.fspath(path), size_bytes_max=size_bytes_max, timeout_s=timeout_s)
        try:
            self._signal = Signal(f"{os.fspath(path)}-signal")
        except BaseException:
            self._file.close()
            raise
        self._number = self._signal.number
        self._name = secrets.token_hex(8)
        self._listener: LevelListener | None = None
        self._seen = 0

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
    def aio(self) -> ThreadedTwin:
        """The same level for tasks; each call takes a thread."""
        return ThreadedTwin(self)

    def close(self) -> None:
        """Close the files; further use is a `CacheLevelError`. Closing twice does nothing."""
        self._file.close()

    def attach(self, listener: LevelListener) -> Callable[[], bool]:
        """Tell `listener` of changes by others, when it asks whether all were told.

        Raises:
            CacheLevelError: If SQLite fails.
            CacheValueError: If there is a listener already.
        """
        if self._listener is not None:
            raise CacheValueError(
                f"SqliteLevel({self._file.path!r}): a cache uses it already; give each cache a"
                f" SqliteLevel of its own, on the same file if they are to share it"
            )
        with self._file.connected() as connection:
            self._seen = last_change(connection)
        self._listener = listener
        return self._is_told

    def read(self, keys: Sequence[str]) -> dict[str, StoredValue]:
        """The values of those keys that have one, fresh or stale."""
        with self._file.connected() as connection:
            found = {key: find(connection, key, self._clock) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> dict[str, Answer]:
        """The values, and claims of those keys that have no fresh one."""
        answers = {}
        missing = []
        for key, value in {**dict.fromkeys(keys), **self.read(keys)}.items():
            if value is not None and _is_fresh(value, early_s):
                answers[key] = Answer(found=value, claim=None)
            else:
                missing.append(key)
        if missing:
            with self._file.connected() as connection, transaction(connection):
                now_s = self._clock.unix_s()  # not before: others' claims would seem of the future
                generations = generations_of(connection, tags)
                for key in missing:
                    found = find(connection, key, self._clock)
                    claim = None
                    if found is None or not _is_fresh(found, early_s):
                        token = take_claim(connection, key, generations, now_s, lease_s)
                        if token is not None:
                            claim = Claim(key=key, token=token, epoch=0, generations=generations)
                    answers[key] = Answer(found=found, claim=claim)
        return answers

    def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> list[bool]:
        """Store what was loaded under each claim that still holds; which did.

        Raises:
            CacheLevelError: If SQLite fails, or a value does not fit into the file at all.
        """
        return [self._fulfil(claim, value) for claim, value in items]

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims up."""
        with self._file.connected() as connection, transaction(connection):
            connection.executemany(
                "DELETE FROM claims WHERE key = ? AND token = ?",
                [(claim.key, claim.token) for claim in claims],
            )

    def write(self, items: Mapping[str, StoredValue]) -> None:
        """Store values, replacing what is there; the oldest entries make room.

        Raises:
            CacheLevelError: If SQLite fails, or a value does not fit into the file at all.
        """
        for key, value in items.items():

            def change(
                connection: sqlite3.Connection, key: str = key, value: StoredValue = value
            ) -> bool:
                connection.execute("DELETE FROM claims WHERE key = ?", (key,))
                self._insert(connection, key, value, generations_of(connection, value.tags))
                self._note(connection, "key", key)
                return True

            self._in_room(change)

    def remove(self, keys: Sequence[str]) -> int:
        """Remove keys and end their claims; how many had a fresh value."""
        count = 0
        with self._file.connected() as connection, transaction(connection):
            for key in keys:
                found = find(connection, key, self._clock)
                count += found is not None and found.is_fresh
                delete(connection, [key])
                connection.execute("DELETE FROM claims WHERE key = ?", (key,))
                self._note(connection, "key", key)
        return count

    def remove_matching(self, pattern: str) -> int:
        """Remove the keys that `key_matcher(pattern)` accepts; how many had a fresh value."""
        is_match = key_matcher(pattern)
        with self._file.connected() as connection, transaction(connection):
            matching = [key for (key,) in connection.execute("SELECT key FROM entries")]
            matching = [key for key in matching if is_match(key)]
            found = [find(connection, key, self._clock) for key in matching]
            delete(connection, matching)
            claimed = [key for (key,) in connection.execute("SELECT key FROM claims")]
            connection.executemany(
                "DELETE FROM claims WHERE key = ?", [(key,) for key in claimed if is_match(key)]
            )
            self._note(connection, "pattern", pattern)
        return sum(value is not None and value.is_fresh for value in found)

    def invalidate_tag(self, tag: str) -> None:
        """Let everything that has this tag be over."""
        with self._file.connected() as connection, transaction(connection):
            (known,) = connection.execute("SELECT count(*) FROM tags").fetchone()
            if known >= _TAGS_MAX:  # forgetting a generation would revive what it ended
                self._clear(connection)
            connection.execute(
                "INSERT OR REPLACE INTO tags VALUES (?, ?)", (tag, next_fence(connection))
            )
            self._note(connection, "tag", tag)

    def clear(self) -> None:
        """Remove every key."""
        with self._file.connected() as connection, transaction(connection):
            self._clear(connection)

    def _clear(self, connection: sqlite3.Connection) -> None:
        for table in ("entries", "claims", "tags"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 constants
        self._note(connection, "all", "")

    def _fulfil(self, claim: Claim, value: StoredValue) -> bool:
        def change(connection: sqlite3.Connection) -> bool:
            row = connection.execute(
                "SELECT token FROM claims WHERE key = ?", (claim.key,)
            ).fetchone()
            if row != (claim.token,):
                return False
            connection.execute("DELETE FROM claims WHERE key = ?", (claim.key,))
            if generations_of(connection, value.tags) != dict(claim.generations):
                return False
            self._insert(connection, claim.key, value, claim.generations)
            return True

        return self._in_room(change)

    def _in_room(self, change: Callable[[sqlite3.Connection], bool]) -> bool:
        """Do a change that adds something, dropping the oldest entries while the file is full."""
        with self._file.connected() as connection:
            while True:
                try:
                    with transaction(connection):
                        return change(connection)
                except sqlite3.OperationalError as error:
                    if not is_full(error) or not drop_share(connection):
                        raise

    def _insert(
        self,
        connection: sqlite3.Connection,
        key: str,
        value: StoredValue,
        generations: Mapping[str, int],
    ) -> None:
        now_s, most = self._clock.unix_s(), self._entries_max
        insert(connection, key, value, generations, now_s=now_s, entries_max=most)

    def _note(self, connection: sqlite3.Connection, kind: str, what: str) -> None:
        """Note a change, and show its number to all before it is committed."""
        number = connection.execute(
            "INSERT INTO changes (origin, kind, what) VALUES (?, ?, ?)",
            (self._origin(), kind, what),
        ).lastrowid
        if number is None:
            raise AssertionError("an insert has a row")
        if number % _CHANGES_KEPT == 0:
            connection.execute("DELETE FROM changes WHERE number <= ?", (number - _CHANGES_KEPT,))
        self._number[0] = number

    def _origin(self) -> str:
        return f"{self._name}.{os.getpid()}"

    def _is_told(self) -> bool:
        return self._number[0] == self._seen or self._tell()

    def _tell(self) -> bool:
        """Tell the listener what has been committed since the last time; False if that fails."""
        listener = self._listener
        if listener is None:
            return False
        try:
            with self._file.connected() as connection:
                rows = connection.execute(
                    "SELECT number, origin, kind, what FROM changes WHERE number > ?"
                    " ORDER BY number",
                    (self._seen,),
                ).fetchall()
                if rows and rows[0][0] > self._seen + 1:
                    listener.forget_all()
                else:
                    own = self._origin()
                    for _, origin, kind, what in rows:
                        if origin != own:
                            _tell_one(listener, kind, what)
                if rows:
                    self._seen = rows[-1][0]
        except CacheLevelError:
            return False
        return True


def _tell_one(listener: LevelListener, kind: str, what: str) -> None:
    if kind == "key":
        listener.forget_keys([what])
    elif kind == "tag":
        listener.forget_tag(what)
    elif kind == "pattern":
        listener.forget_matching(what)
    else:
        listener.forget_all()


def _is_fresh(value: StoredValue, early_s: float) -> bool:
    return value.ttl_s is None or value.ttl_s > early_s
