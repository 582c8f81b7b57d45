"""What a running check has measured so far, so that an interrupted one can go on.

A file of JSON lines: a header, then a line for each row that was calibrated, for what a launch pair
gave of one or more rows, and for each row that broke. A line is written at once and never changed,
so a process that is killed leaves whole lines and at most one half, which is cut off before the
file is continued.

What is kept here only saves time. So no trouble with it ends a check: a file that cannot be read is
left alone, and a disk that is full ends the journal and not the measuring.
"""

import contextlib
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from groundspeed.model import Failure, PairSummary, ValuePair
from groundspeed.store.digests import KEY_DIGITS

__all__ = [
    "JOURNAL_SCHEMA",
    "Journal",
    "JournalHeader",
    "Recorded",
    "find_journal",
    "prune",
]

JOURNAL_SCHEMA = "groundspeed.journal/1"

_NAME = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}(-[0-9]+)?\.jsonl")
# A lock on bytes that no file has: on Windows a locked byte could not be read.
_LOCKED_AT = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalHeader:
    """What a check that goes on takes over.

    Attributes:
        seed: Of every random choice.
        started_at: When the check first began, ISO 8601, UTC.
        tool_version: The groundspeed that wrote it.
    """

    seed: int
    started_at: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An interrupted check.

    Attributes:
        path: Its journal.
        header: What it began with.
        calibrations: What was decided of each row before its first launch pair, by label, as it was
            given to `Journal.add_calibration`.
        measured: What was measured of each row, by label and number of the launch pair, from 0. The
            last launch pairs may lack rows that others have.
        broken: Why rows broke while they were measured, by label.
        size_bytes: Of the whole lines; what follows is half a line.
    """

    path: Path
    header: JournalHeader
    calibrations: Mapping[str, Mapping[str, Any]]
    measured: Mapping[str, Mapping[int, PairSummary | ValuePair]]
    broken: Mapping[str, tuple[Failure, ...]]
    size_bytes: int

    @property
    def pairs(self) -> int:
        """Launch pairs of which anything was kept."""
        return 1 + max(
            (number for of_row in self.measured.values() for number in of_row), default=-1
        )


class _Header(msgspec.Struct, tag="header", kw_only=True, frozen=True, forbid_unknown_fields=True):
    schema: str
    key: str
    seed: int
    started_at: str
    tool_version: str


class _Calibration(
    msgspec.Struct, tag="calibration", kw_only=True, frozen=True, forbid_unknown_fields=True
):
    row: str
    values: dict[str, Any]


class _Pair(msgspec.Struct, tag="pair", kw_only=True, frozen=True, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=0)]
    times: dict[str, PairSummary]
    values: dict[str, ValuePair]


class _Broken(msgspec.Struct, tag="broken", kw_only=True, frozen=True, forbid_unknown_fields=True):
    row: str
    failures: tuple[Failure, ...]


_Entry = _Calibration | _Pair | _Broken
_LINE: msgspec.json.Decoder[_Header | _Entry] = msgspec.json.Decoder(_Header | _Entry)


# Writing


@dataclass(kw_only=True)
class Journal:
    """Keeps what a check measures; made by `begin` or `resume`, ended by `end` or `close`.

    Attributes:
        path: The file; None when none could be made.
        trouble: Why nothing more is kept, a sentence for the user; None while all is well.
    """

    path: Path | None
    trouble: str | None = None
    _descriptor: int | None = field(default=None, repr=False)

    @classmethod
    def begin(cls, folder: Path, key: str, header: JournalHeader) -> "Journal":
        """Begin a journal in `folder`, which is made if it is not there.

        Another journal of this key, of a check that was interrupted or that runs now, stays.
        """
        journal = cls(path=None)
        with journal._spared(folder):
            folder.mkdir(parents=True, exist_ok=True)
            journal.path, journal._descriptor = _create(folder, key)
            _lock(journal._descriptor)
            journal._write(
                _Header(
                    schema=JOURNAL_SCHEMA,
                    key=key,
                    seed=header.seed,
                    started_at=header.started_at,
                    tool_version=header.tool_version,
                )
            )
        return journal

    @classmethod
    def resume(cls, recorded: Recorded) -> "Journal":
        """Continue the journal of an interrupted check, after its last whole line."""
        journal = cls(path=None)
        with journal._spared(recorded.path):
            journal._descriptor = os.open(recorded.path, _FLAGS)
            if not _lock(journal._descriptor):
                journal._give_up(f"{recorded.path}: another check goes on with it")
                return journal
            os.ftruncate(journal._descriptor, recorded.size_bytes)
            journal.path = recorded.path
        return journal

    def add_calibration(self, label: str, values: Mapping[str, Any]) -> None:
        """Keep what was decided of a row before its first launch pair: plain values by name."""
        self._add(_Calibration(row=label, values=dict(values)))

    def add_pair(self, number: int, rows: Mapping[str, PairSummary | ValuePair]) -> None:
        """Keep what a launch pair gave of rows, by label: of all at once, or one after another.

        A value that JSON has no number for, such as infinity, is left out: it is to be taken again.
        """
        times = {label: pair for label, pair in rows.items() if isinstance(pair, PairSummary)}
        values = {
            label: pair
            for label, pair in rows.items()
            if isinstance(pair, ValuePair) and math.isfinite(pair.base + pair.candidate)
        }
        self._add(_Pair(number=number, times=times, values=values))

    def add_broken(self, label: str, failures: Sequence[Failure]) -> None:
        """Keep why a row broke while it was measured."""
        self._add(_Broken(row=label, failures=tuple(failures)))

    def end(self) -> None:
        """The check has its verdict: remove the file, and what older ones of its key have left."""
        self.close()
        if self.path is None:
            return
        for path in _of_key(self.path.parent, self.path.name[:KEY_DIGITS]):
            with contextlib.suppress(OSError, _UnfitError):
                with _unlocked(path):
                    pass
                path.unlink()

    def close(self) -> None:
        """Write no more; the file stays, for the check to be resumed. Closing twice is once."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _add(self, entry: _Entry) -> None:
        if self._descriptor is not None:
            with self._spared(self.path):
                self._write(entry)

    def _write(self, line: _Header | _Entry) -> None:
        assert self._descriptor is not None, "only an open journal is written"  # noqa: S101
        left = memoryview(msgspec.json.encode(line) + b"\n")
        while left:
            left = left[os.write(self._descriptor, left) :]

    @contextlib.contextmanager
    def _spared(self, place: Path | None) -> Iterator[None]:
        """Spare the check an error of the disk: nothing more is kept from then on."""
        try:
            yield
        except OSError as error:
            self._give_up(f"{place}: {error.strerror or error}")

    def _give_up(self, why: str) -> None:
        self.close()
        self.trouble = (
            f"{why}; what is measured from then on is not kept, so a check that is interrupted "
            "later would measure it again"
        )


