"""The account service for an event loop: a store behind threads, and a cache before it.

What is asked most, one account and its brief, is cached as the JSON that clients get, so that a hit
costs neither a thread nor a query nor an encoding. Every write drops what it has changed before it
returns; a load that was under way meanwhile is not kept.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, ParamSpec, TypeVar

import msgspec

from sergas.accounts.model import (
    Account,
    AccountChange,
    AccountContext,
    AccountFilter,
    AccountPage,
    AccountPatch,
    AccountSort,
    Activity,
    ActivityPage,
    IndustrySummary,
    NewAccount,
    NewActivity,
    SearchHit,
    StageSummary,
    WinRate,
)
from sergas.accounts.store import AccountStore
from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager import CacheManager, EntryOptions

__all__ = ["AccountService"]

P = ParamSpec("P")
T = TypeVar("T")

LOG = logging.getLogger("sergas.accounts")

# An account that is asked for and is not there is remembered for a short while, so that guessing
# ids does not reach the database each time.
_ACCOUNT = EntryOptions(ttl_s=300.0, jitter=0.1, negative_ttl_s=5.0)
_SUMMARY = EntryOptions(ttl_s=30.0, stale_ttl_s=30.0)


class AccountService:
    """Accounts for one event loop.

    Args:
        store: Where they are; its owner closes it.
        cache: What stands before it, None for nothing; its owner closes it.
        threads: Most queries at the same time, >= 1.
    """

    def __init__(
        self, store: AccountStore, *, cache: CacheManager | None = None, threads: int = 8
    ) -> None:
        self.store = store
        self.cache = cache
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="accounts")

    def close(self) -> None:
        """Wait for the queries that are under way, and end the threads."""
        self._threads.shutdown()

    async def account_json(self, account_id: str) -> bytes | None:
        """An account as JSON, None if there is none."""
        return await self._cached(
            f"account:{account_id}", partial(_account_json, self.store, account_id), _ACCOUNT
        )

    async def brief_json(self, account_id: str) -> bytes | None:
        """The brief of an account as JSON, None if there is none."""
        return await self._cached(
            f"brief:{account_id}", partial(_brief_json, self.store, account_id), _ACCOUNT
        )

    async def context(self, account_id: str, as_of: datetime) -> AccountContext | None:
        """See `AccountStore`."""
        return await self._run(self.store.context, account_id, as_of)

    async def get_many(self, account_ids: Sequence[str]) -> dict[str, Account]:
        """See `AccountStore`."""
        return await self._run(self.store.get_many, account_ids)

    async def page(
        self,
        where: AccountFilter,
        *,
        sort: AccountSort,
        is_descending: bool,
        limit: int,
        number: int,
    ) -> AccountPage:
        """See `AccountStore`."""
        return await self._run(
            self.store.page,
            where,
            sort=sort,
            is_descending=is_descending,
            limit=limit,
            number=number,
        )

    async def page_after(
        self,
        where: AccountFilter,
        *,
        sort: AccountSort,
        is_descending: bool,
        limit: int,
        token: str | None,
    ) -> AccountPage:
        """See `AccountStore`."""
        return await self._run(
            self.store.page_after,
            where,
            sort=sort,
            is_descending=is_descending,
            limit=limit,
            token=token,
        )

    async def activities(self, account_id: str, *, limit: int, token: str | None) -> ActivityPage:
        """See `AccountStore`."""
        return await self._run(self.store.activities, account_id, limit=limit, token=token)

    async def search(self, text: str, *, account_id: str | None, limit: int) -> list[SearchHit]:
        """See `AccountStore`."""
        return await self._run(self.store.search, text, account_id=account_id, limit=limit)

    async def pipeline(self) -> list[StageSummary]:
        """See `AccountStore`; up to half a minute old."""
        return await self._summary("pipeline", self.store.pipeline, list[StageSummary])

    async def industries(self) -> list[IndustrySummary]:
        """See `AccountStore`; up to half a minute old."""
        return await self._summary("industries", self.store.industries, list[IndustrySummary])

    async def win_rates(self) -> list[WinRate]:
        """See `AccountStore`; up to half a minute old."""
        return await self._summary("win_rates", self.store.win_rates, list[WinRate])

    async def create(self, new: NewAccount, *, actor: str) -> Account:
        """See `AccountStore`."""
        return await self._run(self.store.create, new, actor=actor)

    async def update(self, account_id: str, patch: AccountPatch, *, actor: str) -> Account:
        """See `AccountStore`."""
        try:
            return await self._run(self.store.update, account_id, patch, actor=actor)
        finally:
            await self._forget([account_id])

    async def write_many(
        self, new: Sequence[NewAccount], changes: Sequence[AccountChange], *, actor: str
    ) -> list[Account]:
        """See `AccountStore`."""
        try:
            return await self._run(self.store.write_many, new, changes, actor=actor)
        finally:
            await self._forget([change.id for change in changes])

    async def add_activity(self, account_id: str, new: NewActivity) -> Activity:
        """See `AccountStore`."""
        try:
            return await self._run(self.store.add_activity, account_id, new)
        finally:
            await self._forget([account_id])

    async def check(self) -> None:
        """See `AccountStore`."""
        await self._run(self.store.check)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread.

        A caller that goes away does not stop a query half way; what it wrote is written.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(call, *args, **kwargs))

    async def _cached(
        self, key: str, load: Callable[[], bytes | None], options: EntryOptions
    ) -> bytes | None:
        if self.cache is None:
            return await self._run(load)
        return await self.cache.aget_or_load(key, partial(self._run, load), options=options)

    async def _summary(self, name: str, load: Callable[[], T], kind: type[T]) -> T:
        found = await self._cached(f"summary:{name}", lambda: msgspec.json.encode(load()), _SUMMARY)
        return msgspec.json.decode(found or b"[]", type=kind)

    async def _forget(self, account_ids: Sequence[str]) -> None:
        """Drop what is cached of accounts, whether or not the write is known to have happened."""
        if self.cache is None or not account_ids:
            return
        keys = [f"{kind}:{one}" for one in account_ids for kind in ("account", "brief")]
        try:
            await self.cache.adelete_many(keys)
        except CacheLevelError as error:
            # The cache owes the removal to its second level and makes up for it before it is read.
            LOG.warning("cache: a removal is owed: %s", error)


def _account_json(store: AccountStore, account_id: str) -> bytes | None:
    account: Any = store.get(account_id)
    return None if account is None else msgspec.json.encode(account)


def _brief_json(store: AccountStore, account_id: str) -> bytes | None:
    brief: Any = store.brief(account_id)
    return None if brief is None else msgspec.json.encode(brief)
