"""Lanes on processes: one lane is one process and the way to it.

Worker processes are started by a fork server where there is one (Linux), and spawned afresh
elsewhere. A plain fork copies a process in which other threads may hold locks that nobody will ever
release in the copy; the fork server has one thread, whatever the program that uses it has.
"""

import multiprocessing
import pickle
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from multiprocessing.util import Finalize
from typing import Any

from sergas.errors import NotPicklableError, ProcessorError, WorkerCrashedError
from sergas.optimizations.parallel_processor import _worker
from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._resources import ResourceLimits
from sergas.optimizations.parallel_processor._threads import timeout_error
from sergas.optimizations.parallel_processor._tray import Tray

__all__ = ["ProcessLane", "packed_function"]

_START_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
_STARTS_MAX = 3
_EXIT_S_MAX = 5.0  # after its connection is gone, a process has this long to end by itself
_CHECKS_PER_TIMEOUT = 10
# multiprocessing reaps children wherever a process is started: one thread at a time, or the exit
# code of a dead worker is lost.
_PROCESSES = threading.Lock()


def packed_function(function: Callable[[Any], Any]) -> bytes:
    """The function, as it travels.

    Raises:
        NotPicklableError: If it cannot travel to another process.
    """
    try:
        return pickle.dumps(function)
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        raise NotPicklableError(
            f"parallel processor: {name} cannot be sent to a worker process ({error}); define "
            'it with def at the top of a module, or use backend="thread"'
        ) from error


class _DeadError(Exception):
    """The worker process is gone."""


class _LateError(Exception):
    """Nothing came in time."""


class _Link:
    """A running worker process, the connection to it and the tray of its results."""

    __slots__ = ("__weakref__", "_selector", "connection", "finalize", "process", "tray")

    def __init__(self, context: BaseContext, limits: ResourceLimits) -> None:
        self.connection, far_side = context.Pipe()
        self.tray = Tray()
        # Before multiprocessing waits at exit for its children: they end when this is closed.
        self.finalize = Finalize(self, _close, (self.connection, self.tray), exitpriority=0)
        with far_side, _PROCESSES:
            self.process: BaseProcess = context.Process(  # type: ignore[attr-defined] # each has it
                target=_worker.main,
                args=(far_side, self.tray.name, limits),
                name="sergas-parallel-worker",
            )
            self.process.start()
        self._selector = _selector(self.connection, self.process)

    def receive(self, timeout_s: float | None = None) -> bytes:
        """The next message.

        The process is watched as well as the connection, which a child of its own may keep open.

        Raises:
            _DeadError: The process is gone and has left nothing more.
            _LateError: Nothing came within `timeout_s`.
        """
        if self._selector is None:
            is_ready = bool(wait([self.connection, self.process.sentinel], timeout_s))
        else:
            is_ready = bool(self._selector.select(timeout_s))
        if not is_ready:
            raise _LateError
        # It may have answered and died; what it said comes first.
        if not self.connection.poll():
            raise _DeadError
        try:
            return self.connection.recv_bytes()
        except (EOFError, OSError):
            raise _DeadError from None

    def end(self, *, is_killed: bool = False) -> int | None:
        """Close the connection and wait for the process.

        Returns:
            Its exit code, negative for the signal that ended it.
        """
        if self._selector is not None:
            self._selector.close()
        if is_killed:
            self.process.kill()
        self.finalize()
        if not wait([self.process.sentinel], timeout=_EXIT_S_MAX):
            self.process.kill()
            wait([self.process.sentinel])
        with _PROCESSES:
            self.process.join()
            exit_code = self.process.exitcode
            self.process.close()
        return exit_code


def _selector(connection: Any, process: BaseProcess) -> selectors.BaseSelector | None:
    """Waits for either without being told again each time; None where pipes cannot be selected."""
    if sys.platform == "win32":
        return None
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ)
    selector.register(process.sentinel, selectors.EVENT_READ)
    return selector


def _close(connection: Any, tray: Tray) -> None:
    connection.close()
    tray.close()


