"""What every second cache level must do; each implementation adds itself to `LEVELS`."""

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis

from sergas.clock import FakeClock
from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager import (
    Answer,
    CacheLevel,
    Claim,
    SqliteLevel,
    StoredValue,
    ValkeyLevel,
)

SOON_S = 30.0


class Moving(Protocol):
    """The time that a level goes by, which the test moves."""

    def advance(self, seconds: float) -> None:
        """Let so much time pass for the level."""
        ...


class ServerTime:
    """The time of a server, which cannot be moved: what it holds comes nearer to its end."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def advance(self, seconds: float) -> None:
        """Take so much off every time to live."""
        for name in self.client.scan_iter():
            left_ms = self.client.pttl(name)
            if left_ms >= 0:
                self.client.pexpire(name, max(0, left_ms - round(seconds * 1000)))


def sqlite(request: pytest.FixtureRequest) -> Iterator[tuple[CacheLevel, Moving]]:
    """A level in a file."""
    clock = FakeClock(1_000_000.0)
    folder: Path = request.getfixturevalue("tmp_path")
    with SqliteLevel(folder / "cache.db", clock=clock) as level:
        yield level, clock


def valkey(request: pytest.FixtureRequest) -> Iterator[tuple[CacheLevel, Moving]]:
    """A level in a server."""
    url: str = request.getfixturevalue("valkey_url")
    namespace = f"contract-{secrets.token_hex(4)}"
    with (
        ValkeyLevel(url, namespace=namespace, timeout_s=SOON_S) as level,
        redis.Redis.from_url(url) as client,
    ):
        yield level, ServerTime(client)


LEVELS = {"sqlite": sqlite, "valkey": valkey}


@pytest.fixture(params=sorted(LEVELS))
def made(request: pytest.FixtureRequest) -> Iterator[tuple[CacheLevel, Moving]]:
    """An empty level and its time."""
    yield from LEVELS[request.param](request)


@pytest.fixture
def level(made: tuple[CacheLevel, Moving]) -> CacheLevel:
    """The level."""
    return made[0]


@pytest.fixture
def clock(made: tuple[CacheLevel, Moving]) -> Moving:
    """The time that the level goes by."""
    return made[1]


def put(level: CacheLevel, key: str, data: bytes, ttl_s: float | None = None) -> None:
    """Store bytes without more ado."""
    level.write({key: StoredValue(data=data, ttl_s=ttl_s)})


def stored(level: CacheLevel, key: str) -> bytes | None:
    """The bytes under `key`, or None."""
    found = level.read([key]).get(key)
    return None if found is None else found.data


def loaded(level: CacheLevel, key: str, *tags: str) -> Claim:
    """The claim of a key that nobody has."""
    claim = level.claim([key], tags=tags, lease_s=SOON_S)[key].claim
    assert claim is not None
    return claim


def test_bytes_come_back(level: CacheLevel) -> None:
    """Any bytes come back as they are, the empty ones too, and for ever if so stored."""
    for data in (b"", b"\0\xff", bytes(100_000)):
        put(level, "key", data)
        found = level.read(["key"]).get("key")
        assert found is not None
        assert (found.data, found.ttl_s) == (data, None)


def test_unknown_key_is_none(level: CacheLevel) -> None:
    """What was never stored is None."""
    assert stored(level, "key") is None


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
        put(level, key, repr(key).encode())
    assert [stored(level, key) for key in keys] == [repr(key).encode() for key in keys]


def test_time_left_is_told(level: CacheLevel, clock: Moving) -> None:
    """A value tells the time it has left, and is gone when there is none."""
    put(level, "key", b"data", 10.0)
    clock.advance(4.0)
    found = level.read(["key"]).get("key")
    assert found is not None
    assert found.ttl_s == pytest.approx(6.0, abs=0.2)
    clock.advance(6.0)
    assert stored(level, "key") is None
    assert not level.remove(["key"])


def test_setting_replaces_value_and_time(level: CacheLevel, clock: Moving) -> None:
    """A second value takes the place of the first, with its own time."""
    put(level, "key", b"first", 1.0)
    put(level, "key", b"second")
    clock.advance(100.0)
    assert stored(level, "key") == b"second"


def test_delete_removes_one_key(level: CacheLevel) -> None:
    """Deleting removes that key only and says whether it was there."""
    put(level, "key", b"data")
    put(level, "other", b"data")
    assert level.remove(["key"])
    assert not level.remove(["key"])
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
        put(level, key, b"")
    assert level.remove_matching(pattern) == len(gone)
    assert keys - set(level.read(sorted(keys))) == gone


def test_clear_removes_everything(level: CacheLevel) -> None:
    """After clearing there is nothing, and the level goes on."""
    for key in "abc":
        put(level, key, b"")
    level.clear()
    assert level.read(list("abc")) == {}
    put(level, "a", b"new")
    assert stored(level, "a") == b"new"


def test_threads_share_it(level: CacheLevel) -> None:
    """Threads that write and read at once see whole values of their own keys."""
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait(SOON_S)
        for turn in range(25):
            key = f"{number}:{turn % 5}"
            put(level, key, key.encode() * 50, 60.0)
            assert stored(level, key) == key.encode() * 50
            put(level, "shared", str(number).encode() * 20)
            assert stored(level, "shared") in {str(other).encode() * 20 for other in range(4)}

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, number) for number in range(4)]:
            future.result(SOON_S)


def test_failure_is_a_cache_level_error(level: CacheLevel) -> None:
    """A key that cannot be carried, half of a surrogate pair, fails with the level's error."""
    for call in (
        lambda: level.read(["\ud800"]),
        lambda: put(level, "\ud800", b""),
        lambda: level.remove(["\ud800"]),
        lambda: level.invalidate_tag("\ud800"),
    ):
        with pytest.raises(CacheLevelError):
            call()


