"""A small HTTP server that freezes by the clock, and the truth about what its clients must see.

The self-check asks it: whoever measures latency honestly reports its freezes in the percentiles.
It is one thread, so that while it sleeps nothing is answered, as in a collector's pause.

`main` prints its port, serves until its standard input ends, and freezes where it is told.
"""

import contextlib
import select
import socket
import sys
import time

import numpy as np

from groundspeed.stats import FloatArray, IntArray

__all__ = ["freeze_share_quantile", "main", "true_response_s"]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_END = b"\r\n\r\n"
_NS = 1_000_000_000


def true_response_s(
    intended_ns: IntArray, *, stall_s: float, every_s: float, phase_s: float
) -> FloatArray:
    """How long each arrival must wait for the end of a freeze, shape (n,); 0 outside of one.

    Args:
        intended_ns: Arrivals in nanoseconds of the run.
        stall_s: Length of a freeze.
        every_s: From one freeze's start to the next's.
        phase_s: When the first begins.
    """
    since_first_s = intended_ns / _NS - phase_s
    into_s = np.mod(since_first_s, every_s)
    return np.where((since_first_s >= 0.0) & (into_s < stall_s), stall_s - into_s, 0.0)


def freeze_share_quantile(q: float, *, stall_s: float, every_s: float) -> float:
    """The quantile of the response time of arrivals spread evenly: S (q - (1 - f)) / f, or 0.

    References:
        Tene, How not to measure latency: freeze for a share f of the time, each for S.
    """
    share = stall_s / every_s
    return max(0.0, stall_s * (q - (1.0 - share)) / share)


def main(arguments: list[str]) -> None:
    """Serve until standard input ends.

    Args:
        arguments: Nanoseconds of the monotonic clock, then seconds from there to the first freeze
            as the last of three: length of a freeze, from one to the next, to the first.
    """
    start_ns = int(arguments[0])
    stall_ns, every_ns, phase_ns = (round(float(a) * _NS) for a in arguments[1:4])
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - how its port is told
        _serve(listener, _Freezes(start_ns + phase_ns, stall_ns, every_ns))


class _Freezes:
    """When to sleep; none where they have no length."""

    def __init__(self, first_ns: int, stall_ns: int, every_ns: int) -> None:
        self._next_ns, self._stall_ns, self._every_ns = first_ns, stall_ns, every_ns

    def left_s(self) -> float:
        """Seconds until the next freeze."""
        return (self._next_ns - time.perf_counter_ns()) / _NS if self._stall_ns else 60.0

    def sleep_if_due(self) -> None:
        """Sleep to the end of a freeze that has begun."""
        while self._stall_ns and time.perf_counter_ns() >= self._next_ns:
            end_ns = self._next_ns + self._stall_ns
            time.sleep(max(0.0, (end_ns - time.perf_counter_ns()) / _NS))
            self._next_ns += self._every_ns


def _serve(listener: socket.socket, freezes: _Freezes) -> None:
    poll = select.poll()
    stdin_fd, listener_fd = sys.stdin.fileno(), listener.fileno()
    poll.register(stdin_fd, select.POLLIN | select.POLLHUP)
    poll.register(listener_fd, select.POLLIN)
    clients: dict[int, tuple[socket.socket, bytearray]] = {}
    while True:
        ready = poll.poll(max(0.0, freezes.left_s() * 1000.0))
        freezes.sleep_if_due()
        for fd, _ in ready:
            if fd == stdin_fd:
                return
            if fd == listener_fd:
                client, _ = listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[client.fileno()] = (client, bytearray())
                poll.register(client.fileno(), select.POLLIN)
            elif not _answer(*clients[fd]):
                poll.unregister(fd)
                clients.pop(fd)[0].close()


def _answer(client: socket.socket, waiting: bytearray) -> bool:
    with contextlib.suppress(OSError):
        data = client.recv(1 << 16)
        if data:
            waiting += data
            count = waiting.count(_END)
            if count:
                del waiting[: waiting.rindex(_END) + len(_END)]
                client.sendall(_ANSWER * count)
            return True
    return False
