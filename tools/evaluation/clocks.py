"""What the clocks of a sample say of work that waits, on a quiet CPU and on one it must share.

A sample should hold the waits that belong to the work (I/O, locks, timers) and leave out the time
it stood in the queue for a CPU. Each kind of work is measured alone and beside competing loops on
the same CPU, in turns; the table gives the median of wall, CPU and clean time.

    python -m tools.evaluation.clocks [--samples 40] [--loops 2]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from tools.evaluation.busy import competing_loops

from groundspeed.measure.inside.clocks import Clocks, Reading

__all__ = ["main"]

_LIMIT_S = 600.0
_TURNS = 4


def _count(units: int) -> int:
    total = 0
    for number in range(units):
        total += number & 7
    return total


def _compute() -> None:
    _count(100_000)


def _compute_in_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_count, [25_000] * 4))


def _hand_over() -> None:
    """Two threads that pass one item to and fro, each waiting for the other."""
    there: SimpleQueue[int] = SimpleQueue()
    back: SimpleQueue[int] = SimpleQueue()

    def answer() -> None:
        for _ in range(50):
            _count(there.get())
            back.put(0)

    thread = threading.Thread(target=answer)
    thread.start()
    for _ in range(50):
        there.put(1_000)
        back.get()
        _count(1_000)
    thread.join()


def _wait_in_threads() -> None:
    """Threads that work a little and wait 4 ms each for an event that nobody sets."""

    def work() -> None:
        _count(10_000)
        threading.Event().wait(0.004)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _write_and_sync() -> None:
    with tempfile.TemporaryFile() as file:
        for _ in range(4):
            file.write(b"x" * 65536)
            file.flush()
            os.fsync(file.fileno())
    _count(20_000)


def _wait_in_tasks() -> None:
    async def work() -> None:
        _count(10_000)
        await asyncio.sleep(0.004)

    async def both() -> None:
        await asyncio.gather(*(work() for _ in range(4)))

    asyncio.run(both())


_WORK: Mapping[str, tuple[Callable[[], None], bool]] = {
    "one thread, computing": (_compute, False),
    "four threads, computing": (_compute_in_threads, False),
    "two threads, handing over": (_hand_over, False),
    "four threads, waiting 4 ms": (_wait_in_threads, True),
    "four tasks, waiting 4 ms": (_wait_in_tasks, True),
    "writing and fsync": (_write_and_sync, True),
}
"""Each kind, and whether there are times at which all of its threads wait."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluation.clocks")
    parser.add_argument("--samples", type=int, default=40, metavar="N", help="of each kind (40)")
    parser.add_argument("--loops", type=int, default=2, metavar="N", help="competing loops (2)")
    options = parser.parse_args(arguments)
    clocks = Clocks()
    if not clocks.counts_delay or not hasattr(os, "sched_setaffinity"):
        print("clocks: this system does not count run-queue delay", file=sys.stderr)
        return 2
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print("median of wall / CPU / clean time in ms, alone and beside competing loops")
    for name, (work, waits) in _WORK.items():
        clocks.follow_threads(waits=waits)
        alone, beside = _readings(clocks, work, samples=options.samples, loops=options.loops)
        print(f"{name:28} {_told(alone)}   {_told(beside)}   clean {_change(alone, beside)}")
    return 0


def _readings(
    clocks: Clocks, work: Callable[[], None], *, samples: int, loops: int
) -> tuple[list[Reading], list[Reading]]:
    taken: tuple[list[Reading], list[Reading]] = ([], [])
    work()
    for turn in range(2 * _TURNS):
        with competing_loops(loops * (turn % 2), limit_s=_LIMIT_S):
            for _ in range(max(1, samples // _TURNS)):
                clocks.start()
                work()
                taken[turn % 2].append(clocks.stop())
    return taken


def _median(readings: Sequence[Reading], field: str) -> float:
    return statistics.median(reading[field] for reading in readings) / 1e6


def _told(readings: Sequence[Reading]) -> str:
    fields = (_median(readings, field) for field in ("wall_ns", "cpu_ns", "clean_ns"))
    return " / ".join(f"{value:6.2f}" for value in fields)


def _change(alone: Sequence[Reading], beside: Sequence[Reading]) -> str:
    return f"{_median(beside, 'clean_ns') / _median(alone, 'clean_ns') - 1:+.1%}"


if __name__ == "__main__":
    sys.exit(main())
