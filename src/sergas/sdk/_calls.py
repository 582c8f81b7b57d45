"""The requests of this client, made and read without sending: both clients send these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from sergas.sdk.model import (
    Account,
    AccountFields,
    AccountList,
    Brief,
    Found,
    SearchResult,
    TokenPair,
    Written,
)

__all__ = [
    "Change",
    "Request",
    "create_account",
    "get_account",
    "get_brief",
    "issue_tokens",
    "list_accounts",
    "read_accounts",
    "renew_tokens",
    "search",
    "update_account",
    "write_accounts",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """A request and the type of its answer.

    Attributes:
        method: The HTTP method.
        target: Path and query.
        answer: What the body of a success is.
        body: JSON, None for none.
        is_safe: Whether it may be sent twice.
        needs_token: Whether it is sent with a token.
    """

    method: str
    target: str
    answer: type[T]
    body: bytes | None = None
    is_safe: bool = False
    needs_token: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change for a bulk write: whose, from which version, and what."""

    account_id: str
    version: int
    fields: AccountFields


def get_account(account_id: str) -> Request[Account]:
    """One account."""
    return _get(f"/v1/accounts/{quote(account_id, safe='')}", Account)


def get_brief(account_id: str) -> Request[Brief]:
    """The brief of an account."""
    return _get(f"/v1/accounts/{quote(account_id, safe='')}/brief", Brief)


def list_accounts(parameters: Mapping[str, Any]) -> Request[AccountList]:
    """A page of accounts; parameters that are None are left out."""
    return _get("/v1/accounts", AccountList, parameters)


def search(parameters: Mapping[str, Any]) -> Request[SearchResult]:
    """Activities by their words."""
    return _get("/v1/search", SearchResult, parameters)


def create_account(fields: AccountFields) -> Request[Account]:
    """A new account."""
    return Request(
        method="POST", target="/v1/accounts", body=msgspec.json.encode(fields), answer=Account
    )


def update_account(account_id: str, version: int, fields: AccountFields) -> Request[Account]:
    """A change of an account."""
    return Request(
        method="PATCH",
        target=f"/v1/accounts/{quote(account_id, safe='')}",
        body=msgspec.json.encode({"version": version, **fields}),
        answer=Account,
    )


def read_accounts(account_ids: Sequence[str]) -> Request[Found]:
    """Many accounts at once."""
    return Request(
        method="POST",
        target="/v1/bulk/read",
        body=msgspec.json.encode({"ids": list(account_ids)}),
        answer=Found,
        is_safe=True,
    )


def write_accounts(writes: Sequence[AccountFields | Change]) -> Request[Written]:
    """Many accounts created and changed, all or none."""
    body = [
        {
            "kind": "change",
            "id": each.account_id,
            "patch": {"version": each.version, **each.fields},
        }
        if isinstance(each, Change)
        else {"kind": "create", "account": each}
        for each in writes
    ]
    return Request(
        method="POST",
        target="/v1/bulk/write",
        body=msgspec.json.encode({"writes": body}),
        answer=Written,
    )


def issue_tokens(api_key: str) -> Request[TokenPair]:
    """Tokens for a key."""
    return _open("/v1/tokens", {"api_key": api_key})


def renew_tokens(refresh_token: str) -> Request[TokenPair]:
    """Tokens for a refresh token."""
    return _open("/v1/tokens/refresh", {"refresh_token": refresh_token})


def _open(target: str, body: Mapping[str, str]) -> Request[TokenPair]:
    return Request(
        method="POST",
        target=target,
        body=msgspec.json.encode(body),
        answer=TokenPair,
        is_safe=True,
        needs_token=False,
    )


def _get(target: str, answer: type[T], parameters: Mapping[str, Any] | None = None) -> Request[T]:
    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    if given:
        target = f"{target}?{urlencode(given)}"
    return Request(method="GET", target=target, answer=answer, is_safe=True)
