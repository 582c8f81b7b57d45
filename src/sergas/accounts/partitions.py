"""Accounts over several stores, each account with all that belongs to it in one of them.

Which one is chosen by rendezvous hashing (Thaler and Ravishankar, IEEE/ACM Transactions on
Networking 6(1), 1998): every store draws a number for the key, the highest has it. A store that is
added takes its share from all of them, and nothing moves between the others.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Self, TypeVar

from sergas.accounts._sql_store import SqlStore, new_account_id
from sergas.accounts.model import (
    Account,
    AccountBrief,
    AccountChange,
    AccountContext,
    AccountFilter,
    AccountPage,
    AccountPatch,
    AccountSort,
    AccountStatus,
    Activity,
    ActivityPage,
    AtRisk,
    DealTotals,
    IndustrySummary,
    NewAccount,
    NewActivity,
    SearchHit,
    StageSummary,
    UsageRollup,
    WinRate,
)
from sergas.errors import AccountValueError
from sergas.optimizations.connection_pool import PoolStats
from sergas.optimizations.parallel_processor import ParallelProcessor

__all__ = ["PartitionedStore", "moved_share", "partition_of"]

T = TypeVar("T")
_ALL = AccountFilter()


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, 0 to `partitions` - 1; the same in every process.

    Raises:
        AccountValueError: If there is no partition.
    """
    if partitions < 1:
        raise AccountValueError(f"partition_of: got {partitions} partitions, needed 1 or more")
    data = key.encode()
    return max(
        range(partitions),
        key=lambda part: blake2b(data, digest_size=8, salt=part.to_bytes(4, "big")).digest(),
    )


def moved_share(keys: Iterable[str], *, before: int, after: int) -> float:
    """The share of keys, 0 to 1, whose partition is another one when there are `after` of them.

    Raises:
        AccountValueError: If there is no key or no partition.
    """
    moved = [partition_of(key, before) != partition_of(key, after) for key in keys]
    if not moved:
        raise AccountValueError("moved_share: got no keys, needed at least one")
    return sum(moved) / len(moved)


