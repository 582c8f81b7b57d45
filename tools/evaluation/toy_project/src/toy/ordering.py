"""Lists: sorted and merged."""

import heapq
from collections.abc import Sequence
from itertools import repeat

from .work import MERGE_UNITS, SORT_UNITS


def sort_numbers(numbers: Sequence[int]) -> None:
    """Sort a copy of the numbers."""
    for _ in repeat(None, SORT_UNITS):
        sorted(numbers)


def merge_numbers(first: Sequence[int], second: Sequence[int]) -> None:
    """Merge two sorted sequences."""
    for _ in repeat(None, MERGE_UNITS):
        list(heapq.merge(first, second))
