"""What changes rows; each function runs inside a transaction that its caller begins and ends."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from sergas.accounts import _reads
from sergas.accounts._dialect import Dialect
from sergas.accounts._rows import (
    ACCOUNT_COLUMNS,
    account_of,
    account_row,
    column_value,
    listed,
)
from sergas.accounts.model import (
    Account,
    AccountChange,
    AccountPatch,
    Activity,
    NewAccount,
    NewActivity,
)
from sergas.errors import AccountNotFoundError, VersionConflictError
from sergas.optimizations.query_optimizer import insert_many, update_many

__all__ = [
    "activity_from",
    "add_activity",
    "created",
    "insert_account",
    "update_account",
    "write_many",
]

_MARKS = ", ".join(f":{column}" for column in ACCOUNT_COLUMNS)
_INSERT = f"INSERT INTO accounts ({listed(ACCOUNT_COLUMNS)}) VALUES ({_MARKS})"  # noqa: S608 fixed words
_AUDIT = (
    "INSERT INTO audit (account_id, actor, action, details, created_at)"
    " VALUES (:account_id, :actor, :action, :details, :created_at)"
)
_AUDIT_COLUMNS = ("account_id", "actor", "action", "details", "created_at")


def created(new: NewAccount, *, account_id: str, now: datetime) -> Account:
    """The account that `new` becomes."""
    fields = {name: getattr(new, name) for name in new.__struct_fields__}
    return Account(
        **fields,
        id=account_id,
        last_activity_at=None,
        last_synced_at=None,
        created_at=now,
        updated_at=now,
        version=1,
    )


def insert_account(connection: Any, dialect: Dialect, account: Account, *, actor: str) -> None:
    """Write an account, and that it was created."""
    row = dict(zip(ACCOUNT_COLUMNS, account_row(account, dialect), strict=True))
    connection.execute(dialect.sql(_INSERT), row)
    entry = _audit_row(dialect, account.id, actor, "created", {}, account.created_at)
    connection.execute(dialect.sql(_AUDIT), dict(zip(_AUDIT_COLUMNS, entry, strict=True)))


def update_account(
    connection: Any,
    dialect: Dialect,
    account_id: str,
    patch: AccountPatch,
    *,
    actor: str,
    now: datetime,
) -> Account:
    """Change an account by one statement that finds it only with the patch's version."""
    changes = patch.changes()
    sets = "".join(f"{name} = :{name}, " for name in changes)
    sql = dialect.sql(
        f"UPDATE accounts SET {sets}updated_at = :updated_at, version = version + 1"  # noqa: S608 fields of ours
        f" WHERE id = :id AND version = :version_seen RETURNING {listed(ACCOUNT_COLUMNS)}"
    )
    parameters = {name: column_value(name, value, dialect) for name, value in changes.items()}
    parameters |= {
        "updated_at": dialect.time(now),
        "id": account_id,
        "version_seen": patch.version,
    }
    row = connection.execute(sql, parameters).fetchone()
    if row is None:
        _refuse(connection, dialect, {account_id: patch.version})
    entry = _audit_row(dialect, account_id, actor, "changed", changes, now)
    connection.execute(dialect.sql(_AUDIT), dict(zip(_AUDIT_COLUMNS, entry, strict=True)))
    return account_of(row, dialect)


