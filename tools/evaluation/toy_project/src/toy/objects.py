"""Objects made, linked in circles, and left to the garbage collector.

The collector runs while these rows do, also where a benchmark tool has turned it off: what is
measured is code as it runs in a program.
"""

import contextlib
import copy as copying
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

from .work import COPY_UNITS, CREATE_UNITS, CYCLES_UNITS, TREE_UNITS, UPDATE_UNITS


@dataclass(slots=True)
class Berth:
    """A place for one ship."""

    number: int
    length_m: float
    ship: str | None = None
    neighbour: "Berth | None" = None


@dataclass(slots=True)
class Node:
    """A node that knows its parent, so that every tree is a circle."""

    depth: int
    parent: "Node | None" = None
    children: "list[Node]" = field(default_factory=list)


@contextlib.contextmanager
def _collector_on() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.enable()
    try:
        yield
    finally:
        if not was_on:
            gc.disable()


def cycles() -> None:
    """Make rings of objects that only the collector can free."""
    with _collector_on():
        for _ in repeat(None, CYCLES_UNITS):
            _cycles_once()


def _cycles_once() -> None:
    first = last = Berth(0, 12.5)
    for number in range(1, 15):
        last.neighbour = last = Berth(number, 12.5)
    last.neighbour = first


def create() -> None:
    """Make objects and drop them."""
    with _collector_on():
        for _ in repeat(None, CREATE_UNITS):
            _create_once()


def _create_once() -> list[Berth]:
    return [Berth(number, 12.5) for number in range(5)]


def tree() -> None:
    """Grow small trees whose nodes point both ways."""
    with _collector_on():
        for _ in repeat(None, TREE_UNITS):
            _grown(None, 4)


def _grown(parent: Node | None, depth: int) -> Node:
    node = Node(depth, parent)
    if depth:
        node.children += (_grown(node, depth - 1), _grown(node, depth - 1))
    return node


def update() -> None:
    """Read and write attributes."""
    with _collector_on():
        for _ in repeat(None, UPDATE_UNITS):
            _update_once()


def _update_once() -> float:
    berth = Berth(7, 12.5)
    for number in range(20):
        berth.number, berth.length_m = number, berth.length_m + berth.number
    return berth.length_m


def copy() -> None:
    """Copy objects with all they hold."""
    with _collector_on():
        for _ in repeat(None, COPY_UNITS):
            _copy_once()


def _copy_once() -> Berth:
    return copying.deepcopy(Berth(1, 12.5, "Halcyon", Berth(2, 12.5)))
