"""The thread that listens for a level 1, and the acknowledgements that others wait for."""

import contextlib
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager import _valkey_scripts as scripts
from sergas.optimizations.cache_manager._coherence import (
    Member,
    Message,
    Trust,
    read_message,
    write_message,
)
from sergas.optimizations.cache_manager._level import LevelListener

__all__ = ["ACK_KEPT_MS", "Membership", "ack_key"]

ACK_KEPT_MS = 10_000
_RETRY_FIRST_S = 0.05
_RETRY_LONGEST_S = 1.0
_LISTEN_S = 0.2


def ack_key(namespace: str, sender: str, number: int) -> str:
    """The list on which the acknowledgements of a message arrive."""
    return f"{namespace}:a:{sender}:{number}"


class Membership:
    """Keeps one level 1 a member for as long as it is used.

    Args:
        client: A redis-py client; its connections are used for the channel and for answers.
        run: Runs a script of `_valkey_scripts` with the name space and these arguments.
        namespace: What all names begin with.
        channel: What changes are published on.
        listener: Who is told of changes.
        lease_s: As in `_coherence`, > 0.
    """

    def __init__(
        self,
        client: Any,
        run: Callable[..., Any],
        *,
        namespace: str,
        channel: str,
        listener: LevelListener,
        lease_s: float,
    ) -> None:
        self._client = client
        self._run = run
        self._namespace = namespace
        self._channel = channel
        self._listener = listener
        self._lease_s = lease_s
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._trust = Trust()
        self._is_open = False
        self._join_anew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_after_fork(weakref.ref(self)))

    @property
    def name(self) -> str:
        """The member's name."""
        return self._member.name

    def guard(self) -> Callable[[], bool]:
        """A quick `is_trusted`."""
        trust, now_s, ask = self._trust, time.monotonic, self.is_trusted
        return lambda: now_s() < trust.until_s or ask()

    def is_trusted(self) -> bool:
        """Whether level 1 may be served from; starts to listen if nobody does."""
        if self._member.is_trusted():
            return True
        if not self._thread.is_alive() and not self._stop.is_set():
            self._start()
        return False

    def start(self, wait_s: float) -> None:
        """Begin to listen, and wait a moment for it to take hold."""
        self._start()
        deadline_s = time.monotonic() + wait_s
        while not self._member.is_trusted() and time.monotonic() < deadline_s:
            time.sleep(0.001)

    def stop(self) -> None:
        """Listen no more, and let nobody wait for this member."""
        self._stop.set()
        self._member.lost()
        if self._thread.is_alive():
            self._thread.join(_LISTEN_S + self._lease_s)
        with contextlib.suppress(CacheLevelError):
            self._run(scripts.LEAVE, self.name)

    def _join_anew(self) -> None:
        self._member = Member(
            f"{secrets.token_hex(8)}.{os.getpid()}",
            self._listener,
            self._trust,
            lease_s=self._lease_s,
            now_s=time.monotonic,
        )
        self._thread = threading.Thread(
            target=self._listen, name="sergas-cache-listen", daemon=True
        )

    def _start(self) -> None:
        with self._starting:
            if self._thread.ident is not None and not self._thread.is_alive():
                self._join_anew()
            if self._thread.ident is None:
                self._thread.start()

    def after_fork(self) -> None:
        """This is a child: the thread is the parent's, and so is its name."""
        self._member.lost()
        self._starting = threading.Lock()
        self._join_anew()

    def _listen(self) -> None:
        retry_s = _RETRY_FIRST_S
        while not self._stop.is_set():
            self._is_open = False
            try:
                with contextlib.closing(self._client.pubsub()) as channel:
                    channel.subscribe(self._channel)
                    while not self._stop.is_set():
                        self._turn(channel)
                        if self._member.is_trusted():
                            retry_s = _RETRY_FIRST_S
            except Exception:  # noqa: BLE001 whatever it was, the channel is opened anew
                self._member.lost()
                self._stop.wait(retry_s)
                retry_s = min(2 * retry_s, _RETRY_LONGEST_S)
        self._member.lost()

    def _turn(self, channel: Any) -> None:
        if self._is_open and self._member.beat_due_in_s() == 0:
            self._run(
                scripts.BEAT, self._channel, write_message(self._member.next_beat()), self.name
            )
        event = channel.get_message(timeout=min(_LISTEN_S, self._member.beat_due_in_s() or 0.01))
        if event is None:
            return
        if event["type"] == "subscribe":
            self._member.connected()
            self._is_open = True
        elif event["type"] == "message":
            message = read_message(event["data"])
            if self._member.hear(message):
                self._acknowledge(message)

    def _acknowledge(self, message: Message) -> None:
        key = ack_key(self._namespace, message.sender, message.number)
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.rpush(key, self.name)
            pipeline.pexpire(key, ACK_KEPT_MS)
            pipeline.execute()


def _after_fork(membership: "weakref.ref[Membership]") -> Callable[[], None]:
    def mend() -> None:
        found = membership()
        if found is not None:
            found.after_fork()

    return mend
