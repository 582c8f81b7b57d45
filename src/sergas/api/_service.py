"""The operations that are not on accounts: tokens, health, metrics, and the document itself."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from sergas.api._failures import ApiError
from sergas.api._metrics import Metrics
from sergas.api._openapi import document
from sergas.api._operations import Answer, Call, Operation, json
from sergas.api._tokens import TokenPair, Tokens
from sergas.errors import SergasError

__all__ = ["service_operations"]

Secret = Annotated[str, Meta(min_length=1, max_length=2000)]


class KeyShown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key that a client was given."""

    api_key: Secret


class Renewal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token that renews."""

    refresh_token: Secret


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the service can answer.

    Attributes:
        status: Always `ok`; what is not is an error.
        database: Its name and version.
        cache: How many entries it has, None without one.
    """

    status: str
    database: str
    cache: int | None


def service_operations(
    tokens: Tokens, metrics: Metrics, accounts: Sequence[Operation]
) -> tuple[Operation, ...]:
    """The operations beside those on accounts; the document describes all of them."""
    operations = (*_of_tokens(tokens), _of_health(), _of_metrics(metrics))
    return (*operations, _of_document([*accounts, *operations]))


def _of_tokens(tokens: Tokens) -> tuple[Operation, ...]:
    async def issue(call: Call) -> Answer:
        return json(tokens.for_key(call.body.api_key))

    async def renew(call: Call) -> Answer:
        return json(tokens.renewed(call.body.refresh_token))

    return (
        Operation(
            name="issue_tokens",
            method="POST",
            path="/v1/tokens",
            summary="Tokens for a client that shows its key.",
            handler=issue,
            body=KeyShown,
            answer=TokenPair,
            is_open=True,
        ),
        Operation(
            name="renew_tokens",
            method="POST",
            path="/v1/tokens/refresh",
            summary="New tokens for a refresh token.",
            handler=renew,
            body=Renewal,
            answer=TokenPair,
            is_open=True,
        ),
    )


def _of_health() -> Operation:
    async def health(call: Call) -> Answer:
        try:
            await call.service.check()
        except SergasError as error:
            raise ApiError(503, f"the database cannot be used: {type(error).__name__}") from error
        cache = call.service.cache
        return json(
            Health(
                status="ok",
                database=call.service.store.engine,
                cache=None if cache is None else cache.stats().size,
            )
        )

    return Operation(
        name="get_health",
        method="GET",
        path="/health",
        summary="Whether the service and its database can answer.",
        handler=health,
        answer=Health,
        is_open=True,
    )


def _of_metrics(metrics: Metrics) -> Operation:
    async def scrape(_call: Call) -> Answer:
        return Answer(body=metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Operation(
        name="get_metrics",
        method="GET",
        path="/metrics",
        summary="Counts and times in Prometheus' text format.",
        handler=scrape,
        answer=None,
        is_open=True,
    )


def _of_document(others: Sequence[Operation]) -> Operation:
    """Describes the others and itself, once."""

    async def describe(_call: Call) -> Answer:
        return Answer(body=described)

    operation = Operation(
        name="get_document",
        method="GET",
        path="/openapi.json",
        summary="This document.",
        handler=describe,
        answer=dict,
        is_open=True,
    )
    described = msgspec.json.encode(document([*others, operation]))
    return operation
