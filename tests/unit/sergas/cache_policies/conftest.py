"""A level 1 reduced to what a policy sees of it, which checks the contract at every step."""

from collections.abc import Callable

import pytest

from sergas.optimizations.cache_manager.policies import EntryNode, EvictionPolicy


class Level:
    """Puts, hits and deletes by key; what the policy gives back leaves."""

    def __init__(self, policy: EvictionPolicy) -> None:
        self.policy = policy
        self.nodes: dict[int, EntryNode] = {}
        self.gone: list[int] = []

    def put(self, key: int, weight: int = 1, *, deadline_s: float = float("inf")) -> list[int]:
        """Put `key`, in its old node if it has one; the keys that had to go."""
        node = self.nodes.get(key)
        if node is None:
            node = EntryNode(key)
        node.weight = weight
        node.deadline_s = deadline_s
        self.nodes[key] = node
        return self._leave([*self.policy.admit(node)])

    def get(self, key: int) -> bool:
        """Whether `key` is there; a hit is told to the policy."""
        node = self.nodes.get(key)
        if node is not None:
            self.policy.touch([node])
            self.check()
        return node is not None

    def want(self, key: int) -> bool:
        """Get `key`, or put it; whether it was there."""
        return self.get(key) or bool(self.put(key) and False)

    def delete(self, key: int) -> None:
        """Delete `key`, which is there."""
        self.policy.remove(self.nodes.pop(key))
        self.check()

    def resize(self, entries_max: int, weight_max: int | None = None) -> list[int]:
        """Change the bounds; the keys that had to go."""
        return self._leave([*self.policy.resize(entries_max=entries_max, weight_max=weight_max)])

    def _leave(self, nodes: list[EntryNode]) -> list[int]:
        keys = []
        for node in nodes:
            assert isinstance(node.key, int)
            assert self.nodes.pop(node.key) is node, "it gives back what it held, each once"
            keys.append(node.key)
        self.gone += keys
        self.check()
        return keys

    def check(self) -> None:
        """The bounds hold, and the policy's nodes are exactly those of the level."""
        policy = self.policy
        held = list(policy)
        assert len(held) == len(policy) == len(self.nodes) <= policy.entries_max
        assert {id(node) for node in held} == {id(node) for node in self.nodes.values()}
        weight = sum(node.weight for node in held)
        assert weight == policy.total_weight
        assert policy.weight_max is None or weight <= policy.weight_max


@pytest.fixture
def level_of() -> Callable[[EvictionPolicy], Level]:
    """A level around a policy."""
    return Level
