"""What a second level is: bytes, times and tags, shared with other threads and processes.

Every method works on several keys at once, so that a level across a network needs one round trip.

**Claims.** Whoever wants to load a value claims its key. A claim is a lock with a lease and a
fencing token: only the holder of the newest claim may store what it loaded, and whatever removes
or overwrites the key, invalidates one of the tags named in the claim, or removes by pattern ends
the claim. So a load that began before an invalidation, in whatever process, stores nothing after
it.

**Times** come from the level's own clock, the server's where there is one: a level tells the
seconds that are left, never a time of day, so that clocks of processes need not agree.

**Listening.** A level that can tell of changes made by others has a listener; see `attach`.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = [
    "Answer",
    "AsyncCacheLevel",
    "CacheLevel",
    "Claim",
    "LevelListener",
    "StoredValue",
    "key_matcher",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredValue:
    """Bytes in a level and what holds for them.

    Attributes:
        data: What was stored.
        ttl_s: Seconds it is fresh from now, None for ever; when read, 0 or less if it is stale.
        stale_ttl_s: Seconds it may be served stale after that, >= 0.
        cost_s: Seconds its load took, >= 0.
        tags: What it can be invalidated by.
    """

    data: bytes
    ttl_s: float | None
    stale_ttl_s: float = 0.0
    cost_s: float = 0.0
    tags: tuple[str, ...] = ()

    @property
    def is_fresh(self) -> bool:
        """Whether it may be served without trying for a newer one."""
        return self.ttl_s is None or self.ttl_s > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to store what is loaded for a key.

    Attributes:
        key: The key.
        token: The fencing token; a later claim of any key has a larger one.
        epoch: The level's own: what removals by pattern change.
        generations: The level's own: what invalidating a tag changes, by tag.
    """

    key: str
    token: int
    epoch: int
    generations: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What claiming a key gave.

    Attributes:
        found: The value, fresh or stale; None if there is none.
        claim: The right to store a new one; None if `found` is fresh or somebody else has it.
    """

    found: StoredValue | None
    claim: Claim | None


class LevelListener(Protocol):
    """Who is told of changes that others made; called from any thread, and must not call back."""

    def forget_keys(self, keys: Sequence[str]) -> None:
        """These keys were written or removed."""
        ...

    def forget_matching(self, pattern: str) -> None:
        """The keys that fit were removed."""
        ...

    def forget_tag(self, tag: str) -> None:
        """What has this tag is over."""
        ...

    def forget_all(self) -> None:
        """Anything may have changed."""
        ...


class CacheLevel(Protocol):
    """A slower, larger store behind level 1.

    Safe to use from several threads. Never returns what is past its time or under an invalidated
    tag. Each method fails with `CacheLevelError` and with nothing else.
    """

    @property
    def aio(self) -> "AsyncCacheLevel":
        """The same store for tasks: the same methods, which do not block the event loop."""
        ...

    def attach(self, listener: LevelListener) -> Callable[[], bool] | None:
        """Tell `listener` of changes by others from now on; None if this level cannot.

        Returns:
            Whether all changes whose calls have returned were told: what was kept of this level's
            values must not be served while it says no. Takes under a microsecond.

        Raises:
            CacheValueError: If there is a listener already.
        """
        ...

    def read(self, keys: Sequence[str]) -> Mapping[str, StoredValue]:
        """The values of those keys that have one, fresh or stale."""
        ...

    def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> Mapping[str, Answer]:
        """The values, and claims of those keys that have no fresh one.

        Args:
            keys: The keys.
            tags: Those that what is loaded will have.
            lease_s: Seconds until somebody else may claim the keys too, > 0.
            early_s: A value with no more than these seconds left counts as stale, >= 0.
        """
        ...

    def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> Sequence[bool]:
        """Store what was loaded under each claim that still holds; which did."""
        ...

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims up."""
        ...

    def write(self, items: Mapping[str, StoredValue]) -> None:
        """Store values, replacing what is there and ending claims."""
        ...

    def remove(self, keys: Sequence[str]) -> int:
        """Remove keys and end their claims; how many had a fresh value."""
        ...

    def remove_matching(self, pattern: str) -> int:
        """Remove the keys that `key_matcher(pattern)` accepts; how many had a fresh value."""
        ...

    def invalidate_tag(self, tag: str) -> None:
        """Let everything that has this tag be over; takes the same time however much that is."""
        ...

    def clear(self) -> None:
        """Remove every key."""
        ...


class AsyncCacheLevel(Protocol):
    """`CacheLevel` for tasks."""

    async def read(self, keys: Sequence[str]) -> Mapping[str, StoredValue]:
        """As `CacheLevel.read`."""
        ...

    async def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> Mapping[str, Answer]:
        """As `CacheLevel.claim`."""
        ...

    async def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> Sequence[bool]:
        """As `CacheLevel.fulfil`."""
        ...

    async def release(self, claims: Sequence[Claim]) -> None:
        """As `CacheLevel.release`."""
        ...

    async def write(self, items: Mapping[str, StoredValue]) -> None:
        """As `CacheLevel.write`."""
        ...

    async def remove(self, keys: Sequence[str]) -> int:
        """As `CacheLevel.remove`."""
        ...

    async def remove_matching(self, pattern: str) -> int:
        """As `CacheLevel.remove_matching`."""
        ...

    async def invalidate_tag(self, tag: str) -> None:
        """As `CacheLevel.invalidate_tag`."""
        ...

    async def clear(self) -> None:
        """As `CacheLevel.clear`."""
        ...


def key_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole key fits a shell-style pattern: `*`, `?`, `[seq]`, `[!seq]`; case matters."""
    match = re.compile(fnmatch.translate(pattern)).match
    return lambda key: match(key) is not None
