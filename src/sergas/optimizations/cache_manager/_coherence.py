"""How processes that share a server keep their level 1 from serving what another one removed.

Every process with a level 1 is a *member*. Whoever changes something publishes it and learns, in
the same step on the server, who is a member; its call returns when each of them has acknowledged,
so what a member serves after that call is no older than the change.

A member that does not answer cannot hold the call up for longer than its *lease*: a member serves
from level 1 only while it has heard one of its own heartbeats, published on the very channel that
brings the changes, within the lease. The channel keeps its order. So a heartbeat that was published
before a change lets the member serve until a lease later and no longer, and one published after the
change is heard after it. Who waits as long as a lease has therefore waited long enough, and strikes
the silent member off the list unless it has sent a heartbeat since. (Leases as in Gray and
Cheriton, SOSP 1989; only the rates of the clocks must agree, to a tenth.)

A member that has lost the channel drops everything before it sends its next heartbeat.
"""

import itertools
import math
import threading
from collections.abc import Callable

import msgspec

from sergas.errors import CacheLevelError
from sergas.optimizations.cache_manager._level import LevelListener

__all__ = ["Member", "Message", "Trust", "read_message", "write_message"]

_TRUSTED_SHARE = 0.9
_BEATS_PER_LEASE = 3


class Message(msgspec.Struct, array_like=True, frozen=True):
    """What travels on the channel.

    Attributes:
        kind: `keys`, `tag`, `pattern`, `all`, or `beat`.
        sender: Who published it.
        number: The sender's own count; with `sender` it names the message.
        what: The keys, the tag or the pattern; one element for the last two, none for the others.
    """

    kind: str
    sender: str
    number: int
    what: tuple[str, ...] = ()


def write_message(message: Message) -> bytes:
    """The message as bytes."""
    return msgspec.msgpack.encode(message)


def read_message(data: bytes) -> Message:
    """The message in these bytes.

    Raises:
        CacheLevelError: If it is none.
    """
    try:
        return msgspec.msgpack.decode(data, type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CacheLevelError(
            f"ValkeyLevel: cannot read a message of {len(data)} bytes: {error}; somebody else"
            f" publishes on the channel, give the level a namespace of its own"
        ) from error


class Trust:
    """Until when a level 1 may be served from; an object so that a hit need only look at it.

    Attributes:
        until_s: On the monotonic clock.
    """

    __slots__ = ("until_s",)

    def __init__(self) -> None:
        self.until_s = -math.inf


class Member:
    """One level 1 among those that share a server; decides whether it may be served from.

    Args:
        name: Its name, unlike that of any other.
        listener: Who is told of changes.
        trust: Where it says until when it may be served from.
        lease_s: As above, > 0.
        now_s: The monotonic clock.
    """

    def __init__(
        self,
        name: str,
        listener: LevelListener,
        trust: Trust,
        *,
        lease_s: float,
        now_s: Callable[[], float],
    ) -> None:
        self.name = name
        self._trust = trust
        self._listener = listener
        self._lease_s = lease_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._sent: dict[int, float] = {}
        self._next_beat_s = -math.inf
        trust.until_s = -math.inf

    def is_trusted(self) -> bool:
        """Whether every change whose call has returned was told to the listener."""
        return self._now_s() < self._trust.until_s

    def beat_due_in_s(self) -> float:
        """Seconds until the next heartbeat, >= 0."""
        return max(0.0, self._next_beat_s - self._now_s())

    def next_beat(self) -> Message:
        """The heartbeat to publish now."""
        now_s = self._now_s()
        with self._lock:
            number = next(self._numbers)
            horizon_s = now_s - self._lease_s
            self._sent = {n: at for n, at in self._sent.items() if at > horizon_s}
            self._sent[number] = now_s
            self._next_beat_s = now_s + self._lease_s / _BEATS_PER_LEASE
        return Message("beat", self.name, number)

    def connected(self) -> None:
        """The channel is open, and whatever was published before was missed."""
        self.lost()
        self._listener.forget_all()

    def lost(self) -> None:
        """The channel is gone: nothing may be served from level 1."""
        with self._lock:
            self._trust.until_s = self._next_beat_s = -math.inf
            self._sent = {}

    def hear(self, message: Message) -> bool:
        """Do what a message says; whether its sender waits for an acknowledgement."""
        if message.sender == self.name:
            if message.kind == "beat":
                self._hear_own_beat(message.number)
            return False
        if message.kind == "beat":
            return False
        if message.kind == "keys":
            self._listener.forget_keys(message.what)
        elif message.kind == "tag":
            self._listener.forget_tag(message.what[0])
        elif message.kind == "pattern":
            self._listener.forget_matching(message.what[0])
        else:
            self._listener.forget_all()
        return True

    def _hear_own_beat(self, number: int) -> None:
        with self._lock:
            sent_s = self._sent.pop(number, None)
            if sent_s is not None:
                until_s = sent_s + self._lease_s * _TRUSTED_SHARE
                self._trust.until_s = max(self._trust.until_s, until_s)
