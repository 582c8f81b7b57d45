"""Which entry goes when the first level is full: five policies with one contract.

`EvictionPolicy` says what a level and a policy expect of each other; `make_policy` makes one by
name. `tinylfu` is the default of the cache; the others are for those who know what they want.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from sergas.errors import CacheValueError
from sergas.optimizations.cache_manager.policies._contract import READ_BUFFER_MAX, EvictionPolicy
from sergas.optimizations.cache_manager.policies._lfu import LfuPolicy
from sergas.optimizations.cache_manager.policies._node import EntryNode
from sergas.optimizations.cache_manager.policies._order import FifoPolicy, LruPolicy
from sergas.optimizations.cache_manager.policies._tinylfu import TinyLfuPolicy
from sergas.optimizations.cache_manager.policies._ttl import TtlPolicy

__all__ = [
    "POLICIES",
    "READ_BUFFER_MAX",
    "EntryNode",
    "EvictionPolicy",
    "FifoPolicy",
    "LfuPolicy",
    "LruPolicy",
    "PolicyMaker",
    "TinyLfuPolicy",
    "TtlPolicy",
    "make_policy",
]


class PolicyMaker(Protocol):
    """Makes an empty policy."""

    def __call__(self, *, entries_max: int, weight_max: int | None = None) -> EvictionPolicy:
        """A policy with these bounds, >= 1 each; None is no bound on the sum of weights."""
        ...


POLICIES: Final[Mapping[str, PolicyMaker]] = MappingProxyType(
    {
        "fifo": FifoPolicy,
        "lfu": LfuPolicy,
        "lru": LruPolicy,
        "tinylfu": TinyLfuPolicy,
        "ttl": TtlPolicy,
    }
)
"""Every policy, by the name that users give."""


def make_policy(
    name: str = "tinylfu", *, entries_max: int, weight_max: int | None = None
) -> EvictionPolicy:
    """An empty policy.

    Args:
        name: A key of `POLICIES`.
        entries_max: Most entries, >= 1.
        weight_max: Largest sum of weights, >= 1; None for no such bound.

    Raises:
        CacheValueError: If there is no such policy, or a bound is below 1.
    """
    maker = POLICIES.get(name)
    if maker is None:
        raise CacheValueError(
            f"eviction policy: got {name!r}, needed one of {', '.join(sorted(POLICIES))}"
        )
    return maker(entries_max=entries_max, weight_max=weight_max)
