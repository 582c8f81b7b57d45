"""The queries Q1 to Q13, each one statement; see `AccountStore` for what they mean."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sergas.accounts._dialect import POSTGRES, SQLITE, Dialect
from sergas.accounts._rows import (
    ACCOUNT_COLUMNS,
    ACTIVITY_COLUMNS,
    DEAL_COLUMNS,
    RECOMMENDATION_COLUMNS,
    account_of,
    activity_of,
    audit_of,
    column_value,
    deal_of,
    listed,
    recommendation_of,
)
from sergas.accounts.model import (
    Account,
    AccountBrief,
    AccountFilter,
    AccountPage,
    AccountSort,
    Activity,
    ActivityPage,
    AtRisk,
    AuditEntry,
    DealTotals,
    IndustrySummary,
    Recommendation,
    StageSummary,
    UsageRollup,
    WinRate,
)
from sergas.optimizations.query_optimizer import Key, Keyset

__all__ = [
    "account_keyset",
    "activities_page",
    "at_risk",
    "audit_entries",
    "brief",
    "deal_totals",
    "get",
    "get_many",
    "industries",
    "page_after",
    "page_number",
    "pipeline",
    "portfolio",
    "recommendations",
    "sort_value",
    "stale",
    "usage",
    "win_rates",
]

_ACCOUNT = f"SELECT {listed(ACCOUNT_COLUMNS)} FROM accounts"  # noqa: S608 fixed words
_OPEN_STAGES = "('qualification', 'needs_analysis', 'proposal', 'negotiation')"
_DIALECTS = {dialect.name: dialect for dialect in (SQLITE, POSTGRES)}
_BRIEF_DEALS = 50


def get(connection: Any, dialect: Dialect, account_id: str) -> Account | None:
    """Q1."""
    sql = dialect.sql(f"{_ACCOUNT} WHERE id = :id")
    row = connection.execute(sql, {"id": account_id}).fetchone()
    return None if row is None else account_of(row, dialect)


def get_many(connection: Any, dialect: Dialect, account_ids: list[str]) -> dict[str, Account]:
    """Q2."""
    sql = dialect.sql(f"{_ACCOUNT} WHERE id {dialect.one_of}")
    rows = connection.execute(sql, {"ids": dialect.list_of(account_ids)}).fetchall()
    return {row[0]: account_of(row, dialect) for row in rows}


def page_number(  # noqa: PLR0913 the parts of one query
    connection: Any,
    dialect: Dialect,
    where: AccountFilter,
    sort: AccountSort,
    *,
    is_descending: bool,
    limit: int,
    number: int,
) -> AccountPage:
    """Q3 by number; past the last page nothing is read but the count."""
    condition, parameters = _condition(where)
    count = dialect.sql(f"SELECT count(*) FROM accounts{condition}")  # noqa: S608 fixed words
    total = int(connection.execute(count, parameters).fetchone()[0])
    offset = (number - 1) * limit
    if offset >= total:
        return AccountPage(accounts=[], total=total)
    way = " DESC" if is_descending else ""
    sql = dialect.sql(
        f"{_ACCOUNT}{condition} ORDER BY {sort}{way}, id{way} LIMIT :limit OFFSET :offset"
    )
    rows = connection.execute(sql, {**parameters, "limit": limit, "offset": offset}).fetchall()
    return AccountPage(accounts=[account_of(row, dialect) for row in rows], total=total)


def page_after(
    connection: Any,
    dialect: Dialect,
    keyset: Keyset,
    where: AccountFilter,
    token: str | None,
) -> AccountPage:
    """Q3 by key."""
    page = keyset.page(connection, token, _condition(where)[1])
    return AccountPage(accounts=[account_of(row, dialect) for row in page.rows], next=page.next)


def account_keyset(
    dialect: Dialect,
    where: AccountFilter,
    sort: AccountSort,
    *,
    is_descending: bool,
    limit: int,
    secret: bytes,
) -> Keyset:
    """The pages of a list; its tokens hold for the same filter, order and secret."""
    condition = _condition(where)[0]
    return _keyset(f"{_ACCOUNT}{condition}", sort, is_descending, limit, dialect.name, secret)


@lru_cache(maxsize=256)
def _keyset(
    select: str, sort: str, is_descending: bool, limit: int, name: Any, secret: bytes
) -> Keyset:
    keys = [Key(column=column, is_descending=is_descending) for column in (sort, "id")]
    return Keyset(_DIALECTS[name].sql(select), keys, limit=limit, dialect=name, secret=secret)


def sort_value(account: Account, sort: AccountSort, dialect: Dialect) -> Any:
    """What an account is ordered by, as the database has it."""
    return column_value(sort, getattr(account, sort), dialect)


def portfolio(
    connection: Any, dialect: Dialect, owner_id: str, status: str | None
) -> list[Account]:
    """Q4."""
    also = "" if status is None else " AND status = :status"
    sql = dialect.sql(f"{_ACCOUNT} WHERE owner_id = :owner_id{also} ORDER BY name, id")
    parameters = {"owner_id": owner_id} | ({} if status is None else {"status": status})
    return [account_of(row, dialect) for row in connection.execute(sql, parameters).fetchall()]


def deal_totals(connection: Any, dialect: Dialect, limit: int) -> list[DealTotals]:
    """Q5: the deals are summed before the accounts are looked up."""
    sql = dialect.sql(
        "SELECT accounts.id, accounts.name, sums.deals, sums.amount FROM ("
        " SELECT account_id, count(*) AS deals, sum(amount) AS amount FROM deals"
        " GROUP BY account_id ORDER BY amount DESC, account_id LIMIT :limit"
        ") AS sums JOIN accounts ON accounts.id = sums.account_id"
        " ORDER BY sums.amount DESC, accounts.id"
    )
    rows = connection.execute(sql, {"limit": limit}).fetchall()
    return [
        DealTotals(account_id=account_id, name=name, deals=deals, amount=int(amount))
        for account_id, name, deals, amount in rows
    ]


def industries(connection: Any, _dialect: Dialect) -> list[IndustrySummary]:
    """Q6."""
    rows = connection.execute(
        "SELECT industry, count(*), avg(annual_revenue) FROM accounts"
        " GROUP BY industry ORDER BY industry"
    ).fetchall()
    return [
        IndustrySummary(industry=industry, accounts=accounts, annual_revenue_mean=float(mean))
        for industry, accounts, mean in rows
    ]


def pipeline(connection: Any, _dialect: Dialect) -> list[StageSummary]:
    """Q7."""
    rows = connection.execute(
        "SELECT stage, count(*), sum(amount), sum(amount * probability) / 100.0 FROM deals"  # noqa: S608 fixed words
        f" WHERE stage IN {_OPEN_STAGES} GROUP BY stage ORDER BY stage"
    ).fetchall()
    return [
        StageSummary(stage=stage, deals=deals, amount=int(amount), amount_weighted=float(weighted))
        for stage, deals, amount, weighted in rows
    ]


def win_rates(connection: Any, dialect: Dialect) -> list[WinRate]:
    """Q8."""
    days = dialect.days.format(end="closing_at", start="created_at")
    rows = connection.execute(
        "SELECT owner_id, sum(CASE WHEN stage = 'closed_won' THEN 1 ELSE 0 END), count(*),"  # noqa: S608 fixed words
        f" avg(CASE WHEN stage = 'closed_won' THEN {days} END) FROM deals"
        " WHERE stage IN ('closed_won', 'closed_lost') GROUP BY owner_id ORDER BY owner_id"
    ).fetchall()
    return [
        WinRate(
            owner_id=owner_id,
            won=int(won),
            lost=closed - int(won),
            share=int(won) / closed,
            days_to_win=None if mean is None else float(mean),
        )
        for owner_id, won, closed, mean in rows
    ]


def at_risk(
    connection: Any,
    dialect: Dialect,
    as_of: datetime,
    *,
    quiet_days: int,
    churn_min: int,
    limit: int,
) -> list[AtRisk]:
    """Q9: tickets are counted only of accounts that are quiet and may leave."""
    tickets = (
        "SELECT count(*) FROM activities WHERE account_id = accounts.id"
        " AND type = 'ticket' AND status = 'open'"
    )
    sql = dialect.sql(
        "SELECT id, name, owner_id, churn_risk, last_activity_at, tickets FROM ("  # noqa: S608 fixed words
        f" SELECT id, name, owner_id, churn_risk, last_activity_at, ({tickets}) AS tickets"
        " FROM accounts WHERE churn_risk >= :churn_min AND last_activity_at < :quiet_since"
        ") AS quiet WHERE tickets > 0 ORDER BY churn_risk DESC, id LIMIT :limit"
    )
    parameters = {
        "churn_min": churn_min,
        "quiet_since": dialect.time(as_of - timedelta(days=quiet_days)),
        "limit": limit,
    }
    return [
        AtRisk(
            account_id=account_id,
            name=name,
            owner_id=owner_id,
            churn_risk=churn_risk,
            last_activity_at=dialect.when(last),
            tickets_open=tickets_open,
        )
        for account_id, name, owner_id, churn_risk, last, tickets_open in connection.execute(
            sql, parameters
        ).fetchall()
    ]


def brief(
    connection: Any, dialect: Dialect, account_id: str, activities: int
) -> AccountBrief | None:
    """Q10: one row, in which the database has put the other tables' rows as JSON."""
    row = connection.execute(
        _brief_sql(dialect.name), {"id": account_id, "activities": activities}
    ).fetchone()
    if row is None:
        return None
    recent, deals, tickets = row[-3:]
    return AccountBrief(
        account=account_of(row, dialect),
        activities=[activity_of(each, dialect) for each in dialect.parsed(recent)],
        deals_open=[deal_of(each, dialect) for each in dialect.parsed(deals)],
        tickets_open=tickets,
    )


