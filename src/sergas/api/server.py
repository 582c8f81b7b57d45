"""The server: uvicorn with a limit on slow clients, and a shutdown that loses no request.

When it is told to end it takes no more connections, and those that there are may ask once more
within a second; that answer says `connection: close`. A client that is about to ask on an open
connection would otherwise find it closed under its request. What is under way may finish.
"""

import contextlib
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["LAST", "PatientProtocol", "raise_file_limit", "server_config"]

LAST = "sergas.is_last"
_DRAIN_S = 1.0


class PatientProtocol(HttpToolsProtocol):
    """HTTP/1.1 that is impatient with slow clients and patient when the server ends.

    A request whose answer is the connection's last has the key `LAST` in its scope.
    """

    _is_ending = False

    def connection_made(self, transport: Any) -> None:  # type: ignore[explicit-override]
        """Start the time for the first request's headers."""
        super().connection_made(transport)
        self._headers_timer = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def on_message_begin(self) -> None:  # type: ignore[explicit-override]
        """Start it anew for a further request: its first byte is here, its headers may not be."""
        super().on_message_begin()
        self._headers_timer.cancel()
        self._headers_timer = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def on_headers_complete(self) -> None:  # type: ignore[explicit-override]
        """The headers are here; bodies have a time limit of their own."""
        self._headers_timer.cancel()
        super().on_headers_complete()
        if self._is_ending:
            self.scope[LAST] = True  # type: ignore[literal-required] # the server's own

    def shutdown(self) -> None:  # type: ignore[explicit-override]
        """The server ends: the next answer is the last; without a request, wait for one a bit."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self._is_ending = True
            self.loop.call_later(_DRAIN_S, super().shutdown)
        else:
            cycle.scope[LAST] = True
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override]
        """Forget the timer."""
        self._headers_timer.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def server_config(
    app: Any, *, shutdown_s: float, read_timeout_s: float, **options: Any
) -> uvicorn.Config:
    """Uvicorn's settings for the service.

    Args:
        app: The application, or the name of what makes it.
        shutdown_s: How long requests may take to end after SIGTERM.
        read_timeout_s: How long a connection may be without a whole request's headers.
        **options: Further ones of uvicorn, such as host and port.
    """
    settings: dict[str, Any] = {
        "http": PatientProtocol,
        "ws": "none",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "log_level": "warning",
        "timeout_keep_alive": read_timeout_s,
        "timeout_graceful_shutdown": max(1, int(shutdown_s)),
        "backlog": 2048,
    }
    return uvicorn.Config(app, **(settings | options))


def raise_file_limit() -> int | None:
    """Allow as many open files as the system lets this process have; None where it has no limit."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None
