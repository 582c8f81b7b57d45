"""Runs against servers that are simulated in virtual time: exact queues, and no waiting."""

import heapq
from collections.abc import Callable

import numpy as np
import pytest

from groundspeed.load import GeneratorFacts, LoadResult, Samples

RunMaker = Callable[..., LoadResult]
QueueMaker = Callable[..., LoadResult]

_NS = 1e9
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


def make_run(
    starts_s: np.ndarray,
    response_s: np.ndarray,
    *,
    failed: np.ndarray | None = None,
    duration_s: float | None = None,
    **more: object,
) -> LoadResult:
    """A run of which every arrival's start and response time are given."""
    starts = np.round(np.asarray(starts_s) * _NS).astype(np.int64)
    ends = starts + np.round(np.asarray(response_s) * _NS).astype(np.int64)
    outcome = np.zeros(starts.size) if failed is None else np.asarray(failed)
    span = float(starts.max()) / _NS if duration_s is None else duration_s
    facts: dict[str, object] = {
        "name": "simulated",
        "model": "open, simulated",
        "seed": 1,
        "duration_s": span,
        "drained_s": max(span, float(ends.max()) / _NS),
        "warm_up_s": 0.0,
        "steady": True,
        "offered": starts.size,
        "operations": ("call",),
        "outcomes": ("ok", "timeout"),
        "stages": (),
        "generator": IDLE,
        "littles_law_gap": 0.0,
    }
    samples = Samples(
        intended_ns=starts,
        taken_ns=starts,
        sent_ns=starts,
        end_ns=ends,
        operation=np.zeros(starts.size, dtype=np.int16),
        outcome=outcome.astype(np.int16),
    )
    return LoadResult(samples=samples, **(facts | more))  # type: ignore[arg-type]


def simulate_queue(
    rng: np.random.Generator,
    *,
    rate: float,
    service: float,
    servers: int = 1,
    seconds: float,
    warm_up: float = 0.0,
) -> LoadResult:
    """An M/M/c queue, first come first served, from empty."""
    count = int(rng.poisson(rate * seconds))
    starts = np.sort(rng.uniform(0.0, seconds, count))
    work = rng.exponential(1.0 / service, count)
    free = [0.0] * servers
    ends = np.empty(count)
    for index, (start, needed) in enumerate(zip(starts.tolist(), work.tolist(), strict=True)):
        ends[index] = max(start, free[0]) + needed
        heapq.heapreplace(free, ends[index])
    return make_run(starts, ends - starts, duration_s=seconds, warm_up_s=warm_up)


@pytest.fixture
def run_of() -> RunMaker:
    """Makes a run out of starts and response times."""
    return make_run


@pytest.fixture
def queue() -> QueueMaker:
    """Simulates an M/M/c queue."""
    return simulate_queue
