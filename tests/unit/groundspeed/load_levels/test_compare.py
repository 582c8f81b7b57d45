import math
from collections.abc import Callable

import numpy as np
import pytest

from groundspeed.errors import UsageError
from groundspeed.load import LoadResult
from groundspeed.load.compare import Change, compare

Make = Callable[..., LoadResult]


@pytest.fixture
def side(run_of: Make) -> Callable[..., LoadResult]:
    """A run of 40 s at 100/s with lognormal responses, so many times slower."""

    def make(seed: int, factor: float = 1.0, **more: object) -> LoadResult:
        rng = np.random.default_rng(seed)
        response = factor * rng.lognormal(-5.0, 0.5, 4000)
        return run_of(np.arange(4000) / 100.0, response, duration_s=40.0, **more)

    return make


def test_a_side_that_is_half_slower_is_worse(side: Make) -> None:
    """By 1.5 in every percentile; throughput, which is offered, is not."""
    found = compare([side(1)], [side(2, 1.5)])
    changes = {change.metric: change for change in found.changes}
    for metric in ("latency_s_p50", "latency_s_p95"):
        assert changes[metric].change is Change.WORSE
        assert changes[metric].low < 1.5 < changes[metric].high
    assert changes["throughput_per_s"].change is Change.NOT_WORSE
    assert (found.exit_code, found.between_runs, found.runs) == (1, False, (1, 1))


def test_the_same_code_is_not_worse_and_a_faster_one_neither(side: Make) -> None:
    """An improvement is no regression."""
    for factor in (1.0, 0.5):
        found = compare([side(3)], [side(4, factor)], metrics=["latency_s_p50", "latency_s_p95"])
        assert found.exit_code == 0


def test_what_lies_at_the_limit_is_undecided(side: Make) -> None:
    """It says by how much and what to do."""
    found = compare([side(5)], [side(6, 1.2)], metrics=["latency_s_p95"])
    assert found.exit_code == 3
    assert found.changes[0].reason.startswith("1.2x lies within 1.")
    assert found.changes[0].reason.endswith("measure longer or more runs")


def test_several_runs_hold_what_differs_between_them(side: Make) -> None:
    """Two sides whose runs differ by a third are not told apart by their many samples."""
    base = [side(seed, factor) for seed, factor in ((11, 1.0), (12, 1.3), (13, 1.0))]
    candidate = [side(seed, factor) for seed, factor in ((14, 1.5), (15, 1.0), (16, 1.6))]
    several = compare(base, candidate, metrics=["latency_s_p95"])
    assert several.between_runs
    assert several.changes[0].change is Change.UNDECIDED
    single = compare(base[:1], candidate[:1], metrics=["latency_s_p95"])
    assert single.changes[0].change is Change.WORSE


def test_the_intervals_of_single_runs_hold_the_truth(side: Make) -> None:
    """In about 95 % of 200 pairs of runs of one distribution."""
    held = 0
    for seed in range(200):
        change = compare([side(seed)], [side(1000 + seed, 1.1)], metrics=["latency_s_p95"])
        held += change.changes[0].low <= 1.1 <= change.changes[0].high
    assert 0.9 <= held / 200 <= 0.99


def test_failures_in_the_tail_make_it_worse_without_end(run_of: Make) -> None:
    """Where p95 never came back on one side there is a lower bound; on both, nothing."""
    starts, response = np.arange(2000) / 100.0, np.random.default_rng(8).uniform(1e-3, 2e-3, 2000)
    lost = np.arange(2000) % 10 == 0
    good, bad = run_of(starts, response), run_of(starts, response, failed=lost)
    found = compare([good], [bad], metrics=["latency_s_p95"]).changes[0]
    assert (found.change, found.high) == (Change.WORSE, math.inf)
    both = compare([bad], [bad], metrics=["latency_s_p95"]).changes[0]
    assert both.change is Change.UNDECIDED
    several = compare([good, good], [bad, bad], metrics=["latency_s_p95"]).changes[0]
    assert several.change is Change.UNDECIDED


def test_runs_that_agree_exactly_have_a_ratio_without_width(side: Make) -> None:
    """Twice the same run is no reason to divide by zero."""
    base, candidate = side(1), side(1, 2.0)
    change = compare([base, base], [candidate, candidate], metrics=["latency_s_p50"]).changes[0]
    assert change.low == pytest.approx(2.0)
    assert change.high == pytest.approx(2.0)


def test_invalid_or_short_runs_decide_nothing(side: Make, run_of: Make) -> None:
    """They say why."""
    starved = side(2, 3.0, invalid=("the generator was starved",))
    found = compare([side(1)], [starved], metrics=["latency_s_p95"]).changes[0]
    assert found.change is Change.UNDECIDED
    assert found.reason == "a run is invalid: the generator was starved"
    short = run_of(np.arange(10) / 100.0, np.full(10, 1e-3))
    few = compare([side(1)], [short], metrics=["latency_s_p95"]).changes[0]
    assert "needed at least 72" in few.reason
    assert math.isnan(few.ratio)


def test_sides_that_cannot_be_compared_are_refused(side: Make) -> None:
    """No run, another model, a limit below 1."""
    with pytest.raises(UsageError, match="got 0 runs of base and 1 of the candidate"):
        compare([], [side(1)])
    with pytest.raises(UsageError, match="closed, 5 users and open, simulated, needed one model"):
        compare([side(1)], [side(1, model="closed, 5 users")])
    with pytest.raises(UsageError, match=r"worse_ratio: got 0.8, needed 1 or more"):
        compare([side(1)], [side(1)], worse_ratio=0.8)
