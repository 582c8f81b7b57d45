"""Runs the service in this process, or in several that share a socket."""

import logging
from collections.abc import Callable

from uvicorn import Server
from uvicorn.supervisors import Multiprocess

from sergas.api import raise_file_limit, server_config
from sergas.settings import Settings, without_password

__all__ = ["serve"]

_BACKLOG = 2048


def serve(
    settings: Settings, *, host: str, port: int, workers: int, say: Callable[[str], None]
) -> int:
    """Serve until told to end; returns the exit code.

    Args:
        settings: As the workers will read them from the environment.
        host: Where to listen.
        port: The port, 0 for any that is free.
        workers: How many processes.
        say: Tells the person at the terminal.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    files = raise_file_limit()
    config = server_config(
        "sergas.app.compose:create_app",
        shutdown_s=settings.shutdown_s,
        read_timeout_s=settings.read_timeout_s,
        factory=True,
        host=host,
        port=port,
        workers=workers,
    )
    listening = config.bind_socket()
    # From here on clients can connect; they are answered as soon as there is somebody to answer.
    listening.listen(_BACKLOG)
    address = "%s:%s" % listening.getsockname()[:2]  # noqa: UP031 a pair
    say(
        f"http://{address}  {without_password(settings.database_url)},"
        f" {workers} {'process' if workers == 1 else 'processes'}"
        + ("" if files is None else f", up to {files:,} open files")
    )
    server = Server(config)
    try:
        if workers == 1:
            server.run([listening])
        else:
            Multiprocess(config, sockets=[listening]).run()
    except KeyboardInterrupt:  # uvicorn has ended in order and says it again
        pass
    finally:
        listening.close()
    return 0 if workers > 1 or server.started else 1
