"""Writing to where values belong: at once, or later in batches, and errors that are told."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from sergas.errors import CacheValueError, WriteBehindError
from sergas.optimizations.cache_manager import CacheManager, WriteBehind

SOON_S = 30.0


class Home:
    """Remembers what was written, and fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.batches: list[dict[str, object]] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.is_writing = threading.Event()

    def __call__(self, items: Mapping[str, object]) -> None:
        """Write."""
        self.is_writing.set()
        assert self.may_write.wait(SOON_S)
        if self.failures:
            self.failures -= 1
            raise OSError("home is away")
        self.batches.append(dict(items))

    @property
    def values(self) -> dict[str, object]:
        """What was written last under each key."""
        return {key: value for batch in self.batches for key, value in batch.items()}


def test_write_through_comes_first() -> None:
    """A value is written home before it is cached, and not cached if that fails."""
    home = Home(failures=1)
    cache = CacheManager(writer=home)
    with pytest.raises(OSError, match="away"):
        cache.set("key", 1)
    assert cache.get("key") is None
    cache.set("key", 1)
    cache.set_many({"a": 1, "b": 2})
    assert (cache.get("key"), home.values) == (1, {"key": 1, "a": 1, "b": 2})

    async def work() -> None:
        await cache.aset("c", 3)
        await cache.aset_many({"d": 4})

    asyncio.run(work())
    assert (home.values["c"], home.values["d"]) == (3, 4)


def test_write_behind_writes_each_key_once_with_its_last_value() -> None:
    """Values that come while another is being written go together, the last of each key."""
    home = Home()
    home.may_write.clear()
    with WriteBehind(home, delay_s=0.0) as behind:
        cache = CacheManager(writer=behind)
        cache.set("first", 0)
        assert home.is_writing.wait(SOON_S)
        for number in range(10):
            cache.set("key", number)
        cache.set("other", 1)
        assert cache.get("key") == 9
        home.may_write.set()
        behind.flush(SOON_S)
        assert home.batches == [{"first": 0}, {"key": 9, "other": 1}]
        assert behind.pending == 0


def test_batches_are_bounded() -> None:
    """No call of the writer gets more than its share."""
    home = Home()
    with WriteBehind(home, batch_max=10, delay_s=0.0) as behind:
        behind.put({str(number): number for number in range(95)})
        behind.flush(SOON_S)
    assert max(map(len, home.batches)) <= 10
    assert len(home.values) == 95


def test_failed_batch_is_tried_again_and_loses_nothing() -> None:
    """A writer that fails for a while gets the values later, the newer ones where there are any."""
    home = Home(failures=2)
    with WriteBehind(home, delay_s=0.0, pause_s=0.001) as behind:
        behind.put({"a": 1, "b": 1})
        behind.put({"b": 2})
        behind.flush(SOON_S)
    assert home.values == {"a": 1, "b": 2}


def test_given_up_values_are_told() -> None:
    """A writer that keeps failing is an error of the next flush, once, with the keys."""
    home = Home(failures=10**6)
    behind = WriteBehind(home, delay_s=0.0, attempts_max=2, pause_s=0.001)
    behind.put({"a": 1})
    with pytest.raises(WriteBehindError, match=r"1 keys could not be written.*away") as caught:
        behind.flush(SOON_S)
    assert list(caught.value.failed) == ["a"]
    behind.flush(SOON_S)
    behind.put({"b": 1})
    with pytest.raises(WriteBehindError):
        behind.close(SOON_S)
    behind.close()
    with pytest.raises(WriteBehindError, match="closed"):
        behind.put({"c": 1})


def test_full_queue_waits_and_then_says_so() -> None:
    """Beyond its bound nothing is taken: the caller waits, then is told; what is queued is kept."""
    home = Home()
    home.may_write.clear()
    behind = WriteBehind(home, pending_max=2, delay_s=0.0)
    behind.put({"being written": 0})
    assert home.is_writing.wait(SOON_S)
    behind.put({"a": 1, "b": 2})
    with pytest.raises(WriteBehindError, match="pending_max"):
        behind.put({"c": 3}, timeout_s=0.01)
    behind.put({"b": 4}, timeout_s=0.01)
    home.may_write.set()
    behind.put({"c": 3}, timeout_s=SOON_S)
    behind.close(SOON_S)
    assert home.values == {"being written": 0, "a": 1, "b": 4, "c": 3}


def test_flush_has_an_end() -> None:
    """Waiting for a writer that hangs ends with an error that says what still waits."""
    home = Home()
    home.may_write.clear()
    behind = WriteBehind(home, delay_s=0.0)
    behind.put({"a": 1})
    with pytest.raises(WriteBehindError, match="still wait"):
        behind.flush(0.01)
    home.may_write.set()
    behind.close(SOON_S)


@pytest.mark.parametrize(
    "wrong",
    [{"pending_max": 0}, {"batch_max": 0}, {"attempts_max": 0}, {"delay_s": -1}, {"pause_s": 0}],
)
def test_impossible_bounds_are_refused(wrong: dict[str, int]) -> None:
    """Bounds that leave no room are refused."""
    with pytest.raises(CacheValueError, match="WriteBehind"):
        WriteBehind(Home(), **wrong)
