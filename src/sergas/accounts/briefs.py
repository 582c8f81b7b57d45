"""A brief put together step by step, the way an object mapper does it unasked.

It asks for the account, for the ids of what belongs to it, and then for each activity and deal by
itself. `AccountStore.brief` has the same answer in one statement; this is here to be compared.
"""

from typing import Any

from sergas.accounts._rows import (
    ACCOUNT_COLUMNS,
    ACTIVITY_COLUMNS,
    DEAL_COLUMNS,
    account_of,
    activity_of,
    deal_of,
    listed,
)
from sergas.accounts._sql_store import SqlStore
from sergas.accounts.model import AccountBrief

__all__ = ["brief_step_by_step"]


def brief_step_by_step(
    store: SqlStore, account_id: str, *, activities: int = 20
) -> AccountBrief | None:
    """The brief of an account by 1 + N statements; arguments and result as `store.brief`."""
    dialect = store.dialect
    with store.reading() as connection:

        def rows(sql: str, **parameters: Any) -> list[Any]:
            found: list[Any] = connection.execute(dialect.sql(sql), parameters).fetchall()
            return found

        account = rows(
            f"SELECT {listed(ACCOUNT_COLUMNS)} FROM accounts WHERE id = :id",  # noqa: S608 fixed words
            id=account_id,
        )
        if not account:
            return None
        recent = rows(
            "SELECT id FROM activities WHERE account_id = :id"
            " ORDER BY created_at DESC, id DESC LIMIT :activities",
            id=account_id,
            activities=activities,
        )
        deals = rows(
            "SELECT id FROM deals WHERE account_id = :id AND stage NOT LIKE 'closed%'"
            " ORDER BY amount DESC, id LIMIT 50",
            id=account_id,
        )
        tickets = rows(
            "SELECT count(*) FROM activities WHERE account_id = :id"
            " AND type = 'ticket' AND status = 'open'",
            id=account_id,
        )
        one_activity = (
            f"SELECT {listed(ACTIVITY_COLUMNS)} FROM activities"  # noqa: S608 fixed words
            " WHERE account_id = :id AND id = :activity"
        )
        one_deal = f"SELECT {listed(DEAL_COLUMNS)} FROM deals WHERE account_id = :id AND id = :deal"  # noqa: S608 fixed words
        return AccountBrief(
            account=account_of(account[0], dialect),
            activities=[
                activity_of(rows(one_activity, id=account_id, activity=each)[0], dialect)
                for (each,) in recent
            ],
            deals_open=[
                deal_of(rows(one_deal, id=account_id, deal=each)[0], dialect) for (each,) in deals
            ],
            tickets_open=tickets[0][0],
        )