def write_many(
    connection: Any,
    dialect: Dialect,
    new: Sequence[Account],
    changes: Sequence[AccountChange],
    *,
    actor: str,
    now: datetime,
) -> list[Account]:
    """Create and change many accounts by four statements, however many there are."""
    wanted = {change.id: change.patch.version for change in changes}
    if len(wanted) != len(changes):
        seen = [change.id for change in changes]
        twice = sorted(one for one in wanted if seen.count(one) > 1)
        raise VersionConflictError(
            f"accounts: {', '.join(twice)} shall be changed twice in one write, which makes the"
            " second change one of an old version; write each once",
            versions={},
        )
    known = _locked(connection, dialect, sorted(wanted))
    if any(
        account_id not in known or known[account_id].version != version
        for account_id, version in wanted.items()
    ):
        _refuse(connection, dialect, wanted)
    changed = [_patched(known[change.id], change.patch, now) for change in changes]
    columns = ACCOUNT_COLUMNS[1:]
    if new:
        rows = [account_row(account, dialect) for account in new]
        insert_many(connection, "accounts", ACCOUNT_COLUMNS, rows)
    if changed:
        rows = [account_row(account, dialect) for account in changed]
        update_many(connection, "accounts", ("id",), columns, rows)
    entries = [_audit_row(dialect, account.id, actor, "created", {}, now) for account in new]
    entries += [
        _audit_row(dialect, change.id, actor, "changed", change.patch.changes(), now)
        for change in changes
    ]
    if entries:
        insert_many(connection, "audit", _AUDIT_COLUMNS, entries)
    return [*new, *changed]


def add_activity(
    connection: Any,
    dialect: Dialect,
    activity: Activity,
) -> bool:
    """Write an activity, and when its account was last active; False if its id is taken."""
    moved = connection.execute(
        dialect.sql(
            "UPDATE accounts SET last_activity_at = :at WHERE id = :id"
            " AND (last_activity_at IS NULL OR last_activity_at < :at)"
        ),
        {"id": activity.account_id, "at": dialect.time(activity.created_at)},
    ).rowcount
    if not moved and _reads.get(connection, dialect, activity.account_id) is None:
        raise AccountNotFoundError(f"accounts: there is no account {activity.account_id!r}")
    fields = activity.__struct_fields__
    marks = ", ".join(f":{name}" for name in fields)
    written = connection.execute(
        dialect.sql(
            f"INSERT INTO activities ({listed(fields)}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608 fixed words
        ),
        {name: column_value(name, getattr(activity, name), dialect) for name in fields},
    ).rowcount
    return bool(written)


def activity_from(
    new: NewActivity, *, activity_id: int, account_id: str, now: datetime
) -> Activity:
    """The activity that `new` becomes."""
    fields = {name: getattr(new, name) for name in new.__struct_fields__}
    return Activity(**fields, id=activity_id, account_id=account_id, created_at=now)


def _patched(account: Account, patch: AccountPatch, now: datetime) -> Account:
    return msgspec.structs.replace(
        account, **patch.changes(), updated_at=now, version=account.version + 1
    )


def _locked(connection: Any, dialect: Dialect, account_ids: list[str]) -> dict[str, Account]:
    """The accounts, which nobody else can change until the transaction ends.

    In the order of their ids, so that two writers never wait for each other.
    """
    if not account_ids:
        return {}
    sql = dialect.sql(
        f"SELECT {listed(ACCOUNT_COLUMNS)} FROM accounts WHERE id {dialect.one_of}"  # noqa: S608 fixed words
        f" ORDER BY id{dialect.lock}"
    )
    rows = connection.execute(sql, {"ids": dialect.list_of(account_ids)}).fetchall()
    return {row[0]: account_of(row, dialect) for row in rows}


def _refuse(connection: Any, dialect: Dialect, wanted: dict[str, int]) -> None:
    """Say which accounts are not there, or have another version."""
    known = _reads.get_many(connection, dialect, list(wanted))
    missing = [account_id for account_id in wanted if account_id not in known]
    if missing:
        raise AccountNotFoundError(f"accounts: there is no account {', '.join(missing)}")
    versions = {
        account_id: known[account_id].version
        for account_id, version in wanted.items()
        if known[account_id].version != version
    }
    told = ", ".join(
        f"{account_id} has version {version}, the change was made from {wanted[account_id]}"
        for account_id, version in versions.items()
    )
    raise VersionConflictError(f"accounts: {told}; read it again", versions=versions)


def _audit_row(
    dialect: Dialect,
    account_id: str,
    actor: str,
    action: str,
    details: dict[str, Any],
    now: datetime,
) -> tuple[Any, ...]:
    return (
        account_id,
        actor,
        action,
        msgspec.json.encode(details).decode(),
        dialect.time(now),
    )
