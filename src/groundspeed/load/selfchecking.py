"""`selfcheck`: whether the load generator tells the truth on this machine.

A server that freezes by the clock is asked at a known rate, and the percentiles are compared with
the arithmetic of its freezes; the generator's punctuality, its cost and the recorder's are measured
beside it. The outcome is kept for the machine and this version.
"""

import contextlib
import os
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from groundspeed import __version__
from groundspeed.errors import BrokenError
from groundspeed.load._result import LoadResult
from groundspeed.load.correction import corrected_for_omission
from groundspeed.load.models import Closed, Model, Open, Steady
from groundspeed.load.recorder import Recorder
from groundspeed.load.running import run
from groundspeed.load.scenario import Http, Operation, Scenario
from groundspeed.load.stalling import true_response_s
from groundspeed.measure.machine import CpuPlan, describe_machine
from groundspeed.stats import FloatArray, IntArray
from groundspeed.store.calibrations import state_folder
from groundspeed.store.checks import write_atomically

__all__ = [
    "STALL_LEVELS",
    "Check",
    "Selfcheck",
    "StallPlan",
    "StallRun",
    "StallingServer",
    "closed_stall",
    "open_stall",
    "record_s",
    "selfcheck",
    "stall_test",
    "stalling_server",
]

STALL_LEVELS = (0.9, 0.95, 0.99)
STALL_ERROR_MAX = 0.05
LAG_S_MAX = 100e-6
CPU_S_MAX = 16e-6
RECORD_S_MAX = 50e-9
_PACING_RATE = 1000.0
_PACING_S = 3.0
_CAPACITY_USERS = 10
_CAPACITY_S = 2.0
_RECORDS = 20_000
_NS = 1e9
_SERVE = "import sys; from groundspeed.load.stalling import main; main(sys.argv[1:])"


