"""From a request to its answer: who asks, how much, what, and whether it is valid.

It is one ASGI application for each operation and not a stack of middleware: what a request costs
besides its query is a budget, and every layer takes its share of it.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Message, Receive, Scope, Send

from sergas.accounts.service import AccountService
from sergas.api._failures import ApiError, error_body, failure_of
from sergas.api._metrics import Metrics
from sergas.api._operations import Answer, Call, Json, Operation
from sergas.api._rate import RateLimiter
from sergas.api._tokens import Tokens
from sergas.api.server import LAST

__all__ = ["Desk", "Endpoint"]

LOG = logging.getLogger("sergas.api")

_ID = re.compile(r"[A-Za-z0-9_-]{1,50}\Z")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,100}\Z")
_QUERY_PARAMETERS_MAX = 50
_PATIENCE = 16
"""Bodies are read up to so many times their limit."""


class Desk:
    """What all endpoints share.

    Attributes:
        service: Answers.
        tokens: Say who asks.
        limiter: Says how much more.
        metrics: Count.
        body_max_bytes: The longest body that is read.
        read_timeout_s: How long a client may take to send a body.
    """

    def __init__(
        self,
        *,
        service: AccountService,
        tokens: Tokens,
        limiter: RateLimiter,
        metrics: Metrics,
        body_max_bytes: int,
        read_timeout_s: float,
    ) -> None:
        self.service = service
        self.tokens = tokens
        self.limiter = limiter
        self.metrics = metrics
        self.body_max_bytes = body_max_bytes
        self.read_timeout_s = read_timeout_s


class Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, operation: Operation, desk: Desk) -> None:
        self._operation = operation
        self._desk = desk
        self._decode = None if operation.body is None else msgspec.json.Decoder(operation.body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, in one message with its headers and one with its body."""
        desk, began_s = self._desk, time.perf_counter()
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        desk.metrics.in_flight.inc()
        limits: dict[str, str] = {}
        try:
            try:
                answer = await self._answer(scope, headers, receive, limits)
            except Exception as error:
                refusal = failure_of(error)
                if refusal is None or refusal.status == 500:  # noqa: PLR2004 nobody foresaw it
                    LOG.exception("request %s: %s failed", request_id, self._operation.name)
                answer = refusing(refusal or ApiError(500, "the request failed"), request_id)
            await reply(send, answer, request_id, limits, is_last=LAST in scope)
            desk.metrics.observe(self._operation.name, answer.status, time.perf_counter() - began_s)
        finally:
            desk.metrics.in_flight.dec()

    async def _answer(
        self,
        scope: Scope,
        headers: Mapping[bytes, bytes],
        receive: Receive,
        limits: dict[str, str],
    ) -> Answer:
        operation, desk = self._operation, self._desk
        if operation.is_open:
            client = ""
            if operation.body is not None:
                address = scope.get("client") or ("unknown",)
                limits |= desk.limiter.take(f"address {address[0]}").headers()
        else:
            header = headers.get(b"authorization")
            client = desk.tokens.client_of(None if header is None else header.decode("latin-1"))
            limits |= desk.limiter.take(client).headers()
        path = scope.get("path_params") or {}
        for name, value in path.items():
            if not _ID.match(value):
                raise ApiError(
                    422, f"got {name}={value!r}, needed 1 to 50 letters, digits, - and _"
                )
        query = None
        if operation.query is not None:
            query = _query(scope["query_string"], operation.query)
        elif scope["query_string"]:
            raise ApiError(422, "got query parameters, needed none")
        body = None
        if self._decode is not None:
            body = self._decoded(headers, await self._body(headers, receive))
        call = Call(service=desk.service, path=path, query=query, body=body, client=client)
        return await operation.handler(call)

    def _decoded(self, headers: Mapping[bytes, bytes], body: bytes) -> Any:
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != Json.encode():
            raise ApiError(415, f"got a body of type {kind.decode('latin-1')!r}, needed {Json}")
        try:
            return self._decode.decode(body)  # type: ignore[union-attr] # asked before
        except msgspec.ValidationError as error:
            if "Expected `int`, got `float`" not in str(error):
                raise ApiError(422, str(error)) from error
            return self._decoded_whole(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ApiError(400, f"the body is not JSON: {error}") from error

    def _decoded_whole(self, body: bytes) -> Any:
        """The body with 1.0 read as 1, which JSON does not tell apart."""
        try:
            return msgspec.convert(_WHOLE.decode(body), self._operation.body)
        except msgspec.ValidationError as error:
            raise ApiError(422, str(error)) from error

    async def _body(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """The body; one that is too long is read to its end, so that its sender reads the answer.

        A connection that is closed while its other end writes loses what was answered.
        """
        most = self._desk.body_max_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > most * _PATIENCE:
            raise _too_large(most)
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._desk.read_timeout_s):
                while True:
                    message: Message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ApiError(400, "the body ended early")
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= most:
                        parts.append(part)
                    elif size > most * _PATIENCE:
                        raise _too_large(most)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise ApiError(
                408,
                f"the body did not come within {self._desk.read_timeout_s:g} s",
                headers={"connection": "close"},
            ) from None
        if size > most:
            raise _too_large(most)
        return b"".join(parts)


def _number(text: str) -> int | float:
    """A number that is written with a fraction; JSON has no other difference between 1 and 1.0."""
    value = float(text)
    return int(value) if value.is_integer() else value


_WHOLE = msgspec.json.Decoder(float_hook=_number)


def _too_large(most: int) -> ApiError:
    # What is left of the body would be read as the next request.
    return ApiError(413, f"the body has more than {most:,} bytes", headers={"connection": "close"})


def _query(text: bytes, kind: type[msgspec.Struct]) -> Any:
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=_QUERY_PARAMETERS_MAX,
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise ApiError(400, f"the query cannot be read: {error}") from error
    asked = dict(pairs)
    if len(asked) != len(pairs):
        raise ApiError(422, "got a query parameter twice, needed each once")
    try:
        query = msgspec.convert(asked, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(422, str(error)) from error
    for name, value in asked.items():
        if getattr(query, name) is None:  # a conversion that is not strict reads `null` as nothing
            raise ApiError(422, f"got {name}={value!r}; leave it out instead")
    return query


def request_id_of(headers: Mapping[bytes, bytes]) -> str:
    """The client's own, if it sent a sensible one, or a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.match(given):
        return given.decode()
    return secrets.token_hex(8)


def refusing(refusal: ApiError, request_id: str) -> Answer:
    """The answer that says what went wrong."""
    return Answer(
        body=error_body(refusal, request_id), status=refusal.status, headers=refusal.headers
    )


async def reply(
    send: Send,
    answer: Answer,
    request_id: str,
    limits: Mapping[str, str],
    *,
    is_last: bool,
) -> None:
    """Send an answer; a connection ends with it if `is_last`."""
    named = {
        "content-type": answer.media_type,
        "content-length": str(len(answer.body)),
        "x-request-id": request_id,
        **limits,
        **answer.headers,
    }
    if is_last:
        named["connection"] = "close"
    headers = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
