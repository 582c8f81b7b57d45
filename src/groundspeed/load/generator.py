"""One generator process, and its end of the talk with the run that started it.

On standard input it is told its `Order` and, once it has said that it is ready, when to start; the
word `stop`, or the end of the input, ends it early. On standard output it gives a line of JSON for
each sign of life. Its samples go into a file of its own.
"""

import gc
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

import msgspec
import numpy as np

from groundspeed.errors import GroundspeedError
from groundspeed.load._result import Overflow, Samples
from groundspeed.load.engines import engine_for, part_of
from groundspeed.load.part import Beat, Part, PartResult
from groundspeed.load.scenario import Scenario

__all__ = ["Order", "Report", "main", "queued_ns", "read_part", "run_part"]

_SCHEDSTAT = Path("/proc/self/schedstat")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a generator process is told: its share, and where its samples go."""

    scenario: Scenario
    part: int
    file: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a generator that are not samples.

    Attributes:
        outcomes: Names of the outcomes' numbers.
        offered: Arrivals it took up.
        busy_share: Of its time, neither asleep nor waiting.
        in_flight_ns: The number in flight, integrated over its run.
        cpu_s: CPU seconds it used while running.
        queued_s: Seconds its main thread was ready and had no CPU; None where nothing counts it.
        wall_ns: How long it ran.
        overflow_outcomes: Of samples beyond the cap, how many of each outcome; None without any.
        overflow_lag_ns: The largest lag among them.
    """

    outcomes: tuple[str, ...]
    offered: int
    busy_share: float
    in_flight_ns: int
    cpu_s: float
    queued_s: float | None
    wall_ns: int
    overflow_outcomes: tuple[int, ...] | None = None
    overflow_lag_ns: int = 0


def queued_ns() -> int | None:
    """Nanoseconds this process's main thread was ready to run and did not; None if not counted."""
    try:
        return int(_SCHEDSTAT.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None


def run_part(part: Part, scenario: Scenario, number: int) -> tuple[PartResult, Report]:
    """Run one share in this thread and say what it found."""
    engine = engine_for(part, scenario, number=number)
    cpu_s, queued = time.process_time(), queued_ns()
    wall_ns = engine.run()
    queued_after = queued_ns()
    cpu_s = time.process_time() - cpu_s
    result = part.result(wall_ns)
    overflow = result.overflow
    return result, Report(
        outcomes=result.outcomes,
        offered=result.offered,
        busy_share=result.busy_share,
        in_flight_ns=result.in_flight_ns,
        cpu_s=cpu_s,
        queued_s=_difference_s(queued, queued_after),
        wall_ns=wall_ns,
        overflow_outcomes=overflow.outcomes if overflow else None,
        overflow_lag_ns=overflow.lag_ns_max if overflow else 0,
    )


def _difference_s(before_ns: int | None, after_ns: int | None) -> float | None:
    if before_ns is None or after_ns is None:
        return None
    return (after_ns - before_ns) * 1e-9


def main() -> int:
    """Do what standard input says."""
    order = msgspec.json.decode(sys.stdin.readline(), type=Order)
    try:
        part = part_of(order.scenario, part=order.part, start_ns=0, say=_say)
        _answer({"ready": True})
        part.start_ns = int(sys.stdin.readline())
        threading.Thread(target=_listen, args=(sys.stdin, part), daemon=True).start()
        gc.collect()
        gc.freeze()  # a collection in the middle of a run would be a stall of the generator's own
        gc.disable()
        result, report = run_part(part, order.scenario, order.part)
    except GroundspeedError as error:
        _answer({"error": type(error).__name__, "message": str(error)})
        return error.exit_code
    _write(Path(order.file), result)
    _answer({"report": msgspec.to_builtins(report)})
    return 0


def _listen(source: TextIO, part: Part) -> None:
    for line in source:
        if line.strip() == "stop":
            break
    part.stopping = True


def _say(beat: Beat) -> None:
    _answer({"beat": msgspec.to_builtins(beat)})


def _answer(message: dict[str, object]) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


_COLUMNS = ("intended_ns", "taken_ns", "sent_ns", "end_ns", "operation", "outcome")


def _write(path: Path, result: PartResult) -> None:
    columns = {name: getattr(result.samples, name) for name in _COLUMNS}
    if result.overflow is not None:
        columns["response_counts"] = result.overflow.response_counts
        columns["service_counts"] = result.overflow.service_counts
    with path.open("wb") as file:
        np.savez(file, **columns)


def read_part(path: Path, report: Report) -> PartResult:
    """What a generator process has left behind."""
    with np.load(path) as file:
        samples = Samples(**{name: file[name] for name in _COLUMNS})
        overflow = None
        if report.overflow_outcomes is not None:
            overflow = Overflow(
                response_counts=file["response_counts"],
                service_counts=file["service_counts"],
                outcomes=report.overflow_outcomes,
                lag_ns_max=report.overflow_lag_ns,
            )
    return PartResult(
        samples=samples,
        overflow=overflow,
        outcomes=report.outcomes,
        offered=report.offered,
        busy_share=report.busy_share,
        in_flight_ns=report.in_flight_ns,
    )