_FLAGS = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)


def _create(folder: Path, key: str) -> tuple[Path, int]:
    number = 1
    while True:
        path = folder / (f"{key}.jsonl" if number == 1 else f"{key}-{number}.jsonl")
        try:
            return path, os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        """Mark the file as one that a living process writes; says whether none other does."""
        os.lseek(descriptor, _LOCKED_AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        """Mark the file as one that a living process writes; says whether none other does."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


# Reading


def find_journal(folder: Path, key: str, *, say: Callable[[str], None]) -> Recorded | None:
    """What an interrupted check of this key has kept in `folder`.

    Half a line at the end is left out. Of several the longest counts. A file that is no such
    journal or that a living check writes is passed over, for which `say` is told the reason in a
    sentence.
    """
    found = []
    for path in _of_key(folder, key):
        try:
            found.append(_read(path, key))
        except (OSError, _UnfitError) as error:
            said = getattr(error, "strerror", None) or error
            say(f"{path}: {said}, so nothing is taken over from it")
    return max(found, key=lambda recorded: recorded.size_bytes, default=None)


def _of_key(folder: Path, key: str) -> list[Path]:
    return sorted(p for p in folder.glob(f"{key}*.jsonl") if _NAME.fullmatch(p.name))


class _UnfitError(Exception):
    """A file that no check can go on with."""


def _read(path: Path, key: str) -> Recorded:
    with _unlocked(path) as file:
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    lines = [_decoded(line, number) for number, line in enumerate(whole.splitlines(), start=1)]
    if not lines or not isinstance(header := lines[0], _Header):
        raise _UnfitError("it does not begin with the header of a journal")
    if (header.schema, header.key) != (JOURNAL_SCHEMA, key):
        raise _UnfitError(f"it is of another check or version ({header.schema})")
    measured: dict[str, dict[int, PairSummary | ValuePair]] = {}
    for line in lines:
        if isinstance(line, _Pair):
            rows: dict[str, PairSummary | ValuePair] = {**line.times, **line.values}
            for label, pair in rows.items():
                measured.setdefault(label, {})[line.number] = pair
    return Recorded(
        path=path,
        header=JournalHeader(
            seed=header.seed, started_at=header.started_at, tool_version=header.tool_version
        ),
        calibrations={line.row: line.values for line in lines if isinstance(line, _Calibration)},
        measured=measured,
        broken={line.row: line.failures for line in lines if isinstance(line, _Broken)},
        size_bytes=len(whole),
    )


@contextlib.contextmanager
def _unlocked(path: Path) -> Iterator[BinaryIO]:
    """Open a journal that no living process writes.

    Raises:
        _UnfitError: If one does.
        OSError: If it cannot be opened.
    """
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        if not _lock(descriptor):
            raise _UnfitError("another check writes it")
        file.seek(0)
        yield file


def _decoded(line: bytes, number: int) -> _Header | _Entry:
    try:
        return _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _UnfitError(f"its line {number} is damaged ({error})") from error


def prune(folder: Path, *, older_than_s: float, clock: Callable[[], float]) -> int:
    """Remove journals that were last written more than `older_than_s` seconds ago.

    Args:
        folder: Where they are; it need not exist. Other files in it stay.
        older_than_s: Seconds.
        clock: Seconds since the epoch, as files are dated by.

    Returns:
        How many were removed.
    """
    removed = 0
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(OSError):
            if _NAME.fullmatch(path.name) and clock() - path.lstat().st_mtime > older_than_s:
                path.unlink()
                removed += 1
    return removed