@lru_cache(maxsize=2)
def _brief_sql(name: Any) -> str:
    if name == "sqlite":
        array, gathered, none = "json_array", "json_group_array(json(item))", ""
    else:
        array, gathered, none = "json_build_array", "coalesce(json_agg(item), '[]')", ""
    recent = (
        f"SELECT {gathered} FROM (SELECT {array}({listed(ACTIVITY_COLUMNS)}) AS item"  # noqa: S608 fixed words
        " FROM activities WHERE account_id = accounts.id"
        " ORDER BY created_at DESC, id DESC LIMIT :activities) AS recent"
    )
    deals = (
        f"SELECT {gathered} FROM (SELECT {array}({listed(DEAL_COLUMNS)}) AS item"  # noqa: S608 fixed words
        f" FROM deals WHERE account_id = accounts.id AND stage IN {_OPEN_STAGES}"
        f" ORDER BY amount DESC, id LIMIT {_BRIEF_DEALS}) AS open_deals"
    )
    tickets = (
        "SELECT count(*) FROM activities WHERE account_id = accounts.id"
        " AND type = 'ticket' AND status = 'open'"
    )
    return _DIALECTS[name].sql(
        f"SELECT {listed(ACCOUNT_COLUMNS)}, ({recent}), ({deals}), ({tickets}){none}"  # noqa: S608 fixed words
        " FROM accounts WHERE id = :id"
    )


