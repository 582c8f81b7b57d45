"""What a policy knows of an entry, and the list that entries are linked in.

The links live in the entries themselves: moving an entry is six attribute writes, needs no hash of
its key and allocates nothing.
"""

import math
from collections.abc import Hashable, Iterator

__all__ = ["ABSENT", "EntryNode", "NodeList"]

ABSENT = 0
"""The `segment` of a node that no policy holds."""


class EntryNode:
    """The base of an entry in level 1; a subclass adds the value in slots of its own.

    Attributes:
        key: What the entry is found by.
        weight: Its size, >= 0, in the unit of the policy's `weight_max`. To change it, write it and
            call `admit` with the node.
        deadline_s: From when it must not be served, on the level's clock; `inf` for never.
        segment: The policy's own: where the node is linked, `ABSENT` if it is not. Only a node with
            a segment is resident.
        frequency: The policy's own: how often the key was wanted, as far as the policy counts.
        counted: The policy's own: the weight it has on its books for this node.
        epoch: The policy's own: when `frequency` was brought up to date. Set only if it is counted.
        spread: The policy's own: the key's hash, mixed. Set only if the policy samples keys.
        before: The policy's own: the next colder node. Set only while the node is resident.
        after: The policy's own: the next hotter node. Set only while the node is resident.
    """

    __slots__ = (
        "after",
        "before",
        "counted",
        "deadline_s",
        "epoch",
        "frequency",
        "key",
        "segment",
        "spread",
        "weight",
    )

    epoch: int
    spread: int
    before: "EntryNode"
    after: "EntryNode"

    def __init__(self, key: Hashable, weight: int = 0, deadline_s: float = math.inf) -> None:
        self.key = key
        self.weight = weight
        self.deadline_s = deadline_s
        self.segment = ABSENT
        self.frequency = 0
        self.counted = 0


class NodeList:
    """Nodes in a ring around a sentinel, coldest first; every step is O(1).

    Attributes:
        root: The sentinel: `root.after` is the coldest node, `root.before` the hottest, and both
            are the sentinel itself if the list is empty.
    """

    __slots__ = ("root",)

    def __init__(self) -> None:
        self.root = EntryNode(None)
        self.root.before = self.root.after = self.root

    def __bool__(self) -> bool:
        """Whether there is any node."""
        return self.root.after is not self.root

    def __iter__(self) -> Iterator[EntryNode]:
        """The nodes, coldest first; a node may be removed once it was given out."""
        root = self.root
        node = root.after
        while node is not root:
            following = node.after
            yield node
            node = following

    def append(self, node: EntryNode) -> None:
        """Link `node`, which is in no list, as the hottest."""
        root = self.root
        hottest = root.before
        node.before = hottest
        node.after = root
        hottest.after = root.before = node

    def unlink(self, node: EntryNode) -> None:
        """Take `node` out of this list.

        Its links are deleted, so that an entry that was dropped keeps no other alive.
        """
        before = node.before
        after = node.after
        before.after = after
        after.before = before
        del node.before, node.after

    def move_to_end(self, node: EntryNode) -> None:
        """Make `node`, which is in this list, the hottest."""
        before = node.before
        after = node.after
        before.after = after
        after.before = before
        root = self.root
        hottest = root.before
        node.before = hottest
        node.after = root
        hottest.after = root.before = node
