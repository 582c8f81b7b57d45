import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.rows import Calibration, Quantity
from groundspeed.measure.rows.plan import SamplePlan
from groundspeed.measure.rows.timed import _by_metric, _metric, _summarise
from groundspeed.model import Metric, Side

METRICS: tuple[Metric, ...] = ("clean", "cpu", "wall", "timer")
NANOSECONDS = st.integers(0, 10**12)
SAMPLES = st.lists(st.tuples(NANOSECONDS, NANOSECONDS, NANOSECONDS), min_size=2, max_size=16)


def answer(*, own_timer: bool, schedstat: bool) -> dict[str, bool]:
    """What a process says of a benchmark it calibrated."""
    return {"own_timer": own_timer, "schedstat": schedstat}


@pytest.mark.parametrize("schedstat", [False, True], ids=["no schedstat", "schedstat"])
@pytest.mark.parametrize("wanted", [None, "wall"])
def test_a_benchmarks_own_timer_is_respected(*, schedstat: bool, wanted: Metric | None) -> None:
    """Whoever brings a clock is measured by it."""
    assert _metric(answer(own_timer=True, schedstat=schedstat), wanted) == "timer"


@pytest.mark.parametrize(
    ("schedstat", "metric"), [(True, "clean"), (False, "cpu")], ids=["schedstat", "none"]
)
def test_clean_time_needs_schedstat(*, schedstat: bool, metric: Metric) -> None:
    """Without it there are no delays to subtract."""
    assert _metric(answer(own_timer=False, schedstat=schedstat), None) == metric


@pytest.mark.parametrize("wanted", ["wall", "cpu"])
def test_a_metric_that_was_asked_for_is_taken(wanted: Metric) -> None:
    """Wherever it can be read, which these can anywhere."""
    assert _metric(answer(own_timer=False, schedstat=True), wanted) == wanted


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
    calibration = Calibration(quantities={"": Quantity(metric=metric)}, loops=loops, plan=plan)
    summary = _summarise({"base": samples, "candidate": samples}, calibration, 3)
    walls_s = [wall / 1e9 / loops for wall, _, _ in samples]
    slack = 1e-9 * max(walls_s)
    assert min(walls_s) - slack <= summary.base_wall_s <= max(walls_s) + slack
    assert summary.base_s == summary.candidate_s > 0
    assert summary.base_slower_half_s is not None
    assert summary.base_s <= summary.base_slower_half_s * (1 + 1e-12)
    assert (summary.pair, summary.samples) == (3, len(samples))


STEADY = st.lists(st.floats(0.9e6, 1.1e6), min_size=4, max_size=32)


def drift_of(base: list[float], candidate: list[float], growth: float = 1.0) -> float | None:
    """Of samples in nanoseconds; those of the last quarter are `growth` times as long."""
    late = len(base) - len(base) // 4

    def taken(samples: list[float]) -> list[tuple[int, int, int]]:
        grown = [x * growth if i >= late else x for i, x in enumerate(samples)]
        return [(round(wall_ns), 0, 0) for wall_ns in grown]

    calibration = Calibration(quantities={"": Quantity(metric="wall")})
    sides: dict[Side, list[tuple[int, int, int]]] = {
        "base": taken(base),
        "candidate": taken(candidate),
    }
    return _summarise(sides, calibration, 0).drift


@given(STEADY, st.floats(0.2, 5.0))
def test_drift_is_how_much_longer_the_last_samples_took(
    samples: list[float], growth: float
) -> None:
    """Scaled with them, whatever the noise; the same on both sides, which may be exchanged."""
    steady, grown = (drift_of(samples, samples, g) for g in (1.0, growth))
    assert steady is not None
    assert grown is not None
    assert 0.9 / 1.1 <= steady <= 1.1 / 0.9
    assert grown == pytest.approx(steady * growth, rel=1e-4)


@given(STEADY, STEADY)
def test_drift_does_not_know_the_sides(base: list[float], candidate: list[float]) -> None:
    """Exchanged they drift as much."""
    one, other = drift_of(base, candidate), drift_of(candidate, base)
    assert one == pytest.approx(other, rel=1e-9)


def test_few_samples_drift_from_the_first_to_the_last() -> None:
    """And a single one not at all."""
    assert drift_of([1e6], [2e6]) is None
    assert drift_of([1e6, 2e6], [1e6, 8e6]) == pytest.approx(4.0)
    assert drift_of([1e6, 9e6, 2e6], [1e6, 9e6, 2e6]) == pytest.approx(2.0)
    assert drift_of([1e6, 1e6, 1e6, 2e6], [1e6, 2e6, 3e6, 2e6]) == pytest.approx(2.0)
