"""Our HTTP client: raw sockets, one poll for all, httptools for the answers, and nothing else.

What other clients spend on headers, pools, redirects and futures is most of what they cost; a load
generator needs none of it. One thread, one process, no TLS. The requests are bytes made before the
run.
"""

import contextlib
import errno
import select
import selectors
import socket
from collections import deque
from typing import Final, Protocol

import httptools

from groundspeed.errors import UsageError
from groundspeed.load.recorder import Begun
from groundspeed.load.scenario import Http, filled, is_varied

__all__ = ["READ", "WRITE", "Connection", "Poll", "bytes_of", "open_poll", "resolve"]

READ: Final = 1
WRITE: Final = 4
_CHUNK = 1 << 16
_FINAL = 200
"""Below it an answer only announces another."""
_WITH_BODY = {"POST", "PUT", "PATCH"}
_SELECT_MAX = 1024
_MILLISECOND_S = 0.001
_COARSE_S = 0.003
_IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN, 0}


def bytes_of(request: Http) -> list[bytes]:
    """The request as it goes over the wire, for each number that `{n}` stands for."""
    host, port = request.address()
    path = "/" + request.url.split("://", 1)[1].partition("/")[2]
    varied = is_varied(path) or is_varied(request.body)
    name = f"[{host}]" if ":" in host else host
    made = []
    for number in range(request.keys if varied else 1):
        body = filled(request.body, number).encode()
        lines = [
            f"{request.method} {filled(path, number)} HTTP/1.1",
            f"Host: {name}:{port}",
            *(f"{header}: {value}" for header, value in request.headers.items()),
            *([f"Content-Length: {len(body)}"] if body or request.method in _WITH_BODY else []),
        ]
        made.append("\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body)
    return made


class Poll(Protocol):
    """Which descriptors are ready; `fileno` can itself be waited for with select."""

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor."""

    def modify(self, fd: int, events: int) -> None:
        """Watch it for other events."""

    def unregister(self, fd: int) -> None:
        """Watch it no longer."""

    def ready(self) -> list[tuple[int, int]]:
        """Those that are ready now, with their events."""

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Sleep until one is ready, or at most so long; those that are ready then."""

    def close(self) -> None:
        """Let go."""


class _Epoll:
    """Linux."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister
        self.close = self._epoll.close
        self._poll = self._epoll.poll
        self._fd = [self._epoll.fileno()]

    def ready(self) -> list[tuple[int, int]]:
        """Those that are ready now."""
        return self._poll(0)

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Sleep: epoll's own timeout has milliseconds only, select's has microseconds."""
        if seconds > _COARSE_S or self._fd[0] >= _SELECT_MAX:
            return self._poll(max(0.0, seconds - _MILLISECOND_S))
        select.select(self._fd, (), (), seconds)
        return self._poll(0)


class _Selector:
    """Anywhere else."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.close = self._selector.close

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor."""
        self._selector.register(fd, _selector_events(events))

    def modify(self, fd: int, events: int) -> None:
        """Watch it for other events."""
        self._selector.modify(fd, _selector_events(events))

    def unregister(self, fd: int) -> None:
        """Watch it no longer."""
        self._selector.unregister(fd)

    def ready(self) -> list[tuple[int, int]]:
        """Those that are ready now."""
        return [(key.fd, _own_events(events)) for key, events in self._selector.select(0)]

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """Sleep until one is ready."""
        self._selector.select(seconds)
        return self.ready()


def _selector_events(events: int) -> int:
    return (selectors.EVENT_READ if events & READ else 0) | (
        selectors.EVENT_WRITE if events & WRITE else 0
    )


def _own_events(events: int) -> int:
    return (READ if events & selectors.EVENT_READ else 0) | (
        WRITE if events & selectors.EVENT_WRITE else 0
    )


def open_poll() -> Poll:
    """The best there is here."""
    return _Epoll() if hasattr(select, "epoll") else _Selector()


class Connection:
    """One connection: requests go out in order, and answers come back in the same order.

    It is told what to do by the engine, which finds the status codes of answers that were completed
    in `statuses`, and clears them.

    Args:
        family: Of the address.
        address: Where to.
        poll: Watches it.

    Raises:
        OSError: If no connection can be begun.
    """

    __slots__ = (
        "_out",
        "_parser",
        "_poll",
        "_recv",
        "_send",
        "_sock",
        "connected",
        "fd",
        "pending",
        "reusable",
        "statuses",
    )

    def __init__(self, family: int, address: tuple[str, int], poll: Poll) -> None:
        self._sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _raise_for(self._sock.connect_ex(address))
        except OSError:
            self._sock.close()
            raise
        self._send, self._recv = self._sock.send, self._sock.recv
        self._out = b""
        self._poll = poll
        self.fd = self._sock.fileno()
        self.connected = False
        self.reusable = True
        self.pending: deque[Begun] = deque()
        self.statuses: list[int] = []
        self._parser = httptools.HttpResponseParser(self)
        poll.register(self.fd, WRITE)

    def on_message_complete(self) -> None:
        """The parser has read an answer to its end."""
        status = self._parser.get_status_code()
        if status >= _FINAL:
            self.statuses.append(status)
            if not self._parser.should_keep_alive():
                self.reusable = False

    def send(self, request: bytes) -> None:
        """Send, or keep what cannot be sent yet.

        Raises:
            OSError: If the connection is gone.
        """
        if not self.connected or self._out:
            self._out += request
            return
        try:
            sent = self._send(request)
        except BlockingIOError:
            sent = 0
        if sent < len(request):
            self._out = request[sent:]
            self._poll.modify(self.fd, READ | WRITE)

    def writable(self) -> None:
        """It is connected, or has room again.

        Raises:
            OSError: If it could not be connected, or is gone.
        """
        if not self.connected:
            _raise_for(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            self.connected = True
        if self._out:
            try:
                self._out = self._out[self._send(self._out) :]
            except BlockingIOError:
                return
        self._poll.modify(self.fd, READ | WRITE if self._out else READ)

    def receive(self) -> bool:
        """Read what there is; False when the other end has closed.

        Raises:
            OSError: If the connection is gone.
            httptools.HttpParserError: If it is no HTTP.
        """
        try:
            data = self._recv(_CHUNK)
        except BlockingIOError:
            return True
        if not data:
            return False
        self._parser.feed_data(data)
        return True

    def close(self) -> None:
        """End it; what is pending is the engine's to record."""
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._poll.unregister(self.fd)
        self._sock.close()


def _raise_for(error: int) -> None:
    if error not in _IN_PROGRESS:
        raise OSError(error, errno.errorcode.get(error, "unknown"))


def resolve(host: str, port: int) -> tuple[int, tuple[str, int]]:
    """The family and address to connect to.

    Raises:
        UsageError: If the name stands for nothing.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(f"host {host!r}: {error.strerror}; needed a name or an address") from None
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))
