"""What a second level is."""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

__all__ = ["CacheLevel", "StoredValue", "key_matcher"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """Bytes from a level.

    Attributes:
        data: What was stored.
        ttl_s: Seconds it may still be served, > 0; None for ever.
    """

    data: bytes
    ttl_s: float | None


class CacheLevel(Protocol):
    """A slower, larger store of bytes behind level 1, shared with other threads or processes.

    Safe to use from several threads. Never returns an expired value. Each method fails with
    `CacheLevelError` and with nothing else.
    """

    def get(self, key: str) -> StoredValue | None:
        """The live value under `key` with the time left to it, or None."""
        ...

    def set(self, key: str, data: bytes, *, ttl_s: float | None) -> None:
        """Keep `data` for `ttl_s` seconds (> 0; None for ever), replacing what is there."""
        ...

    def delete(self, key: str) -> bool:
        """Remove `key`; whether a live value was there."""
        ...

    def delete_matching(self, pattern: str) -> int:
        """Remove the keys that `key_matcher(pattern)` accepts; how many live ones there were."""
        ...

    def clear(self) -> None:
        """Remove every key."""
        ...


def key_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole key fits a shell-style pattern: `*`, `?`, `[seq]`, `[!seq]`; case matters."""
    match = re.compile(fnmatch.translate(pattern)).match
    return lambda key: match(key) is not None
