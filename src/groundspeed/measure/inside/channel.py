"""The conversation between the controller and what it measures.

Newline-separated JSON over sockets of its own: whatever a benchmark prints goes nowhere.
"""

import contextlib
import json
import socket
from typing import Any

__all__ = ["Channel"]


class Channel:
    """One end of a conversation: a JSON object a line, with at most one descriptor beside it."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self._buffer = b""
        self._descriptors: list[int] = []

    def receive(self) -> dict[str, Any] | None:
        """The next message, or None when the other end is gone."""
        while b"\n" not in self._buffer:
            data, descriptors, _, _ = socket.recv_fds(self.end, 65536, 4)
            if not data:
                return None
            self._buffer += data
            self._descriptors += descriptors
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def take_descriptor(self) -> int:
        """The descriptor that came with the last message."""
        return self._descriptors.pop(0)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; the other end may be gone, which the next receive will tell."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.end.sendall(json.dumps(message).encode() + b"\n")
