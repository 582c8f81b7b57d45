"""Dictionaries: filled, read, merged and turned round."""

from itertools import repeat

from .work import COUNT_UNITS, INVERT_UNITS, LOOKUP_UNITS, MERGE_UNITS

_WORDS = tuple(f"word-{number * number % 11}" for number in range(100))
_PORTS = {f"port-{number}": number for number in range(1000)}
_WANTED = tuple(f"port-{number}" for number in range(0, 1200, 60))
_DEFAULTS = {f"option-{number}": number for number in range(40)}
_CHANGES = {f"option-{number}": -number for number in range(20, 60)}


def lookup() -> None:
    """Look keys up, some of them absent."""
    for _ in repeat(None, LOOKUP_UNITS):
        _lookup_once()


def _lookup_once() -> int:
    return sum(_PORTS.get(name, 0) for name in _WANTED)


def count() -> None:
    """Count words in a new dictionary."""
    for _ in repeat(None, COUNT_UNITS):
        _count_once()


def _count_once() -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in _WORDS:
        counts[word] = counts.get(word, 0) + 1
    return counts


def merge() -> None:
    """Merge two dictionaries and read the result."""
    for _ in repeat(None, MERGE_UNITS):
        _merge_once()


def _merge_once() -> int:
    return sum((_DEFAULTS | _CHANGES).values())


def invert() -> None:
    """Group keys by their values."""
    for _ in repeat(None, INVERT_UNITS):
        _invert_once()


def _invert_once() -> dict[int, list[str]]:
    groups: dict[int, list[str]] = {}
    for name, number in _DEFAULTS.items():
        groups.setdefault(number % 7, []).append(name)
    return groups
