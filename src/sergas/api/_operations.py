"""What the API offers, as one table: routes, validation and the OpenAPI document come from it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from sergas.accounts.service import AccountService

__all__ = ["Answer", "Call", "Handler", "Json", "Operation", "json"]

Json = "application/json"


@dataclass(slots=True, kw_only=True)
class Call:
    """A request whose client is known and whose parts are valid.

    Attributes:
        service: Answers it.
        path: The parameters in the path, by name.
        query: As the operation's `query`, None if it takes none.
        body: As the operation's `body`, None if it takes none.
        client: The client's name; "" where anybody may ask.
    """

    service: AccountService
    path: dict[str, str]
    query: Any
    body: Any
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a handler gives back: JSON, encoded.

    Attributes:
        body: The bytes.
        status: Of the answer.
        headers: To add.
        media_type: Of the body.
    """

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = Json


Handler: TypeAlias = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path.

    Attributes:
        name: Names it in the document and in the metrics.
        method: The HTTP method.
        path: With `{id}` where an account's id stands.
        summary: For the document, a sentence.
        handler: Answers.
        query: Type of the query's parameters, None if there are none.
        body: Type of the body, None if there is none.
        answer: Type of the answer on success.
        status: Of the answer on success.
        errors: Statuses that it can have besides those that every operation can have.
        is_open: Whether no token is needed.
    """

    name: str
    method: Literal["GET", "POST", "PATCH"]
    path: str
    summary: str
    handler: Handler
    answer: Any
    query: type[msgspec.Struct] | None = None
    body: type[msgspec.Struct] | None = None
    status: int = 200
    errors: tuple[int, ...] = ()
    is_open: bool = False


_encode = msgspec.json.Encoder().encode


def json(value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """An answer of a value."""
    return Answer(body=_encode(value), status=status, headers=headers or {})