@dataclass(frozen=True, slots=True, kw_only=True)
class StallPlan:
    """How the server freezes and how it is asked: for 1 s in every 5, at 100 a second.

    Attributes:
        stall_s: Length of a freeze.
        every_s: From one freeze to the next.
        phase_s: Before the first.
        duration_s: Of each run.
        rate_per_s: Arrivals, or what the closed model's users would make together.
        users: Of the closed model.
    """

    stall_s: float = 1.0
    every_s: float = 5.0
    phase_s: float = 2.0
    duration_s: float = 20.0
    rate_per_s: float = 100.0
    users: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StallRun:
    """One run against the freezing server, in seconds at the `STALL_LEVELS`.

    Attributes:
        name: `constant`, `poisson` or `closed, corrected`.
        measured_s: What the run says.
        true_s: What the freezes are, for an open model's arrivals.
    """

    name: str
    measured_s: tuple[float, ...]
    true_s: tuple[float, ...]

    @property
    def error(self) -> float:
        """The largest relative error."""
        pairs = zip(self.measured_s, self.true_s, strict=True)
        return max(abs(measured - true) / true for measured, true in pairs)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must hold.

    Attributes:
        name: What it is.
        value: What was measured.
        limit: The most it may be.
        unit: Of both: `s`, or `share`.
    """

    name: str
    value: float
    limit: float
    unit: str

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.value <= self.limit


class Selfcheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about the generator on one machine.

    Attributes:
        fingerprint: Of the machine.
        tool_version: The groundspeed that was checked.
        requests_per_s: What one generator process can send and read here.
        checks: What must hold.
    """

    fingerprint: str
    tool_version: str
    requests_per_s: float
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether all do."""
        return all(check.holds for check in self.checks)


def selfcheck(
    *,
    fresh: bool = False,
    plan: StallPlan | None = None,
) -> Selfcheck:
    """Check the generator here, or give what was kept of the last check.

    Args:
        fresh: Whether to check even if this machine and version have been.
        plan: The stall test's; another than the default is never kept.

    Raises:
        BrokenError: If the server of the check cannot be started.
    """
    fingerprint = describe_machine(CpuPlan()).fingerprint
    path = state_folder() / "load" / f"{fingerprint}-{__version__}.json"
    if not fresh and plan is None:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(path.read_bytes(), type=Selfcheck)
    stalls = stall_test(plan or StallPlan())
    with stalling_server() as server:
        url = server.url
        pacing = run(_scenario(url, Open(rate=_PACING_RATE, arrivals="constant"), _PACING_S))
        capacity = run(_scenario(url, Closed(users=_CAPACITY_USERS), _CAPACITY_S))
    found = Selfcheck(
        fingerprint=fingerprint,
        tool_version=__version__,
        requests_per_s=capacity.throughput_per_s,
        checks=_checks(stalls, pacing, capacity),
    )
    if plan is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(found))
    return found


def _checks(
    stalls: Sequence[StallRun], pacing: LoadResult, capacity: LoadResult
) -> tuple[Check, ...]:
    cpu_s = capacity.generator.cpu_s / max(1, capacity.recorded)
    return (
        *(
            Check(
                name=f"stall, {stall.name}", value=stall.error, limit=STALL_ERROR_MAX, unit="share"
            )
            for stall in stalls
        ),
        Check(
            name="lag p99 at 1,000/s",
            value=pacing.generator.lag_s_p99,
            limit=LAG_S_MAX,
            unit="s",
        ),
        Check(name="CPU a request", value=cpu_s, limit=CPU_S_MAX, unit="s"),
        Check(name="recording a sample", value=record_s(), limit=RECORD_S_MAX, unit="s"),
    )


def stall_test(plan: StallPlan) -> tuple[StallRun, ...]:
    """Ask the freezing server in three ways, one after the other."""
    return (
        open_stall(plan, "constant"),
        open_stall(plan, "poisson"),
        closed_stall(plan),
    )


def open_stall(plan: StallPlan, arrivals: Literal["poisson", "constant"]) -> StallRun:
    """Ask the freezing server by an open model; the truth is that of these very arrivals."""
    with stalling_server(plan) as server:
        result = run(
            _scenario(server.url, Open(rate=plan.rate_per_s, arrivals=arrivals), plan.duration_s)
        )
    truth = server.true_response_s(result.samples.intended_ns + result.started_ns)
    return StallRun(name=arrivals, measured_s=_levels(result.response_s), true_s=_levels(truth))


def closed_stall(plan: StallPlan) -> StallRun:
    """Correct what waiting users did not ask, and compare it with arrivals spread evenly."""
    think_s = plan.users / plan.rate_per_s
    with stalling_server(plan) as server:
        result = run(
            _scenario(server.url, Closed(users=plan.users, think=think_s), plan.duration_s)
        )
    # An answer that takes longer than the think time is what the correction is for.
    usual_s = result.response_s[result.response_s <= think_s]
    interval_s = think_s + float(np.mean(usual_s)) if len(usual_s) else think_s
    even_ns = result.started_ns + np.arange(0.0, plan.duration_s * _NS, 1e6).astype(np.int64)
    return StallRun(
        name="closed, corrected",
        measured_s=_levels(corrected_for_omission(result.response_s, interval_s)),
        true_s=_levels(server.true_response_s(even_ns)),
    )


def _scenario(url: str, model: Model, duration_s: float) -> Scenario:
    return Scenario(
        name="self-check",
        operations=(Operation(name="get", target=Http(url=url)),),
        model=model,
        stages=(Steady(duration=duration_s),),
        warm_up=0.0,
    )


def _levels(seconds: FloatArray) -> tuple[float, ...]:
    return tuple(np.quantile(seconds, STALL_LEVELS, method="inverted_cdf").tolist())


def record_s() -> float:
    """Seconds that the hot path spends to record one sample: the best of several goes."""
    recorder = Recorder(1)
    columns = (recorder.begun, recorder.end, recorder.outcome)
    spent = timeit.Timer(
        "begun(request); end(now_ns); outcome(0)",
        setup="begun, end, outcome = appends; request = (1, 2, 3, 4, 5); now_ns = 10**12",
        globals={"appends": [column.append for column in columns]},
    )
    nothing = timeit.Timer("pass")
    best = [min(timer.repeat(repeat=7, number=_RECORDS)) for timer in (spent, nothing)]
    return max(0.0, best[0] - best[1]) / _RECORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class StallingServer:
    """A running `groundspeed.load.stalling`, and the truth about it."""

    port: int
    plan: StallPlan
    start_ns: int

    @property
    def url(self) -> str:
        """What to ask."""
        return f"http://127.0.0.1:{self.port}/"

    def true_response_s(self, at_ns: IntArray) -> FloatArray:
        """How long arrivals at these times of the monotonic clock must wait, shape (n,)."""
        return true_response_s(
            at_ns - self.start_ns,
            stall_s=self.plan.stall_s,
            every_s=self.plan.every_s,
            phase_s=self.plan.phase_s,
        )


_NEVER_FREEZES = StallPlan(stall_s=0.0)


@contextlib.contextmanager
def stalling_server(plan: StallPlan = _NEVER_FREEZES) -> Iterator[StallingServer]:
    """Start the server in a process of its own; it ends with the block.

    Raises:
        BrokenError: If it does not start.
    """
    start_ns = time.perf_counter_ns()
    numbers = [str(start_ns), *(str(v) for v in (plan.stall_s, plan.every_s, plan.phase_s))]
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-c", _SERVE, *numbers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        port = process.stdout.readline().strip() if process.stdout else ""
        if not port:
            raise BrokenError(
                f"the server of the self-check ended with {process.wait()}; its "
                "standard error says why"
            )
        yield StallingServer(port=int(port), plan=plan, start_ns=start_ns)
