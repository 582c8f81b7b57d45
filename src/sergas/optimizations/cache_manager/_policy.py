"""Which entry goes when the first level is full."""

from collections import OrderedDict
from typing import Protocol

__all__ = ["EvictionPolicy", "LruPolicy"]


class EvictionPolicy(Protocol):
    """Ranks the keys of level 1: told of every change, asked for a victim when one is too many.

    The cache calls it under its lock, so an implementation needs none of its own. A policy that
    admits selectively names the newcomer itself as the victim.
    """

    def added(self, key: str) -> None:
        """`key` is new."""
        ...

    def used(self, key: str) -> None:
        """`key` was read or overwritten."""
        ...

    def removed(self, key: str) -> None:
        """`key` is gone."""
        ...

    def victim(self) -> str:
        """The key to drop next; there is at least one."""
        ...

    def clear(self) -> None:
        """Every key is gone."""
        ...


class LruPolicy:
    """The victim is the least recently read or written key; every step is O(1)."""

    __slots__ = ("_order",)

    def __init__(self) -> None:
        self._order: OrderedDict[str, None] = OrderedDict()

    def added(self, key: str) -> None:
        """`key` is the most recent now."""
        self._order[key] = None

    def used(self, key: str) -> None:
        """`key` is the most recent now."""
        self._order.move_to_end(key)

    def removed(self, key: str) -> None:
        """Forget `key`."""
        del self._order[key]

    def victim(self) -> str:
        """The key that was not used for longest."""
        return next(iter(self._order))

    def clear(self) -> None:
        """Forget every key."""
        self._order.clear()