def test_stale_time_follows_the_time_to_live(level: CacheLevel, clock: Moving) -> None:
    """Past its time to live a value is still told, as stale, and then no more."""
    level.write({"key": StoredValue(data=b"", ttl_s=2.0, stale_ttl_s=4.0, cost_s=0.5)})
    clock.advance(3.0)
    found = level.read(["key"])["key"]
    assert (found.is_fresh, found.stale_ttl_s, found.cost_s) == (False, 4.0, 0.5)
    assert found.ttl_s == pytest.approx(-1.0, abs=0.2)
    assert level.remove(["key"]) == 0
    level.write({"key": StoredValue(data=b"", ttl_s=2.0, stale_ttl_s=4.0)})
    clock.advance(6.0)
    assert level.read(["key"]) == {}


def test_only_one_claims(level: CacheLevel) -> None:
    """While one has a claim, others get none; given up or fulfilled, the key is free."""
    claim = loaded(level, "key")
    assert level.claim(["key"], tags=(), lease_s=SOON_S)["key"] == Answer(found=None, claim=None)
    level.release([claim])
    second = loaded(level, "key")
    assert second.token > claim.token
    assert level.fulfil([(second, StoredValue(data=b"new", ttl_s=None))]) == [True]
    answer = level.claim(["key"], tags=(), lease_s=SOON_S)["key"]
    assert answer.claim is None
    assert answer.found is not None
    assert answer.found.data == b"new"


def test_claim_ends_with_its_lease(level: CacheLevel, clock: Moving) -> None:
    """A claim that was never given up is another's after its lease, and stores nothing then."""
    first = level.claim(["key"], tags=(), lease_s=2.0)["key"].claim
    assert first is not None
    clock.advance(2.0)
    second = loaded(level, "key")
    assert level.fulfil([(first, StoredValue(data=b"late", ttl_s=None))]) == [False]
    assert level.fulfil([(second, StoredValue(data=b"new", ttl_s=None))]) == [True]
    assert stored(level, "key") == b"new"


