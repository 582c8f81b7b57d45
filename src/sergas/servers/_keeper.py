"""Talks to the keeper: the small process that owns a server, see `_keeper_process`."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sergas.errors import ServerStartError
from sergas.servers._model import Account

__all__ = ["Keeper"]

_PROGRAM = Path(__file__).with_name("_keeper_process.py")


class Keeper:
    """A private folder and the process that owns it, and the program that runs in it.

    Closed by `close`, when collected, when this process ends, and when this process is killed.
    Safe to use from several threads. A forked child may not use it, and does not end it.

    Args:
        base: Where the private folder is made.
        account: Whom programs run as; None for the user of this process.

    Raises:
        ServerStartError: If the keeper cannot be started there.
    """

    def __init__(self, base: Path, account: Account | None) -> None:
        self.account = account
        self.pid = 0
        self._talk = _Talk(base)
        self.folder = self._talk.folder
        self._finalizer = weakref.finalize(self, self._talk.close)

    def start(self, argv: Sequence[str], *, farewell: str, folder: Path | None = None) -> int:
        """Start a program; returns its process id.

        Args:
            argv: Its command line.
            farewell: Name of the signal that ends it when nobody is left.
            folder: Its working folder; the private folder unless given.

        Raises:
            ServerStartError: If it cannot be started, or the one before still runs.
        """
        account = self.account
        answer = self._ask(
            do="start",
            argv=list(argv),
            farewell=farewell,
            folder=os.fspath(folder or self.folder),
            log=os.fspath(self.log),
            environment=_environment(os.environ),
            account=None if account is None else [account.user, account.group],
        )
        self.pid = answer["pid"]
        return self.pid

    def run(self, argv: Sequence[str], *, timeout_s: float) -> None:
        """Run a program to its end.

        Raises:
            ServerStartError: If it fails or takes longer than `timeout_s`; it is ended then.
        """
        self.start(argv, farewell="SIGKILL")
        code = self.wait(timeout_s)
        if code is None:
            self.end([("SIGKILL", 5.0)])
        if code != 0:
            ended = f"still ran after {timeout_s} s" if code is None else f"exit code {code}"
            raise ServerStartError(f"{argv[0]}: {ended}; it wrote:\n{self.last_words()}")

    def wait(self, timeout_s: float) -> int | None:
        """The program's exit code once it has ended; None if it runs on for `timeout_s`."""
        code: int | None = self._ask(do="wait", timeout_s=timeout_s)["code"]
        return code

    def end(self, signals: Sequence[tuple[str, float]]) -> int | None:
        """Send signals in turn, each with the seconds it is given, until the program has ended."""
        code: int | None = self._ask(do="end", signals=list(signals))["code"]
        return code

    @property
    def is_running(self) -> bool:
        """Whether a program was started and has not ended."""
        if not self._finalizer.alive:
            return False
        running: bool = self._ask(do="state")["running"]
        return running

    @property
    def log(self) -> Path:
        """What the programs wrote."""
        return self.folder / "server.log"

    def last_words(self, line_count: int = 15) -> str:
        """The last lines that the programs wrote."""
        try:
            return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-line_count:])
        except OSError:
            return "(nothing)"

    def close(self) -> None:
        """End the program, remove the private folder, and wait until both is done."""
        self._finalizer()

    def _ask(self, **request: Any) -> dict[str, Any]:
        if not self._finalizer.alive:
            raise ServerStartError("server: it is closed and its folder gone; start a new one")
        answer = self._talk.ask(request)
        if "error" in answer:
            raise ServerStartError(f"{request.get('argv', ['keeper'])[0]}: {answer['error']}")
        return answer


class _Talk:
    """Request and answer over the keeper's pipes."""

    def __init__(self, base: Path) -> None:
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._count = 0
        self._process = subprocess.Popen(  # noqa: S603 our own program, by its path
            [
                *(sys.executable, "-I", "-S", os.fspath(_PROGRAM)),
                *(str(self._owner), os.fspath(base)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends it in good order
            cwd="/",
        )
        try:
            self.folder = Path(self._answer(0)["folder"])
        except BaseException:
            self.close()
            raise

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if os.getpid() != self._owner:
            raise ServerStartError(
                f"server: used in process {os.getpid()}, but it belongs to process {self._owner}; "
                f"start one after the fork, or connect to its address"
            )
        with self._lock:
            self._count += 1
            assert self._process.stdin is not None  # noqa: S101 asked for above
            with contextlib.suppress(BrokenPipeError, ValueError):
                line = json.dumps({"id": self._count, **request}).encode() + b"\n"
                self._process.stdin.write(line)
                self._process.stdin.flush()
            return self._answer(self._count)

    def _answer(self, number: int) -> dict[str, Any]:
        """The answer to request `number`; those to requests that Ctrl-C interrupted are skipped."""
        process = self._process
        assert process.stdout is not None  # noqa: S101 asked for above
        assert process.stderr is not None  # noqa: S101 asked for above
        while not process.stdout.closed and (line := process.stdout.readline()):
            answer: dict[str, Any] = json.loads(line)
            if answer["id"] == number:
                return answer
        said = "" if process.stderr.closed else process.stderr.read().decode(errors="replace")
        raise ServerStartError(
            f"server: its keeper has ended (exit code {process.poll()}), needed alive; "
            f"start the server anew{': ' + said.strip() if said.strip() else ''}"
        )

    def close(self) -> None:
        process = self._process
        if os.getpid() == self._owner:
            assert process.stdin is not None  # noqa: S101 asked for above
            with contextlib.suppress(BrokenPipeError, ValueError):
                process.stdin.close()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a server sees: none of the secrets and PG* settings of whoever starts it."""
    kept = {name: environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
