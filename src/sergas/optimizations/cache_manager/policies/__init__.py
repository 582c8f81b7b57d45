"""Which entry goes when the first level is full."""

from sergas.optimizations.cache_manager.policies._contract import READ_BUFFER_MAX, EvictionPolicy
from sergas.optimizations.cache_manager.policies._node import EntryNode
from sergas.optimizations.cache_manager.policies._order import FifoPolicy, LruPolicy

__all__ = ["READ_BUFFER_MAX", "EntryNode", "EvictionPolicy", "FifoPolicy", "LruPolicy"]
