"""A wire that can be cut: forwards connections to a server, and fails on request.

One thread with an event loop of its own, so that it serves clients of every kind. The listening
socket stays when the wire is cut: who tries to connect is counted, then hung up on.
"""

import asyncio
import contextlib
import os
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sergas.servers._model import Address

__all__ = ["INTACT", "Fault", "Proxy"]

_CHUNK_BYTES = 1 << 16
_PAUSE_S = 0.01
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with the wire.

    Attributes:
        kind: `none`; `cut`: connections are reset, new ones too; `hang`: nothing arrives, and what
            was sent arrives when the fault is over; `slow`: each answer comes `delay_s` later;
            `wrong`: each answer is replaced by `answer`.
        delay_s: Seconds, >= 0, for `slow`.
        answer: Bytes, for `wrong`.
    """

    kind: Literal["none", "cut", "hang", "slow", "wrong"] = "none"
    delay_s: float = 0.0
    answer: bytes = b""


INTACT = Fault()


class Proxy:
    """Listens at `address` and forwards to `upstream`, until closed.

    Args:
        upstream: Where the server listens; it need not listen yet.
        path: The Unix socket to listen at; a free loopback port when None.
    """

    def __init__(self, upstream: Address, path: Path | None = None) -> None:
        self._upstream = upstream
        self._fault = INTACT
        self._flows = asyncio.Event()
        self._flows.set()
        self._links: set[_Link] = set()
        self._connection_count = 0
        self._listener = _listen(path)
        self.address = (
            Address(path=path, port=upstream.port)
            if path is not None
            else Address(port=self._listener.getsockname()[1])
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="sergas-proxy", daemon=True
        )
        self._thread.start()
        self._accepting: asyncio.Task[None] | None = None
        self._call(self._open())

    @property
    def connection_count(self) -> int:
        """How many connections were tried so far, those that failed included."""
        return self._connection_count

    @property
    def fault(self) -> Fault:
        """What is wrong now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._call(self._change(fault))

    def close(self) -> None:
        """Reset every connection and stop listening. May be called twice."""
        if self._loop.is_closed():
            return
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_TIMEOUT_S)
        self._loop.close()
        self._listener.close()
        if self.address.path is not None:
            self.address.path.unlink(missing_ok=True)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_TIMEOUT_S)

    async def _open(self) -> None:
        self._accepting = self._loop.create_task(self._accept())

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._listener)
            except OSError:  # the client has left already, or this process has too many files open
                await asyncio.sleep(_PAUSE_S)
                continue
            self._connection_count += 1
            link = _Link(client)
            self._links.add(link)
            link.task = self._loop.create_task(self._serve(link))

    async def _serve(self, link: "_Link") -> None:
        try:
            await self._flows.wait()
            if self._fault.kind == "cut":
                link.reset()
            elif await link.connect(self._upstream):
                # A group ends both directions before the sockets are closed: one left waiting would
                # keep the descriptor in the selector, and the next connection has the same number.
                async with asyncio.TaskGroup() as directions:
                    directions.create_task(self._forward_questions(link))
                    directions.create_task(self._forward_answers(link))
        except* OSError:
            pass  # one end hung up: so does the other
        finally:
            self._links.discard(link)
            link.close()

    async def _forward_questions(self, link: "_Link") -> None:
        while data := await self._loop.sock_recv(link.client, _CHUNK_BYTES):
            await self._flows.wait()
            await self._loop.sock_sendall(link.server, data)
        with contextlib.suppress(OSError):
            link.server.shutdown(socket.SHUT_WR)

    async def _forward_answers(self, link: "_Link") -> None:
        while data := await self._loop.sock_recv(link.server, _CHUNK_BYTES):
            await self._flows.wait()
            fault = self._fault
            if fault.kind == "slow":
                await asyncio.sleep(fault.delay_s)
            await self._loop.sock_sendall(
                link.client, fault.answer if fault.kind == "wrong" else data
            )
        raise ConnectionResetError  # the server hung up: nothing asked can be answered any more

    async def _change(self, fault: Fault) -> None:
        self._fault = fault
        if fault.kind == "hang":
            self._flows.clear()
        else:
            self._flows.set()
        if fault.kind == "cut":
            await self._reset()

    async def _reset(self) -> None:
        tasks = [link.task for link in self._links if link.task is not None]
        for link in self._links:
            link.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self) -> None:
        assert self._accepting is not None  # noqa: S101 the constructor has opened it
        self._accepting.cancel()
        await asyncio.gather(self._accepting, return_exceptions=True)
        await self._reset()


class _Link:
    """One client's connection and its continuation to the server."""

    __slots__ = ("client", "server", "task")

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.client.setblocking(False)
        self.server = socket.socket()  # replaced when connected, and closed either way
        self.task: asyncio.Task[None] | None = None

    async def connect(self, upstream: Address) -> bool:
        """Whether the server could be reached."""
        loop = asyncio.get_running_loop()
        self.server.close()
        target: Any
        if upstream.path is not None:
            self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            target = os.fspath(upstream.path)
        else:
            found = await loop.getaddrinfo(
                upstream.host, upstream.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
            )
            family, kind, protocol, _, target = found[0]
            self.server = socket.socket(family, kind, protocol)
            self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.setblocking(False)
        try:
            await loop.sock_connect(self.server, target)
        except OSError:
            return False
        return True

    def reset(self) -> None:
        """Let the next `close` send a reset instead of an orderly end."""
        if self.client.family != getattr(socket, "AF_UNIX", None):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        self.client.close()
        self.server.close()


def _listen(path: Path | None) -> socket.socket:
    if path is None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(path))
        listener.listen(1024)
    listener.setblocking(False)
    return listener
