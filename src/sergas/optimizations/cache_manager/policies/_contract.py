"""What the first level and a policy expect of each other."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from sergas.optimizations.cache_manager.policies._node import EntryNode

__all__ = ["READ_BUFFER_MAX", "EvictionPolicy"]

READ_BUFFER_MAX = 1024
"""How many hits a level remembers between two writes.

A level records a hit by appending its node to a list or deque: about 25 ns, no lock, and safe
on every build of Python. Every write begins, under the level's lock, with `touch` of what was
recorded. Where more hits than this come without a single write, the oldest may be forgotten.
"""


class EvictionPolicy(Protocol):
    """Decides which entries stay in level 1, within a number of entries and a sum of weights.

    A policy does no input or output, has no clock and takes its randomness from its constructor:
    the same calls give the same decisions. It is not thread-safe: the level calls it under its own
    lock. It holds the nodes it was given until it returns them from `admit` or `resize`, or is told
    to `remove` them.
    """

    @property
    def entries_max(self) -> int:
        """Most entries held, >= 1."""
        ...

    @property
    def weight_max(self) -> int | None:
        """Largest sum of weights held, >= 1; None for no such bound."""
        ...

    @property
    def total_weight(self) -> int:
        """The sum of the weights of the nodes held."""
        ...

    def __len__(self) -> int:
        """How many nodes are held."""
        ...

    def __iter__(self) -> Iterator[EntryNode]:
        """Every node held, once; the likeliest to go comes first."""
        ...

    def admit(self, node: EntryNode) -> Sequence[EntryNode]:
        """Take a new node, or see again one it holds whose value, weight or deadline has changed.

        An overwritten key keeps what is known of it if its old node is used again; a node that
        takes the place of another one needs `remove` for that one first.

        Returns:
            The nodes that are no longer held and have to be dropped now, each once, so that both
            bounds hold again. `node` may be among them: then it was not let in. A node heavier
            than `weight_max` never is, and costs no other node its place.
        """
        ...

    def touch(self, nodes: Iterable[EntryNode]) -> None:
        """Count hits, in the order in which they happened; nodes that are not held are ignored."""
        ...

    def remove(self, node: EntryNode) -> None:
        """Forget a node that was deleted or has expired; one that is not held is ignored.

        What is remembered of its key may stay: it often comes back.
        """
        ...

    def resize(self, *, entries_max: int, weight_max: int | None) -> Sequence[EntryNode]:
        """Change the bounds.

        Returns:
            The nodes that are no longer held, as for `admit`.

        Raises:
            CacheValueError: If a bound is below 1.
        """
        ...

    def clear(self) -> None:
        """Forget every node, and what was learnt."""
        ...
