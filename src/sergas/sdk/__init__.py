"""Clients of the account service, for threads and for tasks; they know HTTP only.

Needs the extra `sdk`.
"""

from sergas.errors import MissingExtraError

try:
    from sergas.sdk._calls import Change
    from sergas.sdk._exchange import Policy
    from sergas.sdk._tasks import AsyncSergasClient
    from sergas.sdk._threads import SergasClient
except ImportError as error:
    raise MissingExtraError(
        f"sdk: {error.name} is not installed; pip install 'groundspeed[sdk]'"
    ) from error
from sergas.sdk.errors import (
    AnswerTimeoutError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    RequestError,
    ServiceError,
    TransportError,
    UnauthorizedError,
)

__all__ = [
    "AnswerTimeoutError",
    "AsyncSergasClient",
    "Change",
    "ConflictError",
    "InvalidRequestError",
    "NotFoundError",
    "Policy",
    "RateLimitedError",
    "RequestError",
    "SergasClient",
    "ServiceError",
    "TransportError",
    "UnauthorizedError",
]
