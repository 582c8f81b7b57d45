"""The decorator: one key for each call, and what it keeps of the function."""

import asyncio
import dataclasses
import datetime as dt
import enum
import gc
import inspect
import math
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from sergas.clock import FakeClock
from sergas.errors import CacheValueError, UncacheableError
from sergas.optimizations.cache_manager import CacheManager, LruPolicy
from sergas.optimizations.cache_manager._keys import value_text


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: int


@dataclasses.dataclass
class Mutable:
    x: int


def test_a_function_that_tells_no_signature_is_cached_by_its_arguments() -> None:
    """`str` takes what it likes, and Python does not know what that is."""
    cache = CacheManager()
    text: Any = cache.cached()(str)
    assert [text(1), text("1"), text(b"a", "ascii"), text(1)] == ["1", "1", "a", "1"]
    assert cache.stats().loads == 3


def test_arguments_of_other_types_are_other_calls() -> None:
    """Equal-looking arguments of different types never share a result, nested ones neither."""
    cache = CacheManager()

    @cache.cached()
    def kind(value: object) -> str:
        return repr(value)

    values: list[object] = [1, "1", True, 1.0, b"1", None, "None", (1,), [1], (True,), {1}, {1: 1}]
    values += [
        frozenset({1}),
        Decimal(1),
        Level.LOW,
        Colour.RED,
        Point(1),
        dt.date(1, 1, 1),
        "A",
        "a",
    ]
    assert [kind(value) for value in values] == [repr(value) for value in values]
    assert [kind(value) for value in values] == [repr(value) for value in values]
    assert cache.stats().loads == len(values)


def test_text_cannot_pose_as_structure() -> None:
    """Strings with commas, quotes and brackets are never another list of arguments."""
    cache = CacheManager()

    @cache.cached()
    def joined(*parts: str) -> tuple[str, ...]:
        return parts

    calls = [("a,s1:b",), ("a", "b"), ("a", "b)"), ("a,", "b"), ("", "ab"), ("ab", ""), ("ab",)]
    assert [joined(*call) for call in calls] == calls


def test_calls_that_bind_alike_share_a_result() -> None:
    """Keyword order, keyword or position, and defaults written out make no difference."""
    cache = CacheManager()

    @cache.cached()
    def total(a: int, b: int = 2, *, c: int = 3) -> int:
        return a + b + c

    assert {total(1), total(1, 2), total(a=1, b=2), total(c=3, b=2, a=1), total(1, c=3)} == {6}
    assert cache.stats().loads == 1


