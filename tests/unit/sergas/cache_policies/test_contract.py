"""What holds for every policy, whichever entry it prefers."""

import gc
import random
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from sergas.errors import CacheValueError
from sergas.optimizations.cache_manager.policies import POLICIES, EntryNode, make_policy

pytestmark = pytest.mark.parametrize("name", sorted(POLICIES))


def _random_run(level: Any, rng: random.Random, *, steps: int, weight_max: int) -> list[int]:
    for _ in range(steps):
        key = int(rng.paretovariate(0.6)) % 60
        choice = rng.random()
        if choice < 0.05 and key in level.nodes:
            level.delete(key)
        elif choice < 0.1:
            level.put(key, rng.randrange(weight_max + 2), deadline_s=rng.random())
        elif choice < 0.11:
            level.resize(rng.randrange(1, 20), rng.choice([None, weight_max]))
        elif not level.get(key):
            level.put(key, rng.randrange(4))
    gone: list[int] = level.gone
    return gone


@pytest.mark.parametrize("entries_max", [1, 2, 3, 10])
def test_bounds_hold_and_nothing_is_lost_at_any_step(
    name: str, entries_max: int, level_of: Callable[..., Any]
) -> None:
    """After each of 3,000 steps both bounds hold and every node held can be reached."""
    level = level_of(make_policy(name, entries_max=entries_max, weight_max=12))
    assert _random_run(level, random.Random(entries_max), steps=3000, weight_max=12)


def test_equal_calls_give_equal_decisions(name: str, level_of: Callable[..., Any]) -> None:
    """The same steps drop the same keys in the same order."""
    first, second = (
        _random_run(
            level_of(make_policy(name, entries_max=9, weight_max=20)),
            random.Random(3),
            steps=3000,
            weight_max=20,
        )
        for _ in range(2)
    )
    assert first == second


def test_nothing_goes_before_a_bound_is_reached(name: str, level_of: Callable[..., Any]) -> None:
    """Up to the bounds every node is let in and stays."""
    level = level_of(make_policy(name, entries_max=50, weight_max=100))
    for key in range(50):
        assert level.put(key, 2) == []
        level.get(key // 2)
    assert len(level.policy) == 50


def test_each_new_entry_costs_one_of_equal_weight(name: str, level_of: Callable[..., Any]) -> None:
    """A full cache stays full: it drops exactly one entry for each new one."""
    level = level_of(make_policy(name, entries_max=20))
    for key in range(20):
        level.put(key)
    for key in range(20, 500):
        assert len(level.put(key)) == 1
        assert len(level.policy) == 20


def test_too_heavy_a_node_costs_no_other_its_place(name: str, level_of: Callable[..., Any]) -> None:
    """What would not fit even alone is not let in, new or grown, and nothing else goes."""
    level = level_of(make_policy(name, entries_max=5, weight_max=10))
    for key in range(5):
        level.put(key, 2)
    assert level.put(9, 11) == [9]
    assert level.put(3, 11) == [3]
    assert sorted(level.nodes) == [0, 1, 2, 4]


def test_weight_of_nothing_needs_no_room(name: str, level_of: Callable[..., Any]) -> None:
    """Weightless nodes are bounded by their number alone."""
    level = level_of(make_policy(name, entries_max=5, weight_max=1))
    for key in range(8):
        level.put(key, 0)
    assert len(level.nodes) == 5


def test_a_shrunk_node_makes_room(name: str, level_of: Callable[..., Any]) -> None:
    """After a node was written smaller, others fit where it was."""
    level = level_of(make_policy(name, entries_max=5, weight_max=10))
    level.put(1, 10)
    level.put(1, 1)
    assert level.put(2, 9) == []


def test_foreign_and_stale_nodes_are_ignored(name: str, level_of: Callable[..., Any]) -> None:
    """Hits and removals of nodes that are not held, gone ones or strangers, change nothing."""
    level = level_of(make_policy(name, entries_max=3))
    stale = EntryNode(0)
    level.nodes[0] = stale
    level.policy.admit(stale)
    level.delete(0)
    for key in range(1, 4):
        level.put(key)
    before = [node.key for node in level.policy]
    level.policy.touch([stale, EntryNode(1)])
    level.policy.remove(stale)
    level.check()
    assert [node.key for node in level.policy] == before


def test_resizing_drops_down_to_the_new_bounds(name: str, level_of: Callable[..., Any]) -> None:
    """Smaller bounds drop as many as needed at once; larger ones none."""
    level = level_of(make_policy(name, entries_max=40, weight_max=80))
    for key in range(40):
        level.put(key, 2)
    assert len(level.resize(30, 80)) == 10
    assert len(level.resize(30, 20)) == 20
    assert level.resize(100, None) == []
    assert len(level.policy) == 10


def test_clearing_forgets_every_node(name: str, level_of: Callable[..., Any]) -> None:
    """A cleared policy is empty and works on."""
    level = level_of(make_policy(name, entries_max=4, weight_max=9))
    for key in range(9):
        level.put(key, 2)
    old = list(level.nodes.values())
    level.policy.clear()
    level.nodes.clear()
    level.check()
    level.policy.touch(old)
    for key in range(9):
        level.put(key, 2)
    assert len(level.policy) == 4


class _Watched(EntryNode):
    """A node whose end can be seen."""

    __slots__ = ("__weakref__",)


def test_a_dropped_node_is_freed_at_once(name: str) -> None:
    """Nothing but its owner keeps a node alive that was dropped or removed: no cycles are left."""
    policy = make_policy(name, entries_max=2)
    nodes = [_Watched(key) for key in range(6)]
    ends = [weakref.ref(node) for node in nodes]
    for node in nodes:
        policy.admit(node)
    policy.remove(nodes[0])
    held = {id(node) for node in policy}
    del node
    gc.disable()
    try:
        is_held = [id(node) in held for node in nodes]
        nodes.clear()
        assert [end() is not None for end in ends] == is_held
    finally:
        gc.enable()


@pytest.mark.parametrize(("entries_max", "weight_max"), [(0, None), (-1, 5), (5, 0), (5, -3)])
def test_bounds_below_one_are_refused(name: str, entries_max: int, weight_max: int | None) -> None:
    """A bound below 1 is a `CacheValueError`, also in `resize`, which then changes nothing."""
    with pytest.raises(CacheValueError, match=f"got entries_max={entries_max}, weight_max="):
        make_policy(name, entries_max=entries_max, weight_max=weight_max)
    policy = make_policy(name, entries_max=4, weight_max=9)
    with pytest.raises(CacheValueError, match="needed 1 or more"):
        policy.resize(entries_max=entries_max, weight_max=weight_max)
    assert (policy.entries_max, policy.weight_max) == (4, 9)
