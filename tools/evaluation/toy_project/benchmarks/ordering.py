# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Sorted lists."""

from toy import ordering


def time_sort() -> None:
    """Numbers sorted."""
    ordering.sort()


def time_sort_by_key() -> None:
    """Pairs sorted by a key."""
    ordering.sort_by_key()


def time_insort() -> None:
    """Numbers inserted in order."""
    ordering.insort()


def time_smallest() -> None:
    """The smallest numbers found."""
    ordering.smallest()
