"""The traces are what their names say, the same every time, and the two tables share nothing."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from tools.evaluation import cache_patterns
from tools.evaluation.cache_optimum import optimal_hits
from tools.evaluation.cache_traces import QUOTED, TABLES, TUNING, Trace

Make = Callable[[random.Random], list[int]]


def _made(make: Make, seed: int = 5) -> list[int]:
    return make(random.Random(seed))


@pytest.mark.parametrize("table", sorted(TABLES))
def test_names_and_seeds_are_unique_and_rows_are_many(table: str) -> None:
    """A row is found by its name; there are at least 30."""
    traces = TABLES[table]
    assert len({trace.name for trace in traces}) == len({trace.seed for trace in traces})
    assert sum(len(trace.capacities) for trace in traces) >= 30
    assert all(list(trace.capacities) == sorted(set(trace.capacities)) for trace in traces)


def test_tables_have_the_same_families_and_no_common_capacity_or_seed() -> None:
    """What is quoted was not tuned on: other seeds, other sizes."""
    assert [trace.name for trace in TUNING] == [trace.name for trace in QUOTED]
    for tuned, quoted in zip(TUNING, QUOTED, strict=True):
        assert tuned.seed != quoted.seed
        assert tuned.capacities != quoted.capacities


@pytest.mark.parametrize("trace", QUOTED[4:8], ids=lambda trace: str(trace.name))
def test_a_trace_is_the_same_every_time(trace: Trace) -> None:
    """Its requests depend on nothing but its seed."""
    assert trace.requests() == trace.requests()


def test_zipf_falls_with_the_rank() -> None:
    """The key of rank 0 is wanted about ten times as often as that of rank 9, at alpha 1."""
    counts = Counter(_made(cache_patterns.zipf(50_000, 1000, 1.0)))
    assert counts.most_common(1)[0][0] == 0
    assert 7 < counts[0] / counts[9] < 13
    assert max(counts) < 1000


def test_scans_are_of_their_share_and_never_come_again() -> None:
    """About 30 % of the requests are for keys that are wanted once, in runs of 50."""
    keys = _made(cache_patterns.scanned(50_000, 100, 1.0, scan=50, share=0.3))
    scanned = [key for key in keys if key >= 100]
    assert len(set(scanned)) == len(scanned)
    assert 0.25 < len(scanned) / len(keys) < 0.35


def test_a_shift_makes_other_keys_popular() -> None:
    """The most wanted keys of one period are not those of the next."""
    keys = _made(cache_patterns.shifting(20_000, 5000, 1.0, period=10_000))
    first, second = (
        {key for key, _ in Counter(part).most_common(20)} for part in (keys[:10_000], keys[10_000:])
    )
    assert len(first & second) <= 2


def test_drift_brings_new_keys_all_the_time() -> None:
    """Each quarter is for keys that the one before did not know, in part."""
    keys = _made(cache_patterns.drifting(20_000, 500, 0.9, every=10))
    assert len(set(keys[15_000:]) - set(keys[:15_000])) > 100


def test_loops_and_zigzags_are_regular() -> None:
    """A loop comes back after its size, a zigzag turns at both ends."""
    assert _made(cache_patterns.loop(7, 3)) == [0, 1, 2, 0, 1, 2, 0]
    assert _made(cache_patterns.zigzag(9, 3)) == [0, 1, 2, 1, 0, 1, 2, 1, 0]


def test_recency_wants_what_was_wanted_lately() -> None:
    """Half of the repetitions are within a few times the scale, and files are read as a whole."""
    keys = _made(cache_patterns.recency(20_000, fresh=0.05, scale=20, tail=2))
    seen: dict[int, int] = {}
    distances = []
    for number, key in enumerate(keys):
        if key in seen:
            distances.append(number - seen[key])
        seen[key] = number
    assert sorted(distances)[len(distances) // 2] < 60
    files = _made(cache_patterns.recency(5000, fresh=0.05, scale=20, tail=2, run=10))
    follows = sum(after == before + 1 for before, after in pairwise(files))
    assert follows > 0.6 * len(files)


def test_web_pages_fade() -> None:
    """What is wanted in the last tenth is mostly not what was wanted in the first."""
    keys = _made(cache_patterns.echoing(30_000, fresh=0.15, reach=1000))
    first = {key for key, _ in Counter(keys[:3000]).most_common(50)}
    assert not first & set(keys[-3000:])


def test_pools_take_turns() -> None:
    """Index and data pages alternate."""
    keys = _made(cache_patterns.pools(1000, 10, 1000))
    assert max(keys[::2]) < 10
    assert min(keys[1::2]) >= 1000


def test_bursts_come_close_together() -> None:
    """Most repetitions are within the span."""
    keys = _made(cache_patterns.bursts(20_000, 20_000, 0.5, size=4, span=100))
    seen: dict[int, int] = {}
    near = total = 0
    for number, key in enumerate(keys):
        if key in seen:
            total += 1
            near += number - seen[key] <= 300
        seen[key] = number
    assert near > 0.6 * total


def test_programs_read_compile_and_share_the_machine() -> None:
    """Files are read in order, headers again for each source, and slices keep keys apart."""
    reading = cache_patterns.reading(12, [(3, 2), (2, 1)], noise=0.0)
    keys = _made(reading)
    assert keys[:3] == keys[3:6] == keys[8:11] == [0, 1, 2]
    compiled = Counter(_made(cache_patterns.compiling(2000, headers=10, source=10)))
    assert all(compiled[header] > 50 for header in range(10))
    assert compiled.total() - sum(compiled[header] for header in range(10)) == len(compiled) - 10
    together = cache_patterns.together(
        5, cache_patterns.loop(100, 10), cache_patterns.loop(100, 10)
    )
    assert len(set(_made(together))) == 20
    phases = cache_patterns.phases(cache_patterns.loop(30, 10), cache_patterns.loop(30, 10))
    assert not set(_made(phases)[:30]) & set(_made(phases)[30:])


def test_a_flood_reads_the_same_table_whole() -> None:
    """Between range reads there are runs of the flooded table, from its first page to its last."""
    keys = _made(cache_patterns.database(5000, 1000, 1.0, run=8, flood_every=1000, flood=300))
    starts = [number for number, key in enumerate(keys) if key == 10**9]
    assert len(starts) >= 3
    assert keys[starts[1] : starts[1] + 300] == list(range(10**9, 10**9 + 300))


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_the_optimum_is_that_of_all_ways_to_evict(capacity: int) -> None:
    """On short traces no choice of what to keep hits more often than Belady's, and one as often."""
    rng = random.Random(capacity)
    for _ in range(60):
        keys = [rng.randrange(5) for _ in range(9)]
        assert optimal_hits(keys, capacity) == _best(tuple(keys), frozenset(), capacity)


def _best(keys: tuple[int, ...], cached: frozenset[int], capacity: int) -> int:
    if not keys:
        return 0
    key, rest = keys[0], keys[1:]
    if key in cached:
        return 1 + _best(rest, cached, capacity)
    if len(cached) < capacity:
        return _best(rest, cached | {key}, capacity)
    ways = [cached, *(cached - {other} | {key} for other in cached)]
    return max(_best(rest, way, capacity) for way in ways)
