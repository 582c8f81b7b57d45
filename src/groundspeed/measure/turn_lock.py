"""One check at a time: two that measure at once on a machine would disturb each other.

The lock is the kernel's and ends with its holder, however that dies. Beside it lies a note that
says who holds it, for those who wait. Both are in the cache folder, so that checks of one user wait
for each other, in whichever checkout they were started.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from groundspeed.errors import BrokenError
from groundspeed.measure.scratch import FileLock, explained

__all__ = ["Holder", "take_turn"]

_POLL_S = 0.2
_LOCK = "measuring.lock"
_NOTE = "measuring.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who is measuring.

    Attributes:
        pid: The process.
        since: When it began, on this machine's own clock.
    """

    pid: int
    since: datetime

    def told(self) -> str:
        """For a sentence: `PID 1234, since 14:02`."""
        return f"PID {self.pid}, since {self.since:%H:%M}"


@contextlib.contextmanager
def take_turn(
    cache: Path,
    *,
    say: Callable[[str], None],
    deadline_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = datetime.now,
) -> Iterator[None]:
    """Wait until no other check measures; while the context lasts, the others wait for this one.

    Where the cache folder's file system knows no locks there is no turn to wait for, and `say` is
    told so.

    Args:
        cache: The user's cache folder; made if it is not there.
        say: Told for whom it waits, and again when that changes.
        deadline_s: When to give up, on `clock`; None waits as long as it takes.
        clock: Monotonic seconds.
        pause: Lets so many seconds pass. The kernel offers no lock with a time limit, so it is
            asked again and again.
        now: The time of day.

    Raises:
        BrokenError: If the others are not done by the deadline, or the folder cannot be written to.
    """
    with explained(cache):
        cache.mkdir(parents=True, exist_ok=True)
    lock = _wait(cache, say, deadline_s, clock, pause)
    if lock is None:
        yield
        return
    with lock:
        note = cache / _NOTE
        _write_note(note, Holder(pid=os.getpid(), since=now()))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                note.unlink()


def _wait(
    cache: Path,
    say: Callable[[str], None],
    deadline_s: float | None,
    clock: Callable[[], float],
    pause: Callable[[float], None],
) -> FileLock | None:
    """The lock; None where there are no locks."""
    told = None
    while True:
        try:
            lock = FileLock.acquire(cache / _LOCK, wait=False)
        except OSError as error:
            say(
                f"{cache} cannot be locked ({error.strerror}), so other checks on this machine are "
                "not kept from measuring at the same time"
            )
            return None
        if lock is not None:
            return lock
        other = _other(cache / _NOTE)
        left_s = None if deadline_s is None else deadline_s - clock()
        if left_s is not None and left_s <= 0:
            raise BrokenError(
                f"{other} was still measuring when the time was over, so nothing was measured "
                "here; check again when it is done, or with a greater --budget"
            )
        if other != told:
            told = other
            say(f"{other} is measuring; waiting")
        pause(_POLL_S if left_s is None else min(_POLL_S, left_s))


def _other(note: Path) -> str:
    holder = _read_note(note)
    return f"another check ({holder.told()})" if holder else "another check"


def _read_note(note: Path) -> Holder | None:
    """Who holds the lock; None while they have not said so yet."""
    try:
        said = json.loads(note.read_bytes())
        return Holder(pid=int(said["pid"]), since=datetime.fromisoformat(said["since"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write_note(note: Path, holder: Holder) -> None:
    """Leave the note, whole or not at all; without it others know less, and wait all the same."""
    text = json.dumps({"pid": holder.pid, "since": holder.since.isoformat(timespec="seconds")})
    half = note.with_suffix(".new")
    with contextlib.suppress(OSError):
        half.write_text(text, encoding="ascii")
        half.replace(note)
