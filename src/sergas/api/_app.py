"""The application: routes from the table, and one shape for what has no route."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, compile_path

from sergas.accounts.service import AccountService
from sergas.api._accounts import OPERATIONS
from sergas.api._endpoint import Desk, Endpoint, request_id_of
from sergas.api._failures import ApiError, error_body
from sergas.api._metrics import Metrics
from sergas.api._operations import Operation
from sergas.api._rate import RateLimiter
from sergas.api._service import service_operations
from sergas.api._tokens import Tokens
from sergas.api.server import LAST
from sergas.clock import Clock, WallClock
from sergas.settings import Settings

__all__ = ["make_api"]

_NO_METHOD = 405


def make_api(
    service: AccountService,
    settings: Settings,
    *,
    closing: AbstractContextManager[object] | None = None,
    clock: Clock | None = None,
    wall_clock: WallClock | None = None,
) -> Starlette:
    """The application for a service.

    Args:
        service: Answers; closed when the application's lifespan ends.
        settings: Secret, keys and limits.
        closing: What to close after the service, when the lifespan ends.
        clock: For the rate limit.
        wall_clock: For the tokens.
    """
    tokens = Tokens(settings.secret, settings.api_keys, clock=wall_clock)
    metrics = Metrics(service)
    desk = Desk(
        service=service,
        tokens=tokens,
        limiter=RateLimiter(settings.rate_per_s, settings.burst, clock=clock),
        metrics=metrics,
        body_max_bytes=settings.body_max_bytes,
        read_timeout_s=settings.read_timeout_s,
    )
    operations: tuple[Operation, ...] = (
        *OPERATIONS,
        *service_operations(tokens, metrics, OPERATIONS),
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            tokens.close()
            service.close()
            if closing is not None:
                closing.__exit__(None, None, None)

    async def refuse(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        told = {
            404: f"there is nothing at {request.url.path!r}; /openapi.json lists what there is",
            405: f"{request.method} is not for {request.url.path!r}",
        }
        allowed = {"allow": _methods(operations, request.url.path)} if status == _NO_METHOD else {}
        request_id = request_id_of(dict(request.scope["headers"]))
        desk.metrics.observe("unknown", status, 0.0)
        return Response(
            error_body(ApiError(status, told.get(status, "the request failed")), request_id),
            status_code=status,
            headers={
                "x-request-id": request_id,
                **allowed,
                **({"connection": "close"} if LAST in request.scope else {}),
            },
            media_type="application/json",
        )

    app = Starlette(
        routes=[
            Route(operation.path, Endpoint(operation, desk), methods=[operation.method])
            for operation in operations
        ],
        exception_handlers={404: refuse, 405: refuse, 500: refuse},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _methods(operations: Sequence[Operation], path: str) -> str:
    """Every method that a path has; Starlette names those of the first route only."""
    methods = {
        operation.method for operation in operations if compile_path(operation.path)[0].match(path)
    }
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
