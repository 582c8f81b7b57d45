"""A two-level cache with one load at a time for a key, for threads, tasks and processes."""

from sergas.optimizations.cache_manager._breaker import Breaker
from sergas.optimizations.cache_manager._cached import CachedFunction, CachedMethod
from sergas.optimizations.cache_manager._codec import Codec, PickleCodec, PlainCodec
from sergas.optimizations.cache_manager._level import (
    Answer,
    AsyncCacheLevel,
    CacheLevel,
    Claim,
    LevelListener,
    StoredValue,
    key_matcher,
)
from sergas.optimizations.cache_manager._manager import CacheManager
from sergas.optimizations.cache_manager._options import EntryOptions
from sergas.optimizations.cache_manager._sqlite_level import SqliteLevel
from sergas.optimizations.cache_manager._stats import CacheStats
from sergas.optimizations.cache_manager._threaded import ThreadedTwin
from sergas.optimizations.cache_manager._valkey_level import ValkeyLevel
from sergas.optimizations.cache_manager._weigh import size_bytes
from sergas.optimizations.cache_manager._write_behind import WriteBehind
from sergas.optimizations.cache_manager.policies import (
    POLICIES,
    EvictionPolicy,
    FifoPolicy,
    LfuPolicy,
    LruPolicy,
    PolicyMaker,
    TinyLfuPolicy,
    TtlPolicy,
)

__all__ = [
    "POLICIES",
    "Answer",
    "AsyncCacheLevel",
    "Breaker",
    "CacheLevel",
    "CacheManager",
    "CacheStats",
    "CachedFunction",
    "CachedMethod",
    "Claim",
    "Codec",
    "EntryOptions",
    "EvictionPolicy",
    "FifoPolicy",
    "LevelListener",
    "LfuPolicy",
    "LruPolicy",
    "PickleCodec",
    "PlainCodec",
    "PolicyMaker",
    "SqliteLevel",
    "StoredValue",
    "ThreadedTwin",
    "TinyLfuPolicy",
    "TtlPolicy",
    "ValkeyLevel",
    "WriteBehind",
    "key_matcher",
    "size_bytes",
]
