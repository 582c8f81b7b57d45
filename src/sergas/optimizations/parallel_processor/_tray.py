"""Where a worker process puts results one by one, and the other side finds them, come what may.

A piece of memory that both share. Putting a result there costs no system call, and it stays there
when the process dies: what was finished is safe, the one item without a result is the one that
killed it, and no item runs twice. The other side takes many at once.

It begins with how many results there are and where they end; that is written after each result, so
a result is there as a whole or not at all. Each begins with its kind, the seconds inside the
function and its size.
"""

import sys
from collections.abc import Iterator
from multiprocessing import shared_memory
from struct import Struct

__all__ = ["Tray", "attached_memory"]

_SIZE = 1 << 18
_COUNT = Struct("<QQ")
_HEAD = Struct("<BdI")


class Tray:
    """One side's view of the memory.

    Args:
        name: Of the memory the other side made; None makes it.
    """

    def __init__(self, name: str | None = None) -> None:
        self._is_owner = name is None
        if name is None:
            self._memory = shared_memory.SharedMemory(create=True, size=_SIZE)
        else:
            self._memory = attached_memory(name)
        view = self._memory.buf
        assert view is not None  # noqa: S101 - it is open
        self._view = view
        self._count = 0
        self._end = _COUNT.size
        if self._is_owner:
            self.clear()

    @property
    def name(self) -> str:
        """What the other side attaches by."""
        return self._memory.name

    @property
    def count(self) -> int:
        """How many results are there now."""
        return int(_COUNT.unpack_from(self._view)[0])

    def put(self, kind: int, elapsed_s: float, body: bytes) -> bool:
        """Add a result; False if there is no room for it."""
        at = self._end
        begin = at + _HEAD.size
        end = begin + len(body)
        if end > _SIZE:
            return False
        view = self._view
        _HEAD.pack_into(view, at, kind, elapsed_s, len(body))
        view[begin:end] = body
        self._count += 1
        self._end = end
        _COUNT.pack_into(view, 0, self._count, end)
        return True

    def clear(self) -> None:
        """Begin anew, when the other side has taken all."""
        self._count, self._end = 0, _COUNT.size
        _COUNT.pack_into(self._view, 0, self._count, self._end)

    def take(self) -> Iterator[tuple[int, float, memoryview]]:
        """Every result that is there: kind, seconds, and what was put."""
        view, at = self._view, _COUNT.size
        unpack, head = _HEAD.unpack_from, _HEAD.size
        for _ in range(self.count):
            kind, elapsed_s, size = unpack(view, at)
            at += head
            yield kind, elapsed_s, view[at : at + size]
            at += size

    def close(self) -> None:
        """Let go of the memory; the side that made it frees it."""
        self._view.release()
        self._memory.close()
        if self._is_owner:
            self._memory.unlink()


def attached_memory(name: str) -> shared_memory.SharedMemory:
    """Memory that another process owns, without being counted as an owner, who frees it at exit."""
    if sys.version_info >= (3, 13):
        return shared_memory.SharedMemory(name=name, track=False)
    # Before 3.13 attaching registers the memory with the resource tracker, which all processes of a
    # program share: it keeps a set, so the owner's entry is the same one and is removed once.
    return shared_memory.SharedMemory(name=name)
