"""What every store of accounts can do; the stores differ in where the rows are."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol, Self

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
from sergas.optimizations.connection_pool import PoolStats

__all__ = ["AccountStore"]


class AccountStore(Protocol):
    """Accounts, their deals and activities, for threads.

    Every method may raise `StoreUnavailableError` when the database cannot be reached or has no
    free connection in time, `StoreFullError` when its disk is full, and `StoreError` for whatever
    else it fails at; nothing of a call that raises is written.
    """

    @property
    def engine(self) -> str:
        """The database and its version, such as "SQLite 3.45.1"."""
        ...

    def migrate(self) -> int:
        """Make or renew the tables; returns how many steps were taken, 0 if none was needed.

        Any number of processes may call it at the same time; each step is taken once.

        Raises:
            SchemaVersionError: If the tables are newer than this program.
        """
        ...

    def check(self) -> None:
        """Ask the database for its schema's version.

        Raises:
            SchemaVersionError: If the tables are missing, older or newer than this program.
        """
        ...

    def close(self) -> None:
        """Close every connection."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_exc_info: object) -> None: ...

    def get(self, account_id: str) -> Account | None:
        """Q1: one account by its id, or None."""
        ...

    def get_many(self, account_ids: Sequence[str]) -> dict[str, Account]:
        """Q2: those of these accounts that there are, in one statement."""
        ...

    def page(
        self,
        where: AccountFilter = AccountFilter(),  # noqa: B008 frozen
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
        number: int = 1,
    ) -> AccountPage:
        """Q3: a page by its number (>= 1) of `limit` (>= 1) accounts, with the total."""
        ...

    def page_after(
        self,
        where: AccountFilter = AccountFilter(),  # noqa: B008 frozen
        *,
        sort: AccountSort = "name",
        is_descending: bool = False,
        limit: int = 20,
        token: str | None = None,
    ) -> AccountPage:
        """Q3 by key: the page after a token, the first one without.

        Raises:
            PageError: If the token is none of these pages'.
        """
        ...

    def portfolio(self, owner_id: str, status: AccountStatus | None = None) -> list[Account]:
        """Q4: what an owner looks after, by name."""
        ...

    def deal_totals(self, limit: int = 50) -> list[DealTotals]:
        """Q5: the accounts whose deals are worth most."""
        ...

    def industries(self) -> list[IndustrySummary]:
        """Q6: accounts and mean revenue of each industry, by name."""
        ...

    def pipeline(self) -> list[StageSummary]:
        """Q7: open deals by stage, weighted by probability."""
        ...

    def win_rates(self) -> list[WinRate]:
        """Q8: share of won deals and days to a win of each owner, by id."""
        ...

    def at_risk(
        self, as_of: datetime, *, quiet_days: int = 60, churn_min: int = 70, limit: int = 100
    ) -> list[AtRisk]:
        """Q9: accounts with open tickets and high churn risk that have been quiet."""
        ...

    def brief(self, account_id: str, *, activities: int = 20) -> AccountBrief | None:
        """Q10: an account, its last activities, open deals and open tickets, in one statement."""
        ...

    def usage(self, account_id: str, as_of: datetime, *, days: int = 30) -> UsageRollup:
        """Q11: product usage of the last days."""
        ...

    def stale(self, limit: int = 100) -> list[Account]:
        """Q12: accounts that changed since the outer system had them, longest first."""
        ...

    def activities(
        self, account_id: str, *, limit: int = 50, token: str | None = None
    ) -> ActivityPage:
        """Q13: activities of an account by key, newest first.

        Raises:
            PageError: If the token is none of these pages'.
        """
        ...

    def context(self, account_id: str, as_of: datetime) -> AccountContext | None:
        """The brief with usage, recommendations and the last changes."""
        ...

    def search(
        self, text: str, *, account_id: str | None = None, limit: int = 20
    ) -> list[SearchHit]:
        """Activities that have every word of `text`, newest first; none if it has no word."""
        ...

    def create(self, new: NewAccount, *, actor: str) -> Account:
        """Write a new account, and that it was created."""
        ...

    def update(self, account_id: str, patch: AccountPatch, *, actor: str) -> Account:
        """Change an account that has the patch's version, and write down what changed.

        Raises:
            AccountNotFoundError: If there is none.
            VersionConflictError: If it has another version by now.
        """
        ...

    def write_many(
        self, new: Sequence[NewAccount], changes: Sequence[AccountChange], *, actor: str
    ) -> list[Account]:
        """Create and change many accounts, all or none; returns them in the order given.

        Raises:
            AccountNotFoundError: If one of those to change is not there.
            VersionConflictError: If one has another version by now, or is to be changed twice.
        """
        ...

    def add_activity(self, account_id: str, new: NewActivity) -> Activity:
        """Write down that something happened, and when the account was last active.

        Raises:
            AccountNotFoundError: If there is no such account.
        """
        ...

    def fill(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Insert many rows, all or none, for seeding.

        Times are microseconds since 1970, lists and mappings are JSON.
        """
        ...

    def optimize(self) -> None:
        """Renew what the database's planner knows of the rows; for after many changes."""
        ...

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        ...

    def size_bytes(self) -> int:
        """What the rows and their indexes take on disk."""
        ...

    def pool_stats(self) -> dict[str, PoolStats]:
        """What each connection pool counted, by its name."""
        ...
