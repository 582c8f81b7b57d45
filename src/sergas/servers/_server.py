"""What PostgreSQL and Valkey have in common once found: life, death and a faulty wire."""

import contextlib
import os
import secrets
import socket
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sergas.clock import Clock, SystemClock
from sergas.errors import ServerError, ServerNotOursError, ServerStartError
from sergas.servers._account import can_reach, private_base, unprivileged
from sergas.servers._binaries import Programs
from sergas.servers._keeper import Keeper
from sergas.servers._model import Address, Profile, Source, Transport
from sergas.servers._proxy import INTACT, Fault, Proxy

__all__ = ["Engine", "Home", "Server"]

START_TIMEOUT_S = 60.0
_POLL_S = 0.003
_KILL = ("SIGKILL", 10.0)


class Home:
    """The private folder of one server, its keeper, its programs and its address.

    Args:
        programs: As found; copied into the folder if the server's user cannot reach them.
        transport: `unix`, or `tcp` for a loopback port that stays reserved over restarts.
        socket_name: File name of the Unix socket.
        port: Part of the address with a Unix socket.

    Raises:
        ServerStartError: If the folder or its keeper cannot be had.
    """

    def __init__(
        self, programs: Programs, transport: Transport, socket_name: str, port: int = 0
    ) -> None:
        account = unprivileged()
        self.keeper = Keeper(private_base(account), account)
        self.folder = self.keeper.folder
        self.wire: Proxy | None = None
        self._reserved: socket.socket | None = None
        try:
            # Passing through is all that others may, and only if the server is another user.
            self.folder.chmod(0o700 if account is None else 0o711)
            self.data = self.make("data")
            sockets = self.make("s")
            self.programs = self._within_reach(programs)
            self.password = secrets.token_urlsafe(24)
            if transport == "unix":
                self.address = Address(path=sockets / socket_name, port=port)
            else:
                self._reserved = _reserve()
                self.address = Address(port=self._reserved.getsockname()[1])
        except BaseException:
            self.close()
            raise

    def _within_reach(self, programs: Programs) -> Programs:
        if can_reach(programs.server, self.keeper.account):
            return programs
        copied = programs.copied(self.folder / "programs")
        self.give_all(copied.root)
        return copied

    def make(self, name: str) -> Path:
        """A folder of its own for the server's user."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        self.give(folder)
        return folder

    def give(self, path: Path) -> None:
        """Make the server's user the owner of something in the private folder."""
        account = self.keeper.account
        if account is not None:
            os.chown(path, account.user, account.group, follow_symlinks=False)

    def give_all(self, folder: Path) -> None:
        """Make the server's user the owner of all in a folder, and last of the folder itself."""
        if self.keeper.account is not None:
            for parent, _, names in os.walk(folder, topdown=False):
                for path in (*(os.path.join(parent, name) for name in names), parent):  # noqa: PTH118 a thousand of them
                    self.give(Path(path))

    def write(self, path: Path, text: str) -> Path:
        """Write a file that only the server's user may read."""
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
        self.give(path)
        return path

    def lay_wire(self) -> None:
        """Put a wire that can be broken before the server, with an address of the same kind."""
        path = self.address.path
        if path is not None:
            path = self.folder / "p" / path.name
            path.parent.mkdir(mode=0o700)
        self.wire = Proxy(self.address, path)

    def close(self) -> None:
        """End the server and leave nothing."""
        if self.wire is not None:
            self.wire.close()
        self.keeper.close()
        if self._reserved is not None:
            self._reserved.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """How a server started here is brought up and down.

    Attributes:
        home: Its folder and keeper.
        command: Its command line.
        is_ready: Whether it answers.
        stops: Signals that end it in good order, each with the seconds it is given.
        farewell: The signal that ends it at once, when its folder goes too.
    """

    home: Home
    command: Sequence[str]
    is_ready: Callable[[], bool]
    stops: Sequence[tuple[str, float]]
    farewell: str


