"""Stale values, tags, failing loaders and a failing level 2 against a model."""

import asyncio
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sergas.clock import FakeClock
from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager import (
    Breaker,
    CacheManager,
    EntryOptions,
    SqliteLevel,
)

KEYS = st.sampled_from(["a", "b", "c", "d"])
TAGS = st.sets(st.sampled_from(["red", "blue"])).map(lambda tags: tuple(sorted(tags)))
TIMES = st.sampled_from([1.0, 4.0, None])
THROTTLE_S = 2.0
STALE_S = 8.0


class LoadError(Exception):
    """The loader was told to fail."""


@dataclass
class Known:
    """What the model knows of a key."""

    value: int
    ends_s: float
    tags: tuple[str, ...]
    throttled_until_s: float = -math.inf

    @property
    def deadline_s(self) -> float:
        """From when it is never served."""
        return self.ends_s + STALE_S


class _OptionsModel(RuleBasedStateMachine):
    """A cache with stale time must answer as a dict of values with two deadlines and tags does."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_000_000.0)
        self.options = EntryOptions(stale_ttl_s=STALE_S, soft_timeout_s=None, throttle_s=THROTTLE_S)
        self.folder = tempfile.TemporaryDirectory()
        self.level: Any = None
        self.cache = self.made()
        self.model: dict[str, Known] = {}
        self.value = 0

    def made(self) -> CacheManager:
        return CacheManager(options=self.options, clock=self.clock)

    def teardown(self) -> None:  # type: ignore[explicit-override]  # typing.override is 3.12
        self.folder.cleanup()

    def known(self, key: str) -> Known | None:
        found = self.model.get(key)
        return found if found is not None and self.now_s < found.deadline_s else None

    @property
    def now_s(self) -> float:
        return self.clock.monotonic_s()

    def learn(self, key: str, ttl_s: float | None, tags: tuple[str, ...]) -> None:
        ends_s = math.inf if ttl_s is None else self.now_s + ttl_s
        self.model[key] = Known(self.value, ends_s, tags)

    @rule(key=KEYS, ttl_s=TIMES, tags=TAGS, is_task=st.booleans())
    def set(self, key: str, ttl_s: float | None, tags: tuple[str, ...], is_task: bool) -> None:
        self.value += 1
        if is_task:
            asyncio.run(self.cache.aset(key, self.value, ttl_s=ttl_s, tags=tags))
        else:
            self.cache.set(key, self.value, ttl_s=ttl_s, tags=tags)
        self.learn(key, ttl_s, tags)

    @rule(key=KEYS, is_task=st.booleans())
    def get(self, key: str, is_task: bool) -> None:
        found = self.known(key)
        is_served = found is not None and self.now_s < max(found.ends_s, found.throttled_until_s)
        got = asyncio.run(self.cache.aget(key)) if is_task else self.cache.get(key)
        assert got == (found.value if found is not None and is_served else None)

    @rule(key=KEYS, ttl_s=TIMES, tags=TAGS, fails=st.booleans(), is_task=st.booleans())
    def load(
        self, key: str, ttl_s: float | None, tags: tuple[str, ...], fails: bool, is_task: bool
    ) -> None:
        self.value += 1
        calls: list[int] = []

        def loader() -> int:
            calls.append(1)
            if fails:
                raise LoadError
            return self.value

        async def aloader() -> int:
            await asyncio.sleep(0)
            return loader()

        got: int | None
        try:
            if is_task:
                got = asyncio.run(self.cache.aget_or_load(key, aloader, ttl_s=ttl_s, tags=tags))
            else:
                got = self.cache.get_or_load(key, loader, ttl_s=ttl_s, tags=tags)
        except LoadError:
            got = None
        self.check_load(self.known(key), key, got, len(calls), fails=fails)
        if calls and not fails:
            self.learn(key, ttl_s, tags)

    def check_load(
        self, found: Known | None, key: str, got: int | None, calls: int, *, fails: bool
    ) -> None:
        if found is not None and self.now_s < max(found.ends_s, found.throttled_until_s):
            assert (got, calls) == (found.value, 0)
        elif not fails:
            assert (got, calls) == (self.value, 1)
        elif found is not None:
            assert (got, calls) == (found.value, 1)
            found.throttled_until_s = min(self.now_s + THROTTLE_S, found.deadline_s)
        else:
            assert (got, calls) == (None, 1)

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        found = self.known(key)
        assert self.cache.delete(key) == (found is not None and self.now_s < found.ends_s)
        self.model.pop(key, None)

    @rule(tag=st.sampled_from(["red", "blue"]), is_task=st.booleans())
    def invalidate_tag(self, tag: str, is_task: bool) -> None:
        if is_task:
            asyncio.run(self.cache.ainvalidate_tag(tag))
        else:
            self.cache.invalidate_tag(tag)
        self.model = {key: item for key, item in self.model.items() if tag not in item.tags}

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 7.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def leaves_nothing_behind(self) -> None:
        assert not self.cache.core.board._tickets
        assert not self.cache._tasks
        stats = self.cache.stats()
        assert stats.size == len(self.cache.core.memory._policy)


class Switched:
    """A level that can be switched off."""

    def __init__(self, level: SqliteLevel) -> None:
        self.level = level
        self.is_off = False

    def __getattr__(self, name: str) -> Any:
        if self.is_off and name not in {"attach", "close"}:
            return self.refuse
        return getattr(self.level, name)

    def refuse(self, *_: object, **__: object) -> Any:
        """Fail."""
        raise CacheLevelError("switched off")


class _FailingLevelModel(RuleBasedStateMachine):
    """Whatever level 2 does, nothing but a write by name fails, and nothing old is ever served."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(1_000_000.0)
        self.folder = tempfile.TemporaryDirectory()
        self.level = Switched(SqliteLevel(Path(self.folder.name) / "cache.db", clock=self.clock))
        self.cache = self.made()
        self.model: dict[str, int] = {}
        self.value = 0

    def made(self) -> CacheManager:
        level: Any = self.level
        return CacheManager(
            level2=level,
            entries_max=2,
            breaker=Breaker(failures_max=2, pause_s=1.0),
            clock=self.clock,
        )

    def teardown(self) -> None:  # type: ignore[explicit-override]  # typing.override is 3.12
        self.level.level.close()
        self.folder.cleanup()

    def write(self, call: Callable[[], object]) -> None:
        try:
            call()
        except CacheLevelError:
            assert self.level.is_off or self.cache.stats().level2_skips

    @rule(key=KEYS)
    def set(self, key: str) -> None:
        self.value += 1
        self.write(lambda: self.cache.set(key, self.value, tags=("tag",)))
        self.model[key] = self.value

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        assert self.cache.get(key) in {None, self.model.get(key)}

    @rule(key=KEYS)
    def load(self, key: str) -> None:
        self.value += 1
        got = self.cache.get_or_load(key, lambda: self.value, tags=("tag",))
        assert got in {self.value, self.model.get(key)}
        self.model[key] = got

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.write(lambda: self.cache.delete(key))
        self.model.pop(key, None)

    @rule(how=st.sampled_from(["tag", "pattern", "clear"]))
    def remove(self, how: str) -> None:
        calls: dict[str, Callable[[], object]] = {
            "tag": lambda: self.cache.invalidate_tag("tag"),
            "pattern": lambda: self.cache.invalidate_pattern("*"),
            "clear": self.cache.clear,
        }
        self.write(calls[how])
        self.model.clear()

    @rule()
    def switch(self) -> None:
        self.level.is_off = not self.level.is_off

    @precondition(lambda self: not self.level.is_off)
    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def keeps_its_bounds(self) -> None:
        stats = self.cache.stats()
        assert stats.size <= 2
        assert stats.level2_owed <= 1024
        assert stats.load_errors == 0
        assert not self.cache.core.board._tickets


TestOptionsModel = _OptionsModel.TestCase
TestOptionsModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestFailingLevelModel = _FailingLevelModel.TestCase
TestFailingLevelModel.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
