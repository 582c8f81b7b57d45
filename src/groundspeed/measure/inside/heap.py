"""Free memory used up, so that what a call costs does not depend on what was imported before it.

How many instructions an allocation takes depends on the holes that earlier ones left: two sides of
which one has a longer comment differ by up to 3.5 % in rows that only split strings. Here every
hole is filled, in the C library's heap and in Python's own, and what is allocated from now on comes
from where nothing was: the same on both sides.
"""

import ctypes
import itertools
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["fill_holes"]

_PAGE = 4096
# Largest first, so that what is left of a hole is filled by the next size.
_LARGE = (98_304, 65_536, 32_768, 16_384, 12_288, 8_192, 6_144, 4_096, 3_072, 2_048, 1_536)
_SMALL = tuple(range(1_112, 23, -16))
_MOST_HOLES = 200_000

_POOL = 16_384
_POOL_HEADER = 48
_DENSE_POOLS = 4
_BLOCK = 16
_LARGEST_BLOCK = 512
_BYTES_HEADER = 33


def fill_holes() -> Any:
    """Fill them; what fills them is given back and must be kept."""
    sizes = range(_BLOCK, _LARGEST_BLOCK + 1, _BLOCK)
    begun: list[Any] = [None] * sum((_POOL - _POOL_HEADER) // size + 1 for size in sizes)
    blocks = [_fill_pools(size) for size in sizes]
    _begin_pools(sizes, begun)
    _fill_heap()
    return blocks, begun


def _fill_heap() -> None:
    """Leave the C library nothing but its last chunk, which begins at a page then."""
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in ("malloc_trim", "sbrk")):
        return
    allocate = library.malloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.sbrk.restype, library.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    library.malloc_trim(0)
    last_chunk = library.sbrk(0) - 2 * _PAGE
    left = itertools.repeat(None, _MOST_HOLES)
    for size in (*_LARGE, *_SMALL):
        for _ in left:
            if not 0 < allocate(size) < last_chunk:
                break
    _end_at_page(allocate)


def _end_at_page(allocate: Callable[[int], int]) -> None:
    end = allocate(_SMALL[0] - 8) + _SMALL[0]  # a chunk is its size and 8 bytes, rounded up to 16
    rest = -end % _PAGE
    allocate((rest if rest >= 2 * _BLOCK else rest + _PAGE) - 8)


def _fill_pools(size: int) -> list[Any]:
    """Blocks of this size until pool after pool came from one place, so that no hole was left."""
    count = (_POOL - _POOL_HEADER) // size
    kept: list[Any] = []
    dense = 0
    while dense < _DENSE_POOLS and len(kept) * count < _MOST_HOLES:
        kept.append(_blocks(size, count))
        together = max(map(id, kept[-1])) - min(map(id, kept[-1])) < _POOL
        dense = dense + 1 if together else 0
    return kept


def _begin_pools(sizes: Iterable[int], kept: list[Any]) -> None:
    """Leave the pool of each size with its first block taken and no other.

    Where a loop takes and frees blocks across the end of a pool, each turn costs more.
    """
    places = iter(range(len(kept)))
    for size in sizes:
        for place in places:
            (kept[place],) = _blocks(size, 1)
            if id(kept[place]) % _POOL == _POOL_HEADER:
                break


def _blocks(size: int, count: int) -> list[Any]:
    if size == _BLOCK:
        return [*map(object.__new__, itertools.repeat(object, count))]
    if size == 2 * _BLOCK:
        return [*map(float, itertools.repeat("1", count))]
    return [*map(bytes, itertools.repeat(size - _BYTES_HEADER, count))]
