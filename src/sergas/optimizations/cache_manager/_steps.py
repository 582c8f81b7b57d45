"""Operations as generators: what to do next is decided once, threads and tasks only carry it out.

An operation yields steps and is sent their results. `carry_out` does them in a thread,
`carry_out_async` in a task. Neither decides anything.
"""

import inspect
import time
from asyncio import sleep as sleep_async
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["AskLevel", "Load", "Operation", "Pause", "Step", "carry_out", "carry_out_async"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AskLevel:
    """Call level 2; in a task its asynchronous twin."""

    call: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Call the loader; in a task await what it returns."""

    loader: Callable[[], Any]


Step = AskLevel | Pause | Load
Operation = Generator[Step, Any, T]


def carry_out(operation: Operation[T], level: Any) -> T:
    """Do an operation in this thread; what it returns."""
    try:
        step = next(operation)
        while True:
            try:
                result = _do(step, level)
            except BaseException as error:  # noqa: BLE001 the operation decides, interrupts too
                step = operation.throw(error)
            else:
                step = operation.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


async def carry_out_async(operation: Operation[T], level: Any) -> T:
    """Do an operation in this task; what it returns."""
    try:
        step = next(operation)
        while True:
            try:
                result = await _do_async(step, level)
            except BaseException as error:  # noqa: BLE001 the operation decides, cancellation too
                step = operation.throw(error)
            else:
                step = operation.send(result)
    except StopIteration as end:
        value: T = end.value
        return value


def _do(step: Step, level: Any) -> Any:
    if isinstance(step, AskLevel):
        return step.call(level)
    if isinstance(step, Load):
        return step.loader()
    time.sleep(step.seconds)
    return None


async def _do_async(step: Step, level: Any) -> Any:
    if isinstance(step, AskLevel):
        return await step.call(level)
    if isinstance(step, Load):
        result = step.loader()
        return await result if inspect.isawaitable(result) else result
    await sleep_async(step.seconds)
    return None
