"""What the stores on one database have in common: which statement runs on what connection."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from secrets import token_bytes, token_hex
from typing import Any, Protocol, Self

from sergas.accounts import _reads, _search, _writes
from sergas.accounts._dialect import Dialect
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
from sergas.clock import SystemClock, WallClock
from sergas.errors import AccountValueError
from sergas.optimizations.connection_pool import PoolStats
from sergas.optimizations.query_optimizer import insert_many

__all__ = ["Database", "SqlStore", "new_account_id"]

_ALL = AccountFilter()
_AUDIT_SHOWN = 20
_TABLES = ("owners", "accounts", "deals", "activities", "recommendations", "audit")


def new_account_id() -> str:
    """An id that nobody else has."""
    return f"acc_{token_hex(10)}"


class Database(Protocol):
    """The connections and tables of one database; methods as in `SqlStore`."""

    @property
    def dialect(self) -> Dialect: ...

    @property
    def engine(self) -> str: ...

    def reading(self) -> AbstractContextManager[Any]: ...

    def writing(self) -> AbstractContextManager[Any]: ...

    def migrate(self) -> int: ...

    def check(self) -> None: ...

    def close(self) -> None: ...

    def size_bytes(self) -> int: ...

    def pool_stats(self) -> dict[str, PoolStats]: ...


class SqlStore:
    """An `AccountStore` on one database.

    Args:
        database: Whose tables; closed with the store.
        secret: What seals page tokens; processes that serve the same clients need the same one.
        clock: The time that is written into rows.
        new_id: Makes the ids of new accounts.
    """

    def __init__(
        self,
        database: Database,
        *,
        secret: bytes | None = None,
        clock: WallClock | None = None,
        new_id: Callable[[], str] = new_account_id,
    ) -> None:
        self._database = database
        self.dialect = database.dialect
        self._secret = secret or token_bytes(32)
        self._clock = clock or SystemClock()
        self._new_id = new_id

    @property
    def engine(self) -> str:
        """See `AccountStore`."""
        return self._database.engine

    def reading(self) -> AbstractContextManager[Any]:
        """A connection to read with; each statement sees the rows as they are then."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[Any]:
        """A connection inside a transaction, which ends with the block: all of it or nothing."""
        return self._database.writing()

    def migrate(self) -> int:
        """See `AccountStore`."""
        return self._database.migrate()

    def check(self) -> None:
        """See `AccountStore`."""
        self._database.check()

    def close(self) -> None:
        """See `AccountStore`."""
        self._database.close()

    def size_bytes(self) -> int:
        """See `AccountStore`."""
        return self._database.size_bytes()

    def pool_stats(self) -> dict[str, PoolStats]:
        """See `AccountStore`."""
        return self._database.pool_stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def now(self) -> datetime:
        """The time that a row written now gets."""
        return datetime.fromtimestamp(self._clock.unix_s(), UTC)

    def get(self, account_id: str) -> Account | None:
        """See `AccountStore`."""
        with self.reading() as connection:
            return _reads.get(connection, self.dialect, account_id)

    def get_many(self, account_ids: Sequence[str]) -> dict[str, Account]:
        """See `AccountStore`."""
        with self.reading() as connection:
            return _reads.get_many(connection, self.dialect, list(account_ids))

    def page(
        self,
        where: AccountFilter = _ALL,
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
        number: int = 1,
    ) -> AccountPage:
        """See `AccountStore`."""
        _check_count("limit", limit)
        _check_count("number", number)
        with self.reading() as connection:
            return _reads.page_number(
                connection,
                self.dialect,
                where,
                sort,
                is_descending=is_descending,
                limit=limit,
                number=number,
            )

    def page_after(
        self,
        where: AccountFilter = _ALL,
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
        token: str | None = None,
    ) -> AccountPage:
        """See `AccountStore`."""
        _check_count("limit", limit)
        keyset = _reads.account_keyset(
            self.dialect,
            where,
            sort,
            is_descending=is_descending,
            limit=limit,
            secret=self._secret,
        )
        with self.reading() as connection:
            return _reads.page_after(connection, self.dialect, keyset, where, token)

    def token_after(
        self,
        account: Account,
        where: AccountFilter = _ALL,
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
    ) -> str:
        """The token of the page that begins after an account, wherever that account is."""
        keyset = _reads.account_keyset(
            self.dialect,
            where,
            sort,
            is_descending=is_descending,
            limit=limit,
            secret=self._secret,
        )
        return keyset.token_after((_reads.sort_value(account, sort, self.dialect), account.id))

    def portfolio(self, owner_id: str, status: AccountStatus | None = None) -> list[Account]:
        """See `AccountStore`."""
        with self.reading() as connection:
            return _reads.portfolio(connection, self.dialect, owner_id, status)

    def deal_totals(self, limit: int = 50) -> list[DealTotals]:
        """See `AccountStore`."""
        _check_count("limit", limit)
        with self.reading() as connection:
            return _reads.deal_totals(connection, self.dialect, limit)

    def industries(self) -> list[IndustrySummary]:
        """See `AccountStore`."""
        with self.reading() as connection:
            return _reads.industries(connection, self.dialect)

    def pipeline(self) -> list[StageSummary]:
        """See `AccountStore`."""
        with self.reading() as connection:
            return _reads.pipeline(connection, self.dialect)

    def win_rates(self) -> list[WinRate]:
        """See `AccountStore`."""
        with self.reading() as connection:
            return _reads.win_rates(connection, self.dialect)

    def at_risk(
        self, as_of: datetime, *, quiet_days: int = 60, churn_min: int = 70, limit: int = 100
    ) -> list[AtRisk]:
        """See `AccountStore`."""
        _check_count("limit", limit)
        with self.reading() as connection:
            return _reads.at_risk(
                connection,
                self.dialect,
                as_of,
                quiet_days=quiet_days,
                churn_min=churn_min,
                limit=limit,
            )

    def brief(self, account_id: str, *, activities: int = 20) -> AccountBrief | None:
        """See `AccountStore`."""
        _check_count("activities", activities)
        with self.reading() as connection:
            return _reads.brief(connection, self.dialect, account_id, activities)

    def usage(self, account_id: str, as_of: datetime, *, days: int = 30) -> UsageRollup:
        """See `AccountStore`."""
        _check_count("days", days)
        with self.reading() as connection:
            return _reads.usage(connection, self.dialect, account_id, as_of, days)

    def stale(self, limit: int = 100) -> list[Account]:
        """See `AccountStore`."""
        _check_count("limit", limit)
        with self.reading() as connection:
            return _reads.stale(connection, self.dialect, limit)

    def activities(
        self, account_id: str, *, limit: int = 50, token: str | None = None
    ) -> ActivityPage:
        """See `AccountStore`."""
        _check_count("limit", limit)
        with self.reading() as connection:
            return _reads.activities_page(
                connection,
                self.dialect,
                account_id,
                limit=limit,
                token=token,
                secret=self._secret,
            )

    def context(self, account_id: str, as_of: datetime) -> AccountContext | None:
        """See `AccountStore`."""
        with self.reading() as connection:
            brief = _reads.brief(connection, self.dialect, account_id, 20)
            if brief is None:
                return None
            return AccountContext(
                brief=brief,
                usage=_reads.usage(connection, self.dialect, account_id, as_of, 30),
                recommendations=_reads.recommendations(connection, self.dialect, account_id),
                audit=_reads.audit_entries(connection, self.dialect, account_id, _AUDIT_SHOWN),
            )

    def search(
        self, text: str, *, account_id: str | None = None, limit: int = 20
    ) -> list[SearchHit]:
        """See `AccountStore`."""
        _check_count("limit", limit)
        with self.reading() as connection:
            return _search.search(connection, self.dialect, text, account_id, limit)

    def create(self, new: NewAccount, *, actor: str, account_id: str | None = None) -> Account:
        """See `AccountStore`; the id is made unless one is given."""
        account = _writes.created(new, account_id=account_id or self._new_id(), now=self.now())
        with self.writing() as connection:
            _writes.insert_account(connection, self.dialect, account, actor=actor)
        return account

    def update(self, account_id: str, patch: AccountPatch, *, actor: str) -> Account:
        """See `AccountStore`."""
        with self.writing() as connection:
            return _writes.update_account(
                connection, self.dialect, account_id, patch, actor=actor, now=self.now()
            )

    def write_many(
        self,
        new: Sequence[NewAccount],
        changes: Sequence[AccountChange],
        *,
        actor: str,
        account_ids: Sequence[str] | None = None,
    ) -> list[Account]:
        """See `AccountStore`; the ids of the new ones are made unless they are given."""
        now = self.now()
        ids = account_ids or [self._new_id() for _ in new]
        accounts = [
            _writes.created(each, account_id=account_id, now=now)
            for each, account_id in zip(new, ids, strict=True)
        ]
        with self.writing() as connection:
            return _writes.write_many(
                connection, self.dialect, accounts, changes, actor=actor, now=now
            )

    def add_activity(self, account_id: str, new: NewActivity) -> Activity:
        """See `AccountStore`."""
        now = self.now()
        with self.writing() as connection:
            while True:  # two of one millisecond may draw the same id
                activity = _writes.activity_from(
                    new, activity_id=_new_activity_id(now), account_id=account_id, now=now
                )
                if _writes.add_activity(connection, self.dialect, activity):
                    return activity

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """See `AccountStore`."""
        with self.writing() as connection:
            return insert_many(connection, table, columns, self.dialect.filled(columns, rows))

    def optimize(self) -> None:
        """See `AccountStore`."""
        with self.writing() as connection:
            connection.execute("ANALYZE")

    def counts(self) -> dict[str, int]:
        """See `AccountStore`."""
        with self.reading() as connection:
            return {
                table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 fixed words
                for table in _TABLES
            }


def _new_activity_id(now: datetime) -> int:
    """38 bits of milliseconds since 2020 and 15 drawn: it rises with time, and is seldom taken."""
    since = datetime(2020, 1, 1, tzinfo=UTC)
    milliseconds = int((now - since).total_seconds() * 1000) % 2**38
    return milliseconds << 15 | int.from_bytes(token_bytes(2)) >> 1


def _check_count(name: str, number: int) -> None:
    if number < 1:
        raise AccountValueError(f"store: got {name}={number}, needed 1 or more")