def test_wrong_call_is_the_functions_own_error() -> None:
    """A call that the function would refuse is refused, with arguments in place or not."""
    cache = CacheManager()

    @cache.cached()
    def one(value: int) -> int:
        return value

    with pytest.raises(TypeError):
        one()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        one(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        one(wrong=1)  # type: ignore[call-arg]


def test_none_is_remembered() -> None:
    """A function that returns None is not called again."""
    cache = CacheManager()
    calls: list[int] = []

    @cache.cached()
    def nothing(value: int) -> None:
        calls.append(value)

    nothing(1)
    nothing(1)
    assert calls == [1]


def test_function_keeps_its_face() -> None:
    """Name, documentation and the function itself stay reachable, as functools.wraps has it."""

    def area(side: int) -> int:
        """The square."""
        return side * side

    cached = CacheManager().cached(prefix="area")(area)
    assert (cached.__name__, cached.__doc__, cached.__wrapped__) == ("area", "The square.", area)


def test_results_can_be_forgotten() -> None:
    """One call's result or all of the function's can be invalidated, and nobody else's."""
    cache = CacheManager()

    @cache.cached(prefix="twice[")
    def twice(value: int) -> list[int]:
        return [value, value]

    cache.set("other", 1)
    first, second = twice(1), twice(2)
    assert twice.invalidate(value=1)
    assert not twice.invalidate(1)
    assert twice(1) is not first
    assert twice(2) is second
    twice.invalidate_all()
    assert twice(2) is not second
    assert cache.get("other") == 1
    assert twice.cache_info() == cache.stats()


def test_time_to_live_is_the_decorators() -> None:
    """The decorator's time to live, 0 too, holds over the cache's own."""
    cache = CacheManager(ttl_s=None)

    @cache.cached(ttl_s=0)
    def always() -> object:
        return object()

    assert always() is not always()


def test_two_functions_never_share_results() -> None:
    """A second function under the same prefix is refused, closures of one factory included."""
    cache = CacheManager()

    def adder(amount: int) -> None:
        @cache.cached()
        def add(value: int) -> int:
            return value + amount

    adder(1)
    with pytest.raises(CacheValueError, match="prefix="):
        adder(2)


def test_methods_are_cached_for_their_object() -> None:
    """Each object has its own results; calls through one bound method and another agree."""
    cache = CacheManager()

    class Account:
        def __init__(self, name: str) -> None:
            self.name = name

        @cache.cached()
        def greeting(self, word: str = "hello") -> str:
            return f"{word} {self.name}"

    first, second = Account("a"), Account("b")
    assert (first.greeting(), second.greeting()) == ("hello a", "hello b")
    assert first.greeting(word="hello") == "hello a"
    assert cache.stats().loads == 2
    assert first.greeting.invalidate()
    assert not first.greeting.invalidate("hello")
    assert second.greeting.key("x") != first.greeting.key("x")
    assert Account.greeting.__name__ == "greeting"


def test_new_object_at_an_old_address_is_another_object() -> None:
    """A result is never served for an object that took the place of a dead one in memory."""
    cache = CacheManager(entries_max=1000)

    class Thing:
        def __init__(self, number: int) -> None:
            self.number = number

        @cache.cached()
        def read(self) -> int:
            return self.number

    for number in range(200):
        assert Thing(number).read() == number
    gc.collect()


def test_objects_with_a_value_share_by_value() -> None:
    """Methods of equal frozen dataclasses share results, as their objects are interchangeable."""
    cache = CacheManager()

    @dataclasses.dataclass(frozen=True)
    class Square:
        side: int

        @cache.cached()
        def area(self) -> int:
            return self.side**2

    assert (Square(3).area(), Square(3).area(), Square(4).area()) == (9, 9, 16)
    assert cache.stats().loads == 2


def test_object_without_identity_is_refused() -> None:
    """An object that cannot be told from a later one is refused with the way out."""
    cache = CacheManager()

    class Slotted:
        __slots__ = ("x",)

        @cache.cached()
        def read(self) -> int:
            return 1

        @cache.cached(key=lambda self: str(self.x))
        def keyed(self) -> int:
            return self.x * 2  # type: ignore[no-any-return,attr-defined]

    thing = Slotted()
    with pytest.raises(UncacheableError, match="__weakref__"):
        thing.read()
    thing.x = 4  # type: ignore[attr-defined]
    assert (thing.keyed(), thing.keyed()) == (8, 8)


def test_argument_without_a_value_is_refused() -> None:
    """An argument that may change is refused; a key function of one's own takes it."""
    cache = CacheManager()

    @cache.cached()
    def read(thing: Mutable) -> int:
        return thing.x

    @cache.cached(key=lambda thing: str(thing.x))
    def read_keyed(thing: Mutable) -> int:
        return thing.x

    with pytest.raises(UncacheableError, match="key="):
        read(Mutable(1))
    assert [read_keyed(Mutable(x)) for x in (1, 2, 1)] == [1, 2, 1]
    assert cache.stats().loads == 2


def test_times_and_paths_are_arguments() -> None:
    """A date or time is an ordinary argument, and two moments are two calls."""
    cache = CacheManager()

    @cache.cached()
    def day(moment: dt.datetime) -> int:
        return moment.day

    moments = [dt.datetime(2026, 1, day, tzinfo=dt.UTC) for day in (1, 2, 1)]
    assert [day(moment) for moment in moments] == [1, 2, 1]
    assert cache.stats().loads == 2


def test_mapping_order_makes_no_difference() -> None:
    """Equal dicts and sets have one text, in whatever order they were filled."""
    assert value_text({"a": 1, "b": 2}) == value_text({"b": 2, "a": 1})
    assert value_text({"x", "y", "z"}) == value_text({"z", "y", "x"})


def test_generators_are_refused() -> None:
    """A generator can be used once, so a function that makes one is refused."""
    cache = CacheManager()

    async def later() -> AsyncIterator[int]:
        yield 1

    def counting() -> Iterator[int]:
        yield 1

    for function in (later, counting):
        with pytest.raises(UncacheableError, match="generator"):
            cache.cached()(function)


def test_coroutine_functions_are_awaited_once() -> None:
    """A coroutine function gives a coroutine function, whose result is loaded once for its call."""
    cache = CacheManager()
    calls: list[object] = []

    @cache.cached(prefix="double")
    async def double(value: int) -> int:
        calls.append(value)
        return 2 * value

    @cache.cached()
    async def pair(left: int, right: int = 0) -> tuple[int, int]:
        calls.append((left, right))
        return left, right

    async def work() -> None:
        assert [await double(1), await double(1), await double(value=1)] == [2, 2, 2]
        assert [await pair(1, 2), await pair(1, 2), await pair(1)] == [(1, 2), (1, 2), (1, 0)]
        assert calls == [1, (1, 2), (1, 0)]
        assert await double.ainvalidate(1)
        assert await double(1) == 2

    assert inspect.iscoroutinefunction(double)
    asyncio.run(work())
    assert calls == [1, (1, 2), (1, 0), 1]


def test_methods_may_be_coroutine_functions() -> None:
    """A method that is a coroutine function is cached for its object."""
    cache = CacheManager()

    class Account:
        @cache.cached()
        async def number(self) -> int:
            return id(self)

    first, second = Account(), Account()

    async def work() -> list[int]:
        return [await first.number(), await first.number(), await second.number()]

    assert asyncio.run(work()) == [id(first), id(first), id(second)]
    assert cache.stats().loads == 2


def test_hits_take_no_key_and_no_lock() -> None:
    """A second call of plain arguments finds its entry without the lock and is counted exactly."""
    cache = CacheManager()

    @cache.cached()
    def double(value: float) -> float:
        return 2 * value

    @cache.cached()
    def add(left: int, right: str) -> str:
        return f"{left}{right}"

    assert (double(1), double(1.5), add(1, "a")) == (2, 3.0, "1a")
    with cache.core.lock:
        for _ in range(300):
            assert (double(1), double(1.5), add(1, "a")) == (2, 3.0, "1a")
    assert (cache.stats().hits, cache.stats().misses) == (900, 3)
    for _ in range(5000):
        double(1)
    assert cache.stats().hits == 5900


def test_entry_that_is_gone_is_not_found_at_a_glance() -> None:
    """Evicted, deleted, expired or overwritten entries are never served from the tables."""
    clock = FakeClock()
    cache = CacheManager(entries_max=2, ttl_s=10.0, clock=clock, policy=LruPolicy)
    calls: list[int] = []

    @cache.cached()
    def load(value: int) -> int:
        calls.append(value)
        return len(calls)

    assert [load(1), load(1)] == [1, 1]
    cache.delete(load.key(1))
    assert load(1) == 2
    cache.set(load.key(1), 99)
    assert load(1) == 99
    clock.advance(10.0)
    assert load(1) == 3
    load(2)
    load(3)
    assert load(1) == 6
    cache.clear()
    assert load(1) == 7


def test_zeros_of_both_signs_are_two_calls() -> None:
    """0.0 and -0.0 are equal and still two arguments, and NaN is one that equals nothing."""
    cache = CacheManager()

    @cache.cached()
    def text(value: float) -> str:
        return repr(value)

    for value in (0.0, -0.0, math.nan, -0.0, 0.0, math.nan):
        assert text(value) == repr(value)
    assert cache.stats().loads == 3
