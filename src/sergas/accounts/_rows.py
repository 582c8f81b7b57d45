"""Rows to records and back: the one place that knows the columns and their order."""

from typing import Any

import msgspec

from sergas.accounts._dialect import Dialect
from sergas.accounts.model import (
    Account,
    Activity,
    Address,
    AuditEntry,
    Deal,
    Recommendation,
)

__all__ = [
    "ACCOUNT_COLUMNS",
    "ACTIVITY_COLUMNS",
    "DEAL_COLUMNS",
    "RECOMMENDATION_COLUMNS",
    "account_of",
    "account_row",
    "activity_of",
    "audit_of",
    "column_value",
    "deal_of",
    "listed",
    "recommendation_of",
]

ACCOUNT_COLUMNS: tuple[str, ...] = Account.__struct_fields__
ACTIVITY_COLUMNS: tuple[str, ...] = Activity.__struct_fields__
DEAL_COLUMNS: tuple[str, ...] = Deal.__struct_fields__
RECOMMENDATION_COLUMNS: tuple[str, ...] = Recommendation.__struct_fields__

_TIMES = frozenset(
    {"created_at", "updated_at", "last_activity_at", "last_synced_at", "closing_at", "approved_at"}
)
_JSON = frozenset({"billing_address", "shipping_address", "tags", "custom_fields", "details"})
_BILLING = ACCOUNT_COLUMNS.index("billing_address")
_SHIPPING = ACCOUNT_COLUMNS.index("shipping_address")
_TAGS = ACCOUNT_COLUMNS.index("tags")
_FIELDS = ACCOUNT_COLUMNS.index("custom_fields")
_ACCOUNT_TIMES = tuple(n for n, column in enumerate(ACCOUNT_COLUMNS) if column in _TIMES)


def listed(columns: tuple[str, ...], table: str = "") -> str:
    """The columns for a SELECT, each with its table's name before it if there is one."""
    return ", ".join(f"{table}.{column}" if table else column for column in columns)


def column_value(column: str, value: Any, dialect: Dialect) -> Any:
    """A field's value as its column has it."""
    if column in _TIMES:
        return dialect.time(value)
    if column in _JSON:
        return msgspec.json.encode(value).decode()
    return value


def account_row(account: Account, dialect: Dialect) -> tuple[Any, ...]:
    """The columns of an account."""
    return tuple(
        column_value(column, getattr(account, column), dialect) for column in ACCOUNT_COLUMNS
    )


def account_of(row: Any, dialect: Dialect) -> Account:
    """The account of a row that begins with its columns."""
    values = list(row[: len(ACCOUNT_COLUMNS)])
    parsed, when = dialect.parsed, dialect.when
    values[_BILLING] = Address(**parsed(values[_BILLING]))
    values[_SHIPPING] = Address(**parsed(values[_SHIPPING]))
    values[_TAGS] = parsed(values[_TAGS])
    values[_FIELDS] = parsed(values[_FIELDS])
    for place in _ACCOUNT_TIMES:
        values[place] = when(values[place])
    return Account(**dict(zip(ACCOUNT_COLUMNS, values, strict=True)))


def activity_of(row: Any, dialect: Dialect) -> Activity:
    """The activity of a row."""
    return Activity(**_with_times(ACTIVITY_COLUMNS, row, dialect))


def deal_of(row: Any, dialect: Dialect) -> Deal:
    """The deal of a row."""
    return Deal(**_with_times(DEAL_COLUMNS, row, dialect))


def recommendation_of(row: Any, dialect: Dialect) -> Recommendation:
    """The recommendation of a row."""
    return Recommendation(**_with_times(RECOMMENDATION_COLUMNS, row, dialect))


def audit_of(row: Any, dialect: Dialect) -> AuditEntry:
    """The audit entry of a row."""
    values = _with_times(AuditEntry.__struct_fields__, row, dialect)
    return AuditEntry(**{**values, "details": dialect.parsed(values["details"])})


def _with_times(columns: tuple[str, ...], row: Any, dialect: Dialect) -> dict[str, Any]:
    return {
        column: dialect.when(value) if column in _TIMES else value
        for column, value in zip(columns, row, strict=True)
    }
