"""How much memory an entry takes, as far as that can be said cheaply."""

import sys
from collections.abc import Callable

__all__ = ["Weigher", "size_bytes"]

Weigher = Callable[[str, object], int]
"""Gives the weight of a key and its value, >= 0; called once for each write, outside of locks."""

_ENTRY_BYTES = 400
_OBJECTS_MAX = 10_000


def size_bytes(key: str, value: object) -> int:
    """The size of an entry in bytes: of its key, its value, what containers hold, and the books.

    Shared objects are counted once. Objects are taken for what `sys.getsizeof` says, with the
    attributes of those that have a `__dict__`; after 10,000 objects the rest is estimated from
    the mean so far.
    """
    seen: set[int] = set()
    to_see: list[object] = [value]
    total = sys.getsizeof(key) + _ENTRY_BYTES
    while to_see:
        item = to_see.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        total += sys.getsizeof(item, 64)
        to_see.extend(_parts(item))
        if len(seen) >= _OBJECTS_MAX:
            return total + len(to_see) * total // len(seen)
    return total


def _parts(item: object) -> list[object]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list | tuple | set | frozenset):
        return list(item)
    attributes = getattr(item, "__dict__", None)
    return list(attributes.values()) if isinstance(attributes, dict) else []
