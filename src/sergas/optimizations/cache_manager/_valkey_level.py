"""A second level in a Valkey or Redis server, shared by processes on any machine.

Times are the server's: it lets values expire, and a reader is told how long one has left, so the
clocks of the processes need not agree. Scripts run on the server make each step atomic
(`_valkey_scripts`), with names that are made there: a cluster needs one name space per hash tag,
such as `{cache}`, which puts it on one shard.

With a listener (a `CacheManager` attaches itself) the level also takes part in keeping level 1
coherent (`_coherence`): changes return when every other process has dropped its copy.

Why not server-assisted client-side caching (RESP3 `CLIENT TRACKING`): the server sends its messages
without waiting for anybody, so that a reader can be behind a removal that has returned, and it
sends one's own writes back. What another program writes to these names unasked is not noticed; it
may publish what it changed, or leave the name space alone.
"""

import asyncio
import itertools
import os
import secrets
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from sergas.errors import CacheValueError
from sergas.optimizations.cache_manager import _valkey_scripts as scripts
from sergas.optimizations.cache_manager._coherence import Message, write_message
from sergas.optimizations.cache_manager._level import (
    Answer,
    Claim,
    LevelListener,
    StoredValue,
    key_matcher,
)
from sergas.optimizations.cache_manager._valkey_client import (
    claim_pairs,
    client,
    database,
    matching,
    redis_library,
    scan_pattern,
    translated,
    waited_for,
)
from sergas.optimizations.cache_manager._valkey_member import Membership, ack_key

__all__ = ["AsyncValkeyLevel", "ValkeyLevel"]

_SCAN_COUNT = 1000
_START_S = 1.0


