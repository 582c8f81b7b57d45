"""Every policy, step by step in any order, with its invariants checked after each step."""

from collections.abc import Iterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sergas.optimizations.cache_manager.policies import (
    POLICIES,
    EntryNode,
    EvictionPolicy,
    TinyLfuPolicy,
    make_policy,
)
from sergas.optimizations.cache_manager.policies._node import NodeList
from sergas.optimizations.cache_manager.policies._sketch import COUNT_MAX

KEYS = st.integers(0, 30)
WEIGHTS = st.integers(0, 6)
ENTRIES = st.integers(1, 12)
WEIGHT_BOUNDS = st.none() | st.integers(1, 20)
DEADLINES = st.sampled_from([1.0, 2.0, 3.0, float("inf")])


class _Level(RuleBasedStateMachine):
    """What a level does to its policy."""

    name = ""

    def __init__(self) -> None:
        super().__init__()
        self.nodes: dict[int, EntryNode] = {}
        self.dropped: list[EntryNode] = []
        self.policy: EvictionPolicy

    @initialize(entries_max=ENTRIES, weight_max=WEIGHT_BOUNDS)
    def start(self, entries_max: int, weight_max: int | None) -> None:
        self.policy = make_policy(self.name, entries_max=entries_max, weight_max=weight_max)

    @rule(key=KEYS, weight=WEIGHTS, deadline_s=DEADLINES)
    def put(self, key: int, weight: int, deadline_s: float) -> None:
        node = self.nodes.setdefault(key, EntryNode(key))
        node.weight = weight
        node.deadline_s = deadline_s
        self.drop(self.policy.admit(node))
        weight_max = self.policy.weight_max
        if weight_max is not None and weight > weight_max:
            assert key not in self.nodes

    @rule(keys=st.lists(KEYS, max_size=40))
    def hit(self, keys: list[int]) -> None:
        """A batch in which nodes that are gone may be, as in a read buffer."""
        gone = {node.key: node for node in self.dropped}
        batch = [self.nodes.get(key) or gone.get(key) for key in keys]
        self.policy.touch([node for node in batch if node is not None])

    @rule(key=KEYS)
    def delete(self, key: int) -> None:
        node = self.nodes.pop(key, None)
        if node is not None:
            self.policy.remove(node)
            self.dropped.append(node)

    @rule(entries_max=ENTRIES, weight_max=WEIGHT_BOUNDS)
    def resize(self, entries_max: int, weight_max: int | None) -> None:
        self.drop(self.policy.resize(entries_max=entries_max, weight_max=weight_max))

    @rule()
    def clear(self) -> None:
        self.policy.clear()
        self.dropped += self.nodes.values()
        self.nodes.clear()

    def drop(self, nodes: object) -> None:
        assert isinstance(nodes, list | tuple)
        for node in nodes:
            assert self.nodes.pop(node.key) is node
            self.dropped.append(node)

    @invariant()
    def bounds_hold(self) -> None:
        weight_max = self.policy.weight_max
        assert len(self.policy) <= self.policy.entries_max
        assert weight_max is None or self.policy.total_weight <= weight_max

    @invariant()
    def every_node_is_held_once(self) -> None:
        held = list(self.policy)
        assert len(held) == len(self.policy) == len(self.nodes)
        assert {id(node) for node in held} == {id(node) for node in self.nodes.values()}
        assert sum(node.weight for node in held) == self.policy.total_weight
        assert all(node.segment and node.counted == node.weight for node in held)

    @invariant()
    def dropped_nodes_are_linked_to_nothing(self) -> None:
        held = {id(node) for node in self.nodes.values()}
        for node in self.dropped:
            assert id(node) in held or not (node.segment or hasattr(node, "after"))


class _TinyLfu(_Level):
    """Also the books that W-TinyLFU keeps of its segments."""

    name = "tinylfu"

    @invariant()
    def segments_add_up(self) -> None:
        policy = self.policy
        assert isinstance(policy, TinyLfuPolicy)
        window = list(_checked(policy._window))
        protected = list(_checked(policy._protected))
        probation = list(_checked(policy._probation))
        for nodes, segment in ((window, 1), (probation, 2), (protected, 3)):
            assert {node.segment for node in nodes} <= {segment}
            assert all(0 <= node.frequency <= COUNT_MAX for node in nodes)
            assert all(node.epoch <= policy._epoch for node in nodes)
        assert policy._window_count == len(window)
        assert policy._window_weight == sum(node.weight for node in window)
        assert policy._protected_count == len(protected)
        assert policy._protected_weight == sum(node.weight for node in protected)


def _checked(nodes: NodeList) -> Iterator[EntryNode]:
    """The nodes of a list, forwards, after looking that backwards they are the same."""
    backwards = []
    node = nodes.root.before
    while node is not nodes.root:
        backwards.append(node)
        node = node.before
    assert list(nodes) == backwards[::-1]
    return iter(nodes)


class _Lru(_Level):
    name = "lru"


class _Lfu(_Level):
    name = "lfu"


class _Fifo(_Level):
    name = "fifo"


class _Ttl(_Level):
    name = "ttl"


TestTinyLfu = _TinyLfu.TestCase
TestLru = _Lru.TestCase
TestLfu = _Lfu.TestCase
TestFifo = _Fifo.TestCase
TestTtl = _Ttl.TestCase

for case in (TestTinyLfu, TestLru, TestLfu, TestFifo, TestTtl):
    case.settings = settings(max_examples=25, stateful_step_count=40)
del case  # it would be collected as one more


def test_there_is_a_machine_for_each_policy() -> None:
    """A policy that is added must be added here."""
    assert {_TinyLfu.name, _Lru.name, _Lfu.name, _Fifo.name, _Ttl.name} == set(POLICIES)
