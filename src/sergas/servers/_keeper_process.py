"""The process that owns a server and outlives whoever asked for it, just long enough to tidy up.

Run by path with `python -I -S`, so the standard library is all there is. It makes the private
folder, starts what it is told to over its standard input (a JSON object a line), and when its
parent is gone, by whatever means, it ends the server, removes the folder and exits.

Three things tell it that the parent is gone: the parent's pidfd, which a forked child of the parent
that still holds the pipe cannot hide; the end of the pipe; and another parent process, where there
is no pidfd. Should the keeper itself be killed, the kernel passes the server the signal named in
`farewell`; the folder then stays until the next keeper sweeps it.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

PREFIX = "sergas-"
LOCK = "lock"
_POLL_S = 0.02
_KILL_WAIT_S = 5.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IPC_RMID = 0


class ParentGoneError(Exception):
    """Nobody is left to keep the server for."""


class Keeper:
    """One private folder and at most one running program in it.

    Args:
        parent: Process id of whoever asked.
        base: Where the private folder is made.
    """

    def __init__(self, parent: int, base: Path) -> None:
        self._parent = parent
        self._input = b""
        self._program: subprocess.Popen[bytes] | None = None
        self._farewell = signal.SIGKILL
        self._parent_fd = _pidfd(parent)
        _adopt_orphans()
        sweep(base)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self._lock = hold(self.folder)

    def serve(self) -> None:
        """Do what is asked until the parent is gone or closes the pipe, then tidy up."""
        try:
            reply({"id": 0, "folder": os.fspath(self.folder)})
            while (asked := self._next()) is not None:
                reply({"id": asked["id"], **self._do(asked)})
        except (ParentGoneError, BrokenPipeError):
            pass
        finally:
            self._tidy()

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            match asked["do"]:
                case "start":
                    return self._start(asked)
                case "state":
                    program = self._program
                    return {"running": program is not None and program.poll() is None}
                case "wait":
                    return {"code": self._wait(asked["timeout_s"])}
                case "end":
                    return {"code": self._end(asked["signals"])}
                case other:
                    return {"error": f"unknown request {other!r}"}
        except OSError as error:
            return {"error": str(error)}

    def _start(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._program is not None and self._program.poll() is None:
            return {"error": f"process {self._program.pid} still runs"}
        self._kill_orphans()
        self._farewell = signal.Signals[asked["farewell"]]
        account = asked["account"]
        groups: dict[str, Any] = (
            {} if account is None else {"user": account[0], "group": account[1], "extra_groups": []}
        )
        with Path(asked["log"]).open("ab") as log:
            self._program = subprocess.Popen(  # noqa: S603 to start programs is what a keeper is for
                asked["argv"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=asked["folder"],
                env=asked["environment"],
                umask=0o077,
                start_new_session=True,
                # After the change of user, which would clear it.
                preexec_fn=_die_with_keeper(self._farewell),  # noqa: PLW1509 there are no threads
                **groups,
            )
        return {"pid": self._program.pid}

    def _wait(self, timeout_s: float) -> int | None:
        """The program's exit code, or None if it still runs after `timeout_s`."""
        program = self._program
        if program is None:
            return None
        until = time.monotonic() + timeout_s
        with _closing(_pidfd(program.pid)) as program_fd:
            while (code := program.poll()) is None and (left := until - time.monotonic()) > 0:
                if program_fd is None or self._parent_fd is None:
                    time.sleep(min(left, _POLL_S))
                else:
                    select.select([program_fd, self._parent_fd], [], [], left)
                self._check_parent()
            return code

    def _check_parent(self) -> None:
        if os.getppid() != self._parent:
            raise ParentGoneError

    def _end(self, signals: list[tuple[str, float]]) -> int | None:
        """Send each signal in turn until the program is gone; SIGKILL reaches its children too."""
        program = self._program
        if program is None:
            return None
        for name, wait_s in signals:
            if program.poll() is not None:
                break
            if name == "SIGKILL":
                kill_tree(program.pid)
            else:
                program.send_signal(signal.Signals[name])
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(wait_s)
        if program.poll() is not None:
            self._kill_orphans()
        return program.poll()

    def _kill_orphans(self) -> None:
        """End what a program that has ended left behind, such as PostgreSQL's busy backends."""
        until = time.monotonic() + _KILL_WAIT_S
        while (orphans := children(os.getpid())) and time.monotonic() < until:
            for orphan in orphans:
                with contextlib.suppress(OSError):
                    os.kill(orphan, signal.SIGKILL)
                    os.waitpid(orphan, 0)

    def _next(self) -> dict[str, Any] | None:
        """The next request; None when the parent is gone or has closed the pipe."""
        while b"\n" not in self._input:
            watched = [0] if self._parent_fd is None else [0, self._parent_fd]
            ready, _, _ = select.select(watched, [], [], 0.5 if self._parent_fd is None else None)
            if self._parent_fd in ready:
                return None
            self._check_parent()
            if 0 in ready:
                if not (data := os.read(0, 65536)):
                    return None
                self._input += data
        line, self._input = self._input.split(b"\n", 1)
        asked: dict[str, Any] = json.loads(line)
        return asked

    def _tidy(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is on its way already
        self._end([(self._farewell.name, _KILL_WAIT_S), ("SIGKILL", _KILL_WAIT_S)])
        shutil.rmtree(self.folder, ignore_errors=True)


def reply(message: dict[str, Any]) -> None:
    """Write one line to the parent."""
    os.write(1, json.dumps(message).encode() + b"\n")


def hold(folder: Path) -> int:
    """Lock `folder` for as long as this process lives; returns the lock's descriptor.

    The lock is taken under another name first: a file named `lock` has always been locked.
    """
    import fcntl

    fresh = folder / (LOCK + ".new")
    descriptor = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    fresh.rename(folder / LOCK)
    return descriptor


def sweep(base: Path) -> None:
    """Remove the folders of this user whose keeper was killed before it could."""
    import fcntl

    for lock in base.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):
            if lock.parent.stat().st_uid != os.geteuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(descriptor)


