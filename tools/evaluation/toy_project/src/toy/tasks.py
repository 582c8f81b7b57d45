"""Tasks of an event loop: real switches, in plain functions that run the loop."""

import asyncio
import atexit
import os
from collections.abc import Coroutine
from functools import cache
from typing import Any

from .work import FRESH_LOOP_UNITS, GATHER_UNITS, QUEUE_UNITS, RELAY_UNITS


@cache
def _loop_of(process: int) -> asyncio.AbstractEventLoop:  # noqa: ARG001 - what the cache knows it by
    """The loop this process keeps: none is carried over a fork."""
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def _run(work: Coroutine[Any, Any, None]) -> None:
    _loop_of(os.getpid()).run_until_complete(work)


def relay() -> None:
    """Pass the turn to a new task and wait for it."""
    _run(_relay())


async def _relay() -> None:
    loop = asyncio.get_running_loop()
    for _ in range(RELAY_UNITS):
        await loop.create_task(_yield_twice())


async def _yield_twice() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def gather() -> None:
    """Gather tasks that wait for each other."""
    _run(_gather())


async def _gather() -> None:
    for _ in range(GATHER_UNITS):
        await asyncio.gather(*(_yield_twice() for _ in range(8)))


def queue() -> None:
    """Send numbers to another task and back."""
    _run(_queue())


async def _queue() -> None:
    there: asyncio.Queue[int] = asyncio.Queue()
    back: asyncio.Queue[int] = asyncio.Queue()
    echo = asyncio.ensure_future(_echo(there, back))
    for number in range(QUEUE_UNITS):
        there.put_nowait(number)
        await back.get()
    await echo


async def _echo(there: asyncio.Queue[int], back: asyncio.Queue[int]) -> None:
    for _ in range(QUEUE_UNITS):
        back.put_nowait(await there.get())


def fresh_loop() -> None:
    """Start an event loop, run a few tasks in it and close it."""
    for _ in range(FRESH_LOOP_UNITS):
        asyncio.run(_gather())
