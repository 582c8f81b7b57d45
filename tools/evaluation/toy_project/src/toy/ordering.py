"""Lists: sorted, merged and searched."""

import heapq
from bisect import insort as insert_in_order
from collections.abc import Sequence
from itertools import repeat

from .work import (
    BY_KEY_UNITS,
    INSORT_UNITS,
    PREPARED_HEAP_UNITS,
    PREPARED_MERGE_UNITS,
    PREPARED_SORT_UNITS,
    PREPARED_UNIQUE_UNITS,
    SMALLEST_UNITS,
    SORT_UNITS,
)

_NUMBERS = tuple(number * 7919 % 10_007 for number in range(60))
_SHIPS = tuple((f"ship-{number * 37 % 101}", number % 9) for number in range(100))


def sort() -> None:
    """Sort a few numbers."""
    for _ in repeat(None, SORT_UNITS):
        _sort_once()


def _sort_once() -> int:
    first, *_, last = sorted(_NUMBERS)
    return last - first


def sort_by_key() -> None:
    """Sort pairs by their second member, then by the length of the first."""
    for _ in repeat(None, BY_KEY_UNITS):
        _sort_by_key_once()


def _sort_by_key_once() -> list[tuple[str, int]]:
    return sorted(_SHIPS, key=lambda ship: (ship[1], len(ship[0])))


def insort() -> None:
    """Insert numbers into a list that stays in order."""
    for _ in repeat(None, INSORT_UNITS):
        _insort_once()


def _insort_once() -> list[int]:
    ordered: list[int] = []
    for number in _NUMBERS:
        insert_in_order(ordered, number)
    return ordered


def smallest() -> None:
    """Find the smallest of many."""
    for _ in repeat(None, SMALLEST_UNITS):
        _smallest_once()


def _smallest_once() -> list[int]:
    return heapq.nsmallest(5, _NUMBERS, key=lambda number: number % 100)


def sort_these(numbers: Sequence[int]) -> None:
    """Sort a copy of the numbers."""
    for _ in repeat(None, PREPARED_SORT_UNITS):
        sorted(numbers)


def merge_these(first: Sequence[int], second: Sequence[int]) -> None:
    """Merge two sorted sequences."""
    for _ in repeat(None, PREPARED_MERGE_UNITS):
        list(heapq.merge(first, second))


def heap_of_these(numbers: Sequence[int]) -> None:
    """Make a heap of a copy of the numbers, and take half of them out of it."""
    for _ in repeat(None, PREPARED_HEAP_UNITS):
        heap = list(numbers)
        heapq.heapify(heap)
        for _ in range(len(heap) // 2):
            heapq.heappop(heap)


def unique_of_these(numbers: Sequence[int]) -> None:
    """Drop every repeated number, keeping the order."""
    for _ in repeat(None, PREPARED_UNIQUE_UNITS):
        list(dict.fromkeys(number % 97 for number in numbers))
