"""Whether the percentiles measured at simulated queues agree with queueing theory.

Waiting times of a busy queue hang together for as long as the queue stays busy, so this is what the
block bootstrap is for: intervals of independent samples would hold the truth far too seldom.

References:
    Kleinrock (1975), Queueing Systems, volume 1, sections 3.2 and 3.5.
"""

import heapq
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from groundspeed.errors import TooFewSamplesError
from groundspeed.load import GeneratorFacts, LoadResult, Samples
from groundspeed.load.figures import latency
from groundspeed.stats import QuantileEstimate

pytestmark = pytest.mark.statistical

IDLE = GeneratorFacts(
    processes=1,
    busy_share_max=0.1,
    cpu_s=0.1,
    queued_s=0.0,
    lag_s_p99=1e-5,
    slept_s=0.0,
    others_cpu_share=0.0,
    machine_busy_share=0.2,
)
RUNS = 60
SECONDS, WARM_UP = 240.0, 10.0


def theory(q: float, *, rate: float, service: float, servers: int) -> float:
    """The quantile of the response time of an M/M/c queue, in seconds."""
    load = rate / service
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) / (1.0 - load / servers)
    waits = last / (sum(terms) + last)  # Erlang's C
    theta = servers * service - rate

    def above(t: float) -> float:
        alone = math.exp(-service * t)
        if math.isclose(theta, service):
            return (1.0 - waits) * alone + waits * alone * (1.0 + service * t)
        both = (theta * alone - service * math.exp(-theta * t)) / (theta - service)
        return (1.0 - waits) * alone + waits * both

    return float(brentq(lambda t: above(t) - (1.0 - q), 0.0, 100.0 / min(theta, service)))


def simulate(seed: int, *, rate: float, service: float, servers: int) -> LoadResult:
    """A run against the queue, first come first served, from empty."""
    rng = np.random.default_rng(seed)
    starts = np.sort(rng.uniform(0.0, SECONDS, rng.poisson(rate * SECONDS)))
    free = [0.0] * servers
    ends = np.empty(starts.size)
    work = rng.exponential(1.0 / service, starts.size)
    for index, (start, needed) in enumerate(zip(starts.tolist(), work.tolist(), strict=True)):
        ends[index] = max(start, free[0]) + needed
        heapq.heapreplace(free, ends[index])
    begun, ended = (np.round(times * 1e9).astype(np.int64) for times in (starts, ends))
    nothing = np.zeros(starts.size, dtype=np.int16)
    return LoadResult(
        name="queue",
        model="open, poisson",
        seed=seed,
        duration_s=SECONDS,
        drained_s=max(SECONDS, float(ends.max())),
        warm_up_s=WARM_UP,
        steady=True,
        offered=starts.size,
        samples=Samples(
            intended_ns=begun,
            taken_ns=begun,
            sent_ns=begun,
            end_ns=ended,
            operation=nothing,
            outcome=nothing,
        ),
        operations=("call",),
        outcomes=("ok",),
        stages=(),
        generator=IDLE,
        littles_law_gap=0.0,
    )


def estimated(run: LoadResult, q: float) -> QuantileEstimate | None:
    """The percentile, or None where the run is worth too few samples for it."""
    try:
        return latency(run, q)
    except TooFewSamplesError:
        return None


@pytest.mark.parametrize(
    ("rate", "service", "servers"),
    [(160.0, 200.0, 1), (150.0, 50.0, 4)],
    ids=["M/M/1 at 80 %", "M/M/4 at 75 %"],
)
def test_the_intervals_hold_what_theory_says(rate: float, service: float, servers: int) -> None:
    """Of p50 and p95 in 88 % or more of 60 runs, and the mean of all within 4 %.

    A busy queue's p99 may be refused: few busy stretches reach it, however many samples they have.
    """
    queue = {"rate": rate, "service": service, "servers": servers}
    runs = [simulate(seed, **queue) for seed in range(RUNS)]  # type: ignore[arg-type]
    for q in (0.5, 0.95):
        truth = theory(q, **queue)  # type: ignore[arg-type]
        found = [estimate for run in runs if (estimate := estimated(run, q)) is not None]
        assert len(found) >= 0.95 * RUNS
        held = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
        assert held >= 0.88, f"{q}: {held:.0%}"
        assert np.mean([estimate.value for estimate in found]) == pytest.approx(truth, rel=0.04)


def test_one_server_has_the_closed_form() -> None:
    """-ln(1 - q) / (mu - lambda), which the theory used here reduces to."""
    expected = -math.log(0.05) / (200.0 - 160.0)
    assert theory(0.95, rate=160.0, service=200.0, servers=1) == pytest.approx(expected)
