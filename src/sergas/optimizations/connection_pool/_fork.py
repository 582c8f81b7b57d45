"""What a fork does to a pool: the child must not touch the parent's connections.

They share their sockets: a rollback, or a goodbye on closing, from the child would reach the
parent's sessions. So the child forgets them without closing, keeps them from being collected, and
connects anew on its first request.
"""

import os
import sys
from collections.abc import Sequence
from typing import Protocol
from weakref import WeakSet

__all__ = ["HAS_INTERPRETER_LOCK", "watch"]

# Free-threaded builds can run without it; there the pools take their lock for every loan.
HAS_INTERPRETER_LOCK: bool = getattr(sys, "_is_gil_enabled", lambda: True)()


class _Forked(Protocol):
    def _after_fork(self) -> Sequence[object]: ...


_POOLS: WeakSet[_Forked] = WeakSet()
_PARENTS: list[object] = []  # connections kept alive, for ever


def watch(pool: _Forked) -> None:
    """Have `pool` forget its connections in every child forked from now on."""
    _POOLS.add(pool)


def _in_child() -> None:
    for pool in list(_POOLS):
        _PARENTS.extend(pool._after_fork())  # noqa: SLF001 - an event of the pool's


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
