"""The far side of a worker process: receive items, call the function, send each outcome at once.

Every outcome travels by itself as soon as it is known. So when the process dies, all that was
finished is safe on the other side, the one item without an outcome is the one that killed it, and
no item ever runs twice.
"""

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NoReturn, TypeAlias

from sergas.clock import Clock
from sergas.errors import NotPicklableError
from sergas.optimizations.parallel_processor._outcome import Outcome, outcome_of

__all__ = ["main", "serve"]

Call: TypeAlias = Callable[[Any, int], Outcome[Any]]


def main(connection: "Connection[bytes, bytes]") -> None:
    """Serve until the other side closes the connection."""
    # Ctrl-C goes to the whole group; what it means is the parent's to decide.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(connection)


def serve(connection: "Connection[bytes, bytes]") -> None:
    """Answer requests: first an empty message when ready, then one message per item."""
    try:
        connection.send_bytes(b"")
        _answer_requests(connection)
    except (EOFError, OSError):  # the other side is gone, and nobody is left to tell
        return


def _answer_requests(connection: "Connection[bytes, bytes]") -> NoReturn:
    call: Call | None = None
    while True:
        payload, packed = pickle.loads(connection.recv_bytes())  # noqa: S301 - from the parent
        if payload is not None:
            call = _loaded_call(payload)
        assert call is not None, "the first request carries the function"  # noqa: S101 - protocol
        for index, blob in packed:
            connection.send_bytes(_packed_outcome(_called(call, index, blob)))


def _loaded_call(payload: bytes) -> Call:
    """The function with its clock; if it does not load here, every item is told why."""
    function: Callable[[Any], Any]
    clock: Clock
    try:
        function, clock = pickle.loads(payload)  # noqa: S301 - from the parent process
    except Exception as cause:  # noqa: BLE001 - loading runs code of the user's
        reason = _line(cause)

        def refuse(_: Any, index: int) -> Outcome[Any]:
            error = NotPicklableError(
                f"item {index}: the function cannot be loaded in the worker process ({reason}); "
                "define it at the top of a module that the worker can import"
            )
            return Outcome(index=index, error=error)

        return refuse
    return lambda item, index: outcome_of(function, item, index, clock)


def _called(call: Call, index: int, blob: bytes) -> Outcome[Any]:
    try:
        item = pickle.loads(blob)  # noqa: S301 - from the parent process
    except Exception as cause:  # noqa: BLE001 - loading runs code of the user's
        error = NotPicklableError(
            f"item {index}: it cannot be loaded in the worker process ({_line(cause)}); "
            "send plain data instead"
        )
        return Outcome(index=index, error=error)
    return call(item, index)


def _packed_outcome(outcome: Outcome[Any]) -> bytes:
    """The outcome as bytes that load again, with the error in it replaced if need be."""
    if outcome.error is not None:
        return _packed_error(outcome, outcome.error)
    try:
        return pickle.dumps((outcome.elapsed_s, outcome.value, None))
    except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
        error = NotPicklableError(
            f"item {outcome.index}: its result, a {type(outcome.value).__qualname__}, cannot be "
            f"sent back from the worker process ({_line(cause)}); return plain data instead"
        )
        return pickle.dumps((outcome.elapsed_s, None, error))


def _packed_error(outcome: Outcome[Any], error: BaseException) -> bytes:
    """An error loses its traceback on the way; a note keeps the text of it."""
    note = f"in worker process {os.getpid()}:\n{''.join(traceback.format_exception(error))}"
    try:
        error.add_note(note)
        packed = pickle.dumps((outcome.elapsed_s, None, error))
        pickle.loads(packed)  # noqa: S301 - just made; many errors pickle but do not load
    except Exception as cause:  # noqa: BLE001 - pickling runs code of the user's
        stand_in = NotPicklableError(
            f"item {outcome.index} raised {_line(error)}, which cannot be sent back from the "
            f"worker process ({_line(cause)}); pass all of its arguments to Exception.__init__"
        )
        stand_in.add_note(note)
        packed = pickle.dumps((outcome.elapsed_s, None, stand_in))
    return packed


def _line(error: BaseException) -> str:
    """The type and text of the error, even if making the text raises."""
    lines = traceback.format_exception_only(error)  # a syntax error comes with its source, indented
    return next(line for line in lines if not line.startswith(" ")).strip()