def usage(
    connection: Any, dialect: Dialect, account_id: str, as_of: datetime, days: int
) -> UsageRollup:
    """Q11."""
    sql = dialect.sql(
        "SELECT count(*), coalesce(sum(logins), 0), coalesce(max(unique_users), 0),"
        " coalesce(sum(session_minutes), 0), coalesce(sum(api_calls), 0), coalesce(sum(errors), 0)"
        " FROM activities WHERE account_id = :id AND type = 'product_usage'"
        " AND created_at > :since AND created_at <= :until"
    )
    parameters = {
        "id": account_id,
        "since": dialect.time(as_of - timedelta(days=days)),
        "until": dialect.time(as_of),
    }
    row = connection.execute(sql, parameters).fetchone()
    names = ("days", "logins", "users_max", "session_minutes", "api_calls", "errors")
    return UsageRollup(account_id=account_id, **dict(zip(names, map(int, row), strict=True)))


def stale(connection: Any, dialect: Dialect, limit: int) -> list[Account]:
    """Q12."""
    sql = dialect.sql(
        f"{_ACCOUNT} WHERE last_synced_at IS NULL OR updated_at > last_synced_at"
        " ORDER BY updated_at, id LIMIT :limit"
    )
    rows = connection.execute(sql, {"limit": limit}).fetchall()
    return [account_of(row, dialect) for row in rows]


def activities_page(
    connection: Any,
    dialect: Dialect,
    account_id: str,
    *,
    limit: int,
    token: str | None,
    secret: bytes,
) -> ActivityPage:
    """Q13."""
    keyset = _activity_keyset(limit, dialect.name, secret)
    page = keyset.page(connection, token, {"account_id": account_id})
    activities: list[Activity] = [activity_of(row, dialect) for row in page.rows]
    return ActivityPage(activities=activities, next=page.next)


@lru_cache(maxsize=64)
def _activity_keyset(limit: int, name: Any, secret: bytes) -> Keyset:
    select = f"SELECT {listed(ACTIVITY_COLUMNS)} FROM activities WHERE account_id = :account_id"  # noqa: S608 fixed words
    keys = [Key(column=column, is_descending=True) for column in ("created_at", "id")]
    return Keyset(_DIALECTS[name].sql(select), keys, limit=limit, dialect=name, secret=secret)


def recommendations(connection: Any, dialect: Dialect, account_id: str) -> list[Recommendation]:
    """What to do about an account, newest first."""
    sql = dialect.sql(
        f"SELECT {listed(RECOMMENDATION_COLUMNS)} FROM recommendations"  # noqa: S608 fixed words
        " WHERE account_id = :id ORDER BY created_at DESC, id LIMIT 20"
    )
    rows = connection.execute(sql, {"id": account_id}).fetchall()
    return [recommendation_of(row, dialect) for row in rows]


def audit_entries(
    connection: Any, dialect: Dialect, account_id: str, limit: int
) -> list[AuditEntry]:
    """The last changes of an account, newest first."""
    sql = dialect.sql(
        "SELECT account_id, actor, action, details, created_at FROM audit"
        " WHERE account_id = :id ORDER BY id DESC LIMIT :limit"
    )
    rows = connection.execute(sql, {"id": account_id, "limit": limit}).fetchall()
    return [audit_of(row, dialect) for row in rows]


def _condition(where: AccountFilter) -> tuple[str, dict[str, Any]]:
    """The WHERE of a filter, and its parameters."""
    given = {
        name: value
        for name in where.__struct_fields__
        if (value := getattr(where, name)) is not None
    }
    parts = [
        "health_score >= :health_score_min" if name == "health_score_min" else f"{name} = :{name}"
        for name in given
    ]
    return (" WHERE " + " AND ".join(parts) if parts else ""), given
