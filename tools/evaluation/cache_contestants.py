"""The caches that are compared, each as its users call it, with get and set and one capacity.

Everything of a peer is imported when it is asked for: the extra `peers` holds them.
"""

import importlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

__all__ = ["CONTESTANTS", "Contestant", "MissingPeerError", "Store", "peer"]

_ABSENT = object()


class MissingPeerError(Exception):
    """A library to compare with is not installed."""


def peer(module: str) -> Any:
    """A module of the extra `peers`.

    Raises:
        MissingPeerError: If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPeerError(
            f"{module} is not installed ({error}); run pip install 'groundspeed[peers]' in the"
            f" environment you start this with, or leave it out with --contestants"
        ) from error


class Store(Protocol):
    """A cache of one capacity."""

    def get(self, key: str) -> bool:
        """Whether `key` was there; counts as use."""
        ...

    def set(self, key: str) -> None:
        """Put `key`."""
        ...

    def close(self) -> None:
        """End what it has running."""
        ...


class _Ours:
    """sergas' cache manager: the memory level that users get."""

    def __init__(self, policy: str, capacity: int) -> None:
        from sergas.optimizations.cache_manager import CacheManager
        from sergas.optimizations.cache_manager.policies import POLICIES

        cache = CacheManager(entries_max=capacity, policy=POLICIES[policy])
        self._get = cache.get
        self._set = cache.set

    def get(self, key: str) -> bool:
        return self._get(key, _ABSENT) is not _ABSENT

    def set(self, key: str) -> None:
        self._set(key, 1)

    def close(self) -> None:
        """Nothing runs."""


class _Theine:
    def __init__(self, capacity: int) -> None:
        self._cache = peer("theine").Cache(capacity)

    def get(self, key: str) -> bool:
        is_there: bool = self._cache.get(key)[1]
        return is_there

    def set(self, key: str) -> None:
        self._cache.set(key, 1)

    def close(self) -> None:
        self._cache.close()


class _Mapping:
    """cachetools and cachebox: mappings."""

    def __init__(self, module: str, name: str, capacity: int) -> None:
        self._cache = getattr(peer(module), name)(capacity)

    def get(self, key: str) -> bool:
        return self._cache.get(key, _ABSENT) is not _ABSENT

    def set(self, key: str) -> None:
        self._cache[key] = 1

    def close(self) -> None:
        """Nothing runs."""


class _Locked:
    """A mapping with the lock that its documentation asks threads to take."""

    def __init__(self, module: str, name: str, capacity: int) -> None:
        self._mapping = _Mapping(module, name, capacity)
        self._lock = threading.Lock()

    def get(self, key: str) -> bool:
        with self._lock:
            return self._mapping.get(key)

    def set(self, key: str) -> None:
        with self._lock:
            self._mapping.set(key)

    def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A cache by the name the tables use."""

    name: str
    make: Callable[[int], Store]

    def hits(self, keys: Sequence[str], capacity: int) -> int:
        """How many of the requests it answers, if each miss is followed by a put."""
        store = self.make(capacity)
        try:
            get, put = store.get, store.set
            hits = 0
            for key in keys:
                if get(key):
                    hits += 1
                else:
                    put(key)
            return hits
        finally:
            store.close()


CONTESTANTS: dict[str, Contestant] = {
    name: Contestant(name=name, make=make)
    for name, make in (
        ("ours", partial(_Ours, "tinylfu")),
        ("lru", partial(_Ours, "lru")),
        ("theine", _Theine),
        ("cachetools-lru", partial(_Locked, "cachetools", "LRUCache")),
        ("cachetools-lfu", partial(_Locked, "cachetools", "LFUCache")),
        ("cachebox-lru", partial(_Mapping, "cachebox", "LRUCache")),
        ("cachebox-lfu", partial(_Mapping, "cachebox", "LFUCache")),
    )
}
"""Every contestant by name; `lru` is our own manager with LRU, the yardstick."""
