import math
from collections.abc import Callable

import numpy as np
import pytest

from groundspeed.errors import UsageError
from groundspeed.load import LoadResult
from groundspeed.load.saturation import Hold, saturation
from groundspeed.load.service_levels import ServiceLevel

Make = Callable[..., LoadResult]
LEVEL = ServiceLevel(metric="latency_s_p95", target=0.050, critical=0.200)
SERVICE = 200.0
# An M/M/1 queue's p95 is ln 20 / (mu - lambda).
TRUTH = SERVICE - math.log(20.0) / 0.050


def measured_queue(queue: Make, seconds: float = 400.0) -> Callable[[float], LoadResult]:
    """Runs of a queue that serves 200/s, each with its own chance."""
    rng = np.random.default_rng(1)
    return lambda rate: queue(rng, rate=rate, service=SERVICE, seconds=seconds, warm_up=20.0)


def test_the_edge_of_a_queue_is_where_theory_says(queue: Make) -> None:
    """The interval holds it, and both checks say what the search did."""
    found = saturation(measured_queue(queue), LEVEL, first_per_s=20.0, most_per_s=1000.0)
    assert found.low_per_s < TRUTH < found.high_per_s
    assert found.rate_per_s == found.low_per_s
    assert found.high_per_s / found.low_per_s < 1.25
    assert found.confirmed
    assert found.limit == ""
    assert found.steps[-2].rate_per_s == pytest.approx(0.9 * found.low_per_s)
    assert found.steps[-1].rate_per_s == pytest.approx(1.1 * found.high_per_s)


def test_longer_runs_make_a_narrower_interval(queue: Make) -> None:
    """What is undecided in short runs is decided in long ones."""
    short = saturation(measured_queue(queue, 40.0), LEVEL, first_per_s=20.0, most_per_s=1000.0)
    assert short.low_per_s < TRUTH < short.high_per_s
    long = saturation(measured_queue(queue, 900.0), LEVEL, first_per_s=20.0, most_per_s=1000.0)
    assert long.high_per_s / long.low_per_s < short.high_per_s / short.low_per_s


def constant(run_of: Make, edge: float) -> Callable[[float], LoadResult]:
    """A target that is fast below an edge and slow from it on, without chance."""

    def measure(rate: float) -> LoadResult:
        return run_of(np.arange(200) / rate, np.full(200, 0.001 if rate < edge else 1.0))

    return measure


def test_a_sharp_edge_is_found_to_the_precision(run_of: Make) -> None:
    """Also where the first rate is far above it."""
    for first in (1.0, 100.0, 5000.0):
        found = saturation(constant(run_of, 137.0), LEVEL, first_per_s=first, most_per_s=1e4)
        assert found.low_per_s < 137.0 <= found.high_per_s <= found.low_per_s * 1.05 * (1 + 1e-9)
        assert found.confirmed


def test_a_target_that_is_never_broken_has_no_edge(run_of: Make) -> None:
    """It says up to where it was tried."""
    found = saturation(constant(run_of, math.inf), LEVEL, first_per_s=10.0, most_per_s=100.0)
    assert (found.low_per_s, found.high_per_s) == (100.0, math.inf)
    assert "not surely broken at 100/s" in found.limit
    assert not found.confirmed


def test_a_target_that_is_always_slow_has_none_either(run_of: Make) -> None:
    """The search ends at the steps it may make."""
    found = saturation(constant(run_of, 0.0), LEVEL, first_per_s=8.0, most_per_s=100.0, steps_max=4)
    assert [step.rate_per_s for step in found.steps] == [8.0, 4.0, 2.0, 1.0]
    assert found.limit == "the level was not surely kept at any rate down to 1/s"
    assert found.rate_per_s == 0.0


def test_a_generator_at_its_limit_ends_the_search(run_of: Make) -> None:
    """Its rate is none of the target's, below the first rate too."""

    def measure(rate: float) -> LoadResult:
        invalid = ("the generator was busy",) if rate > 30.0 or rate < 5.0 else ()
        slow = 1.0 if rate < 10.0 else 0.001
        return run_of(np.arange(200) / rate, np.full(200, slow), invalid=invalid)

    found = saturation(measure, LEVEL, first_per_s=10.0, most_per_s=100.0)
    assert found.limit == "at 40/s the run was invalid: the generator was busy"
    assert found.steps[-1].hold is Hold.INVALID
    below = saturation(measure, LEVEL, first_per_s=6.0, most_per_s=6.0)
    assert below.limit == "at 3/s the run was invalid: the generator was busy"


def test_the_search_ends_at_its_steps(run_of: Make) -> None:
    """Growing too."""
    found = saturation(
        constant(run_of, math.inf), LEVEL, first_per_s=1.0, most_per_s=1e9, steps_max=3
    )
    assert found.limit == "no edge within 3 runs"


@pytest.mark.parametrize(
    ("first", "most", "precision", "steps"),
    [(0, 1, 0.1, 9), (2, 1, 0.1, 9), (1, math.inf, 0.1, 9), (1, 2, 0, 9), (1, 2, 0.1, 1)],
)
def test_bad_input_is_refused(
    run_of: Make, first: float, most: float, precision: float, steps: int
) -> None:
    """Before anything is measured."""
    with pytest.raises(UsageError, match="saturation: got a"):
        saturation(
            constant(run_of, 1.0),
            LEVEL,
            first_per_s=first,
            most_per_s=most,
            precision=precision,
            steps_max=steps,
        )
