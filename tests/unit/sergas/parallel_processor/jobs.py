"""What worker processes are asked to do: small functions that go wrong in every known way."""

import functools
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from sergas.optimizations.parallel_processor import ParallelProcessor


class UnpicklableError(Exception):
    """Cannot leave its process: it holds a lock."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class UnloadableError(Exception):
    """Pickles, but does not load: its arguments are not what its class asks for."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what} at {where}")


class Unreadable:
    """Pickles, but refuses to load."""

    # typing.override came with Python 3.12.
    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[explicit-override]
        return (int, ("not a number",))


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def none_of(_: object) -> None:
    """Always None, a result like any other."""


def inverse(number: int) -> float:
    """Fails for zero."""
    return 1 / number


def leave(number: int) -> int:
    """Asks the interpreter to end for 3."""
    if number == 3:
        raise SystemExit(7)
    return number


def process_id(_: object) -> int:
    """Where the function runs."""
    return os.getpid()


def crash_when_negative(step: tuple[str, int]) -> int:
    """Leave a line in the file, then die for a negative number; -9 dies by signal."""
    path, number = step
    with Path(path).open("a") as file:
        file.write(f"{number}\n")
    if number == -9:
        os.kill(os.getpid(), signal.SIGKILL)
    if number < 0:
        os._exit(3)
    return number


def crash_with_child(step: tuple[str, int]) -> int:
    """Die for 1, and leave a child that keeps all that is open until the named pipe is opened."""
    pipe, number = step
    if number == 1:
        if os.fork() == 0:
            os.close(os.open(pipe, os.O_RDONLY))
        os._exit(3)
    return number


def fail_to_return(kind: str) -> object:
    """A result or an error that does not survive the journey."""
    if kind == "result":
        return threading.Lock()
    if kind == "unreadable":
        return Unreadable()
    if kind == "unpicklable":
        raise UnpicklableError("locked")
    if kind == "unloadable":
        raise UnloadableError("nothing", "nowhere")
    return kind


def nested_sum(count: int) -> int:
    """Use worker processes from inside a worker process."""
    with ParallelProcessor(1, backend="process") as processor:
        return sum(processor.map(double, range(count)))


def numbers_then_error(count: int) -> Iterator[int]:
    """An input that breaks while it is read."""
    yield from range(count)
    raise LookupError("the input broke")


def wait(seconds: float) -> float:
    """Do nothing for so long."""
    threading.Event().wait(seconds)
    return seconds


def busy(seconds: float) -> float:
    """Keep a processor busy for so long."""
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        pass
    return seconds


def fail_until(step: tuple[str, int]) -> int:
    """Leave a mark in the file at each call, and fail while there are not more than so many."""
    path, failures = step
    with Path(path).open("a") as file:
        file.write("x")
    if Path(path).stat().st_size <= failures:
        raise OSError("not yet")
    return failures


def crash_once(path: str) -> str:
    """Die, unless the file is there."""
    if Path(path).exists():
        return "alive"
    Path(path).touch()
    os._exit(1)


def blob(size: int) -> bytes:
    """So many bytes."""
    return bytes(size)


def take_memory(size: int) -> int:
    """Hold so many bytes for a moment."""
    return len(bytearray(size))


def note_and_wait(path: str) -> None:
    """Leave a mark and wait for two milliseconds."""
    if path == "skip":
        return
    with Path(path).open("a") as file:
        file.write("x")
    threading.Event().wait(0.002)


def note_number(step: tuple[str, int]) -> int:
    """Leave the number in a file."""
    path, number = step
    with Path(path).open("a") as file:
        file.write(f"{number}\n")
    return number


def _awaited(function: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    @functools.wraps(function)
    async def call(item: Any) -> Any:
        return function(item)

    return call


async def _wait_awaited(seconds: float) -> float:
    import asyncio

    await asyncio.sleep(seconds)
    return seconds


awaited: dict[Callable[[Any], Any], Callable[[Any], Awaitable[Any]]] = {
    wait: _wait_awaited,
    **{f: _awaited(f) for f in (double, inverse, fail_until, note_number)},
}
