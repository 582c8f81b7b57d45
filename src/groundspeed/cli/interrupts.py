"""A command that is told to end ends tidily, whoever tells it."""

import contextlib
import signal
import types
from collections.abc import Iterator

__all__ = ["terminated_is_interrupted"]


@contextlib.contextmanager
def terminated_is_interrupted() -> Iterator[None]:
    """Make SIGTERM what Ctrl-C is, while the context lasts."""

    def interrupt(_number: int, _frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
