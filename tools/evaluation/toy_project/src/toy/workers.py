"""Threads: work handed over for real, and locks that more than one wants."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat

from .work import CONTENDED_UNITS, HANDOVER_UNITS, POOL_UNITS, START_UNITS


class Partner:
    """A thread that gives the turn back whenever it gets it."""

    def __init__(self) -> None:
        """Start it."""
        self._there, self._back = threading.Lock(), threading.Lock()
        self._there.acquire()
        self._back.acquire()
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while self._there.acquire():
            self._back.release()

    def take_turns(self) -> None:
        """Hand the turn over and wait until it comes back."""
        self._there.release()
        self._back.acquire()


@cache
def _partner_of(process: int) -> Partner:  # noqa: ARG001 - what the cache knows it by
    """The partner this process keeps: threads do not survive a fork."""
    return Partner()


@cache
def _pool_of(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - what the cache knows it by
    """The pool this process keeps."""
    return ThreadPoolExecutor(max_workers=2)


def handover() -> None:
    """Hand the turn to another thread and back."""
    partner = _partner_of(os.getpid())
    for _ in repeat(None, HANDOVER_UNITS):
        partner.take_turns()


def pool() -> None:
    """Give small calls to a pool of threads and collect what they return."""
    executor = _pool_of(os.getpid())
    for _ in repeat(None, POOL_UNITS):
        sum(executor.map(_square, range(4)))


def _square(number: int) -> int:
    return number * number


def contended() -> None:
    """Let two threads add to the same numbers under one lock."""
    executor, lock, totals = _pool_of(os.getpid()), threading.Lock(), [0, 0]
    adding = [executor.submit(_add, totals, lock) for _ in range(2)]
    for future in adding:
        future.result()


def _add(totals: list[int], lock: threading.Lock) -> None:
    for number in range(20 * CONTENDED_UNITS):
        with lock:
            totals[number % 2] += number


def start() -> None:
    """Start a thread and wait for its end."""
    for _ in repeat(None, START_UNITS):
        thread = threading.Thread(target=_square, args=(12,))
        thread.start()
        thread.join()
