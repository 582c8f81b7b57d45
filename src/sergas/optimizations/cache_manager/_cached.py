"""A function with a cache in front of it.

The path of a hit is as short as Python allows. A decorated function has tables of its own, by the
types of the arguments and then by the arguments, that lead straight to entries of level 1: no key
is made, and `f(1)`, `f(True)`, `f("1")` and `f(1.0)` are in four tables. Only arguments of exact,
immutable types whose equality says all are looked up so; everything else makes the text of its key
first (`_keys`), as does every call that misses. An entry that level 1 drops leaves the table by
itself.
"""

import functools
import glob
import inspect
from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    overload,
)

from sergas.errors import UncacheableError
from sergas.optimizations.cache_manager._hot import Tables, hot_function
from sergas.optimizations.cache_manager._keys import CallKeys, signature_of
from sergas.optimizations.cache_manager._options import EntryOptions
from sergas.optimizations.cache_manager._stats import CacheStats

if TYPE_CHECKING:
    from sergas.optimizations.cache_manager._manager import CacheManager

__all__ = ["CachedFunction", "CachedMethod", "Decorator", "decorator"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")

_EXACT = frozenset({int, str, bytes, bool, type(None)})


class CachedFunction(Protocol[P, R]):
    """Calls the function once for equal arguments while the result is cached.

    Results are shared, not copied: a caller that changes one changes it for the others. A method
    (its first parameter is called `self` or `cls`) is cached for each object.

    Attributes:
        cache: The cache that holds the results.
        prefix: What the keys of this function begin with.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, R]
    cache: "CacheManager"
    prefix: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, cached or new."""
        ...

    @overload
    def __get__(self, instance: None, owner: type, /) -> Self: ...
    @overload
    def __get__(
        self: "CachedFunction[Concatenate[S, Q], R]", instance: S, owner: type | None = None, /
    ) -> "CachedMethod[Q, R]": ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call, for `cache.delete` and its like."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result for these arguments; whether there was one."""
        ...

    async def ainvalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """As `invalidate`, from a task."""
        ...

    def prefetch(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Begin to load the result in the background; False if there is no need or no room."""
        ...

    def invalidate_all(self) -> None:
        """Forget every result of this function."""
        ...

    def cache_info(self) -> CacheStats:
        """The counts of the whole cache, which may serve other functions too."""
        ...


class Decorator(Protocol):
    """What `CacheManager.cached(...)` gives."""

    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]:
        """The function with the cache in front of it."""
        ...


class _Parts:
    """What the forms of a decorated function share: its keys and how it is loaded."""

    def __init__(
        self,
        cache: "CacheManager",
        function: Callable[..., Any],
        options: EntryOptions,
        *,
        prefix: str,
        own_key: Callable[..., str] | None,
    ) -> None:
        self.cache = cache
        self.core = cache.core
        self.function = function
        self.options = options
        self.prefix = prefix
        self.own_key = own_key
        self.is_async = inspect.iscoroutinefunction(function)
        self.is_method = next(iter(signature_of(function).parameters), "") in {"self", "cls"}
        self.keys = CallKeys(function, prefix)
        self.tables: Tables = {}
        self.is_placing = own_key is None and not self.is_method and self.keys.arity >= 0

    def key(self, *args: Any, **kwargs: Any) -> str:
        if self.own_key is not None:
            return f"{self.prefix}({self.own_key(*args, **kwargs)})"
        if self.is_method and args:
            return self.keys.method_key(args[0], args[1:], kwargs)
        return self.keys.key(args, kwargs)

    def load(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = self.key(*args, **kwargs)
        call = functools.partial(self.function, *args, **kwargs)
        value = self.cache.get_or_load(key, call, options=self.options)
        if self.is_placing:
            self.place(key, args)
        return value

    async def aload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = self.key(*args, **kwargs)
        call = functools.partial(self.function, *args, **kwargs)
        value = await self.cache.aget_or_load(key, call, options=self.options)
        if self.is_placing:
            self.place(key, args)
        return value

    def place(self, key: str, args: tuple[Any, ...]) -> None:
        """Let the next such call find the entry at a glance, if its arguments allow it."""
        if len(args) != self.keys.arity or not all(map(_is_exact, args)):
            return
        if len(args) == 1:
            table, at = self.tables.setdefault(type(args[0]), {}), args[0]
        else:
            table, at = self.tables.setdefault(tuple(map(type, args)), {}), args
        self.core.place(key, table, at)

    def invalidate(self, *args: Any, **kwargs: Any) -> bool:
        return self.cache.delete(self.key(*args, **kwargs))

    async def ainvalidate(self, *args: Any, **kwargs: Any) -> bool:
        return await self.cache.adelete(self.key(*args, **kwargs))

    def invalidate_all(self) -> None:
        self.cache.invalidate_pattern(glob.escape(f"{self.prefix}(") + "*")

    def prefetch(self, *args: Any, **kwargs: Any) -> bool:
        begin = self.cache.aprefetch if self.is_async else self.cache.prefetch
        call = functools.partial(self.function, *args, **kwargs)
        return begin(self.key(*args, **kwargs), call, options=self.options)

    def face(self) -> dict[str, object]:
        """The attributes of the decorated function."""
        return {
            "cache": self.cache,
            "prefix": self.prefix,
            "key": self.key,
            "invalidate": self.invalidate,
            "ainvalidate": self.ainvalidate,
            "invalidate_all": self.invalidate_all,
            "prefetch": self.prefetch,
            "cache_info": self.cache.stats,
        }


class CachedMethod(Generic[Q, R]):
    """A decorated method bound to its object."""

    __slots__ = ("__self__", "_parts")

    def __init__(self, parts: _Parts, instance: object) -> None:
        self._parts = parts
        self.__self__ = instance

    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R:
        """The method's result, cached or new."""
        load = self._parts.aload if self._parts.is_async else self._parts.load
        return cast("R", load((self.__self__, *args), kwargs))

    def key(self, *args: Q.args, **kwargs: Q.kwargs) -> str:
        """The key of a call on this object."""
        return self._parts.key(self.__self__, *args, **kwargs)

    def invalidate(self, *args: Q.args, **kwargs: Q.kwargs) -> bool:
        """Forget the result for these arguments on this object; whether there was one."""
        return self._parts.invalidate(self.__self__, *args, **kwargs)

    async def ainvalidate(self, *args: Q.args, **kwargs: Q.kwargs) -> bool:
        """As `invalidate`, from a task."""
        return await self._parts.ainvalidate(self.__self__, *args, **kwargs)

    def prefetch(self, *args: Q.args, **kwargs: Q.kwargs) -> bool:
        """Begin to load the result in the background; False if there is no need or no room."""
        return self._parts.prefetch(self.__self__, *args, **kwargs)


class _Method:
    """A decorated method in its class."""

    def __init__(self, parts: _Parts) -> None:
        functools.update_wrapper(self, parts.function)
        self.__dict__.update(parts.face())
        self._parts = parts

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        load = self._parts.aload if self._parts.is_async else self._parts.load
        return load(args, kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> object:
        return self if instance is None else CachedMethod[Any, Any](self._parts, instance)


def decorator(
    cache: "CacheManager",
    options: EntryOptions,
    *,
    prefix: str | None,
    key: Callable[..., str] | None,
) -> Decorator:
    """What puts `cache` in front of a function."""

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UncacheableError(
                f"cached: {function.__qualname__} returns a generator, which can be used once"
                f" only; needed a function that returns a value; cache what it produces instead"
            )
        name = prefix or f"{function.__module__}.{function.__qualname__}"
        parts = _Parts(cache, function, options, prefix=name, own_key=key)
        cache.claim_prefix(name)
        made: Any
        if parts.is_method:
            made = _Method(parts)
        else:
            made = hot_function(parts, is_async=parts.is_async, is_of_one=parts.keys.arity == 1)
            functools.update_wrapper(made, function)
            made.__dict__.update(parts.face())
        return cast("CachedFunction[P, R]", made)

    return decorate


def _is_exact(argument: object) -> bool:
    kind = type(argument)
    # 0.0 and -0.0 are equal and no number equals NaN: those two are told apart by their text.
    return kind in _EXACT or (kind is float and bool(argument) and argument == argument)  # noqa: PLR0124
