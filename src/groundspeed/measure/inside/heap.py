"""Free memory used up, so that what a call costs does not depend on what was imported before it.

How many instructions an allocation takes depends on the holes that earlier ones left: two sides of
which one has a longer comment differ by up to 3.5 % in rows that only split strings. Here every
hole is filled, in the C library's heap and in Python's own, and what is allocated from now on comes
from where nothing was: the same on both sides.

Where an arena of Python's own heap lies matters, too: one that begins at no multiple of its size
spans two, and each block freed in its first part takes some instructions more than in its second
(CPython's `arena_map_is_used`). 20 lists in a dictionary, made and dropped, differ by 0.4 % by that
alone. So arenas begin at a multiple of their size from here on.
"""

import ctypes
import itertools
from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

__all__ = ["fill_holes", "take_blocks"]

_PAGE = 4096
# Largest first, so that what is left of a hole is filled by the next size.
_LARGE = (98_304, 65_536, 32_768, 16_384, 12_288, 8_192, 6_144, 4_096, 3_072, 2_048, 1_536)
_SMALL = tuple(range(1_112, 23, -16))
_MOST_HOLES = 200_000

_ARENA = 1 << 20
_MOST_ARENAS = 64
_WHOLE_ARENAS = 2
_PLAIN_BLOCKS = 4
_POOL = 16_384
_POOL_HEADER = 48
_DENSE_POOLS = 4
_BLOCK = 16
_LARGEST_BLOCK = 512
_BYTES_HEADER = 33


class _ArenaAllocator(ctypes.Structure):
    """CPython's PyObjectArenaAllocator."""

    _fields_ = (
        ("context", ctypes.c_void_p),
        ("allocate", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    )


def fill_holes() -> Any:
    """Fill them; what fills them is given back and must be kept."""
    sizes = range(_BLOCK, _LARGEST_BLOCK + 1, _BLOCK)
    begun: list[Any] = [None] * sum((_POOL - _POOL_HEADER) // size + 1 for size in sizes)
    library = ctypes.CDLL(None)
    blocks = [_fill_pools(size) for size in sizes]
    blocks.append(_begin_arena(library))
    _begin_pools(sizes, begun)
    _fill_heap(library)
    # What is dropped from here on, names of this function included, would leave a hole again.
    places = {place // _ARENA for place in map(id, begun) if place % _POOL == _POOL_HEADER}
    turns = itertools.repeat(None, _MOST_HOLES), iter(sizes)
    _plug(places, *turns)
    return sizes, begun, library, blocks, places, turns


def _begin_arena(library: Any) -> list[Any]:
    """Use Python's arenas up until what is left of them begins at a multiple of its size.

    Where that cannot be had, because this is
    another Python or another C library, nothing is done.
    """
    python = ctypes.pythonapi
    needed = ((library, "aligned_alloc"), (python, "PyObject_SetArenaAllocator"))
    if not all(hasattr(owner, name) for owner, name in needed):
        return []
    allocator = _ArenaAllocator()
    python.PyObject_GetArenaAllocator(ctypes.byref(allocator))
    # Called with the context as its first argument, which is the multiple. What frees an arena
    # unmaps its pages, and may go on doing so: nobody frees them a second time.
    allocator.context = _ARENA
    allocator.allocate = ctypes.cast(library.aligned_alloc, ctypes.c_void_p).value
    python.PyObject_SetArenaAllocator(ctypes.byref(allocator))
    return _full_arenas()


def _full_arenas() -> list[Any]:
    """Blocks until they have filled two arenas in turn that begin at a multiple of their size.

    Arenas from elsewhere may lie side by side, so that a multiple is in the middle of one. Ours lie
    apart: a whole one begins at a multiple behind a gap and ends before another.
    """
    # Made beforehand: lists in between would take pools from the arenas, too.
    kept: list[Any] = [None] * (_MOST_ARENAS * _ARENA // _LARGEST_BLOCK)
    start, last, whole = 0, 0, 0
    for number in range(len(kept)):
        kept[number] = bytes(_LARGEST_BLOCK - _BYTES_HEADER)
        place = id(kept[number])
        if not 0 < place - last <= _POOL:
            whole = whole + 1 if start and 0 <= last - start - (_ARENA - _POOL) < _POOL else 0
            start = place if place % _ARENA == _POOL_HEADER else 0
            if whole == _WHOLE_ARENAS:
                break
        last = place
    return kept


def _fill_heap(library: Any) -> None:
    """Leave the C library nothing but its last chunk, which begins at a page then."""
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


def _plug(places: Container[int], turns: Iterator[None], sizes: Iterator[int]) -> None:
    """Fill the holes that filling holes has left, with nothing made for it that is dropped later.

    Args:
        places: The arenas from which blocks are to come, by their number.
        turns: As many blocks as there may be holes; kept by the caller, as `sizes` is.
        sizes: Of the blocks.
    """
    allocate = ctypes.pythonapi.PyObject_Malloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    for size in sizes:
        plain = 0
        for _ in turns:
            plain = plain + 1 if allocate(size) // _ARENA in places else 0
            if plain == _PLAIN_BLOCKS:
                break


def _fill_pools(size: int) -> list[Any]:
    """Blocks of this size until pool after pool came from one place, so that no hole was left."""
    count = (_POOL - _POOL_HEADER) // size
    kept: list[Any] = []
    dense = 0
    while dense < _DENSE_POOLS and len(kept) * count < _MOST_HOLES:
        kept.append(take_blocks(size, count))
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
            (kept[place],) = take_blocks(size, 1)
            if id(kept[place]) % _POOL == _POOL_HEADER:
                break


def take_blocks(size: int, count: int) -> list[Any]:
    """So many objects that take a block of `size` bytes of Python's own heap each.

    Args:
        size: A multiple of 16, 512 at most.
        count: How many.
    """
    if size == _BLOCK:
        return [*map(object.__new__, itertools.repeat(object, count))]
    if size == 2 * _BLOCK:
        return [*map(float, itertools.repeat("1", count))]
    return [*map(bytes, itertools.repeat(size - _BYTES_HEADER, count))]
