"""Level 1 of several processes on one level 2: nothing removed is served, one load at a time."""

import asyncio
import multiprocessing
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tools.evaluation.cache_coherence import run

from sergas.errors import CacheLevelError, CacheValueError
from sergas.optimizations.cache_manager import (
    Answer,
    Breaker,
    CacheManager,
    EntryOptions,
    SqliteLevel,
    ValkeyLevel,
)
from sergas.servers import ValkeyServer

SOON_S = 30.0
Opener = Callable[[], Any]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other threads bring about."""
    deadline_s = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


@pytest.fixture(params=["sqlite", "valkey"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, str]:
    """A kind of level, where it is and its name space."""
    if request.param == "sqlite":
        return "sqlite", os.fspath(tmp_path / "cache.db"), ""
    url: str = request.getfixturevalue("valkey_url")
    return "valkey", url, f"test-{secrets.token_hex(4)}"


def opened(where: tuple[str, str, str]) -> Any:
    """A level of its own at that place."""
    kind, place, namespace = where
    if kind == "sqlite":
        return SqliteLevel(place, timeout_s=SOON_S)
    return ValkeyLevel(place, namespace=namespace, timeout_s=5.0)


@pytest.fixture
def open_level(where: tuple[str, str, str]) -> Iterator[Opener]:
    """Opens a level at the same place each time."""
    levels: list[Any] = []

    def open_one() -> Any:
        levels.append(opened(where))
        return levels[-1]

    yield open_one
    for level in levels:
        level.close()


REMOVALS: dict[str, Callable[[CacheManager], object]] = {
    "delete": lambda cache: cache.delete("key"),
    "set": lambda cache: cache.set("key", "new"),
    "invalidate_tag": lambda cache: cache.invalidate_tag("tag"),
    "invalidate_pattern": lambda cache: cache.invalidate_pattern("k*"),
    "clear": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("how", sorted(REMOVALS))
def test_removal_reaches_every_level_1(open_level: Opener, how: str) -> None:
    """What one cache removes, the others do not serve once the call has returned."""
    writer, reader = CacheManager(level2=open_level()), CacheManager(level2=open_level())
    writer.set("key", "old", tags=("tag",))
    assert [reader.get("key"), reader.get("key")] == ["old", "old"]
    assert reader.stats().hits == 1
    REMOVALS[how](writer)
    assert reader.get("key") == ("new" if how == "set" else None)


@pytest.mark.parametrize("how", ["invalidate", "invalidate_all", "clear"])
def test_removal_reaches_decorated_functions(open_level: Opener, how: str) -> None:
    """A decorated call that was a hit is none once another cache has removed its result."""
    writer, reader = CacheManager(level2=open_level()), CacheManager(level2=open_level())
    truth = ["old"]

    def read(number: int) -> str:
        return truth[0]

    removing = writer.cached(prefix="read")(read)
    reading = reader.cached(prefix="read")(read)

    assert [reading(1), reading(1)] == ["old", "old"]
    assert reader.stats().hits > 0
    truth[0] = "new"
    removals: dict[str, Callable[[], object]] = {
        "invalidate": lambda: removing.invalidate(1),
        "invalidate_all": removing.invalidate_all,
        "clear": writer.clear,
    }
    removals[how]()
    assert reading(1) == "new"


@pytest.mark.parametrize("how", sorted(REMOVALS))
def test_news_that_overtakes_an_answer_holds(open_level: Opener, how: str) -> None:
    """A value read before its removal and answered after the news of it is not kept."""
    writer = CacheManager(level2=open_level())
    level = open_level()
    answered, may_go_on = threading.Event(), threading.Event()

    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(level, name)

        def claim(self, keys: Sequence[str], **options: Any) -> Mapping[str, Answer]:
            answer: Mapping[str, Answer] = level.claim(keys, **options)
            answered.set()
            assert may_go_on.wait(SOON_S)
            return answer

    reader = CacheManager(level2=Late())
    writer.set("key", "old", tags=("tag",))
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(reader.get_or_load, "key", lambda: "loaded")
        assert answered.wait(SOON_S)
        REMOVALS[how](writer)
        reader.get(
            "other"
        )  # a level that is looked at tells its news now, one that tells by itself has
        may_go_on.set()
        assert early.result(SOON_S) == "old"
    assert reader.get("key") == ("new" if how == "set" else None)


@pytest.mark.parametrize("how", sorted(REMOVALS))
def test_load_that_began_before_a_removal_elsewhere_is_kept_nowhere(
    open_level: Opener, how: str
) -> None:
    """A load under way in one process stores nothing after another one's removal."""
    writer, reader = CacheManager(level2=open_level()), CacheManager(level2=open_level())

    def load_old() -> str:
        REMOVALS[how](writer)
        return "old"

    assert reader.get_or_load("key", load_old, tags=("tag",)) == "old"
    expected = "new" if how == "set" else None
    assert (reader.get("key"), writer.get("key")) == (expected, expected)