class _Answers:
    """What has come of the items a worker was sent; the next to come is of `items[_done]`.

    Attributes:
        rest: Items that are still to be worked off, by this worker or another.
        refusal: Why the worker could not load the items, if it could not.
        peak_rss_bytes: The most memory it has held, if it told.
    """

    def __init__(self, chunk: Chunk, items: list[tuple[int, Any]], link: _Link) -> None:
        self.rest: list[tuple[int, Any]] = []
        self.refusal: str | None = None
        self.peak_rss_bytes: int | None = None
        self._chunk = chunk
        self._items = items
        self._link = link
        self._done = 0
        self._has_begun = False

    def hear(self) -> bool:
        """Wait for the next message and do as it says; False when it was the last.

        Raises:
            _DeadError: The worker is gone.
            _LateError: The item it is on has run out of time.
        """
        message = self._receive()
        kind = message[:1]
        if kind == _worker.BEGUN:
            self._has_begun = True
        elif kind == _worker.SPILL:
            self.collect()
            self._link.connection.send_bytes(_worker.GO_ON)
        elif kind == _worker.LARGE:
            what, elapsed_s = pickle.loads(message[1:])  # noqa: S301 - from our own worker
            self._keep(what, elapsed_s, self._link.connection.recv_bytes())
            self._link.connection.send_bytes(_worker.GO_ON)
        elif kind == _worker.ENDED:
            self.collect()
            self.peak_rss_bytes = int(message[1:] or 0) or None
        else:
            self.refusal = message[1:].decode()
        return kind not in (_worker.ENDED, _worker.REFUSED)

    def collect(self) -> None:
        """Take what lies on the tray, once."""
        for kind, elapsed_s, body in self._link.tray.take():
            self._keep(kind, elapsed_s, body)
        # The worker waits or is gone, or had nothing there yet; it might die before it clears it.
        self._link.tray.clear()

    def give_up_current(self, error_of: Callable[[int], Exception]) -> None:
        """The worker is gone: the item it was on, if any, has failed, and others are left."""
        for place, _ in self._items[self._done : self._done + 1]:
            self._chunk.errors[place] = error_of(self._chunk.start + place)
        self.rest = self._items[self._done + 1 :]

    def give_up_late(self) -> None:
        """The item that the worker is on has run out of time."""
        timeout_s = self._chunk.job.options.timeout_s or 0.0
        if self._chunk.elapsed_s is not None and self._done < len(self._items):
            self._chunk.elapsed_s[self._items[self._done][0]] = timeout_s
        self.give_up_current(lambda index: timeout_error(index, timeout_s))

    def _receive(self) -> bytes:
        """Wait for a message, as long as the worker gets on; loading the items is free."""
        timeout_s = self._chunk.job.options.timeout_s
        if timeout_s is None or not self._has_begun:
            return self._link.receive()
        tray = self._link.tray
        seen, since_s = tray.count, time.monotonic()
        while True:
            left_s = since_s + timeout_s - time.monotonic()
            try:
                return self._link.receive(max(0.0, min(left_s, timeout_s / _CHECKS_PER_TIMEOUT)))
            except _LateError:
                if tray.count != seen:
                    seen, since_s = tray.count, time.monotonic()
                elif left_s <= 0.0:
                    raise

    def _keep(self, kind: int, elapsed_s: float, body: bytes | memoryview) -> None:
        chunk, place = self._chunk, self._items[self._done][0]
        self._done += 1
        try:
            loaded = pickle.loads(body)  # noqa: S301 - from our own worker
        except Exception as cause:  # noqa: BLE001 - loading runs code of the user's
            chunk.errors[place] = NotPicklableError(
                f"item {chunk.start + place}: its result cannot be loaded back ({cause}); "
                "return plain data instead"
            )
        else:
            if kind == _worker.VALUE:
                chunk.values[place] = loaded
            else:
                chunk.errors[place] = loaded
        if chunk.elapsed_s is not None:
            chunk.elapsed_s[place] = elapsed_s


