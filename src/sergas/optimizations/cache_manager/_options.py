"""How long values live, and what may be served while they are not fresh."""

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from sergas.errors import CacheValueError

__all__ = ["DEFAULT", "EntryOptions", "Life", "TimeToLive", "life_of", "resolved"]


class _Unset(enum.Enum):
    """The cache's own time to live, where None already means for ever."""

    DEFAULT = enum.auto()


TimeToLive = float | None | Literal[_Unset.DEFAULT]
DEFAULT: Final = _Unset.DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOptions:
    """What holds for an entry.

    Attributes:
        ttl_s: How long a value is fresh, >= 0 seconds; None for ever. 0 is already over: nothing
            is stored, and what was there goes.
        jitter: Share of `ttl_s` in [0, 1) of which a part drawn at random is taken off, once, at
            the write, so that what was written together does not end together.
        stale_ttl_s: How much longer, >= 0 seconds, a value is kept to be served while a newer one
            is loaded or cannot be had.
        soft_timeout_s: How long a caller waits for the newer value, >= 0 seconds, where a stale
            one is at hand: 0 not at all (stale while revalidating), None until the load has ended
            (stale only on error).
        hard_timeout_s: How long a caller waits at most where there is nothing to serve, > 0
            seconds; None without end. The load goes on and its value is stored.
        throttle_s: After a failed load the stale value is served this long, > 0 seconds, before
            the next attempt.
        negative_ttl_s: The `ttl_s` of None, which then means that there is no such thing; without
            it None lives as long as any value. 0 keeps None out.
        beta: How eagerly a value is loaded anew before its end, >= 0; 0 never, 1 as XFetch has it
            (Vattani, Chierichetti and Lowenstein, VLDB 2015).
        lease_s: How long one process may load before another one may try as well, > 0 seconds.
        tags: Names under which the entry can be invalidated together with others.

    Raises:
        CacheValueError: If a number is out of its range.
    """

    ttl_s: float | None = None
    jitter: float = 0.0
    stale_ttl_s: float = 0.0
    soft_timeout_s: float | None = 0.0
    hard_timeout_s: float | None = None
    throttle_s: float = 1.0
    negative_ttl_s: float | None = None
    beta: float = 0.0
    lease_s: float = 10.0
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ttl_s", "negative_ttl_s", "soft_timeout_s", "stale_ttl_s", "beta"):
            _check(name, getattr(self, name), "0 or more")
        for name in ("hard_timeout_s", "throttle_s", "lease_s"):
            _check(name, getattr(self, name), "more than 0")
        if not 0 <= self.jitter < 1:
            raise CacheValueError(f"EntryOptions: got jitter={self.jitter}, needed [0, 1)")
        tags: object = self.tags
        if not isinstance(tags, tuple) or not all(isinstance(tag, str) for tag in tags):
            raise CacheValueError(f"EntryOptions: got tags={self.tags!r}, needed a tuple of str")


@dataclass(frozen=True, slots=True)
class Life:
    """The times of one value, fixed when it is written.

    Attributes:
        ttl_s: Seconds it is fresh from now, None for ever; 0 or less if it is stale already.
        stale_ttl_s: Seconds it may be served stale after that, >= 0.
        cost_s: Seconds its load took, >= 0.
        beta: As in the options.
    """

    ttl_s: float | None
    stale_ttl_s: float = 0.0
    cost_s: float = 0.0
    beta: float = 0.0


def life_of(
    options: EntryOptions, value: object, *, cost_s: float, draw: Callable[[], float]
) -> Life | None:
    """The times of a value written now; None if it must not be stored.

    Args:
        options: What holds for it.
        value: The value.
        cost_s: Seconds its load took, >= 0.
        draw: Gives a number from [0, 1).
    """
    ttl_s = options.ttl_s
    if value is None and options.negative_ttl_s is not None:
        ttl_s = options.negative_ttl_s
    if ttl_s == 0:
        return None
    if ttl_s is not None and options.jitter:
        ttl_s *= 1 - options.jitter * draw()
    return Life(ttl_s, options.stale_ttl_s, cost_s, options.beta)


def resolved(
    own: EntryOptions,
    options: EntryOptions | None,
    ttl_s: TimeToLive = DEFAULT,
    tags: tuple[str, ...] | None = None,
) -> EntryOptions:
    """What holds for a call: its options or the cache's own, with the parts it names replaced.

    Raises:
        CacheValueError: If `ttl_s` or `tags` is out of its range.
    """
    found = own if options is None else options
    if ttl_s is not DEFAULT:
        found = replace(found, ttl_s=ttl_s)
    if tags is not None:
        found = replace(found, tags=tags)
    return found


def _check(name: str, number: object, needed: str) -> None:
    if number is None:
        if name not in {"stale_ttl_s", "beta", "throttle_s", "lease_s"}:
            return
    elif (
        isinstance(number, int | float)
        and math.isfinite(number)
        and (number > 0 or (number == 0 and needed == "0 or more"))
    ):
        return
    unit = "" if name == "beta" else " seconds"
    also = ", or None" if name in {"ttl_s", "negative_ttl_s"} else ""
    raise CacheValueError(f"EntryOptions: got {name}={number}, needed {needed}{unit}{also}")
