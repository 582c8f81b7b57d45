"""The two bounds of every policy, and the books that are kept of them."""

from sergas.errors import CacheValueError
from sergas.optimizations.cache_manager.policies._node import ABSENT, EntryNode

__all__ = ["HELD", "Bounded"]

HELD = 1
"""The `segment` of a node in a policy that has only one."""


class Bounded:
    """How many nodes are held and what they weigh, beside the most that is allowed.

    Args:
        entries_max: Most nodes, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.

    Raises:
        CacheValueError: If a bound is below 1.
    """

    __slots__ = ("_count", "_entries_max", "_weight", "_weight_max")

    def __init__(self, *, entries_max: int, weight_max: int | None = None) -> None:
        self._count = 0
        self._weight = 0
        self._set_bounds(entries_max, weight_max)

    def __len__(self) -> int:
        """How many nodes are held."""
        return self._count

    @property
    def entries_max(self) -> int:
        """Most nodes held."""
        return self._entries_max

    @property
    def weight_max(self) -> int | None:
        """Largest sum of weights held; None for no such bound."""
        return self._weight_max

    @property
    def total_weight(self) -> int:
        """The sum of the weights of the nodes held."""
        return self._weight

    def _set_bounds(self, entries_max: int, weight_max: int | None) -> None:
        if entries_max < 1 or (weight_max is not None and weight_max < 1):
            raise CacheValueError(
                f"eviction policy: got entries_max={entries_max}, weight_max={weight_max}; needed"
                f" 1 or more each, or weight_max=None for no bound on the weight"
            )
        self._entries_max = entries_max
        self._weight_max = weight_max

    def _book(self, node: EntryNode, segment: int = HELD) -> None:
        """Enter `node`, which is not held."""
        node.segment = segment
        node.counted = node.weight
        self._count += 1
        self._weight += node.weight

    def _strike(self, node: EntryNode) -> None:
        """Take `node`, which is held, off the books."""
        node.segment = ABSENT
        self._count -= 1
        self._weight -= node.counted

    def _close_books(self) -> None:
        self._count = 0
        self._weight = 0

    def _is_too_heavy(self, node: EntryNode) -> bool:
        """Whether `node` would not fit even alone."""
        return self._weight_max is not None and node.weight > self._weight_max

    def _has_room(self, node: EntryNode) -> bool:
        """Whether `node`, which is not held, fits beside those that are."""
        return self._count < self._entries_max and (
            self._weight_max is None or self._weight + node.weight <= self._weight_max
        )

    def _is_over(self) -> bool:
        """Whether a bound is exceeded."""
        return self._count > self._entries_max or (
            self._weight_max is not None and self._weight > self._weight_max
        )
