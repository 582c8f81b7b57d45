"""The near side of the worker processes: one lane is one process and the way to it.

Worker processes are started by a fork server where there is one (Linux), and spawned afresh
elsewhere. A plain fork copies a process in which other threads may hold locks that nobody will ever
release in the copy; the fork server has one thread, whatever the program that uses it has.
"""

import multiprocessing
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any

from sergas.clock import Clock
from sergas.errors import NotPicklableError, ProcessorError, WorkerCrashedError
from sergas.optimizations.parallel_processor import _worker
from sergas.optimizations.parallel_processor._outcome import Outcome

__all__ = ["Job", "Lanes"]

_START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
_ATTEMPTS_MAX = 3
_EXIT_S_MAX = 5.0  # after its connection is gone, a process has this long to end by itself
# multiprocessing reaps children wherever a process is started: one thread at a time, or the exit
# code of a dead worker is lost.
_PROCESSES = threading.Lock()


class Job:
    """A function, packed once for all workers.

    Raises:
        NotPicklableError: If the function cannot travel to another process.
    """

    __slots__ = ("payload",)

    def __init__(self, function: Callable[[Any], Any], clock: Clock) -> None:
        try:
            self.payload = pickle.dumps((function, clock))
        except Exception as error:
            name = getattr(function, "__qualname__", repr(function))
            raise NotPicklableError(
                f"parallel processor: {name} cannot be sent to a worker process ({error}); define "
                'it with def at the top of a module, or use backend="thread"'
            ) from error


class Lanes:
    """The worker processes of one processor; as many as are used at the same time."""

    def __init__(self) -> None:
        self._free: deque[_Lane] = deque()

    def run(self, job: Job, start: int, items: Sequence[Any]) -> list[Outcome[Any]]:
        """The outcomes of `items`, numbered from `start`, from a free worker or a new one."""
        try:
            lane = self._free.pop()
        except IndexError:
            lane = _Lane()
        try:
            return lane.run(job, start, items)
        finally:
            self._free.append(lane)

    def close(self) -> None:
        """End every worker; none may be running."""
        while self._free:
            self._free.pop().close()


class _Link:
    """A running worker process and the connection to it."""

    __slots__ = ("__weakref__", "connection", "finalize", "process")

    def __init__(self, context: BaseContext) -> None:
        self.connection, far_side = context.Pipe()
        # Before multiprocessing waits at exit for its children: they end when this is closed.
        self.finalize = Finalize(self, self.connection.close, exitpriority=0)
        with far_side, _PROCESSES:
            self.process: BaseProcess = context.Process(  # type: ignore[attr-defined] # each has it
                target=_worker.main, args=(far_side,), name="sergas-parallel-worker"
            )
            self.process.start()

    def receive(self) -> bytes | None:
        """The next message; None once the process has died.

        The process is watched as well as the connection, which a child of its own may keep open.
        """
        ready = wait([self.connection, self.process.sentinel])
        # It may have answered and died between the looks at the two.
        if self.connection not in ready and not self.connection.poll():
            return None
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            return None

    def end(self) -> int | None:
        """Close the connection and wait for the process.

        Returns:
            Its exit code, negative for the signal that ended it.
        """
        self.finalize()
        if not wait([self.process.sentinel], timeout=_EXIT_S_MAX):
            self.process.kill()
            wait([self.process.sentinel])
        with _PROCESSES:
            self.process.join()
            exit_code = self.process.exitcode
            self.process.close()
        return exit_code


class _Lane:
    """A worker process, replaced whenever it dies."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context(_START_METHOD)
        self._link: _Link | None = None
        self._job: Job | None = None

    def run(self, job: Job, start: int, items: Sequence[Any]) -> list[Outcome[Any]]:
        """The outcomes of `items`, in order, each from exactly one call or crash."""
        packed, outcomes = _packed(items, start)
        done: list[Outcome[Any]] = []
        try:
            while len(done) < len(packed):
                done.extend(self._served(job, packed[len(done) :]))
        except BaseException:
            self.close()  # answers not read would be taken for those of the next chunk
            raise
        return sorted([*outcomes, *done], key=lambda outcome: outcome.index)

    def close(self) -> None:
        """End the worker, if there is one."""
        if self._link is not None:
            self._link.end()
        self._link = self._job = None

    def _served(self, job: Job, packed: list[tuple[int, bytes]]) -> Iterator[Outcome[Any]]:
        """Outcomes in order, up to and including the first item that killed the worker."""
        link = self._send(job, packed)
        for index, _ in packed:
            message = link.receive()
            if message is None:
                yield Outcome(index=index, error=_crash(index, link.end()))
                self._link = self._job = None
                return
            yield _unpacked(index, message)

    def _send(self, job: Job, packed: list[tuple[int, bytes]]) -> _Link:
        """Hand a chunk to the worker, or to another if it died while idle."""
        for _ in range(_ATTEMPTS_MAX):
            link = self._link or self._start()
            try:
                payload = None if job is self._job else job.payload
                link.connection.send_bytes(pickle.dumps((payload, packed)))
            except OSError:
                self.close()
                continue
            self._job = job
            return link
        raise ProcessorError(
            f"parallel processor: {_ATTEMPTS_MAX} worker processes in a row died idle; see whether "
            "the system ends them, for lack of memory for instance"
        )

    def _start(self) -> _Link:
        link = _Link(self._context)
        if link.receive() is None:
            raise ProcessorError(
                "parallel processor: a worker process ended before it was ready "
                f"({_ending(link.end())}); protect the code that starts your program with "
                'if __name__ == "__main__":'
            )
        self._link = link
        return link


def _packed(items: Sequence[Any], start: int) -> tuple[list[tuple[int, bytes]], list[Outcome[Any]]]:
    """Items that can travel, with their index, and the outcomes of those that cannot."""
    packed: list[tuple[int, bytes]] = []
    outcomes: list[Outcome[Any]] = []
    for index, item in enumerate(items, start):
        try:
            packed.append((index, pickle.dumps(item)))
        except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
            error = NotPicklableError(
                f"item {index}: a {type(item).__qualname__} cannot be sent to a worker process "
                f'({cause}); send plain data instead, or use backend="thread"'
            )
            outcomes.append(Outcome(index=index, error=error))
    return packed, outcomes


def _unpacked(index: int, message: bytes) -> Outcome[Any]:
    try:
        elapsed_s, value, error = pickle.loads(message)  # noqa: S301 - from our own worker
    except Exception as cause:  # noqa: BLE001 - loading runs code of the user's
        unreadable = NotPicklableError(
            f"item {index}: its result cannot be loaded back ({cause}); return plain data instead"
        )
        return Outcome(index=index, error=unreadable)
    return Outcome(index=index, value=value, error=error, elapsed_s=elapsed_s)


def _crash(index: int, exit_code: int | None) -> WorkerCrashedError:
    return WorkerCrashedError(
        f"item {index}: its worker process died ({_ending(exit_code)}) while working on it, the "
        "other items went on; look for an exit, a crash in native code or a lack of memory"
    )


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by signal {-exit_code}, {signal.strsignal(-exit_code)}"
    return f"exit code {exit_code}"
