"""Plain Python loops over integers."""

from itertools import repeat

from .work import ARITHMETIC_UNITS, COLLATZ_UNITS, GRID_UNITS, SIEVE_UNITS


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


def sieve() -> None:
    """Strike out the multiples of primes."""
    for _ in repeat(None, SIEVE_UNITS):
        _sieve_once()


def _sieve_once() -> int:
    prime = [True] * 600
    for number in range(2, 25):
        if prime[number]:
            for multiple in range(number * number, 600, number):
                prime[multiple] = False
    return sum(prime)


def grid() -> None:
    """Add up the neighbours of every cell of a grid."""
    for _ in repeat(None, GRID_UNITS):
        _grid_once()


def _grid_once() -> int:
    cells = [[row * column % 5 for column in range(20)] for row in range(20)]
    total = 0
    for row in range(1, 19):
        for column in range(1, 19):
            total += cells[row - 1][column] + cells[row + 1][column] - 2 * cells[row][column]
    return total
