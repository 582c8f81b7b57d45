"""One start of a program, as a user waits for it: wall and CPU time, and what else went on."""

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from tools.evaluation.records import EvaluationError

__all__ = [
    "Finished",
    "adopt_orphans",
    "foreign_cpu_s",
    "load_1m",
    "run_timed",
    "taken_ticks",
    "together",
]

_PR_SET_CHILD_SUBREAPER = 36
_STAT = Path("/proc/stat")
# user nice system irq softirq steal; guest time is part of user already.
_TAKEN = (0, 1, 2, 5, 6, 7)
_GRACE_S = 1.0
_LOOKS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A program that ended.

    Attributes:
        exit_code: Minus the signal's number if a signal ended it.
        output: What it wrote to standard output and error.
        wall_s: From start to exit.
        cpu_s: CPU time of the program and of all it started; None where orphans are not counted.
        foreign_cpu_s: CPU time of everything else meanwhile; None where the system does not say.
    """

    exit_code: int
    output: str
    wall_s: float
    cpu_s: float | None
    foreign_cpu_s: float | None


def adopt_orphans() -> bool:
    """Have this process inherit what its children leave behind; says whether it can (Linux).

    The CPU time of a process counts where it is waited for. A tool that ends before its own
    children do would otherwise look cheaper than it is, several times in groundspeed's case.
    """
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def run_timed(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout_s: float
) -> Finished:
    """Run a program to its end, without a terminal and with nothing to read.

    Raises:
        EvaluationError: If it takes longer than `timeout_s`. Nothing it started stays, either way.
    """
    adopted = adopt_orphans()
    others = set(psutil.Process().children(recursive=True))
    ticks, own_s = _ticks_now(), _children_cpu_s()
    start_s = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output = process.communicate(timeout=timeout_s)[0]
        except subprocess.TimeoutExpired as error:
            raise EvaluationError(
                f"{' '.join(command)} took longer than {timeout_s:.0f} s; is the machine "
                "overloaded? The turns made before are kept: --resume goes on"
            ) from error
        finally:
            wall_s = time.perf_counter() - start_s
            _end_all_but(others)
    cpu_s = _children_cpu_s() - own_s if adopted else None
    return Finished(
        exit_code=process.returncode,
        output=output.decode("utf-8", "replace"),
        wall_s=wall_s,
        cpu_s=cpu_s,
        foreign_cpu_s=foreign_cpu_s(ticks, _ticks_now(), own_s=cpu_s),
    )


def _end_all_but(others: set[psutil.Process]) -> None:
    """Wait for what a program left behind, and end what does not end by itself.

    It may have sessions of its own, so what counts is who is a descendant and was none before.
    """
    # The end of one process can hand its own children on to us, hence more than one look.
    for _ in range(_LOOKS):
        left = [p for p in psutil.Process().children(recursive=True) if p not in others]
        if not left:
            return
        _, running = psutil.wait_procs(left, timeout=_GRACE_S)
        for process in running:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _children_cpu_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _ticks_now() -> int | None:
    try:
        return taken_ticks(_STAT.read_text(encoding="ascii"))
    except OSError:
        return None


def taken_ticks(stat: str) -> int:
    """Clock ticks used or stolen on all CPUs since the start, from the text of /proc/stat."""
    fields = [int(field) for field in stat.partition("\n")[0].split()[1:]]
    return sum(fields[index] for index in _TAKEN)


def together(first: Finished, second: Finished) -> Finished:
    """Two programs that a user runs one after the other; the second one's exit code is told."""

    def added(one: float | None, other: float | None) -> float | None:
        return None if one is None or other is None else one + other

    return Finished(
        exit_code=second.exit_code,
        output=first.output + second.output,
        wall_s=first.wall_s + second.wall_s,
        cpu_s=added(first.cpu_s, second.cpu_s),
        foreign_cpu_s=added(first.foreign_cpu_s, second.foreign_cpu_s),
    )


def foreign_cpu_s(before: int | None, after: int | None, *, own_s: float | None) -> float | None:
    """CPU seconds of everybody else between two readings; not below 0, for ticks are coarse."""
    if before is None or after is None or own_s is None:
        return None
    return max(0.0, (after - before) / os.sysconf("SC_CLK_TCK") - own_s)


def load_1m() -> float | None:
    """The load average over a minute; None where there is none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
