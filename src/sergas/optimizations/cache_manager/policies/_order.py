"""Policies that keep one order: least recently used, and first in first out."""

from collections.abc import Iterable, Iterator, Sequence

from sergas.optimizations.cache_manager.policies._bounded import Bounded
from sergas.optimizations.cache_manager.policies._node import EntryNode, NodeList

__all__ = ["FifoPolicy", "LruPolicy"]


class _OrderedPolicy(Bounded):
    """Nodes in one list; the first of it goes first."""

    __slots__ = ("_order",)

    def __init__(self, *, entries_max: int, weight_max: int | None = None) -> None:
        super().__init__(entries_max=entries_max, weight_max=weight_max)
        self._order = NodeList()

    def __iter__(self) -> Iterator[EntryNode]:
        """The nodes held, in the order in which they would go."""
        return iter(self._order)

    def remove(self, node: EntryNode) -> None:
        """Forget a node that was deleted or has expired."""
        if node.segment:
            self._drop(node)

    def resize(self, *, entries_max: int, weight_max: int | None) -> Sequence[EntryNode]:
        """Change the bounds; the nodes that are no longer held."""
        self._set_bounds(entries_max, weight_max)
        return self._shrink()

    def clear(self) -> None:
        """Forget every node."""
        for node in self._order:
            self._drop(node)

    def _drop(self, node: EntryNode) -> None:
        self._order.unlink(node)
        self._strike(node)

    def _enter(self, node: EntryNode) -> Sequence[EntryNode]:
        """Put a node that is not held last; the nodes that had to go for it."""
        if self._is_too_heavy(node):
            return (node,)
        self._book(node)
        self._order.append(node)
        return self._shrink()

    def _shrink(self) -> Sequence[EntryNode]:
        """Drop the first nodes until the bounds hold; the last one fits alone."""
        if not self._is_over():
            return ()
        dropped = []
        while self._is_over():
            node = self._order.root.after
            self._drop(node)
            dropped.append(node)
        return dropped


class LruPolicy(_OrderedPolicy):
    """The least recently read or written node goes first; every step is O(1).

    Args:
        entries_max: Most nodes, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.

    Raises:
        CacheValueError: If a bound is below 1.
    """

    __slots__ = ()

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:
        """Make `node` the most recent one; the nodes that had to go for it."""
        if node.segment:
            self._drop(node)
        return self._enter(node)

    def touch(self, nodes: Iterable[EntryNode]) -> None:
        """Make each node the most recent one, in turn."""
        move = self._order.move_to_end
        for node in nodes:
            if node.segment:
                move(node)


class FifoPolicy(_OrderedPolicy):
    """The node that was put first goes first, however often it was read; every step is O(1).

    A node that is overwritten keeps its place.

    Args:
        entries_max: Most nodes, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.

    Raises:
        CacheValueError: If a bound is below 1.
    """

    __slots__ = ()

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:
        """Put a new node last; the nodes that had to go for it."""
        if not node.segment:
            return self._enter(node)
        if self._is_too_heavy(node):
            self._drop(node)
            return (node,)
        self._weight += node.weight - node.counted
        node.counted = node.weight
        return self._shrink()

    def touch(self, nodes: Iterable[EntryNode]) -> None:
        """Reading changes nothing."""
