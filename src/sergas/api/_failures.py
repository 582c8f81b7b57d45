"""Every error of the service in one shape, and which status each of ours has."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from sergas.errors import (
    AccountNotFoundError,
    AccountValueError,
    PageError,
    SergasError,
    StoreFullError,
    StoreUnavailableError,
    VersionConflictError,
)

__all__ = ["CODES", "ApiError", "ErrorBody", "Failure", "error_body", "failure_of"]

CODES: dict[int, str] = {
    400: "malformed",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "rate_limited",
    500: "internal",
    503: "unavailable",
    507: "storage_full",
}


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong.

    Attributes:
        code: One of a fixed list of words, for programs.
        message: For people.
        details: What belongs to the code, such as the versions of a conflict.
        request_id: As in the header `x-request-id`.
        timestamp: When it was answered.
    """

    code: str
    message: str
    details: dict[str, Any]
    request_id: str
    timestamp: datetime


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    error: ErrorBody


class ApiError(Exception):
    """A request that cannot be answered as it wished.

    Args:
        status: Of the answer.
        message: For people.
        code: Where it is not the status's own.
        details: See `ErrorBody`.
        headers: To add to the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code or CODES[status]
        self.details = dict(details or {})
        self.headers = dict(headers or {})


def failure_of(error: Exception) -> ApiError | None:
    """The answer to an error of ours; None for one that nobody foresaw.

    What a database says can hold data and addresses, so clients are told only what kind it was.
    """
    if isinstance(error, ApiError):
        return error
    if isinstance(error, VersionConflictError):
        return ApiError(409, str(error), details={"versions": error.versions})
    for kind, status, told, headers in _ANSWERS:
        if isinstance(error, kind):
            return ApiError(status, told or str(error), headers=headers)
    return None


_AGAIN = {"retry-after": "1"}
_ANSWERS: tuple[tuple[type[Exception], int, str, dict[str, str]], ...] = (
    (AccountNotFoundError, 404, "", {}),
    (AccountValueError, 422, "", {}),
    (PageError, 422, "", {}),
    (StoreFullError, 507, "the database has no room left; nothing was written", {}),
    (StoreUnavailableError, 503, "the database is not reachable; try again", _AGAIN),
    (SergasError, 500, "the request failed; the log says why, under its request id", {}),
)
"""The more special kinds first."""


def error_body(error: ApiError, request_id: str) -> bytes:
    """The answer's body."""
    return msgspec.json.encode(
        Failure(
            error=ErrorBody(
                code=error.code,
                message=str(error),
                details=error.details,
                request_id=request_id,
                timestamp=datetime.now(UTC),
            )
        )
    )