ENDS_A_CLAIM: dict[str, Callable[[CacheLevel], object]] = {
    "write": lambda level: put(level, "key", b"written"),
    "remove": lambda level: level.remove(["key"]),
    "remove_matching": lambda level: level.remove_matching("k*"),
    "invalidate_tag": lambda level: level.invalidate_tag("tag"),
    "clear": lambda level: level.clear(),
}


@pytest.mark.parametrize("how", sorted(ENDS_A_CLAIM))
def test_removal_ends_claims(level: CacheLevel, how: str) -> None:
    """What was loaded before a removal or write cannot be stored after it."""
    claim = loaded(level, "key", "tag")
    ENDS_A_CLAIM[how](level)
    assert level.fulfil([(claim, StoredValue(data=b"old", ttl_s=None, tags=("tag",)))]) == [False]
    assert stored(level, "key") in {None, b"written"}


@pytest.mark.parametrize("how", sorted(ENDS_A_CLAIM))
def test_ended_claim_holds_nobody_up(level: CacheLevel, how: str) -> None:
    """After a removal a key can be claimed at once, though an earlier load is still under way."""
    first = loaded(level, "key", "tag")
    ENDS_A_CLAIM[how](level)
    level.remove(["key"])
    second = loaded(level, "key", "tag")
    level.release([first])
    assert level.fulfil([(second, StoredValue(data=b"new", ttl_s=None, tags=("tag",)))]) == [True]


def test_tag_ends_all_that_has_it(level: CacheLevel) -> None:
    """Invalidating a tag ends what has it, with others or alone, and nothing stored later."""
    for key, tags in (("a", ("red",)), ("b", ("red", "blue")), ("c", ("blue",)), ("d", ())):
        level.write({key: StoredValue(data=b"", ttl_s=None, tags=tags)})
    level.invalidate_tag("red")
    assert set(level.read(list("abcd"))) == {"c", "d"}
    level.write({"a": StoredValue(data=b"new", ttl_s=60.0, tags=("red",))})
    found = level.read(["a"])["a"]
    assert (found.data, found.tags) == (b"new", ("red",))
    level.invalidate_tag("red")
    assert level.read(["a"]) == {}


def test_value_near_its_end_can_be_claimed(level: CacheLevel) -> None:
    """A value with little time left is told and claimed, by one."""
    put(level, "key", b"old", 5.0)
    answer = level.claim(["key"], tags=(), lease_s=SOON_S, early_s=10.0)["key"]
    assert answer.claim is not None
    assert answer.found is not None
    assert level.claim(["key"], tags=(), lease_s=SOON_S, early_s=1.0)["key"].claim is None
    again = level.claim(["key"], tags=(), lease_s=SOON_S, early_s=10.0)["key"]
    assert again.claim is None
    assert again.found is not None


def test_tasks_see_the_same(level: CacheLevel) -> None:
    """The twin for tasks works on the same store, method by method."""

    async def work() -> None:
        twin = level.aio
        await twin.write({"a": StoredValue(data=b"1", ttl_s=None, tags=("t",))})
        assert (await twin.read(["a", "b"]))["a"].data == b"1"
        claim = (await twin.claim(["b"], tags=("t",), lease_s=SOON_S))["b"].claim
        assert claim is not None
        assert await twin.fulfil([(claim, StoredValue(data=b"2", ttl_s=None, tags=("t",)))]) == [
            True
        ]
        other = (await twin.claim(["c"], tags=(), lease_s=SOON_S))["c"].claim
        assert other is not None
        await twin.release([other])
        assert await twin.remove(["a"]) == 1
        await twin.invalidate_tag("t")
        assert await twin.read(["a", "b"]) == {}
        put(level, "d", b"")
        assert await twin.remove_matching("d") == 1
        put(level, "d", b"")
        await twin.clear()
        assert await twin.read(["d"]) == {}
        if isinstance(level, ValkeyLevel):
            await level.aclose()

    asyncio.run(work())