class Server:
    """A real server, found or started.

    Attributes:
        source: `dsn` (given by the environment), `path` or `wheel` (started here).
        profile: `durable`: what was confirmed survives a crash of the machine. `fast`: it may not.
        version: Of the server.

    Thread-safe.
    """

    def __init__(
        self,
        *,
        source: Source,
        profile: Profile,
        version: str,
        engine: Engine | None,
        wire: Proxy | None,
        clock: Clock | None = None,
    ) -> None:
        self.source: Source = source
        self.profile: Profile = profile
        self.version = version
        self._engine = engine
        self._wire = wire
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, _close, wire, engine)

    # Life and death

    def start(self) -> None:
        """Start it again where it was, with the data it had; nothing happens if it runs.

        Raises:
            ServerNotOursError: If it was given, not started here.
            ServerStartError: If it does not come up.
        """
        engine = self._own("start")
        keeper = engine.home.keeper
        with self._lock:
            if self.is_running:
                return
            keeper.start(engine.command, farewell=engine.farewell, folder=engine.home.data)
            until_s = self._clock.monotonic_s() + START_TIMEOUT_S
            while not engine.is_ready():
                code = keeper.wait(_POLL_S)
                if code is not None or self._clock.monotonic_s() > until_s:
                    what = "still starts" if code is None else f"ended with exit code {code}"
                    raise ServerStartError(
                        f"{engine.command[0]}: {what}, needed ready within "
                        f"{START_TIMEOUT_S:.0f} s; it wrote:\n{keeper.last_words()}"
                    )

    def stop(self) -> None:
        """Shut it down in good order; open connections are ended. `start` brings it back.

        Raises:
            ServerNotOursError: If it was given, not started here.
        """
        engine = self._own("stop")
        with self._lock:
            engine.home.keeper.end([*engine.stops, _KILL])

    def kill(self) -> None:
        """Kill it and all its processes without a warning; `start` brings it back.

        Raises:
            ServerNotOursError: If it was given, not started here.
        """
        engine = self._own("kill")
        with self._lock:
            engine.home.keeper.end([_KILL])

    def restart(self) -> None:
        """Stop and start it; its address stays the same."""
        with self._lock:
            self.stop()
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether its process is there; for a given server, True."""
        return self._engine is None or self._engine.home.keeper.is_running

    def close(self) -> None:
        """End what was started here and remove its folder; leave a given server alone.

        Also done when the object is collected, when the process ends, and when it is killed.
        """
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The wire

    def cut_off(self) -> AbstractContextManager[object]:
        """Cut the network: connections are reset, new ones too, until the block ends.

        Takes effect at once, also without `with`; then `restore` ends it.

        Raises:
            ServerNotOursError: If the server was not started with `proxy=True`.
        """
        return self._break(Fault(kind="cut"))

    def hang(self) -> AbstractContextManager[object]:
        """Let nothing through, as a firewall that drops does; it arrives when the block ends."""
        return self._break(Fault(kind="hang"))

    def delay(self, delay_s: float) -> AbstractContextManager[object]:
        """Let each answer come `delay_s` seconds (>= 0) later."""
        if not delay_s >= 0:
            raise ServerError(f"server.delay: got {delay_s} s, needed 0 or more")
        return self._break(Fault(kind="slow", delay_s=delay_s))

    def answer_wrongly(self, answer: bytes = b"\x00?\r\n") -> AbstractContextManager[object]:
        """Replace each answer by `answer`, which no protocol knows."""
        return self._break(Fault(kind="wrong", answer=answer))

    def restore(self) -> None:
        """Mend the wire."""
        self._breakable("restore").fault = INTACT

    @property
    def connection_count(self) -> int:
        """How many connections were tried so far over the proxy, those that failed included."""
        return self._breakable("connection_count").connection_count

    def _break(self, fault: Fault) -> AbstractContextManager[object]:
        self._breakable(fault.kind).fault = fault
        until = contextlib.ExitStack()
        until.callback(self.restore)
        return until

    def _breakable(self, wanted: str) -> Proxy:
        if self._wire is None:
            raise ServerNotOursError(
                f"server: {wanted} needs the proxy, but clients are connected directly; "
                f"start it with proxy=True"
            )
        return self._wire

    def _own(self, wanted: str) -> Engine:
        if self._engine is None:
            raise ServerNotOursError(
                f"server: {wanted} of a server that was given by the environment, needed one "
                f"started here; start it with sources=OWN"
            )
        return self._engine


def _close(wire: Proxy | None, engine: Engine | None) -> None:
    if wire is not None:
        wire.close()
    if engine is not None:
        engine.home.close()


def _reserve() -> socket.socket:
    """A loopback port that nobody else is given; a server, with SO_REUSEADDR, may listen there."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved
