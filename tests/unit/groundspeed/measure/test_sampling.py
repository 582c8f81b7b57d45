import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.plan import SamplePlan
from groundspeed.measure.sampling import Calibration, _by_metric, _metric, _summarise
from groundspeed.model import Metric

METRICS: tuple[Metric, ...] = ("clean", "cpu", "wall", "timer")
NANOSECONDS = st.integers(0, 10**12)
SAMPLES = st.lists(st.tuples(NANOSECONDS, NANOSECONDS, NANOSECONDS), min_size=2, max_size=16)


def answer(*, own_timer: bool, threaded: bool, schedstat: bool) -> dict[str, bool]:
    """What the worker says of a benchmark it calibrated."""
    return {"own_timer": own_timer, "threaded": threaded, "schedstat": schedstat}


@pytest.mark.parametrize("threaded", [False, True], ids=["one thread", "threads"])
@pytest.mark.parametrize("schedstat", [False, True], ids=["no schedstat", "schedstat"])
def test_a_benchmarks_own_timer_is_respected(*, threaded: bool, schedstat: bool) -> None:
    """Whoever brings a clock is measured by it."""
    said = answer(own_timer=True, threaded=threaded, schedstat=schedstat)
    assert _metric(said) == "timer"


@pytest.mark.parametrize(
    ("threaded", "schedstat", "metric"),
    [(False, True, "clean"), (True, True, "cpu"), (False, False, "cpu"), (True, False, "cpu")],
    ids=["plain", "threads", "no schedstat", "neither"],
)
def test_clean_time_needs_one_thread_and_schedstat(
    *, threaded: bool, schedstat: bool, metric: Metric
) -> None:
    """With several threads the delays overlap; without schedstat there are none to subtract."""
    assert _metric(answer(own_timer=False, threaded=threaded, schedstat=schedstat)) == metric


@given(SAMPLES, st.sampled_from(METRICS))
def test_a_time_is_always_above_zero(samples: list[tuple[int, int, int]], metric: Metric) -> None:
    """Whatever the clocks said, the logarithm of a ratio can be taken."""
    times = _by_metric(np.asarray(samples, dtype=np.float64) / 1e9, metric)
    assert np.all(times > 0)
    assert np.all(np.isfinite(np.log(times)))


@given(SAMPLES)
def test_clean_is_wall_without_delay(samples: list[tuple[int, int, int]]) -> None:
    """Clean time is never longer than wall time, and the same where nothing had to wait."""
    seconds = np.asarray(samples, dtype=np.float64) / 1e9
    seconds[:, 0] += 1.0
    clean, wall = _by_metric(seconds, "clean"), _by_metric(seconds, "wall")
    assert np.all(clean <= wall)
    idle = seconds * [1.0, 1.0, 0.0]
    assert np.array_equal(_by_metric(idle, "clean"), _by_metric(idle, "wall"))


@given(SAMPLES, st.integers(1, 10_000), st.sampled_from(METRICS))
def test_a_summary_is_seconds_a_call(
    samples: list[tuple[int, int, int]], loops: int, metric: Metric
) -> None:
    """Samples of `loops` calls in nanoseconds become seconds of one call, between the extremes."""
    plan = SamplePlan(warm_up=1, blocks=len(samples), per_block=1)
    calibration = Calibration(loops=loops, renew=False, metric=metric, plan=plan)
    summary = _summarise({"base": samples, "candidate": samples}, calibration, 3)
    walls_s = [wall / 1e9 / loops for wall, _, _ in samples]
    slack = 1e-9 * max(walls_s)
    assert min(walls_s) - slack <= summary.base_wall_s <= max(walls_s) + slack
    assert summary.base_s == summary.candidate_s > 0
    assert (summary.pair, summary.samples) == (3, len(samples))
