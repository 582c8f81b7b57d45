"""The policy that counts: least frequently used."""

from collections.abc import Iterable, Iterator, Sequence

from sergas.optimizations.cache_manager.policies._bounded import Bounded
from sergas.optimizations.cache_manager.policies._node import EntryNode, NodeList

__all__ = ["LfuPolicy"]


class _Bucket(NodeList):
    """The nodes of one frequency, least recently used first, between its neighbours."""

    __slots__ = ("frequency", "higher", "lower")

    lower: "_Bucket"
    higher: "_Bucket"

    def __init__(self, frequency: int) -> None:
        super().__init__()
        self.frequency = frequency


class LfuPolicy(Bounded):
    """The node used least often since it was put goes first; of these the least recently used.

    A node that is put anew starts again at one use. Every step is O(1): the nodes of one frequency
    share a bucket, and a use moves a node to the next one (Shah, Mitra, Matani 2010).

    Args:
        entries_max: Most nodes, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.

    Raises:
        CacheValueError: If a bound is below 1.
    """

    __slots__ = ("_buckets", "_ends")

    def __init__(self, *, entries_max: int, weight_max: int | None = None) -> None:
        super().__init__(entries_max=entries_max, weight_max=weight_max)
        self._start()

    def __iter__(self) -> Iterator[EntryNode]:
        """The nodes held, in the order in which they would go."""
        bucket = self._ends.higher
        while bucket is not self._ends:
            yield from bucket
            bucket = bucket.higher

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:
        """Count a use of `node`, new or not, after making room; the nodes that had to go."""
        uses = 1
        if node.segment:
            uses += node.frequency
            self._drop(node)
        if self._is_too_heavy(node):
            return (node,)
        dropped: list[EntryNode] = []
        while not self._has_room(node):
            dropped.append(self._drop(self._ends.higher.root.after))
        node.frequency = uses
        self._book(node)
        self._bucket(uses).append(node)
        return dropped

    def touch(self, nodes: Iterable[EntryNode]) -> None:
        """Count a use of each node, in turn."""
        buckets = self._buckets
        for node in nodes:
            if not node.segment:
                continue
            old = buckets[node.frequency]
            node.frequency += 1
            new = buckets.get(node.frequency)
            if new is None:
                new = self._insert(old, node.frequency)
            old.unlink(node)
            new.append(node)
            if not old:
                self._discard(old)

    def remove(self, node: EntryNode) -> None:
        """Forget a node that was deleted or has expired, and how often it was used."""
        if node.segment:
            self._drop(node)

    def resize(self, *, entries_max: int, weight_max: int | None) -> Sequence[EntryNode]:
        """Change the bounds; the nodes that are no longer held."""
        self._set_bounds(entries_max, weight_max)
        dropped = []
        while self._is_over():
            dropped.append(self._drop(self._ends.higher.root.after))
        return dropped

    def clear(self) -> None:
        """Forget every node."""
        for node in list(self):
            self._drop(node)

    def _start(self) -> None:
        """No buckets, but the sentinel between the highest and the lowest of them."""
        self._buckets: dict[int, _Bucket] = {}
        self._ends = _Bucket(0)
        self._ends.lower = self._ends.higher = self._ends

    def _drop(self, node: EntryNode) -> EntryNode:
        bucket = self._buckets[node.frequency]
        bucket.unlink(node)
        self._strike(node)
        if not bucket:
            self._discard(bucket)
        return node

    def _bucket(self, frequency: int) -> _Bucket:
        """The bucket of `frequency`, found from below if it is not there yet."""
        found = self._buckets.get(frequency)
        if found is not None:
            return found
        below = self._buckets.get(frequency - 1)
        if below is None:  # a node that came back from above, or the first of all
            below = self._ends
            while below.higher is not self._ends and below.higher.frequency < frequency:
                below = below.higher
        return self._insert(below, frequency)

    def _insert(self, below: _Bucket, frequency: int) -> _Bucket:
        bucket = _Bucket(frequency)
        bucket.lower = below
        bucket.higher = below.higher
        below.higher.lower = below.higher = bucket
        self._buckets[frequency] = bucket
        return bucket

    def _discard(self, bucket: _Bucket) -> None:
        bucket.lower.higher = bucket.higher
        bucket.higher.lower = bucket.lower
        del self._buckets[bucket.frequency]
