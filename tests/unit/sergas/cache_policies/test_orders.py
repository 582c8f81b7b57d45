"""LRU, LFU, FIFO and TTL drop what the obvious, slow implementation drops."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from sergas.optimizations.cache_manager.policies import TtlPolicy, make_policy


@dataclass
class _Known:
    """What a slow policy would write down of an entry."""

    put: int
    used: int
    uses: int
    deadline_s: float


def _recency(entry: _Known) -> Any:
    return entry.used


def _count(entry: _Known) -> Any:
    return entry.uses, entry.used


def _age(entry: _Known) -> Any:
    return entry.put


def _deadline(entry: _Known) -> Any:
    return entry.deadline_s, entry.used


ORDERS: dict[str, Callable[[_Known], Any]] = {
    "lru": _recency,
    "lfu": _count,
    "fifo": _age,
    "ttl": _deadline,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(ORDERS))
def test_drops_in_the_order_of_the_naive_model(
    name: str, seed: int, level_of: Callable[..., Any]
) -> None:
    """Over 2,000 random steps the policy drops the least entry by its order, and ranks the rest."""
    rng = random.Random(seed)
    level = level_of(make_policy(name, entries_max=7))
    model: dict[int, _Known] = {}
    counts_reads = name in {"lru", "lfu"}
    for step in range(2000):
        key = rng.randrange(15)
        entry = model.get(key)
        choice = rng.random()
        if choice < 0.1 and entry is not None:
            level.delete(key)
            del model[key]
        elif choice < 0.6 and level.get(key):
            assert entry is not None
            if counts_reads:
                entry.used = step
                entry.uses += 1
        else:
            deadline_s = rng.choice([1.0, 2.0, math.inf])
            dropped = level.put(key, deadline_s=deadline_s)
            if entry is not None:
                entry.used = step
                entry.uses += 1
                entry.deadline_s = deadline_s
                assert dropped == []
                continue
            if len(model) == 7:
                least = min(model, key=lambda known: ORDERS[name](model[known]))
                del model[least]
                assert dropped == [least]
            model[key] = _Known(step, step, 1, deadline_s)
        ranked = sorted(model, key=lambda known: ORDERS[name](model[known]))
        assert [node.key for node in level.policy] == ranked


def test_a_heavy_newcomer_drops_as_many_as_it_takes(level_of: Callable[..., Any]) -> None:
    """The least recently used go until the newcomer's weight fits, and no further."""
    level = level_of(make_policy("lru", entries_max=10, weight_max=10))
    for key, weight in ((1, 3), (2, 3), (3, 4)):
        level.put(key, weight)
    level.get(1)
    assert level.put(4, 5) == [2, 3]
    assert sorted(level.nodes) == [1, 4]


def test_a_grown_node_drops_others_first(level_of: Callable[..., Any]) -> None:
    """Where writing counts as use, a node written larger stays and the others make room."""
    for name in ("lru", "lfu", "ttl"):
        level = level_of(make_policy(name, entries_max=10, weight_max=10))
        for key in (1, 2, 3):
            level.put(key, 3)
        assert level.put(1, 8) == [2, 3]


def test_lfu_finds_the_lowest_of_many_frequencies(level_of: Callable[..., Any]) -> None:
    """A used node that is written again joins the right rank between the others."""
    level = level_of(make_policy("lfu", entries_max=4, weight_max=100))
    for key, hits in ((1, 9), (2, 5), (3, 2), (4, 0)):
        level.put(key, 1)
        for _ in range(hits):
            level.get(key)
    level.put(2, 2)
    assert [(node.key, node.frequency) for node in level.policy] == [
        (4, 1),
        (3, 3),
        (2, 7),
        (1, 10),
    ]
    level.put(5, 1)
    assert level.gone == [4]


def test_ttl_heap_stays_in_proportion(level_of: Callable[..., Any]) -> None:
    """Putting the same few keys 10,000 times leaves a heap of few items."""
    policy = TtlPolicy(entries_max=3)
    level = level_of(policy)
    for number in range(10_000):
        level.put(number % 3, deadline_s=float(number))
    assert len(policy._heap) <= 2 * 3 + 64 + 1
