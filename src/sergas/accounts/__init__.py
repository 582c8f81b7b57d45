"""Accounts, what happened with them and what may come of it, in SQLite or PostgreSQL."""

from sergas.accounts.model import (
    Account,
    AccountBrief,
    AccountChange,
    AccountContext,
    AccountFilter,
    AccountPage,
    AccountPatch,
    Activity,
    ActivityPage,
    Address,
    NewAccount,
    NewActivity,
)
from sergas.accounts.postgres import PostgresStore
from sergas.accounts.sqlite import SqliteStore
from sergas.accounts.store import AccountStore

__all__ = [
    "Account",
    "AccountBrief",
    "AccountChange",
    "AccountContext",
    "AccountFilter",
    "AccountPage",
    "AccountPatch",
    "AccountStore",
    "Activity",
    "ActivityPage",
    "Address",
    "NewAccount",
    "NewActivity",
    "PostgresStore",
    "SqliteStore",
]
