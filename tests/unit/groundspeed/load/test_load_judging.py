"""Finding the warm-up, judging validity, and the truth about freezes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from groundspeed.load import GeneratorFacts, Samples
from groundspeed.load.monitor import Reading, resources_of, slope_of
from groundspeed.load.stalling import freeze_share_quantile, true_response_s
from groundspeed.load.validity import reasons_against
from groundspeed.load.warm_up import find_warm_up

_FACTS = GeneratorFacts(
    processes=2,
    busy_share_max=0.5,
    cpu_s=1.0,
    queued_s=0.1,
    lag_s_p99=0.0002,
    slept_s=0.0,
    others_cpu_share=0.1,
    machine_busy_share=0.5,
)


def _samples(count: int = 1000, response_ns: int = 2_000_000, late_ns: int = 0) -> Samples:
    intended = np.arange(count, dtype=np.int64) * 10_000_000
    return Samples(
        intended_ns=intended,
        taken_ns=intended + late_ns,
        sent_ns=intended + late_ns,
        end_ns=intended + late_ns + response_ns,
        operation=np.zeros(count, dtype=np.int16),
        outcome=np.zeros(count, dtype=np.int16),
    )


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"slept_s": 3.0}, "the machine slept for 3.00 s"),
        ({"lag_s_p99": 0.0011}, "more than 1.10 ms late, needed 1.00 ms at most"),
        ({"busy_share_max": 0.81}, "busy for 81 % of the time"),
        ({"queued_s": 1.1}, "waited for a CPU for 5.5 % of the time"),
        ({"others_cpu_share": 0.3, "machine_busy_share": 0.99}, "other programs used 30 %"),
    ],
)
def test_each_limit_of_the_generator_is_a_reason(changed: dict[str, Any], reason: str) -> None:
    """One sentence: what was seen, what was needed."""
    (said,) = reasons_against(replace(_FACTS, **changed), _samples(), duration_s=10.0)
    assert reason in said


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"queued_s": None},
        {"others_cpu_share": 0.3},
        {"machine_busy_share": 1.0},
        {"busy_share_max": 0.8},
    ],
    ids=str,
)
def test_a_generator_within_its_limits_is_valid(changed: dict[str, Any]) -> None:
    """Also where the kernel counts no delay, and on a full machine of its own."""
    assert reasons_against(replace(_FACTS, **changed), _samples(), duration_s=10.0) == ()


def test_a_lag_may_be_a_tenth_of_a_slow_response() -> None:
    """Of a fast one only a millisecond."""
    facts = replace(_FACTS, lag_s_p99=0.009)
    slow = _samples(response_ns=100_000_000)
    assert reasons_against(facts, slow, duration_s=10.0) == ()
    assert reasons_against(facts, _samples(), duration_s=10.0) != ()


def test_requests_taken_up_after_the_end_are_a_reason_and_so_is_none_at_all() -> None:
    """A schedule must be kept, and there must be one."""
    (said,) = reasons_against(_FACTS, _samples(late_ns=500_000_000), duration_s=10.0)
    assert "took up 95 % of the requests before its time was over" in said
    (said,) = reasons_against(_FACTS, _samples(0), duration_s=10.0)
    assert "no request was made" in said


def test_a_slow_start_is_left_out_and_nothing_else() -> None:
    """The cut lies where the times have come down to the rest's spread."""
    rng = np.random.default_rng(1)
    times = rng.lognormal(np.log(0.001), 0.3, 10_000)
    times[:1500] *= np.linspace(4.0, 1.3, 1500)
    count, steady = find_warm_up(times)
    assert steady
    assert 1000 <= count <= 1800


def test_stalls_in_the_middle_of_a_run_are_never_a_warm_up() -> None:
    """They are what tails are made of."""
    times = np.full(2000, 0.0002)
    for begin in (200, 700, 1200, 1700):
        times[begin : begin + 100] = np.linspace(1.0, 0.0, 100)
    assert find_warm_up(times) == (0, True)


def test_a_run_that_gets_faster_until_its_end_has_not_settled() -> None:
    """Nothing is cut off, and that is said."""
    times = np.exp(np.linspace(0.0, -5.0, 5000))
    assert find_warm_up(times) == (0, False)


@pytest.mark.parametrize("count", [0, 1, 59])
def test_too_few_samples_have_no_warm_up(count: int) -> None:
    """Below six windows of ten nothing can be told."""
    assert find_warm_up(np.linspace(9.0, 1.0, count)) == (0, True)


def test_the_truth_about_freezes_is_the_formula_for_arrivals_spread_evenly() -> None:
    """p90 500, p95 750, p99 950 ms of 1 s in 5."""
    even_ns = np.arange(0, 20 * 10**9, 10**5)
    truth = true_response_s(even_ns, stall_s=1.0, every_s=5.0, phase_s=2.0)
    for q, seconds in ((0.5, 0.0), (0.9, 0.5), (0.95, 0.75), (0.99, 0.95)):
        assert freeze_share_quantile(q, stall_s=1.0, every_s=5.0) == pytest.approx(seconds)
        assert np.quantile(truth, q) == pytest.approx(seconds, abs=1e-3)


def test_an_arrival_waits_for_the_end_of_the_freeze_it_falls_into() -> None:
    """At its first moment for all of it, at its end for nothing."""
    at_ns = np.array([0, 2 * 10**9, 25 * 10**8, 3 * 10**9, 75 * 10**8])
    truth = true_response_s(at_ns, stall_s=1.0, every_s=5.0, phase_s=2.0)
    assert truth.tolist() == [0.0, 1.0, 0.5, 0.0, 0.5]


def test_nothing_waits_before_the_first_freeze() -> None:
    """Also where it begins later than freezes are apart, as no earlier one has been."""
    at_ns = np.arange(0, 4_000_000_000, 10_000_000)
    truth = true_response_s(at_ns, stall_s=1.0, every_s=3.0, phase_s=4.0)
    assert not truth.any()


def test_a_slope_is_found_beside_a_step_and_refused_of_few_readings() -> None:
    """One step is no trend."""
    at_s = np.arange(40.0)
    assert slope_of(at_s[:9], at_s[:9]) is None
    assert slope_of(at_s, 3.0 * at_s + 7.0) == pytest.approx(3.0)
    assert slope_of(at_s, np.where(at_s > 36, 100.0, 1.0)) == 0.0


def test_readings_become_what_was_used_since_the_first() -> None:
    """A tree without a process in it is none."""
    readings = [
        Reading(
            at_s=float(n),
            cpu_s=5.0 + n / 2,
            rss_bytes=100,
            threads=2,
            descriptors=3,
            switches=7 + n,
        )
        for n in range(4)
    ]
    resources = resources_of(readings, warm_up_s=0.0)
    assert resources is not None
    assert resources.cpu_share == 0.5
    assert resources.switches.tolist() == [0, 1, 2, 3]
    assert resources.rss_bytes_peak == 100
    assert resources.rss_slope_bytes_per_s is None
    nothing = [replace(reading, threads=0) for reading in readings]
    assert resources_of(nothing, warm_up_s=0.0) is None
    assert resources_of([], warm_up_s=0.0) is None
