"""Generators: chained, delegating and fed."""

from collections.abc import Generator, Iterator
from itertools import repeat

from .work import CHAIN_UNITS, DELEGATE_UNITS, SEND_UNITS


def chain() -> None:
    """Pass numbers through a chain of generators."""
    for _ in repeat(None, CHAIN_UNITS):
        _chain_once()


def _chain_once() -> int:
    return sum(_odd(_scaled(iter(range(30)))))


def _scaled(numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        yield 3 * number


def _odd(numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        if number % 2:
            yield number


def delegate() -> None:
    """Walk a nested list by generators that delegate to each other."""
    for _ in repeat(None, DELEGATE_UNITS):
        sum(_leaves(4))


def _leaves(depth: int) -> Iterator[int]:
    if not depth:
        yield 1
    else:
        yield from _leaves(depth - 1)
        yield from _leaves(depth - 1)


def send() -> None:
    """Feed numbers to a generator that keeps their sum."""
    for _ in repeat(None, SEND_UNITS):
        _send_once()


def _send_once() -> int:
    running = _running_sum()
    total = next(running)
    for number in range(20):
        total = running.send(number)
    return total


def _running_sum() -> Generator[int, int, None]:
    total = 0
    while True:
        total += yield total
