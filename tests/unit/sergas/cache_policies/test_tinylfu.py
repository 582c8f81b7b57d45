"""Adaptive W-TinyLFU: what it keeps, what it follows, and that it is never far under LRU."""

import random
from collections.abc import Callable, Sequence
from itertools import chain, repeat
from typing import Any

import pytest

from sergas.errors import CacheValueError
from sergas.optimizations.cache_manager.policies import (
    EntryNode,
    EvictionPolicy,
    LruPolicy,
    TinyLfuPolicy,
    make_policy,
)
from sergas.optimizations.cache_manager.policies._choice import Choice
from sergas.optimizations.cache_manager.policies._shadow import Setting, Shadows, _Shadow


def _hits(policy: EvictionPolicy, keys: Sequence[int]) -> int:
    nodes: dict[object, EntryNode] = {}
    hits = 0
    for key in keys:
        node = nodes.get(key)
        if node is not None:
            hits += 1
            policy.touch((node,))
        else:
            nodes[key] = EntryNode(key)
            for dropped in policy.admit(nodes[key]):
                del nodes[dropped.key]
    return hits


def _zipf(rng: random.Random, keys: int, length: int, alpha: float = 1.0) -> list[int]:
    weights = [(rank + 1) ** -alpha for rank in range(keys)]
    return rng.choices(range(keys), weights, k=length)


def _recent(rng: random.Random, length: int) -> list[int]:
    """Each request repeats one that was a short while ago, or is new."""
    keys: list[int] = []
    for number in range(length):
        back = int(20 * rng.paretovariate(0.9))
        keys.append(number if rng.random() < 0.05 or back > number else keys[-back])
    return keys


def test_popular_entries_survive_a_scan() -> None:
    """A scan of five times the capacity costs a few popular entries, where LRU loses all."""
    popular = list(range(80)) * 20
    scan = range(1000, 1500)
    for make, least in ((TinyLfuPolicy, 70), (LruPolicy, 0)):
        before = _hits(make(entries_max=100), [*popular, *scan])
        after = _hits(make(entries_max=100), [*popular, *scan, *range(80)])
        assert after - before >= least
        assert make is TinyLfuPolicy or after == before


def test_a_loop_larger_than_the_cache_hits_nearly_as_often_as_it_can() -> None:
    """Of a loop of 300 over a cache of 200, Belady hits 2 of 3 requests; LRU none."""
    loop = list(range(300)) * 60
    assert _hits(LruPolicy(entries_max=200), loop) == 0
    assert _hits(TinyLfuPolicy(entries_max=200), loop) > 0.9 * 2 / 3 * len(loop)


TRAFFIC: dict[str, Callable[[random.Random], list[int]]] = {
    "zipf": lambda rng: _zipf(rng, 3000, 30_000),
    "recent": lambda rng: _recent(rng, 30_000),
    "zigzag": lambda _: [*chain.from_iterable(repeat([*range(500), *range(499, -1, -1)], 30))],
    "shift": lambda rng: [
        key + 3000 * part for part in range(10) for key in _zipf(rng, 3000, 3000)
    ],
    "phases": lambda rng: [
        *_recent(rng, 15_000),
        *list(range(400)) * 30,
        *_zipf(rng, 3000, 10_000),
    ],
}


@pytest.mark.parametrize("entries_max", [50, 200, 600])
@pytest.mark.parametrize("traffic", sorted(TRAFFIC))
def test_is_never_far_under_lru(traffic: str, entries_max: int) -> None:
    """On traffic of five kinds it hits at most 3 points less often than LRU."""
    keys = TRAFFIC[traffic](random.Random(entries_max))
    ours = _hits(TinyLfuPolicy(entries_max=entries_max), keys)
    assert ours >= _hits(LruPolicy(entries_max=entries_max), keys) - 0.03 * len(keys)


def test_is_well_above_lru_where_popularity_counts() -> None:
    """On Zipf's law it hits at least 7 points more often than LRU."""
    keys = _zipf(random.Random(1), 5000, 40_000)
    ours = _hits(TinyLfuPolicy(entries_max=200), keys)
    assert ours >= _hits(LruPolicy(entries_max=200), keys) + 0.07 * len(keys)