def kill_tree(pid: int) -> None:
    """Kill a server and its children, and free the shared memory that it can no longer free.

    A PostgreSQL backend that is busy does not notice that its parent is gone; the parent is stopped
    first so that it cannot start another one. `pid` must be a child not yet waited for.
    """
    os.kill(pid, signal.SIGSTOP)
    family = [pid, *children(pid)]
    names, segments = shared_memory(family)
    for member in reversed(family):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    if names or segments:
        _forget(names, segments)


def children(pid: int) -> list[int]:
    """Process ids of the direct children; empty where there is no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name between the brackets may hold anything; the parent is the second field after.
            if int(stat.read_text("latin-1").rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def shared_memory(family: list[int]) -> tuple[set[Path], set[int]]:
    """What the processes have mapped: files in /dev/shm and ids of System V segments."""
    names: set[Path] = set()
    segments: set[int] = set()
    for member in family:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/maps").read_text("latin-1").splitlines():
                fields = line.split(maxsplit=5)
                name = fields[5] if len(fields) > 5 else ""  # noqa: PLR2004 the sixth is the name
                if name.startswith("/dev/shm/PostgreSQL."):  # noqa: S108 where POSIX segments are
                    names.add(Path(name))
                elif name.startswith("/SYSV"):
                    segments.add(int(fields[4]))
    return names, segments


def _forget(names: set[Path], segments: set[int]) -> None:
    import ctypes

    for name in names:
        name.unlink(missing_ok=True)
    for segment in segments:
        ctypes.CDLL(None).shmctl(segment, _IPC_RMID, None)


def _die_with_keeper(farewell: signal.Signals) -> Any:
    prctl = _prctl()
    return None if prctl is None else lambda: prctl(_PR_SET_PDEATHSIG, int(farewell))


def _adopt_orphans() -> None:
    """Become the parent of what a killed server leaves behind, so that it can be found."""
    if (prctl := _prctl()) is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl() -> Any:
    if sys.platform != "linux":
        return None
    import ctypes

    return ctypes.CDLL(None).prctl


def _pidfd(pid: int) -> int | None:
    """A descriptor that can be read once the process has ended; None where there is none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


@contextlib.contextmanager
def _closing(descriptor: int | None) -> Iterator[int | None]:
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _leave(_number: int, _frame: object) -> NoReturn:
    raise ParentGoneError


def main() -> None:
    """Keep a server for the process and in the place that the command line names."""
    parent, base = int(sys.argv[1]), Path(sys.argv[2])
    signal.signal(signal.SIGTERM, _leave)
    if os.getppid() == parent:
        Keeper(parent, base).serve()


if __name__ == "__main__":
    main()