class PartitionedStore:
    """An `AccountStore` over several; what concerns all of them is asked of all at the same time.

    Writes to several accounts are all or none within each store, not over all of them, so
    `write_many` takes only accounts of one store; new ones may go anywhere.

    Args:
        stores: Of one kind, with one `secret`; closed with this one.
        new_id: Makes the ids of new accounts.

    Raises:
        AccountValueError: If there is none.
    """

    def __init__(
        self, stores: Sequence[SqlStore], *, new_id: Callable[[], str] = new_account_id
    ) -> None:
        if not stores:
            raise AccountValueError("PartitionedStore: got no stores, needed at least one")
        self.stores = tuple(stores)
        self._new_id = new_id
        self._processor = ParallelProcessor(len(stores), backend="thread")

    @property
    def engine(self) -> str:
        """See `AccountStore`."""
        return f"{self.stores[0].engine} in {len(self.stores)} partitions"

    def store_of(self, account_id: str) -> SqlStore:
        """The store that has an account."""
        return self.stores[partition_of(account_id, len(self.stores))]

    def close(self) -> None:
        """See `AccountStore`."""
        with ExitStack() as closing:
            for store in self.stores:
                closing.callback(store.close)
            self._processor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def migrate(self) -> int:
        """See `AccountStore`."""
        return sum(store.migrate() for store in self.stores)

    def check(self) -> None:
        """See `AccountStore`."""
        for store in self.stores:
            store.check()

    def get(self, account_id: str) -> Account | None:
        """See `AccountStore`."""
        return self.store_of(account_id).get(account_id)

    def get_many(self, account_ids: Sequence[str]) -> dict[str, Account]:
        """See `AccountStore`."""
        shares: dict[int, list[str]] = {}
        for account_id in account_ids:
            shares.setdefault(partition_of(account_id, len(self.stores)), []).append(account_id)
        parts = self._processor.map(
            lambda share: self.stores[share[0]].get_many(share[1]), shares.items()
        )
        return {account_id: account for part in parts for account_id, account in part.items()}

    def page(
        self,
        where: AccountFilter = _ALL,
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
        number: int = 1,
    ) -> AccountPage:
        """See `AccountStore`; every store is asked for all rows up to the page."""
        if limit < 1 or number < 1:
            return self.stores[0].page(where, limit=limit, number=number)  # says what is wrong
        start = (number - 1) * limit
        totals = self._all(lambda store: store.page(where, limit=1).total or 0)
        total = sum(totals)
        if start >= total:
            return AccountPage(accounts=[], total=total)
        pages = self._all(
            lambda store: (
                store.page(
                    where, sort=sort, is_descending=is_descending, limit=start + limit
                ).accounts
            )
        )
        merged = _merged(pages, partial(_sort_key, sort), is_descending=is_descending)
        return AccountPage(accounts=merged[start : start + limit], total=total)

    def page_after(
        self,
        where: AccountFilter = _ALL,
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
        token: str | None = None,
    ) -> AccountPage:
        """See `AccountStore`; a token is the same for every store, since it holds keys only."""
        order: dict[str, Any] = {"sort": sort, "is_descending": is_descending, "limit": limit}
        pages = self._all(lambda store: store.page_after(where, token=token, **order))
        merged = _merged(
            [page.accounts for page in pages],
            partial(_sort_key, sort),
            is_descending=is_descending,
        )
        shown = merged[:limit]
        has_more = len(merged) > limit or any(page.next for page in pages)
        following = self.stores[0].token_after(shown[-1], where, **order) if has_more else None
        return AccountPage(accounts=shown, next=following)

    def portfolio(self, owner_id: str, status: AccountStatus | None = None) -> list[Account]:
        """See `AccountStore`."""
        parts = self._all(lambda store: store.portfolio(owner_id, status))
        return _merged(parts, partial(_sort_key, "name"))

    def deal_totals(self, limit: int = 50) -> list[DealTotals]:
        """See `AccountStore`."""
        parts = self._all(lambda store: store.deal_totals(limit))
        return _merged(parts, lambda row: (-row.amount, row.account_id))[:limit]

    def industries(self) -> list[IndustrySummary]:
        """See `AccountStore`."""
        sums: dict[str, tuple[int, float]] = {}
        for row in _flat(self._all(lambda store: store.industries())):
            count, revenue = sums.get(row.industry, (0, 0.0))
            sums[row.industry] = (
                count + row.accounts,
                revenue + row.accounts * row.annual_revenue_mean,
            )
        return [
            IndustrySummary(industry=name, accounts=count, annual_revenue_mean=revenue / count)
            for name, (count, revenue) in sorted(sums.items())
        ]

    def pipeline(self) -> list[StageSummary]:
        """See `AccountStore`."""
        sums: dict[Any, tuple[int, int, float]] = {}
        for row in _flat(self._all(lambda store: store.pipeline())):
            deals, amount, weighted = sums.get(row.stage, (0, 0, 0.0))
            sums[row.stage] = (
                deals + row.deals,
                amount + row.amount,
                weighted + row.amount_weighted,
            )
        return [
            StageSummary(stage=stage, deals=deals, amount=amount, amount_weighted=weighted)
            for stage, (deals, amount, weighted) in sorted(sums.items())
        ]

    def win_rates(self) -> list[WinRate]:
        """See `AccountStore`."""
        sums: dict[str, tuple[int, int, float]] = {}
        for row in _flat(self._all(lambda store: store.win_rates())):
            won, lost, days = sums.get(row.owner_id, (0, 0, 0.0))
            sums[row.owner_id] = (
                won + row.won,
                lost + row.lost,
                days + row.won * (row.days_to_win or 0.0),
            )
        return [
            WinRate(
                owner_id=owner_id,
                won=won,
                lost=lost,
                share=won / (won + lost),
                days_to_win=days / won if won else None,
            )
            for owner_id, (won, lost, days) in sorted(sums.items())
        ]

    def at_risk(
        self, as_of: datetime, *, quiet_days: int = 60, churn_min: int = 70, limit: int = 100
    ) -> list[AtRisk]:
        """See `AccountStore`."""
        parts = self._all(
            lambda store: store.at_risk(
                as_of, quiet_days=quiet_days, churn_min=churn_min, limit=limit
            )
        )
        return _merged(parts, lambda row: (-row.churn_risk, row.account_id))[:limit]

    def brief(self, account_id: str, *, activities: int = 20) -> AccountBrief | None:
        """See `AccountStore`."""
        return self.store_of(account_id).brief(account_id, activities=activities)

    def usage(self, account_id: str, as_of: datetime, *, days: int = 30) -> UsageRollup:
        """See `AccountStore`."""
        return self.store_of(account_id).usage(account_id, as_of, days=days)

    def stale(self, limit: int = 100) -> list[Account]:
        """See `AccountStore`."""
        parts = self._all(lambda store: store.stale(limit))
        return _merged(parts, partial(_sort_key, "updated_at"))[:limit]

    def activities(
        self, account_id: str, *, limit: int = 50, token: str | None = None
    ) -> ActivityPage:
        """See `AccountStore`."""
        return self.store_of(account_id).activities(account_id, limit=limit, token=token)

    def context(self, account_id: str, as_of: datetime) -> AccountContext | None:
        """See `AccountStore`."""
        return self.store_of(account_id).context(account_id, as_of)

    def search(
        self, text: str, *, account_id: str | None = None, limit: int = 20
    ) -> list[SearchHit]:
        """See `AccountStore`."""
        if account_id is not None:
            return self.store_of(account_id).search(text, account_id=account_id, limit=limit)
        parts = self._all(lambda store: store.search(text, limit=limit))
        return _merged(
            parts, lambda hit: (hit.activity.created_at, hit.activity.id), is_descending=True
        )[:limit]

    def create(self, new: NewAccount, *, actor: str) -> Account:
        """See `AccountStore`."""
        account_id = self._new_id()
        return self.store_of(account_id).create(new, actor=actor, account_id=account_id)

    def update(self, account_id: str, patch: AccountPatch, *, actor: str) -> Account:
        """See `AccountStore`."""
        return self.store_of(account_id).update(account_id, patch, actor=actor)

    def write_many(
        self, new: Sequence[NewAccount], changes: Sequence[AccountChange], *, actor: str
    ) -> list[Account]:
        """See `AccountStore`.

        Raises:
            AccountValueError: If the accounts to change are not all in one store: nothing could
                make the write all or none.
        """
        owners = {partition_of(change.id, len(self.stores)) for change in changes}
        if len(owners) > 1:
            raise AccountValueError(
                f"accounts: one write has to be in one partition, got accounts of {len(owners)}; "
                "write each partition's by itself"
            )
        place = owners.pop() if owners else partition_of(self._new_id(), len(self.stores))
        ids = [self._id_in(place) for _ in new]
        return self.stores[place].write_many(new, changes, actor=actor, account_ids=ids)

    def add_activity(self, account_id: str, new: NewActivity) -> Activity:
        """See `AccountStore`."""
        return self.store_of(account_id).add_activity(account_id, new)

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """See `AccountStore`; owners go to every store."""
        if table == "owners":
            return max(self._all_rows(table, columns, [list(rows)] * len(self.stores)))
        key = columns.index("id" if table == "accounts" else "account_id")
        shares: list[list[Sequence[Any]]] = [[] for _ in self.stores]
        for row in rows:
            shares[partition_of(row[key], len(self.stores))].append(row)
        return sum(self._all_rows(table, columns, shares))

    def optimize(self) -> None:
        """See `AccountStore`."""
        self._all(lambda store: store.optimize())

    def counts(self) -> dict[str, int]:
        """See `AccountStore`."""
        parts = self._all(lambda store: store.counts())
        summed = {table: sum(part[table] for part in parts) for table in parts[0]}
        return summed | {"owners": parts[0]["owners"]}

    def size_bytes(self) -> int:
        """See `AccountStore`."""
        return sum(store.size_bytes() for store in self.stores)

    def pool_stats(self) -> dict[str, PoolStats]:
        """See `AccountStore`."""
        return {
            f"{number}-{name}": stats
            for number, store in enumerate(self.stores)
            for name, stats in store.pool_stats().items()
        }

    def _all(self, ask: Callable[[SqlStore], T]) -> list[T]:
        """What each store answers."""
        return list(self._processor.map(ask, self.stores))

    def _all_rows(
        self, table: str, columns: Sequence[str], shares: Sequence[Sequence[Sequence[Any]]]
    ) -> list[int]:
        pairs = zip(self.stores, shares, strict=True)
        return list(self._processor.map(lambda pair: pair[0].fill(table, columns, pair[1]), pairs))

    def _id_in(self, place: int) -> str:
        """An id that belongs to a partition; one in as many fits."""
        while partition_of(account_id := self._new_id(), len(self.stores)) != place:
            pass
        return account_id


def _sort_key(sort: AccountSort, account: Account) -> tuple[Any, str]:
    return getattr(account, sort), account.id


def _merged(
    parts: Iterable[Sequence[T]], key: Callable[[T], Any], *, is_descending: bool = False
) -> list[T]:
    """Sorted parts as one."""
    return list(heapq.merge(*parts, key=key, reverse=is_descending))


def _flat(parts: Iterable[Iterable[T]]) -> Iterable[T]:
    return (row for part in parts for row in part)
