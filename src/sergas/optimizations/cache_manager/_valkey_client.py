"""What both kinds of `ValkeyLevel` need of redis-py, and what they tell the server alike."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sergas.errors import CacheLevelError, MissingExtraError
from sergas.optimizations.cache_manager._coherence import Message
from sergas.optimizations.cache_manager._level import Claim

__all__ = [
    "claim_pairs",
    "client",
    "database",
    "matching",
    "redis_library",
    "scan_pattern",
    "translated",
    "waited_for",
]

_SPECIAL = re.compile(r"[*?\[]")


def redis_library() -> Any:
    """redis-py.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import redis
        import redis.asyncio
    except ImportError as error:
        raise MissingExtraError(
            "ValkeyLevel: redis-py is not installed; pip install 'groundspeed[redis]'"
        ) from error
    return redis


def client(kind: Any, url: str, *, timeout_s: float, connections_max: int) -> Any:
    """A client of the given class, which tries again once where a kept connection has died."""
    redis = redis_library()
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    retry = AsyncRetry if kind is redis.asyncio.Redis else Retry
    return kind.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=connections_max,
        retry=retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


@contextmanager
def translated(namespace: str) -> Iterator[None]:
    """redis-py's errors as the level's own.

    Raises:
        CacheLevelError: In their place.
    """
    redis = redis_library()
    try:
        yield
    except (redis.RedisError, OSError, UnicodeError, ValueError, IndexError, TypeError) as error:
        # The last three are what redis-py makes of an answer that is none.
        raise CacheLevelError(
            f"ValkeyLevel({namespace!r}): {type(error).__name__}: {error}"
        ) from error


def database(url: str) -> str:
    """The number of the database that a URL names."""
    parts = urlsplit(url)
    chosen = parse_qs(parts.query).get("db")
    if chosen:
        return chosen[0]
    number = parts.path.strip("/")
    return number if parts.scheme != "unix" and number.isdigit() else "0"


def scan_pattern(start: str, pattern: str) -> str:
    """The server's pattern for names that may fit: it has other signs, so only the plain start."""
    special = _SPECIAL.search(pattern)
    plain = pattern if special is None else pattern[: special.start()]
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", start + plain) + "*"


def matching(names: Sequence[bytes], start: str, is_match: Callable[[str], bool]) -> list[str]:
    """The keys that fit among the names that a scan gave."""
    keys = [name.decode(errors="surrogateescape")[len(start) :] for name in names]
    return [key for key in keys if is_match(key)]


def waited_for(members: Mapping[str, str], message: Message) -> dict[str, str]:
    """The members that have to acknowledge a message."""
    return {name: number for name, number in members.items() if name != message.sender}


def claim_pairs(claims: Sequence[Claim]) -> list[str]:
    """The keys and tokens of claims, in turn."""
    return [part for claim in claims for part in (claim.key, str(claim.token))]
