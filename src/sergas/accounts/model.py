"""The records of the account service, and the ranges of what may be written.

The same types validate what comes in, describe it in the OpenAPI document and carry it through the
stores. Money is in whole units of the account's currency, scores are 0 to 100, times are in UTC.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "ACCOUNT_STATUSES",
    "ACTIVITY_TYPES",
    "DEAL_STAGES",
    "Account",
    "AccountBrief",
    "AccountChange",
    "AccountContext",
    "AccountFilter",
    "AccountPage",
    "AccountPatch",
    "AccountSort",
    "AccountStatus",
    "AccountType",
    "Activity",
    "ActivityPage",
    "ActivityType",
    "Address",
    "AtRisk",
    "AuditEntry",
    "Deal",
    "DealStage",
    "DealTotals",
    "IndustrySummary",
    "NewAccount",
    "NewActivity",
    "Rating",
    "Recommendation",
    "RiskLevel",
    "SearchHit",
    "StageSummary",
    "UsageRollup",
    "WinRate",
]

AccountType = Literal["customer", "vendor", "partner", "internal", "prospect"]
AccountStatus = Literal["active", "inactive", "suspended", "pending", "closed"]
RiskLevel = Literal["low", "medium", "high", "critical"]
Rating = Literal["hot", "warm", "cold"]
ActivityType = Literal["email", "call", "meeting", "ticket", "product_usage"]
WrittenActivityType = Literal["email", "call", "meeting", "ticket"]
ActivityStatus = Literal["open", "closed"]
AccountSort = Literal["name", "updated_at", "health_score"]
DealStage = Literal[
    "qualification", "needs_analysis", "proposal", "negotiation", "closed_won", "closed_lost"
]

ACCOUNT_STATUSES: tuple[AccountStatus, ...] = get_args(AccountStatus)
ACTIVITY_TYPES: tuple[ActivityType, ...] = get_args(ActivityType)
DEAL_STAGES: tuple[DealStage, ...] = get_args(DealStage)

# PostgreSQL's text holds every character but NUL.
_NO_NUL = r"^[^\x00]*$"
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255, pattern=_NO_NUL)]
Short: TypeAlias = Annotated[str, Meta(max_length=255, pattern=_NO_NUL)]
Text: TypeAlias = Annotated[str, Meta(max_length=10_000, pattern=_NO_NUL)]
Email: TypeAlias = Annotated[
    str, Meta(max_length=254, pattern=r"^[^@ \t\r\n\x00]+@[^@ \t\r\n\x00]+(?!\n)$")
]
Id: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,50}(?!\n)$")]
Currency: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$")]
Score: TypeAlias = Annotated[int, Meta(ge=0, le=100)]
Money: TypeAlias = Annotated[int, Meta(ge=0, le=10**15)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=10**9)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=2**53)]
Tags: TypeAlias = Annotated[
    list[Annotated[str, Meta(max_length=50, pattern=_NO_NUL)]], Meta(max_length=50)
]
CustomFields: TypeAlias = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=50, pattern=_NO_NUL)],
        Short | int | float | bool | None,
    ],
    Meta(max_length=50),
]


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A postal address."""

    street: Short = ""
    city: Short = ""
    state: Short = ""
    postal_code: Short = ""
    country: Short = ""


class NewAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account as it is created; the service adds the id, the times and the version."""

    name: Name
    owner_id: Id
    number: Short = ""
    type: AccountType = "customer"
    status: AccountStatus = "active"
    email: Email | None = None
    email_secondary: Email | None = None
    phone: Short = ""
    website: Short = ""
    billing_address: Address = Address()
    shipping_address: Address = Address()
    annual_revenue: Money = 0
    credit_limit: Money = 0
    payment_terms: Short = "net_30"
    currency: Currency = "EUR"
    industry: Name = "other"
    employee_count: Count = 0
    tax_id: Short = ""
    parent_account_id: Id | None = None
    rating: Rating = "warm"
    health_score: Score = 50
    churn_risk: Score = 0
    risk_level: RiskLevel = "low"
    nps: Annotated[int, Meta(ge=-100, le=100)] = 0
    tags: Tags = []
    custom_fields: CustomFields = {}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is stored.

    Attributes:
        version: Counts its writes from 1; a change names the version that it was made from.
        last_activity_at: When something last happened, None if nothing has.
        last_synced_at: When the outer system had it last, None if never.
    """

    id: Id
    name: str
    owner_id: str
    number: str
    type: AccountType
    status: AccountStatus
    email: str | None
    email_secondary: str | None
    phone: str
    website: str
    billing_address: Address
    shipping_address: Address
    annual_revenue: int
    credit_limit: int
    payment_terms: str
    currency: str
    industry: str
    employee_count: int
    tax_id: str
    parent_account_id: str | None
    rating: Rating
    health_score: int
    churn_risk: int
    risk_level: RiskLevel
    nps: int
    tags: list[str]
    custom_fields: dict[str, str | int | float | bool | None]
    last_activity_at: datetime | None
    last_synced_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class AccountFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which accounts a list has; what is None does not matter."""

    owner_id: Id | None = None
    status: AccountStatus | None = None
    risk_level: RiskLevel | None = None
    industry: Name | None = None
    health_score_min: Score | None = None


class AccountPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an account, and the version that the change was made from."""

    version: Version
    name: Name | UnsetType = UNSET
    owner_id: Id | UnsetType = UNSET
    number: Short | UnsetType = UNSET
    type: AccountType | UnsetType = UNSET
    status: AccountStatus | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    email_secondary: Email | UnsetType | None = UNSET
    phone: Short | UnsetType = UNSET
    website: Short | UnsetType = UNSET
    billing_address: Address | UnsetType = UNSET
    shipping_address: Address | UnsetType = UNSET
    annual_revenue: Money | UnsetType = UNSET
    credit_limit: Money | UnsetType = UNSET
    payment_terms: Short | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    industry: Name | UnsetType = UNSET
    employee_count: Count | UnsetType = UNSET
    tax_id: Short | UnsetType = UNSET
    parent_account_id: Id | UnsetType | None = UNSET
    rating: Rating | UnsetType = UNSET
    health_score: Score | UnsetType = UNSET
    churn_risk: Score | UnsetType = UNSET
    risk_level: RiskLevel | UnsetType = UNSET
    nps: Annotated[int, Meta(ge=-100, le=100)] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    custom_fields: CustomFields | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """The fields that are set, without the version."""
        return {
            name: value
            for name in self.__struct_fields__
            if name != "version" and (value := getattr(self, name)) is not UNSET
        }


class AccountChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change of many: whose, and what."""

    id: Id
    patch: AccountPatch


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """A sale, won, lost or under way.

    Attributes:
        probability: Percent, 0 to 100.
        closing_at: When it was closed, or is expected to be.
    """

    id: str
    account_id: str
    name: str
    amount: int
    stage: DealStage
    probability: int
    type: str
    lead_source: str
    loss_reason: str | None
    owner_id: str
    created_at: datetime
    closing_at: datetime


class NewActivity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happened with an account, as it is written down."""

    type: WrittenActivityType
    subject: Name
    body: Text = ""
    status: ActivityStatus = "closed"
    created_by: Id


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened with an account; a day of product usage has no text.

    Attributes:
        id: Below 2**53, so that every JSON reader keeps it.
    """

    id: int
    account_id: str
    type: ActivityType
    status: ActivityStatus
    subject: str
    body: str
    created_by: str
    created_at: datetime


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about an account, and what was decided.

    Attributes:
        confidence: Share, 0 to 1.
    """

    id: str
    account_id: str
    type: str
    priority: str
    confidence: float
    action: str
    rationale: str
    status: str
    approved_by: str | None
    approved_at: datetime | None
    created_at: datetime


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to an account, and when."""

    account_id: str
    actor: str
    action: str
    details: dict[str, Any]
    created_at: datetime


class AccountPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts.

    Attributes:
        next: Token of the page after; None if this is the last, or pages are read by number.
        total: How many there are on all pages; None where pages are read by token.
    """

    accounts: list[Account]
    next: str | None = None
    total: int | None = None


class ActivityPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of activities, newest first, with a token as in `AccountPage`."""

    activities: list[Activity]
    next: str | None = None


class DealTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The deals of an account: how many, and their amounts together."""

    account_id: str
    name: str
    deals: int
    amount: int


class IndustrySummary(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts of an industry."""

    industry: str
    accounts: int
    annual_revenue_mean: float


class StageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The open deals of a stage; `amount_weighted` counts each by its probability."""

    stage: DealStage
    deals: int
    amount: int
    amount_weighted: float


class WinRate(msgspec.Struct, frozen=True, kw_only=True):
    """The closed deals of an owner: share won in [0, 1], and the mean days to a win."""

    owner_id: str
    won: int
    lost: int
    share: float
    days_to_win: float | None


class AtRisk(msgspec.Struct, frozen=True, kw_only=True):
    """An account that has gone quiet, has open tickets and may leave."""

    account_id: str
    name: str
    owner_id: str
    churn_risk: int
    tickets_open: int
    last_activity_at: datetime | None


class UsageRollup(msgspec.Struct, frozen=True, kw_only=True):
    """Product usage of an account over some days."""

    account_id: str
    days: int
    logins: int
    users_max: int
    session_minutes: int
    api_calls: int
    errors: int


class AccountBrief(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody reads before a call: the account, its last activities, what is open."""

    account: Account
    activities: list[Activity]
    deals_open: list[Deal]
    tickets_open: int


class AccountContext(msgspec.Struct, frozen=True, kw_only=True):
    """A brief with what else is known: usage, recommendations and who changed what."""

    brief: AccountBrief
    usage: UsageRollup
    recommendations: list[Recommendation]
    audit: list[AuditEntry]


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """An activity that has the words, and the name of its account."""

    account_name: str
    activity: Activity
