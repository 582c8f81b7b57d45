"""What every second cache level must do; each implementation adds itself to `LEVELS`."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager import CacheLevel, SqliteLevel

LEVELS: dict[str, Callable[[Path, FakeClock], SqliteLevel]] = {
    "sqlite": lambda folder, clock: SqliteLevel(folder / "cache.db", clock=clock),
}
SOON_S = 30.0


@pytest.fixture
def clock() -> FakeClock:
    """The time that the level goes by."""
    return FakeClock(1_000_000.0)


@pytest.fixture(params=sorted(LEVELS))
def level(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[CacheLevel]:
    """An empty level."""
    with LEVELS[request.param](tmp_path, clock) as made:
        yield made


def stored(level: CacheLevel, key: str) -> bytes | None:
    """The bytes under `key`, or None."""
    found = level.get(key)
    return None if found is None else found.data


def test_bytes_come_back(level: CacheLevel) -> None:
    """Any bytes come back as they are, the empty ones too, and for ever if so stored."""
    for data in (b"", b"\0\xff", bytes(100_000)):
        level.set("key", data, ttl_s=None)
        found = level.get("key")
        assert found is not None
        assert (found.data, found.ttl_s) == (data, None)


def test_unknown_key_is_none(level: CacheLevel) -> None:
    """What was never stored is None."""
    assert level.get("key") is None


def test_any_text_is_a_key(level: CacheLevel) -> None:
    """Keys are told apart exactly: by case, blanks, quotes, NUL and what looks like numbers."""
    keys = [
        "",
        " ",
        "a",
        "A",
        "a ",
        "1",
        "1.0",
        "ä",
        "a\u0308",
        "'",
        '"',
        "%",
        "*",
        "a\0b",
        "a\nb",
        "a\0",
    ]
    for key in keys:
        level.set(key, repr(key).encode(), ttl_s=None)
    assert [stored(level, key) for key in keys] == [repr(key).encode() for key in keys]


def test_time_left_is_told(level: CacheLevel, clock: FakeClock) -> None:
    """A value tells the time it has left, and is gone when there is none."""
    level.set("key", b"data", ttl_s=10.0)
    clock.advance(4.0)
    found = level.get("key")
    assert found is not None
    assert found.ttl_s == pytest.approx(6.0)
    clock.advance(6.0)
    assert level.get("key") is None
    assert not level.delete("key")


def test_setting_replaces_value_and_time(level: CacheLevel, clock: FakeClock) -> None:
    """A second value takes the place of the first, with its own time."""
    level.set("key", b"first", ttl_s=1.0)
    level.set("key", b"second", ttl_s=None)
    clock.advance(100.0)
    assert stored(level, "key") == b"second"


def test_delete_removes_one_key(level: CacheLevel) -> None:
    """Deleting removes that key only and says whether it was there."""
    level.set("key", b"data", ttl_s=None)
    level.set("other", b"data", ttl_s=None)
    assert level.delete("key")
    assert not level.delete("key")
    assert (stored(level, "key"), stored(level, "other")) == (None, b"data")


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("user:*", {"user:1", "user:22", "user:[1]", "user:\n"}),
        ("user:?", {"user:1", "user:\n"}),
        ("user:[!2]", {"user:1", "user:\n"}),
        ("user:[[]1]", {"user:[1]"}),
        ("*", {"user:1", "user:22", "user:[1]", "user:\n", "User:1", "x"}),
        ("user", set()),
    ],
)
def test_pattern_removes_what_it_fits(level: CacheLevel, pattern: str, gone: set[str]) -> None:
    """A pattern removes the keys it fits from end to end and counts them."""
    keys = {"user:1", "user:22", "user:[1]", "user:\n", "User:1", "x"}
    for key in keys:
        level.set(key, b"", ttl_s=None)
    assert level.delete_matching(pattern) == len(gone)
    assert {key for key in keys if level.get(key) is None} == gone


def test_clear_removes_everything(level: CacheLevel) -> None:
    """After clearing there is nothing, and the level goes on."""
    for key in "abc":
        level.set(key, b"", ttl_s=None)
    level.clear()
    assert [level.get(key) for key in "abc"] == [None] * 3
    level.set("a", b"new", ttl_s=None)
    assert stored(level, "a") == b"new"


def test_threads_share_it(level: CacheLevel) -> None:
    """Threads that write and read at once see whole values of their own keys."""
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait(SOON_S)
        for turn in range(25):
            key = f"{number}:{turn % 5}"
            level.set(key, key.encode() * 50, ttl_s=60.0)
            assert stored(level, key) == key.encode() * 50
            level.set("shared", str(number).encode() * 20, ttl_s=None)
            assert stored(level, "shared") in {str(other).encode() * 20 for other in range(4)}

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result(SOON_S)


def test_failure_is_a_cache_level_error(level: CacheLevel) -> None:
    """A key that cannot be carried, half of a surrogate pair, fails with the level's error."""
    for call in (
        lambda: level.get("\ud800"),
        lambda: level.set("\ud800", b"", ttl_s=None),
        lambda: level.delete("\ud800"),
    ):
        with pytest.raises(CacheLevelError):
            call()