def test_follows_recency_to_lru_and_a_loop_back() -> None:
    """The window grows to the whole cache while recency pays, and shrinks when a loop comes."""
    policy = TinyLfuPolicy(entries_max=100)
    _hits(policy, _recent(random.Random(2), 20_000))
    assert policy._setting.window == 1.0
    nodes = {node.key: node for node in policy}
    for key in list(range(10**6, 10**6 + 150)) * 100:
        if key in nodes:
            policy.touch((nodes[key],))
        else:
            nodes[key] = EntryNode(key)
            for dropped in policy.admit(nodes[key]):
                del nodes[dropped.key]
    assert policy._setting.window < 0.1


@pytest.mark.parametrize("weight_max", [None, 3000])
def test_seed_changes_decisions_and_nothing_else_does(weight_max: int | None) -> None:
    """The same seed hits equally often; another one samples other keys."""
    keys = _zipf(random.Random(4), 8_000, 8_000)

    def hits(seed: int) -> int:
        policy = TinyLfuPolicy(entries_max=1000, weight_max=weight_max, seed=seed)
        return _hits(policy, keys)

    assert hits(1) == hits(1)
    assert len({hits(seed) for seed in range(5)}) > 1


def test_a_deleted_key_that_comes_back_keeps_its_count(level_of: Callable[..., Any]) -> None:
    """What is known of a key outlives its entry, so that a popular one need not start anew."""
    level = level_of(TinyLfuPolicy(entries_max=20))
    for key in range(20):
        level.put(key)
    for _ in range(9):
        level.get(3)
    level.delete(3)
    level.put(3)
    assert level.nodes[3].frequency >= 10


def test_counts_fade(level_of: Callable[..., Any]) -> None:
    """An entry that nobody wants for long has half its count at each halving, then nothing."""
    policy = TinyLfuPolicy(entries_max=20)
    level = level_of(policy)
    for key in (1, 2):
        level.put(key)
    for _ in range(20):
        level.get(1)
    assert policy._frequency(level.nodes[1]) == 15
    for _ in range(2000):
        level.get(2)
    assert policy._frequency(level.nodes[1]) == 0


def test_heavy_newcomers_need_no_more_room_than_the_bound(level_of: Callable[..., Any]) -> None:
    """Weights decide: entries of a tenth of the bound leave nine of them, whatever their number."""
    level = level_of(TinyLfuPolicy(entries_max=10**6, weight_max=1000))
    for key in range(300):
        level.put(key, 100)
        level.get(key % 10)
    assert len(level.nodes) == 10
    assert level.policy._shadows.capacity <= 20, "copies are sized by what fits"


def test_choice_follows_a_steady_lead_and_not_a_swing() -> None:
    """A small lead in each period is followed; a large one that turns round each time is not."""
    steady = Choice(2, 0)
    for _ in range(5):
        steady.observe([50, 53])
    assert steady.chosen == 1
    swinging = Choice(2, 0)
    for _ in range(20):
        swinging.observe([60, 0])
        swinging.observe([0, 70])
        assert swinging.chosen == 0


def test_choice_stays_where_all_hit_alike() -> None:
    """No lead, no change; not even without any hit."""
    choice = Choice(3, 2)
    for hits in ([0, 0, 0], [9, 9, 9]) * 10:
        choice.observe(hits)
    assert choice.chosen == 2


def test_shadows_see_a_fixed_share_of_the_keys_and_all_their_uses() -> None:
    """Large caches are copied on a sample of about 128 entries; small ones whole."""
    settings = (Setting(window=1.0, margin=0),)
    for capacity, sampled in ((1, 1), (100, 1), (255, 1), (256, 2), (1024, 8), (100_000, 512)):
        shadows = Shadows(settings, capacity, start=0)
        assert shadows.mask + 1 == sampled
        assert shadows._entries == capacity // sampled


def test_a_shadow_of_lru_hits_as_lru_does() -> None:
    """A copy whose window is the whole cache is LRU."""
    keys = _recent(random.Random(7), 5000)
    shadow = _Shadow(Setting(window=1.0, margin=0), 200)
    for key in keys:
        shadow.use(key, {})
    assert shadow.take_hits() == _hits(LruPolicy(entries_max=200), keys)
    assert shadow.take_hits() == 0


def test_made_by_name_and_refused_by_a_wrong_one() -> None:
    """The error for an unknown name lists the names."""
    assert isinstance(make_policy(entries_max=3), TinyLfuPolicy)
    with pytest.raises(CacheValueError, match="got 'mru', needed one of fifo, lfu, lru, tinylfu"):
        make_policy("mru", entries_max=3)