class ProcessLane:
    """A worker process, replaced whenever it dies or is given up."""

    def __init__(self, limits: ResourceLimits) -> None:
        self._context = multiprocessing.get_context(_START_METHOD)
        self._limits = limits
        self._lock = threading.Lock()  # guards sending, and the next three against `cancel`
        self._link: _Link | None = None
        self._job: Job | None = None
        self._is_killed = False
        self._packed: tuple[int, bytes] = (-1, b"")  # job number, its function
        self._loaded = -1  # job number whose function the worker has
        self._peak_rss_bytes: int | None = None

    def work(self, chunk: Chunk) -> bool:
        """Have the process work item by item; what kills it costs the item it was on."""
        items = list(chunk.claims)
        if self._packed[0] != chunk.job.number:
            self._packed = (chunk.job.number, packed_function(chunk.job.function))
        while items and not self._is_killed:
            items = self._served(chunk, items)
        with self._lock:
            self._job = None
        return True

    def cancel(self, job: Job) -> None:
        """Ask the worker to stop after the item it is on, if it is on one of this job."""
        with self._lock:
            if self._job is job and self._link is not None:
                with suppress(OSError, ValueError):
                    self._link.connection.send_bytes(_worker.CANCEL)

    def close(self) -> None:
        """End the worker, if there is one."""
        self._end()

    def kill(self) -> None:
        """End the worker where it is."""
        self._is_killed = True
        if (link := self._link) is not None:
            with suppress(ValueError):  # it has just ended by itself
                link.process.kill()

    def peak_rss_bytes(self) -> int | None:
        """The most memory any of its processes has held."""
        return self._peak_rss_bytes

    def _served(self, chunk: Chunk, items: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Have items worked off until all are done or one has cost the worker; give the rest."""
        packed = _packed_items([item for _, item in items])
        if packed is None:
            return self._served_apart(chunk, items)
        link = self._send(chunk, items[0][0], packed)
        answers = _Answers(chunk, items, link)
        try:
            while answers.hear():
                pass
        except _DeadError:
            answers.collect()
            exit_code = self._end()
            if not self._is_killed:
                answers.give_up_current(lambda index: _crash(index, exit_code))
        except _LateError:
            link.process.kill()
            wait([link.process.sentinel])
            answers.collect()
            self._end()
            answers.give_up_late()
        except BaseException:
            self._end(is_killed=True)  # answers not read would be taken for those of the next chunk
            raise
        if answers.refusal is not None:
            self._refused(chunk, items, answers.refusal)
        if answers.peak_rss_bytes is not None:
            self._peak_rss_bytes = max(self._peak_rss_bytes or 0, answers.peak_rss_bytes)
        return answers.rest

    def _served_apart(self, chunk: Chunk, items: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """Tell those that cannot travel, and give the others to be worked off."""
        sound = []
        for place, item in items:
            try:
                pickle.dumps(item)
            except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
                chunk.errors[place] = NotPicklableError(
                    f"item {chunk.start + place}: a {type(item).__qualname__} cannot be sent to a "
                    f'worker process ({cause}); send plain data instead, or use backend="thread"'
                )
            else:
                sound.append((place, item))
        return sound

    def _refused(self, chunk: Chunk, items: list[tuple[int, Any]], reason: str) -> None:
        """The worker could not load the items: one by one those that load are worked off."""
        if len(items) == 1:
            place = items[0][0]
            chunk.errors[place] = NotPicklableError(
                f"item {chunk.start + place}: it cannot be loaded in the worker process "
                f"({reason}); send plain data instead"
            )
            return
        for single in items:
            if not self._is_killed:
                self._served(chunk, [single])

    def _send(self, chunk: Chunk, place: int, packed: bytes) -> _Link:
        """Hand items to the worker, or to another if it died while idle."""
        number, function = self._packed
        for _ in range(_STARTS_MAX):
            link = self._link or self._start()
            payload = None if self._loaded == number else function
            request = pickle.dumps((number, payload, chunk.start + place, packed))
            with self._lock:
                self._job = chunk.job
                try:
                    link.connection.send_bytes(request)
                except OSError:
                    pass
                else:
                    self._loaded = number
                    return link
            self._end()
        raise ProcessorError(
            f"parallel processor: {_STARTS_MAX} worker processes in a row died idle; see whether "
            "the system ends them, for lack of memory for instance"
        )

    def _start(self) -> _Link:
        link = _Link(self._context, self._limits)
        try:
            link.receive()
        except _DeadError:
            raise ProcessorError(
                "parallel processor: a worker process ended before it was ready "
                f"({_ending(link.end())}); protect the code that starts your program with "
                'if __name__ == "__main__": and see that its limits let Python start'
            ) from None
        with self._lock:
            self._link = link
        if self._is_killed:
            self.kill()
        return link

    def _end(self, *, is_killed: bool = False) -> int | None:
        with self._lock:
            link, self._link = self._link, None
            self._loaded = -1
        return None if link is None else link.end(is_killed=is_killed or self._is_killed)


def _packed_items(items: list[Any]) -> bytes | None:
    """The items as they travel together; None if one of them cannot."""
    try:
        return pickle.dumps(items)
    except Exception:  # noqa: BLE001 - pickling runs code of the user's
        return None


def _crash(index: int, exit_code: int | None) -> WorkerCrashedError:
    return WorkerCrashedError(
        f"item {index}: its worker process died ({_ending(exit_code)}) while working on it, the "
        "other items went on; look for an exit, a crash in native code or a lack of memory"
    )


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by signal {-exit_code}, {signal.strsignal(-exit_code)}"
    return f"exit code {exit_code}"
