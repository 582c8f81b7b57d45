"""The cache against a model: an ordered dict with deadlines, step by step."""

import math
import tempfile
from collections import OrderedDict
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sergas.clock import FakeClock
from sergas.optimizations.cache_manager import (
    CacheManager,
    LruPolicy,
    PlainCodec,
    SqliteLevel,
    key_matcher,
)

KEYS = st.sampled_from(["a", "b", "c", "ab", "bc", "abc"])
TIMES = st.sampled_from([0, 1, 2, 5, None])
PATTERNS = st.sampled_from(["a*", "?", "*c", "[!a]*", "abc"])
ENTRIES_MAX = 3

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(max_size=3) | st.integers(-9, 9), inner)
    ),
    max_leaves=20,
)


class _LruModel(RuleBasedStateMachine):
    """Level 1 must do exactly what the obvious, slow implementation does."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.cache = CacheManager(entries_max=ENTRIES_MAX, clock=self.clock, policy=LruPolicy)
        self.model: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self.value = 0
        self.requests = 0

    def expire(self) -> None:
        now_s = self.clock.monotonic_s()
        for key in [key for key, (_, end_s) in self.model.items() if end_s <= now_s]:
            del self.model[key]

    def put(self, key: str, ttl_s: float | None) -> None:
        self.model.pop(key, None)
        if ttl_s != 0:
            end_s = math.inf if ttl_s is None else self.clock.monotonic_s() + ttl_s
            self.model[key] = (self.value, end_s)
        if len(self.model) > ENTRIES_MAX:
            self.model.popitem(last=False)

    @rule(key=KEYS, ttl_s=TIMES)
    def set(self, key: str, ttl_s: float | None) -> None:
        self.value += 1
        self.cache.set(key, self.value, ttl_s=ttl_s)
        self.put(key, ttl_s)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        self.requests += 1
        expected = self.model.get(key)
        if expected is not None:
            self.model.move_to_end(key)
        assert self.cache.get(key) == (None if expected is None else expected[0])

    @rule(key=KEYS, ttl_s=TIMES)
    def load(self, key: str, ttl_s: float | None) -> None:
        self.requests += 1
        self.value += 1
        expected = self.model.get(key)
        loaded = self.cache.get_or_load(key, lambda: self.value, ttl_s=ttl_s)
        if expected is None:
            self.put(key, ttl_s)
            assert loaded == self.value
        else:
            self.model.move_to_end(key)
            assert loaded == expected[0]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        assert self.cache.delete(key) == (self.model.pop(key, None) is not None)

    @rule(pattern=PATTERNS)
    def invalidate(self, pattern: str) -> None:
        self.cache.invalidate_pattern(pattern)
        for key in filter(key_matcher(pattern), list(self.model)):
            del self.model[key]

    @precondition(lambda self: len(self.model) == ENTRIES_MAX)
    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model.clear()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.expire()

    @invariant()
    def agrees(self) -> None:
        stats = self.cache.stats()
        assert stats.size == len(self.model) <= ENTRIES_MAX
        assert stats.requests == self.requests
        assert [node.key for node in self.cache.core.memory._policy] == list(self.model)
        assert set(self.cache.core.memory.entries) == set(self.model)
        assert len(self.cache.core.memory._deadlines) <= 2 * ENTRIES_MAX + 64
        assert not self.cache.core.board._tickets


class _TwoLevelModel(RuleBasedStateMachine):
    """Two levels must answer like one dict with deadlines, from wherever the value is."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_000_000.0)
        self.folder = tempfile.TemporaryDirectory()
        self.level = SqliteLevel(Path(self.folder.name) / "cache.db", clock=self.clock)
        self.cache = CacheManager(entries_max=2, level2=self.level, clock=self.clock)
        self.model: dict[str, tuple[int, float]] = {}
        self.value = 0

    def teardown(self) -> None:  # type: ignore[explicit-override]  # typing.override is 3.12
        self.level.close()
        self.folder.cleanup()

    @rule(key=KEYS, ttl_s=TIMES)
    def set(self, key: str, ttl_s: float | None) -> None:
        self.value += 1
        self.cache.set(key, self.value, ttl_s=ttl_s)
        self.model.pop(key, None)
        if ttl_s != 0:
            end_s = math.inf if ttl_s is None else self.clock.monotonic_s() + ttl_s
            self.model[key] = (self.value, end_s)

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        value, end_s = self.model.get(key, (None, math.inf))
        expected = value if end_s > self.clock.monotonic_s() else None
        assert self.cache.get(key) == expected

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        end_s = self.model.pop(key, (0, -math.inf))[1]
        assert self.cache.delete(key) == (end_s > self.clock.monotonic_s())

    @rule(pattern=PATTERNS)
    def invalidate(self, pattern: str) -> None:
        self.cache.invalidate_pattern(pattern)
        for key in filter(key_matcher(pattern), list(self.model)):
            del self.model[key]

    @rule()
    def restart(self) -> None:
        """Level 1 is empty after a restart, level 2 is not."""
        self.level.close()
        self.level = SqliteLevel(Path(self.folder.name) / "cache.db", clock=self.clock)
        self.cache = CacheManager(entries_max=2, level2=self.level, clock=self.clock)

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def keeps_the_bound(self) -> None:
        assert len(self.cache.core.memory) <= 2
        assert self.cache.stats().level2_errors == 0


TestLruModel = _LruModel.TestCase
TestLruModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTwoLevelModel = _TwoLevelModel.TestCase
TestTwoLevelModel.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def same_types(left: object, right: object) -> bool:
    """Whether two plain values are equal and of the same types throughout."""
    if type(left) is not type(right) or left != right:
        return False
    if isinstance(left, list) and isinstance(right, list):
        return all(map(same_types, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return all(same_types(left[key], right[key]) for key in left)
    return True


@given(PLAIN)
def test_plain_data_comes_back_exactly(value: object) -> None:
    """Whatever the plain codec accepts comes back equal and of the same types."""
    codec = PlainCodec()
    assert same_types(codec.decode(codec.encode(value)), value)
