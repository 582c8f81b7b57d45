"""Competing CPU loops: a busy machine on demand, for a bounded time.

A loop ends when it is told to, when its time is up, or when the process that started it is gone,
whichever comes first.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["competing_loops"]

_LOOP = """
import os, sys, time
parent, ends_at = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
print(flush=True)
while time.monotonic() < ends_at and os.getppid() == parent:
    for number in range(100_000):
        number * number
"""
_GRACE_S = 10.0


@contextlib.contextmanager
def competing_loops(count: int, *, limit_s: float) -> Iterator[tuple[int, ...]]:
    """Keep `count` processes busy for the length of the block, `limit_s` at most; gives their ids.

    They inherit the CPUs this process may use, and all of them run when the block begins.
    """
    loops: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            loops.append(_start(limit_s))  # noqa: PERF401 - one that fails must not lose the others
        for loop in loops:
            if loop.stdout is not None:
                loop.stdout.readline()
        yield tuple(loop.pid for loop in loops)
    finally:
        for loop in loops:
            _end(loop)


def _start(limit_s: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-c", _LOOP, str(os.getpid()), str(limit_s)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def _end(loop: subprocess.Popen[bytes]) -> None:
    loop.terminate()
    try:
        loop.wait(timeout=_GRACE_S)
    except subprocess.TimeoutExpired:
        loop.kill()
        loop.wait()
    if loop.stdout is not None:
        loop.stdout.close()