class ValkeyLevel:
    """A `CacheLevel` in Valkey or Redis 6.2 or newer.

    Args:
        url: Such as `redis://host:6379/0`, `rediss://...` or `unix:///path`; whoever can write
            there decides what is served.
        namespace: What all names begin with, without `:` at its end; one for each kind of cache.
        timeout_s: How long a call may take, and connecting, > 0 seconds; then the level has failed.
        lease_s: How long a process that does not answer can hold up a change, > 0 seconds; see
            `_coherence`. Level 1 is not served for longer than that while the server is away.
        connections_max: Most connections of this process, >= 1.

    Attributes:
        namespace: As given.
        channel: What changes are published on; the server's databases share channels, so its name
            has the number of the database.
        lease_s: As given.
        timeout_s: As given.
        connections_max: As given.
        url: As given.

    Raises:
        CacheValueError: If a number or the name is out of its range.
        MissingExtraError: If redis-py is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str = "sergas",
        timeout_s: float = 0.5,
        lease_s: float = 1.0,
        connections_max: int = 64,
    ) -> None:
        if not (timeout_s > 0 and lease_s > 0 and connections_max >= 1 and namespace):
            raise CacheValueError(
                f"ValkeyLevel: got namespace={namespace!r}, timeout_s={timeout_s},"
                f" lease_s={lease_s}, connections_max={connections_max}; needed a name, more than"
                f" 0 seconds each and 1 connection or more"
            )
        self.url = url
        self.namespace = namespace
        self.timeout_s = timeout_s
        self.lease_s = lease_s
        self.connections_max = connections_max
        self.channel = f"{namespace}:c:{database(url)}"
        self._name = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._member: Membership | None = None
        self._client: Any = client(
            redis_library().Redis, url, timeout_s=timeout_s, connections_max=connections_max
        )
        self._twins: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncValkeyLevel] = (
            weakref.WeakKeyDictionary()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def aio(self) -> "AsyncValkeyLevel":
        """The same level for tasks of the running loop, with connections of its own there."""
        loop = asyncio.get_running_loop()
        twin = self._twins.get(loop)
        if twin is None:
            twin = self._twins[loop] = AsyncValkeyLevel(self)
        return twin

    def close(self) -> None:
        """Listen no more and close the connections of threads. Closing twice does nothing."""
        if self._member is not None:
            self._member.stop()
        self._client.close()

    async def aclose(self) -> None:
        """Close the connections of the running loop; to be called in each loop that used them."""
        twin = self._twins.pop(asyncio.get_running_loop(), None)
        if twin is not None:
            await twin.close()

    def attach(self, listener: LevelListener) -> Callable[[], bool]:
        """Tell `listener` of changes by others; begins to listen on a thread.

        If the server cannot be reached, level 1 is not to be served from until it can.

        Raises:
            CacheValueError: If there is a listener already.
        """
        if self._member is not None:
            raise CacheValueError(
                f"ValkeyLevel({self.namespace!r}): a cache uses it already; give each cache a"
                f" ValkeyLevel of its own"
            )
        self._member = Membership(
            self._client,
            self.run,
            namespace=self.namespace,
            channel=self.channel,
            listener=listener,
            lease_s=self.lease_s,
        )
        self._member.start(min(_START_S, self.timeout_s))
        return self._member.guard()

    def read(self, keys: Sequence[str]) -> dict[str, StoredValue]:
        """The values of those keys that have one, fresh or stale."""
        return scripts.read_values(keys, self.run(scripts.READ, *keys))

    def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> dict[str, Answer]:
        """The values, and claims of those keys that have no fresh one."""
        arguments = scripts.claim_arguments(keys, tags, lease_s, early_s)
        return scripts.claimed(keys, tags, self.run(scripts.CLAIM, *arguments))

    def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> list[bool]:
        """Store what was loaded under each claim that still holds; which did."""
        arguments = [part for item in items for part in scripts.fulfil_arguments(*item)]
        return [held == 1 for held in self.run(scripts.FULFIL, *arguments)]

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims up."""
        self.run(scripts.RELEASE, *claim_pairs(claims))

    def write(self, items: Mapping[str, StoredValue]) -> None:
        """Store values, replacing what is there and ending claims."""
        arguments = [part for item in items.items() for part in scripts.item_arguments(*item)]
        self._change(scripts.WRITE, self.message("keys", *items), *arguments)

    def remove(self, keys: Sequence[str]) -> int:
        """Remove keys and end their claims; how many had a fresh value."""
        return self._change(scripts.REMOVE, self.message("keys", *keys), *keys)

    def remove_matching(self, pattern: str) -> int:
        """Remove the keys that `key_matcher(pattern)` accepts; how many had a fresh value."""
        self.run(scripts.NEW_EPOCH)
        is_match = key_matcher(pattern)
        start = f"{self.namespace}:v:"
        count = 0
        # Loads that began before store nothing any more, so one pass over the names is enough.
        cursor = 0
        while True:
            cursor, names = self.call(
                "SCAN", cursor, "MATCH", scan_pattern(start, pattern), "COUNT", _SCAN_COUNT
            )
            keys = matching(names, start, is_match)
            if keys:
                count += self.run(scripts.UNTOLD, *keys)
            if int(cursor) == 0:
                break
        self._change(scripts.TELL, self.message("pattern", pattern))
        return count

    def invalidate_tag(self, tag: str) -> None:
        """Let everything that has this tag be over."""
        self._change(scripts.TAG, self.message("tag", tag), tag)

    def clear(self) -> None:
        """Remove every key."""
        self.remove_matching("*")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script of this name space returns.

        Raises:
            CacheLevelError: If the server fails or does not answer in time.
        """
        prepared = self._client.register_script(script)
        with translated(self.namespace):
            return prepared(args=[self.namespace, *arguments])

    def call(self, *command: Any) -> Any:
        """What a command returns; fails as `run` does."""
        with translated(self.namespace):
            return self._client.execute_command(*command)

    def message(self, kind: str, *what: str) -> Message:
        """A message that this level is about to send."""
        return Message(kind, self.sender, next(self._numbers), what)

    @property
    def sender(self) -> str:
        """Who sends: the member if there is one, so that it knows its own."""
        if self._member is not None:
            return self._member.name
        return f"{self._name}.{os.getpid()}"  # a forked child counts by itself

    def _change(self, script: str, message: Message, *arguments: Any) -> int:
        with translated(self.namespace):
            data = write_message(message)
        count, members = scripts.told(self.run(script, self.channel, data, *arguments))
        waiting = waited_for(members, message)
        deadline_s = time.monotonic() + self.lease_s
        while waiting and (left_s := deadline_s - time.monotonic()) > 0:
            answer = self.call("BLPOP", *self.patience(message, left_s))
            if answer is not None:
                waiting.pop(answer[1].decode(), None)
        if waiting:
            self.run(scripts.EVICT, *itertools.chain(*waiting.items()))
        return count

    def patience(self, message: Message, left_s: float) -> tuple[str, float]:
        """Where the answers to a message arrive and how long one call may wait there."""
        key = ack_key(self.namespace, message.sender, message.number)
        return key, max(0.001, min(left_s, self.timeout_s / 2))


class AsyncValkeyLevel:
    """`ValkeyLevel` for the tasks of one loop."""

    def __init__(self, level: ValkeyLevel) -> None:
        self._level = level
        self._client: Any = client(
            redis_library().asyncio.Redis,
            level.url,
            timeout_s=level.timeout_s,
            connections_max=level.connections_max,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def read(self, keys: Sequence[str]) -> dict[str, StoredValue]:
        """As `CacheLevel.read`."""
        return scripts.read_values(keys, await self._run(scripts.READ, *keys))

    async def claim(
        self, keys: Sequence[str], *, tags: Sequence[str], lease_s: float, early_s: float = 0.0
    ) -> dict[str, Answer]:
        """As `CacheLevel.claim`."""
        arguments = scripts.claim_arguments(keys, tags, lease_s, early_s)
        return scripts.claimed(keys, tags, await self._run(scripts.CLAIM, *arguments))

    async def fulfil(self, items: Sequence[tuple[Claim, StoredValue]]) -> list[bool]:
        """As `CacheLevel.fulfil`."""
        arguments = [part for item in items for part in scripts.fulfil_arguments(*item)]
        return [held == 1 for held in await self._run(scripts.FULFIL, *arguments)]

    async def release(self, claims: Sequence[Claim]) -> None:
        """As `CacheLevel.release`."""
        await self._run(scripts.RELEASE, *claim_pairs(claims))

    async def write(self, items: Mapping[str, StoredValue]) -> None:
        """As `CacheLevel.write`."""
        arguments = [part for item in items.items() for part in scripts.item_arguments(*item)]
        await self._change(scripts.WRITE, self._level.message("keys", *items), *arguments)

    async def remove(self, keys: Sequence[str]) -> int:
        """As `CacheLevel.remove`."""
        return await self._change(scripts.REMOVE, self._level.message("keys", *keys), *keys)

    async def remove_matching(self, pattern: str) -> int:
        """As `CacheLevel.remove_matching`."""
        await self._run(scripts.NEW_EPOCH)
        is_match = key_matcher(pattern)
        start = f"{self._level.namespace}:v:"
        count = 0
        cursor = 0
        while True:
            cursor, names = await self._call(
                "SCAN", cursor, "MATCH", scan_pattern(start, pattern), "COUNT", _SCAN_COUNT
            )
            keys = matching(names, start, is_match)
            if keys:
                count += await self._run(scripts.UNTOLD, *keys)
            if int(cursor) == 0:
                break
        await self._change(scripts.TELL, self._level.message("pattern", pattern))
        return count

    async def invalidate_tag(self, tag: str) -> None:
        """As `CacheLevel.invalidate_tag`."""
        await self._change(scripts.TAG, self._level.message("tag", tag), tag)

    async def clear(self) -> None:
        """As `CacheLevel.clear`."""
        await self.remove_matching("*")

    async def _run(self, script: str, *arguments: Any) -> Any:
        prepared = self._client.register_script(script)
        with translated(self._level.namespace):
            return await prepared(args=[self._level.namespace, *arguments])

    async def _call(self, *command: Any) -> Any:
        with translated(self._level.namespace):
            return await self._client.execute_command(*command)

    async def _change(self, script: str, message: Message, *arguments: Any) -> int:
        with translated(self._level.namespace):
            data = write_message(message)
        reply = await self._run(script, self._level.channel, data, *arguments)
        count, members = scripts.told(reply)
        waiting = waited_for(members, message)
        deadline_s = time.monotonic() + self._level.lease_s
        while waiting and (left_s := deadline_s - time.monotonic()) > 0:
            answer = await self._call("BLPOP", *self._level.patience(message, left_s))
            if answer is not None:
                waiting.pop(answer[1].decode(), None)
        if waiting:
            await self._run(scripts.EVICT, *itertools.chain(*waiting.items()))
        return count
