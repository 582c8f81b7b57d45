"""The far side of a worker process: receive items, call the function, lay out each outcome.

Every outcome is laid on the tray as soon as it is known. A message follows when all items of a
request are done, or when the tray is full; its first byte says which.
"""

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from sergas.errors import NotPicklableError
from sergas.optimizations.parallel_processor._memory import own_peak_rss_bytes
from sergas.optimizations.parallel_processor._nested import become_worker
from sergas.optimizations.parallel_processor._resources import ResourceLimits
from sergas.optimizations.parallel_processor._tray import Tray

__all__ = [
    "BEGUN",
    "CANCEL",
    "ENDED",
    "ERROR",
    "GO_ON",
    "LARGE",
    "REFUSED",
    "SPILL",
    "VALUE",
    "main",
    "serve",
]

# What lies on the tray.
VALUE, ERROR = range(2)
# What the worker says: it has the items; the tray is full; a result too large for it follows; all
# is done; the items cannot be loaded.
BEGUN, SPILL, LARGE, ENDED, REFUSED = b"b", b"s", b"l", b"e", b"r"
# What it may hear meanwhile.
GO_ON, CANCEL = b"g", b"c"

_LOOK_AFTER_S = 0.001  # how long a cancelled chunk may go on before it is noticed
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main(connection: "Connection[bytes, bytes]", tray: str, limits: ResourceLimits) -> None:
    """Serve until the other side closes the connection."""
    # Ctrl-C goes to the whole group; what it means is the parent's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As many processes as processors, each with as many threads: slower than one of them.
    for variable in _SINGLE_THREADED:
        os.environ.setdefault(variable, "1")
    become_worker()
    limits.apply()
    serve(connection, Tray(tray))


def serve(connection: "Connection[bytes, bytes]", tray: Tray) -> None:
    """Answer requests: first an empty message when ready, then what `_Desk` says to each."""
    try:
        connection.send_bytes(b"")
        _Desk(connection, tray).answer_requests()
    except (EOFError, OSError):  # the other side is gone, and nobody is left to tell
        return
    finally:
        tray.close()


class _Cancelled(Exception):  # noqa: N818 - no error: the other side wants no more
    """The rest of the request is not wanted."""


class _Desk:
    """Where requests are worked off."""

    def __init__(self, connection: "Connection[bytes, bytes]", tray: Tray) -> None:
        self._connection = connection
        self._tray = tray

    def answer_requests(self) -> NoReturn:
        """Work off request after request."""
        function: Callable[[Any], Any] | None = None
        number = -1
        while True:
            request = self._connection.recv_bytes()
            if request == CANCEL:  # it came after the end
                continue
            asked, payload, start, packed = pickle.loads(request)  # noqa: S301 - from the parent
            if asked != number:
                number, function = asked, _loaded_function(payload)
            assert function is not None, "a job's first request has its function"  # noqa: S101
            try:
                items = pickle.loads(packed)  # noqa: S301 - from the parent process
            except Exception as cause:  # noqa: BLE001 - loading runs code of the user's
                self._connection.send_bytes(REFUSED + _line(cause).encode())
                continue
            self._tray.clear()
            self._connection.send_bytes(BEGUN)
            with suppress(_Cancelled):
                self._work(function, start, items)
            self._connection.send_bytes(ENDED + str(own_peak_rss_bytes() or "").encode())

    def _work(self, function: Callable[[Any], Any], start: int, items: list[Any]) -> None:
        now_s, dumps, put = time.perf_counter, pickle.dumps, self._tray.put
        looked_s = began_s = now_s()
        for index, item in enumerate(items, start):
            kind = VALUE
            try:
                value = function(item)
            except BaseException as error:  # noqa: BLE001 - an item's error is its own
                elapsed_s = now_s() - began_s
                kind, body = ERROR, _packed_error(error, index)
            else:
                elapsed_s = now_s() - began_s
                try:
                    body = dumps(value, 5)
                except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
                    kind, body = ERROR, _unsendable(value, cause, index)
            if not put(kind, elapsed_s, body):
                self._make_room(kind, elapsed_s, body)
            began_s = now_s()
            if began_s - looked_s > _LOOK_AFTER_S:
                looked_s = began_s
                if self._connection.poll():  # before the end nothing comes but a cancellation
                    return

    def _make_room(self, kind: int, elapsed_s: float, body: bytes) -> None:
        """Have the tray taken, and put the result there, or send it if it is larger than that."""
        self._connection.send_bytes(SPILL)
        self._wait_to_go_on()
        self._tray.clear()
        if not self._tray.put(kind, elapsed_s, body):
            self._connection.send_bytes(LARGE + pickle.dumps((kind, elapsed_s)))
            self._connection.send_bytes(body)
            self._wait_to_go_on()

    def _wait_to_go_on(self) -> None:
        while (heard := self._connection.recv_bytes()) != GO_ON:
            if heard == CANCEL:
                raise _Cancelled


def _loaded_function(payload: bytes) -> Callable[[Any], Any]:
    """The function; if it does not load here, every item is told why."""
    try:
        function: Callable[[Any], Any] = pickle.loads(payload)  # noqa: S301 - from the parent
    except Exception as cause:  # noqa: BLE001 - loading runs code of the user's
        reason = _line(cause)

        def refuse(_: Any) -> NoReturn:
            raise NotPicklableError(
                f"the function cannot be loaded in the worker process ({reason}); "
                "define it at the top of a module that the worker can import"
            )

        return refuse
    return function


def _unsendable(value: object, cause: Exception, index: int) -> bytes:
    return pickle.dumps(
        NotPicklableError(
            f"item {index}: its result, a {type(value).__qualname__}, cannot be "
            f"sent back from the worker process ({_line(cause)}); return plain data instead"
        )
    )


def _packed_error(error: BaseException, index: int) -> bytes:
    """An error loses its traceback on the way; a note keeps the text of it."""
    note = f"in worker process {os.getpid()}:\n{''.join(traceback.format_exception(error))}"
    try:
        error.add_note(note)
        packed = pickle.dumps(error)
        pickle.loads(packed)  # noqa: S301 - just made; many errors pickle but do not load
    except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
        stand_in = NotPicklableError(
            f"item {index} raised {_line(error)}, which cannot be sent back from the "
            f"worker process ({_line(cause)}); pass all of its arguments to Exception.__init__"
        )
        stand_in.add_note(note)
        packed = pickle.dumps(stand_in)
    return packed


def _line(error: BaseException) -> str:
    """The type and text of the error, even if making the text raises."""
    lines = traceback.format_exception_only(error)  # a syntax error comes with its source, indented
    return next(line for line in lines if not line.startswith(" ")).strip()