def test_no_stale_read_after_removals(where: tuple[str, str, str]) -> None:
    """Two real processes, removals of every kind, late answers: no stale read."""
    report = run(kind=where[0], where=where[1], rounds=1500, seed=7)
    assert report.stale == 0
    assert report.late > 0
    assert report.reader_hits > 0


def ask(where: tuple[str, str, str], start: Any, loads: Any, answers: Any) -> None:
    """Twenty-five threads of one process ask at once for a key that nobody has."""
    level = opened(where)
    cache = CacheManager(level2=level)

    def load() -> str:
        with loads.get_lock():
            loads.value += 1
        time.sleep(0.2)  # the work that others must not do as well
        return "value"

    def one() -> None:
        start.wait(SOON_S)
        answers.put(cache.get_or_load("key", load))

    threads = [threading.Thread(target=one) for _ in range(25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    level.close()


def test_two_processes_load_once(where: tuple[str, str, str]) -> None:
    """Fifty requests at once in two processes are one load."""
    context = multiprocessing.get_context("spawn")
    start, loads, answers = context.Barrier(50), context.Value("i", 0), context.Queue()
    processes = [context.Process(target=ask, args=(where, start, loads, answers)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [answers.get(timeout=60) for _ in range(50)] == ["value"] * 50
    for process in processes:
        process.join(SOON_S)
    answers.close()
    assert loads.value == 1


def test_tasks_and_threads_share_a_level(open_level: Opener) -> None:
    """Tasks of one cache see and remove what threads of another have stored."""
    threads, tasks = CacheManager(level2=open_level()), CacheManager(level2=(level := open_level()))

    async def work() -> None:
        threads.set("key", 1, tags=("tag",))
        assert await tasks.aget("key") == 1
        await tasks.aset("key", 2)
        assert threads.get("key") == 2
        assert await tasks.adelete("key")
        assert threads.get("key") is None
        assert await tasks.aget_or_load("key", lambda: 3, tags=("tag",)) == 3
        assert threads.get("key") == 3
        await tasks.ainvalidate_tag("tag")
        assert threads.get("key") is None
        await tasks.aset_many({"a": 1, "b": 2})
        assert threads.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
        await tasks.ainvalidate_pattern("a*")
        assert threads.get_many(["a", "b"]) == {"b": 2}
        await tasks.aclear()
        assert threads.get("b") is None
        if isinstance(level, ValkeyLevel):
            await level.aclose()

    asyncio.run(work())


def test_level_belongs_to_one_cache(open_level: Opener) -> None:
    """A second cache on the same level object is refused with the way out."""
    level = open_level()
    CacheManager(level2=level)
    with pytest.raises(CacheValueError, match="of its own"):
        CacheManager(level2=level)


@pytest.fixture
def cut(private_valkey: ValkeyServer) -> Iterator[tuple[CacheManager, CacheManager]]:
    """A cache behind a wire that can fail, and one that is not."""
    names = {"namespace": "test", "lease_s": 0.3}
    with (
        ValkeyLevel(private_valkey.url, timeout_s=0.1, **names) as near,  # type: ignore[arg-type]
        ValkeyLevel(private_valkey.direct_url, timeout_s=5.0, **names) as far,  # type: ignore[arg-type]
    ):
        breaker = Breaker(failures_max=2, pause_s=0.1)
        yield CacheManager(level2=near, breaker=breaker), CacheManager(level2=far)


def test_level_1_is_not_trusted_without_the_channel(
    cut: tuple[CacheManager, CacheManager], private_valkey: ValkeyServer
) -> None:
    """A removal returns though a process is cut off, which serves nothing from level 1 then."""
    near, far = cut
    far.set("key", "old")
    until(lambda: near.get("key") == "old" and near.core.guard is not None and near.core.guard())
    with private_valkey.hang():
        far.delete("key")
        assert near.get("key") is None
        assert near.get_or_load("key", lambda: "new") == "new"
    until(lambda: near.core.guard is not None and near.core.guard())
    assert near.get("key") != "old"
    far.set("key", "newest")
    until(lambda: near.get("key") == "newest")


@pytest.mark.parametrize("how", ["cut_off", "hang", "answer_wrongly"])
def test_server_that_fails_fails_no_read(
    cut: tuple[CacheManager, CacheManager], private_valkey: ValkeyServer, how: str
) -> None:
    """A server cut off, silent or talking nonsense costs a bounded time and no error."""
    near, _ = cut
    near.set("key", "value")
    broken: Callable[[], Any] = getattr(private_valkey, how)
    with broken():
        began_s = time.monotonic()
        for number in range(50):
            assert near.get_or_load(f"new {number}", partial(int, number)) == number
        # Two failures of at most two tries each, and one probe in each pause: not 50 timeouts.
        assert time.monotonic() - began_s < 50 * 0.1
        assert near.stats().load_errors == 0
        assert near.stats().level2_skips > 0
        with pytest.raises(CacheLevelError):
            near.delete("key")
    until(lambda: near.get("not there") is None and near.stats().level2_owed == 0)
    assert near.get("key") is None


def test_slow_server_is_only_slow(
    cut: tuple[CacheManager, CacheManager], private_valkey: ValkeyServer
) -> None:
    """Answers that come late but in time are used, and lengthen no life."""
    near, far = cut
    far.set("key", "value", ttl_s=SOON_S)
    with private_valkey.delay(0.02):
        assert near.get("key") == "value"
    assert near.stats().level2_errors == 0


def test_answer_late_on_the_wire_brings_nothing_back(
    cut: tuple[CacheManager, CacheManager], private_valkey: ValkeyServer
) -> None:
    """With a wire that delays every answer, what a removal that has returned removed is gone."""
    near, far = cut
    with private_valkey.delay(0.02), ThreadPoolExecutor(2) as pool:
        for turn in range(8):
            far.set("key", turn)
            early = [pool.submit(near.get, "key") for _ in range(2)]
            time.sleep(0.005 * turn)  # the removal falls before, into and after the read
            far.delete("key")
            assert near.get("key") is None
            assert {read.result(SOON_S) for read in early} <= {None, turn}
            assert near.get("key") is None


def test_load_goes_on_when_the_server_dies_under_it(
    cut: tuple[CacheManager, CacheManager], private_valkey: ValkeyServer
) -> None:
    """A value whose claim cannot be honoured any more is served all the same."""
    near, _ = cut

    def load() -> str:
        private_valkey.kill()
        return "loaded"

    assert near.get_or_load("key", load, options=EntryOptions(ttl_s=SOON_S)) == "loaded"
    private_valkey.start()
    until(lambda: near.core.guard is not None and near.core.guard())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_child_listens_by_itself(open_level: Opener) -> None:
    """A child trusts its copy of level 1 only once it hears of changes itself."""
    writer, shared = CacheManager(level2=open_level()), CacheManager(level2=open_level())
    writer.set("key", "old")
    assert shared.get("key") == "old"
    to_child, from_parent = os.pipe()[::-1]
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.read(from_parent, 1)
            status = 0 if shared.get("key") is None else 2
        finally:
            os._exit(status)
    writer.delete("key")
    os.write(to_child, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(to_child)
    os.close(from_parent)
