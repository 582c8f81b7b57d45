"""A function with a cache in front of it."""

import functools
import glob
import inspect
from collections.abc import Callable
from typing import (
    TYPE_CHECKING,
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
from sergas.optimizations.cache_manager._keys import CallKeys
from sergas.optimizations.cache_manager._stats import CacheStats

if TYPE_CHECKING:
    from sergas.optimizations.cache_manager._manager import CacheManager, TimeToLive

__all__ = ["CachedFunction", "CachedMethod", "Decorator"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")


class Decorator(Protocol):
    """What `CacheManager.cached(...)` gives."""

    def __call__(self, function: Callable[P, R], /) -> "CachedFunction[P, R]":
        """The function with the cache in front of it."""
        ...


class CachedFunction(Generic[P, R]):
    """Calls the function once for equal arguments while the result is cached.

    Results are shared, not copied: a caller that changes one changes it for the others.

    Attributes:
        cache: The cache that holds the results.
        prefix: What the keys of this function begin with.
    """

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, R]

    def __init__(
        self,
        function: Callable[P, R],
        cache: "CacheManager",
        *,
        prefix: str,
        ttl_s: "TimeToLive",
        key: Callable[..., str] | None,
    ) -> None:
        _refuse_lazy(function)
        functools.update_wrapper(self, function)
        self.cache = cache
        self.prefix = prefix
        self._ttl_s = ttl_s
        self._keys = CallKeys(function, prefix)
        self._own_key = key

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function's result, cached or new."""
        load = functools.partial(self.__wrapped__, *args, **kwargs)
        return self.cache.get_or_load(self.key(*args, **kwargs), load, ttl_s=self._ttl_s)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self: "CachedFunction[Concatenate[S, Q], R]", instance: S, owner: type | None = None
    ) -> "CachedMethod[Q, R]": ...
    def __get__(self, instance: object, owner: type | None = None) -> object:
        """The method bound to `instance`; the function itself on the class."""
        return self if instance is None else CachedMethod(self, instance)

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of a call, for `cache.delete` and its like."""
        if self._own_key is not None:
            return f"{self.prefix}({self._own_key(*args, **kwargs)})"
        return self._keys.key(args, kwargs)

    def method_key(
        self, instance: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> str:
        """The key of a call on `instance`."""
        if self._own_key is not None:
            return f"{self.prefix}({self._own_key(instance, *args, **kwargs)})"
        return self._keys.method_key(instance, args, kwargs)

    def load_method(
        self, instance: object, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> object:
        """The result of a call on `instance`, cached or new."""
        function = cast("Callable[..., object]", self.__wrapped__)
        load = functools.partial(function, instance, *args, **kwargs)
        key = self.method_key(instance, args, kwargs)
        return self.cache.get_or_load(key, load, ttl_s=self._ttl_s)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result for these arguments; whether there was one."""
        return self.cache.delete(self.key(*args, **kwargs))

    def invalidate_all(self) -> None:
        """Forget every result of this function."""
        self.cache.invalidate_pattern(glob.escape(f"{self.prefix}(") + "*")

    def cache_info(self) -> CacheStats:
        """The counts of the whole cache, which may serve other functions too."""
        return self.cache.stats()


class CachedMethod(Generic[Q, R]):
    """A `CachedFunction` bound to the object it is a method of."""

    __slots__ = ("__self__", "_function")

    def __init__(self, function: CachedFunction[..., R], instance: object) -> None:
        self._function = function
        self.__self__ = instance

    def __call__(self, *args: Q.args, **kwargs: Q.kwargs) -> R:
        """The method's result, cached or new."""
        return self._function.load_method(self.__self__, args, kwargs)  # type: ignore[return-value]

    def key(self, *args: Q.args, **kwargs: Q.kwargs) -> str:
        """The key of a call on this object."""
        return self._function.method_key(self.__self__, args, kwargs)

    def invalidate(self, *args: Q.args, **kwargs: Q.kwargs) -> bool:
        """Forget the result for these arguments on this object; whether there was one."""
        return self._function.cache.delete(self.key(*args, **kwargs))


def _refuse_lazy(function: Callable[..., object]) -> None:
    """What such a function returns can be used once only, so it must not be served twice."""
    if (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        raise UncacheableError(
            f"cached: {function.__qualname__} returns a coroutine or generator, needed a function"
            f" that returns a value; cache what it produces instead"
        )
