"""Dictionaries: filled and read."""

from itertools import repeat

from .work import COUNT_UNITS, LOOKUP_UNITS

_WORDS = tuple(f"word-{number * number % 11}" for number in range(100))
_PORTS = {f"port-{number}": number for number in range(1000)}
_WANTED = tuple(f"port-{number}" for number in range(0, 1200, 60))


def count() -> None:
    """Count words in a new dictionary."""
    for _ in repeat(None, COUNT_UNITS):
        _count_once()


def _count_once() -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in _WORDS:
        counts[word] = counts.get(word, 0) + 1
    return counts


def lookup() -> None:
    """Look keys up, some of them absent."""
    for _ in repeat(None, LOOKUP_UNITS):
        _lookup_once()


def _lookup_once() -> int:
    return sum(_PORTS.get(name, 0) for name in _WANTED)
