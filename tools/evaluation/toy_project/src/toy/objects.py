"""Objects made, and passed through generators."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

from .work import CREATE_UNITS, GENERATE_UNITS


@dataclass(slots=True)
class Berth:
    """A place for one ship."""

    number: int
    length_m: float
    ship: str | None = None


def create() -> None:
    """Make objects and drop them."""
    for _ in repeat(None, CREATE_UNITS):
        _create_once()


def _create_once() -> list[Berth]:
    return [Berth(number, 12.5) for number in range(5)]


def generate() -> None:
    """Pass numbers through a chain of generators."""
    for _ in repeat(None, GENERATE_UNITS):
        _generate_once()


def _generate_once() -> int:
    return sum(_odd(_scaled(iter(range(30)))))


def _scaled(numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        yield 3 * number


def _odd(numbers: Iterator[int]) -> Iterator[int]:
    for number in numbers:
        if number % 2:
            yield number
