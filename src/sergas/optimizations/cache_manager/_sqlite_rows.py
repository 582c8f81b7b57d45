"""The rows of `SqliteLevel`: what each step reads and writes on a connection that it is given."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

from sergas.clock import WallClock
from sergas.optimizations.cache_manager._level import StoredValue
from sergas.optimizations.cache_manager._sqlite_file import transaction

__all__ = [
    "delete",
    "drop_share",
    "find",
    "generations_of",
    "insert",
    "last_change",
    "next_fence",
    "take_claim",
]

_SHARE_DROPPED_WHEN_FULL = 8

_GET = (
    "SELECT data, stored_unix_s, ends_unix_s, expires_unix_s, cost_s, tags FROM entries"
    " WHERE key = ?"
)
_DELETE = "DELETE FROM entries WHERE key = ?"
_INSERT = (
    "INSERT INTO entries (key, data, stored_unix_s, ends_unix_s, expires_unix_s, cost_s, tags)"
    " VALUES (:key, :data, :now_s, :now_s + :ttl_s, :now_s + :kept_s, :cost_s, :tags)"
)
_DELETE_EXPIRED = "DELETE FROM entries WHERE expires_unix_s <= ?"
_DELETE_OLDEST = (
    "DELETE FROM entries WHERE written IN (SELECT written FROM entries ORDER BY written LIMIT ?)"
)


def find(connection: sqlite3.Connection, key: str, clock: WallClock) -> StoredValue | None:
    """The value under a key, fresh or stale; None if there is none or one of its tags is over."""
    row = connection.execute(_GET, (key,)).fetchone()
    if row is None:
        return None
    data, stored_s, ends_s, expires_s, cost_s, tags = row
    # Not before the row: what others wrote in between would seem to come from the future.
    now_s = clock.unix_s()
    if stored_s > now_s or (expires_s is not None and expires_s <= now_s):
        return None
    generations = json.loads(tags)
    if generations and generations_of(connection, generations) != generations:
        return None
    return StoredValue(
        data=data,
        ttl_s=None if ends_s is None else ends_s - now_s,
        stale_ttl_s=0.0 if ends_s is None else expires_s - ends_s,
        cost_s=cost_s,
        tags=tuple(generations),
    )


def delete(connection: sqlite3.Connection, keys: Sequence[str]) -> None:
    """Delete the entries of these keys, as far as there are any."""
    connection.executemany(_DELETE, [(key,) for key in keys])


def insert(
    connection: sqlite3.Connection,
    key: str,
    value: StoredValue,
    generations: Mapping[str, int],
    *,
    now_s: float,
    entries_max: int,
) -> None:
    """Put an entry in the place of the one there; the expired and then the oldest make room."""
    ttl_s = value.ttl_s
    connection.execute(_DELETE_EXPIRED, (now_s,))
    connection.execute(_DELETE, (key,))
    row = {
        "key": key,
        "data": value.data,
        "now_s": now_s,
        "ttl_s": ttl_s,
        "kept_s": None if ttl_s is None else ttl_s + value.stale_ttl_s,
        "cost_s": value.cost_s,
        "tags": json.dumps(dict(generations)),
    }
    connection.execute(_INSERT, row)
    (count,) = connection.execute("SELECT entries FROM totals").fetchone()
    if count > entries_max:
        connection.execute(_DELETE_OLDEST, (count - entries_max,))


def generations_of(connection: sqlite3.Connection, tags: Sequence[str]) -> dict[str, int]:
    """The fence at which each tag was last invalidated, 0 if never."""
    found = {}
    for tag in tags:
        row = connection.execute("SELECT generation FROM tags WHERE name = ?", (tag,)).fetchone()
        found[tag] = 0 if row is None else row[0]
    return found


def take_claim(
    connection: sqlite3.Connection,
    key: str,
    generations: Mapping[str, int],
    now_s: float,
    lease_s: float,
) -> int | None:
    """The token of a new claim; None if somebody else's holds."""
    tags = json.dumps(generations)
    # A claim from before a removal could store nothing: nobody waits for it.
    held = connection.execute(
        "SELECT 1 FROM claims WHERE key = ? AND ends_unix_s > ? AND taken_unix_s <= ? AND tags = ?",
        (key, now_s, now_s, tags),
    )
    if held.fetchone() is not None:
        return None
    connection.execute("DELETE FROM claims WHERE ends_unix_s <= ?", (now_s,))
    token = next_fence(connection)
    connection.execute(
        "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)",
        (key, token, tags, now_s, now_s + lease_s),
    )
    return token


def next_fence(connection: sqlite3.Connection) -> int:
    """A number larger than all before."""
    connection.execute("UPDATE totals SET fence = fence + 1")
    (fence,) = connection.execute("SELECT fence FROM totals").fetchone()
    return int(fence)


def last_change(connection: sqlite3.Connection) -> int:
    """The number of the last change noted, 0 if there is none."""
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM changes").fetchone()
    return int(number)


def drop_share(connection: sqlite3.Connection) -> int:
    """Drop the oldest eighth; how many entries that was."""
    with transaction(connection):
        (count,) = connection.execute("SELECT entries FROM totals").fetchone()
        share = -(-count // _SHARE_DROPPED_WHEN_FULL)
        return connection.execute(_DELETE_OLDEST, (share,)).rowcount
