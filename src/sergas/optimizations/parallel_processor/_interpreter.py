"""Lanes on interpreters of this process (PEP 734), each with a lock of its own."""

import pickle
import sys
from typing import Any

from sergas.errors import BackendUnavailableError, NotPicklableError, ProcessorValueError
from sergas.optimizations.parallel_processor._chunk import Chunk, Job
from sergas.optimizations.parallel_processor._packed import keep_all, work_packed

__all__ = ["InterpreterLane", "check_interpreters"]

_SINCE = (3, 14)


def check_interpreters() -> None:
    """Make sure that this Python has interpreters to offer.

    Raises:
        BackendUnavailableError: If it does not.
    """
    if sys.version_info < _SINCE:
        version = ".".join(map(str, sys.version_info[:2]))
        raise BackendUnavailableError(
            f'backend="interpreter" needs Python 3.14 or newer, this is {version}; use '
            'backend="process" here'
        )


class InterpreterLane:
    """An interpreter of its own; function, items and results travel as bytes."""

    def __init__(self) -> None:
        self._interpreter: Any = None

    def work(self, chunk: Chunk) -> bool:
        """Have the interpreter work off all that is left of the chunk."""
        if chunk.job.options.timeout_s is not None:
            error = ProcessorValueError(
                'timeout: an interpreter cannot be interrupted; use backend="process"'
            )
            chunk.errors.update({place: error for place, _ in chunk.claims})
            return True
        if self._interpreter is None:
            self._interpreter = _new_interpreter()
        claimed = list(chunk.claims)
        places = [place for place, _ in claimed]
        try:
            packed = pickle.dumps((chunk.job.function, [item for _, item in claimed]))
            ended = pickle.loads(self._interpreter.call(work_packed, packed))  # noqa: S301 - ours
        except Exception as cause:  # noqa: BLE001 - pickling and importing run code of the user's
            failure = NotPicklableError(
                f"the function or an item cannot be used in another interpreter ({cause}); use "
                'backend="process" or backend="thread"'
            )
            chunk.errors.update(dict.fromkeys(places, failure))
        else:
            keep_all(chunk, places, ended)
        return True

    def cancel(self, job: Job) -> None:
        """Nothing to do: the chunk under way goes on to its end."""

    def close(self) -> None:
        """End the interpreter."""
        if self._interpreter is not None:
            self._interpreter.close()
            self._interpreter = None

    def kill(self) -> None:
        """Nothing that could be done: an interpreter ends when its chunk does."""

    def peak_rss_bytes(self) -> int | None:
        """Its memory is this process's."""
        return None


def _new_interpreter() -> Any:
    from concurrent import interpreters  # type: ignore[attr-defined,unused-ignore] # from 3.14 on

    return interpreters.create()
