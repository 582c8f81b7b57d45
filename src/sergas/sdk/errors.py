"""What a client can meet, each with what the service said of it."""

from collections.abc import Mapping
from typing import Any

from sergas.errors import SergasError

__all__ = [
    "AnswerTimeoutError",
    "ConflictError",
    "InvalidRequestError",
    "NotFoundError",
    "RateLimitedError",
    "RequestError",
    "ServiceError",
    "TransportError",
    "UnauthorizedError",
    "error_of",
]


class RequestError(SergasError):
    """The service refused a request.

    Attributes:
        status: The HTTP status.
        code: The service's word for it.
        details: What belongs to the code.
        request_id: Names the request in the service's log; "" if it did not say.
    """

    def __init__(
        self, message: str, *, status: int, code: str, details: Mapping[str, Any], request_id: str
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = dict(details)
        self.request_id = request_id


class InvalidRequestError(RequestError, ValueError):
    """The service cannot read the request, or a value is out of its range."""


class UnauthorizedError(RequestError, PermissionError):
    """The key or the token is not good."""


class NotFoundError(RequestError, LookupError):
    """There is no such thing."""


class ConflictError(RequestError):
    """Accounts have changed since they were read.

    Attributes:
        versions: The version that each of them has now, by id.
    """

    @property
    def versions(self) -> dict[str, int]:
        """The version that each of them has now, by id."""
        return dict(self.details.get("versions", {}))


class RateLimitedError(RequestError):
    """More requests than this client may make."""


class ServiceError(RequestError):
    """The service failed, or cannot answer now."""


class TransportError(SergasError, ConnectionError):
    """No answer came.

    Attributes:
        was_sent: Whether the service may have read the request.
    """

    def __init__(self, message: str, *, was_sent: bool) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class AnswerTimeoutError(TransportError, TimeoutError):
    """No answer came in time."""


_KINDS: dict[int, type[RequestError]] = {
    400: InvalidRequestError,
    401: UnauthorizedError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
}


def error_of(status: int, told: Mapping[str, Any], request_id: str) -> RequestError:
    """The error of an answer.

    Args:
        status: The HTTP status, 400 or more.
        told: The service's own account of it; empty if there is none.
        request_id: As the answer's header has it.
    """
    kind = _KINDS.get(status, ServiceError if status >= 500 else RequestError)  # noqa: PLR2004
    return kind(
        str(told.get("message") or f"the service answered with status {status}"),
        status=status,
        code=str(told.get("code") or status),
        details=told.get("details") or {},
        request_id=request_id,
    )
