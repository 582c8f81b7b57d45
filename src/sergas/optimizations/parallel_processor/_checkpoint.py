"""A journal of finished items, so that an interrupted call goes on where it was.

The file begins with a line that names the function. A record is its head (index, a fingerprint of
the item, the length and the CRC-32 of what follows) and the pickled value. Records are only ever
added; one that an interruption tore is the last, fails its check and is cut off. A later record of
an index stands for it. Values are loaded by pickle: open no journal of somebody you do not trust.
"""

import hashlib
import pickle
import sys
import zlib
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, Self

from sergas.errors import CheckpointError
from sergas.optimizations.parallel_processor._chunk import Chunk

__all__ = ["Checkpoint", "Known", "function_name"]

_TITLE = b"sergas parallel checkpoint 1 "
_FINGERPRINT_SIZE = 16
_HEAD = Struct(f"<Q{_FINGERPRINT_SIZE}sII")


class Known:
    """A value that the journal had."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Checkpoint:
    """The journal of one call, open and held against other calls.

    Args:
        path: The file; made if it is not there.
        function_name: Qualified name of the function, which must be the journal's.

    Raises:
        CheckpointError: If the file is not a journal, of another function, or in use.
        OSError: If it cannot be opened.
    """

    def __init__(self, path: str | PathLike[str], function_name: str) -> None:
        self._path = Path(fspath(path))
        self._title = _TITLE + function_name.encode() + b"\n"
        self._file: BinaryIO = self._path.open("a+b")
        try:
            self._hold()
            self._values = self._read()
        except BaseException:
            self._file.close()
            raise

    def known(self, index: int, item: Any) -> Known | None:
        """The value of an item if an earlier call finished that same item at that index.

        Raises:
            CheckpointError: If the item cannot be told from others, for it does not pickle.
        """
        found = self._values.get(index)
        if found is None or found[0] != self._fingerprint(item, index):
            return None
        return Known(found[1])

    def keep(self, chunk: Chunk) -> None:
        """Write down the items of a chunk that came to a value.

        Raises:
            CheckpointError: If a value does not pickle.
        """
        if chunk.attempt == 0:
            return
        records = bytearray()
        for place in chunk.places():
            if place not in chunk.errors:
                index = chunk.start + place
                records += self._record(index, chunk.items[place], chunk.values[place])
        self._file.write(records)
        self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _record(self, index: int, item: Any, value: Any) -> bytes:
        try:
            body = pickle.dumps(value)
        except Exception as cause:
            raise CheckpointError(
                f"checkpoint {self._path}: the result of item {index}, a "
                f"{type(value).__qualname__}, cannot be kept ({cause}); return plain data, or "
                "leave checkpoint= away"
            ) from cause
        head = _HEAD.pack(index, self._fingerprint(item, index), len(body), zlib.crc32(body))
        return head + body

    def _fingerprint(self, item: Any, index: int) -> bytes:
        try:
            packed = pickle.dumps(item)
        except Exception as cause:
            raise CheckpointError(
                f"checkpoint {self._path}: item {index}, a {type(item).__qualname__}, cannot be "
                f"told from others ({cause}); use plain data as items, or leave checkpoint= away"
            ) from cause
        return hashlib.blake2b(packed, digest_size=_FINGERPRINT_SIZE).digest()

    def _hold(self) -> None:
        if sys.platform == "win32":
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(
                f"checkpoint {self._path}: another call is writing it; give each call its own file"
            ) from error

    def _read(self) -> dict[int, tuple[bytes, Any]]:
        self._file.seek(0)
        data = self._file.read()
        if not data or self._title.startswith(data):  # new, or torn while its title was written
            self._file.truncate(0)
            self._file.write(self._title)
            self._file.flush()
            return {}
        if not data.startswith(_TITLE):
            raise CheckpointError(
                f"checkpoint {self._path}: it is not a checkpoint; give the name of one or of no "
                "file"
            )
        if not data.startswith(self._title):
            other = data[len(_TITLE) : data.find(b"\n")].decode(errors="replace")
            raise CheckpointError(
                f"checkpoint {self._path}: it is of a call of {other}; give another file, or "
                "delete this one"
            )
        values, end = _records(data, len(self._title))
        self._file.truncate(end)
        return values


def _records(data: bytes, at: int) -> tuple[dict[int, tuple[bytes, Any]], int]:
    """The sound records from a place on, and where they end."""
    values: dict[int, tuple[bytes, Any]] = {}
    while at + _HEAD.size <= len(data):
        index, fingerprint, size, check = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + size]
        if len(body) < size or zlib.crc32(body) != check:
            break
        values[index] = (fingerprint, pickle.loads(body))  # noqa: S301 - the user's own journal
        at += _HEAD.size + size
    return values, at


def function_name(function: Any) -> str:
    """What a journal calls a function: its module and qualified name, or its type's."""
    parts: Iterable[str | None] = (
        getattr(function, "__module__", None),
        getattr(function, "__qualname__", type(function).__qualname__),
    )
    return ".".join(part for part in parts if part)
