"""Kinds of work, each in units that are all alike, so that 103 of them take 3 % longer than 100.

A unit takes some microseconds. What is made once is made in `setup`, outside of what is measured.
"""

import asyncio
import json
import random
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

__all__ = [
    "calls",
    "connected",
    "dicts",
    "jsons",
    "loops",
    "numbers",
    "objects",
    "regexes",
    "sorts",
    "sqlite",
    "strings",
    "tasks",
    "threads",
]

_DOCUMENT = {"name": "row", "values": [1, 2.5, None, True], "inner": {"a": "b", "c": [3, 4]}}
_LINE = "2026-03-01T12:00:00Z host-07 GET /accounts/4711?page=2 200 0.013"
_FIELDS = re.compile(r"(\S+)T(\S+)Z (\S+) (GET|PUT) (/[^ ?]+)(?:\?(\S+))? (\d{3}) ([\d.]+)")
_SHUFFLED = random.Random(7).sample(range(1000), 40)  # noqa: S311 - data to sort, no secret
_WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "rests")


def loops(units: int) -> int:
    """Plain interpreter work: a loop with a sum and a branch."""
    total = 0
    for _ in range(units):
        for number in range(60):
            if number & 1:
                total += number
    return total


def calls(units: int) -> int:
    """Function calls: a small recursion."""
    return sum(_fibonacci(6) for _ in range(units))


def _fibonacci(number: int) -> int:
    return number if number <= 1 else _fibonacci(number - 1) + _fibonacci(number - 2)


def numbers(units: int) -> float:
    """Floating-point numbers: a polynomial at some places."""
    total = 0.0
    for _ in range(units):
        for place in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
            total += ((1.5 * place - 0.5) * place + 2.0) * place - 1.0
    return total


def dicts(units: int) -> int:
    """Dictionaries: counting words."""
    counted: dict[str, int] = {}
    for _ in range(units):
        counted = {}
        for word in _WORDS:
            counted[word] = counted.get(word, 0) + 1
    return len(counted)


def strings(units: int) -> int:
    """Strings: split, change, join."""
    length = 0
    for _ in range(units):
        length += len("-".join(part.strip(".").upper() for part in _LINE.split()))
    return length


def jsons(units: int) -> object:
    """JSON: there and back."""
    read: object = None
    for _ in range(units):
        read = json.loads(json.dumps(_DOCUMENT))
    return read


def sorts(units: int) -> list[int]:
    """Sorting with a key."""
    ordered: list[int] = []
    for _ in range(units):
        ordered = sorted(_SHUFFLED, key=int.__neg__)
    return ordered


def regexes(units: int) -> int:
    """Regular expressions: fields of a line."""
    found = 0
    for _ in range(units):
        match = _FIELDS.match(_LINE)
        found += match is not None and match[7] == "200"
    return found


@dataclass(slots=True)
class _Node:
    name: str
    parent: "_Node | None" = None
    children: "list[_Node]" = field(default_factory=list)


def objects(units: int) -> int:
    """Objects that only the garbage collector can free: trees whose leaves know their parent."""
    made = 0
    for _ in range(units):
        root = _Node("root")
        root.children += [_Node("leaf", root) for _ in range(6)]
        made += len(root.children)
    return made


def connected() -> sqlite3.Connection:
    """A database in memory with a table of accounts."""
    connection = sqlite3.connect(":memory:")
    connection.execute("create table account (id integer primary key, name text, balance real)")
    rows = [(number, f"account {number}", number / 4) for number in range(500)]
    connection.executemany("insert into account values (?, ?, ?)", rows)
    return connection


def sqlite(connection: sqlite3.Connection, units: int) -> float:
    """SQLite: a sum over neighbouring rows."""
    total = 0.0
    for _ in range(units):
        query = "select sum(balance) from account where id between ? and ?"
        total += connection.execute(query, (200, 220)).fetchone()[0]
    return total


async def _echo(value: int) -> int:
    await asyncio.sleep(0)
    return value


def tasks(loop: asyncio.AbstractEventLoop, units: int) -> int:
    """An event loop that runs a coroutine at a time."""
    return sum(loop.run_until_complete(_echo(1)) for _ in range(units))


def threads(pool: ThreadPoolExecutor, units: int) -> int:
    """Work handed over to threads."""
    return sum(pool.map(abs, range(units)))
