"""The policy that follows the time to live."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from sergas.optimizations.cache_manager.policies._bounded import Bounded
from sergas.optimizations.cache_manager.policies._node import EntryNode

__all__ = ["TtlPolicy"]

_LEFTOVERS_ALLOWED = 64


class TtlPolicy(Bounded):
    """The node that expires soonest goes first; of equals, and of those that never do, the oldest.

    A node that is put is not dropped for its own sake, however soon it expires. A put costs
    O(log n); the number of what was removed stays in the heap until it comes up, or until such
    leftovers outnumber the nodes and the heap is made anew.

    Args:
        entries_max: Most nodes, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.

    Raises:
        CacheValueError: If a bound is below 1.
    """

    __slots__ = ("_heap", "_nodes", "_numbers")

    def __init__(self, *, entries_max: int, weight_max: int | None = None) -> None:
        super().__init__(entries_max=entries_max, weight_max=weight_max)
        self._numbers = count(1)
        # By the number of their put, which is also their segment.
        self._nodes: dict[int, EntryNode] = {}
        self._heap: list[tuple[float, int]] = []

    def __iter__(self) -> Iterator[EntryNode]:
        """The nodes held, in the order in which they would go."""
        return (self._nodes[item[1]] for item in sorted(filter(self._is_current, self._heap)))

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:
        """Put `node` by its deadline, after making room; the nodes that had to go."""
        self.remove(node)
        if self._is_too_heavy(node):
            return (node,)
        dropped = []
        while not self._has_room(node):
            dropped.append(self._pop())
        number = next(self._numbers)
        self._book(node, number)
        self._nodes[number] = node
        heapq.heappush(self._heap, (node.deadline_s, number))
        if len(self._heap) > 2 * self._count + _LEFTOVERS_ALLOWED:
            self._heap = list(filter(self._is_current, self._heap))
            heapq.heapify(self._heap)
        return dropped

    def touch(self, nodes: Iterable[EntryNode]) -> None:
        """Reading changes nothing."""

    def remove(self, node: EntryNode) -> None:
        """Forget a node that was deleted or has expired."""
        if node.segment:
            del self._nodes[node.segment]
            self._strike(node)

    def resize(self, *, entries_max: int, weight_max: int | None) -> Sequence[EntryNode]:
        """Change the bounds; the nodes that are no longer held."""
        self._set_bounds(entries_max, weight_max)
        dropped = []
        while self._is_over():
            dropped.append(self._pop())
        return dropped

    def clear(self) -> None:
        """Forget every node."""
        for node in self._nodes.values():
            self._strike(node)
        self._nodes.clear()
        self._heap.clear()

    def _pop(self) -> EntryNode:
        """Take the node that expires soonest; there is one."""
        while True:
            node = self._nodes.pop(heapq.heappop(self._heap)[1], None)
            if node is not None:
                self._strike(node)
                return node

    def _is_current(self, item: tuple[float, int]) -> bool:
        return item[1] in self._nodes
