"""Plain Python loops over integers."""

from itertools import repeat

from .work import ARITHMETIC_UNITS, COLLATZ_UNITS


def arithmetic() -> None:
    """Sum and mask small integers."""
    for _ in repeat(None, ARITHMETIC_UNITS):
        _arithmetic_once()


def _arithmetic_once() -> int:
    total = 0
    for number in range(40):
        total = (total * 31 + number) & 0xFFFF
    return total


def collatz() -> None:
    """Walk one Collatz sequence."""
    for _ in repeat(None, COLLATZ_UNITS):
        _collatz_once()


def _collatz_once() -> int:
    number, steps = 27, 0
    while number != 1:
        number = 3 * number + 1 if number % 2 else number // 2
        steps += 1
    return steps
