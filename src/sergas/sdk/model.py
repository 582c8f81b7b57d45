"""What the service answers, as this client reads it; fields it does not know are passed over."""

from datetime import datetime
from typing import Any, TypedDict

import msgspec

__all__ = [
    "Account",
    "AccountFields",
    "AccountList",
    "Activity",
    "Address",
    "Brief",
    "Deal",
    "Found",
    "Pagination",
    "SearchHit",
    "Written",
]


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A postal address."""

    street: str = ""
    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = ""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account; `version` is what a change of it has to name."""

    id: str
    name: str
    owner_id: str
    number: str
    type: str
    status: str
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
    rating: str
    health_score: int
    churn_risk: int
    risk_level: str
    nps: int
    tags: list[str]
    custom_fields: dict[str, Any]
    last_activity_at: datetime | None
    last_synced_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


class AccountFields(TypedDict, total=False):
    """What can be written of an account; the service says what is out of range."""

    name: str
    owner_id: str
    number: str
    type: str
    status: str
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
    rating: str
    health_score: int
    churn_risk: int
    risk_level: str
    nps: int
    tags: list[str]
    custom_fields: dict[str, Any]


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """A sale, won, lost or under way."""

    id: str
    account_id: str
    name: str
    amount: int
    stage: str
    probability: int
    type: str
    lead_source: str
    loss_reason: str | None
    owner_id: str
    created_at: datetime
    closing_at: datetime


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened with an account."""

    id: int
    account_id: str
    type: str
    status: str
    subject: str
    body: str
    created_by: str
    created_at: datetime


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page stands; `next` is for pages by cursor, the rest for pages by number."""

    limit: int
    has_next: bool
    page: int | None = None
    pages: int | None = None
    total: int | None = None
    has_prev: bool | None = None
    next: str | None = None


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of accounts."""

    data: list[Account]
    pagination: Pagination


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts in the order they were asked for, and the ids that there are not."""

    accounts: list[Account]
    missing: list[str]


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts as they are after a write, in its order."""

    accounts: list[Account]


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """The account, its last activities, and what is open."""

    account: Account
    activities: list[Activity]
    deals_open: list[Deal]
    tickets_open: int


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """An activity that has the words, and the name of its account."""

    account_name: str
    activity: Activity


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a search found, newest first."""

    hits: list[SearchHit]


class TokenPair(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens, as the service gives them."""

    access_token: str
    refresh_token: str
    expires_in_s: int
