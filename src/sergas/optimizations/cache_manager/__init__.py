"""A two-level cache with one load at a time for a key."""

from sergas.optimizations.cache_manager._cached import CachedFunction, CachedMethod
from sergas.optimizations.cache_manager._codec import Codec, PickleCodec, PlainCodec
from sergas.optimizations.cache_manager._level import CacheLevel, StoredValue, key_matcher
from sergas.optimizations.cache_manager._manager import CacheManager
from sergas.optimizations.cache_manager._policy import EvictionPolicy, LruPolicy
from sergas.optimizations.cache_manager._sqlite_level import SqliteLevel
from sergas.optimizations.cache_manager._stats import CacheStats

__all__ = [
    "CacheLevel",
    "CacheManager",
    "CacheStats",
    "CachedFunction",
    "CachedMethod",
    "Codec",
    "EvictionPolicy",
    "LruPolicy",
    "PickleCodec",
    "PlainCodec",
    "SqliteLevel",
    "StoredValue",
    "key_matcher",
]
