"""How often a comparison with stored runs is wrong, and what it finds, by simulated suites.

A rate is judged by a count that a comparison within its promise exceeds once in a thousand seeds.
"""

from collections import Counter

import numpy as np
import pytest
from scipy import stats as scipy_stats

from groundspeed.stats import FloatArray
from groundspeed.stats.stored_runs import (
    TIME_NOISE,
    Reading,
    RunVerdict,
    compare_with_stored,
    rounds_reading,
    suite_noise,
)

pytestmark = pytest.mark.statistical

TESTS = 20
ROUNDS = 60
PROMISE = 0.01
SURPRISE = 0.001
SUITES = 1000


def medians(rng: np.random.Generator, runs: int, *, tails: float) -> FloatArray:
    """Logarithms of medians, shape (runs, tests): what a shared machine does from run to run.

    A deviation of each test's own, 1.5 to 8 %, with heavy tails; and 2 % that all share.
    """
    own = np.exp(rng.uniform(np.log(0.015), np.log(0.08), TESTS))
    noise = rng.standard_t(tails, (runs, TESTS)) / np.sqrt(tails / (tails - 2.0))
    return np.asarray(own * noise + 0.02 * rng.normal(size=(runs, 1)))


def readings(rng: np.random.Generator, run: FloatArray) -> list[Reading]:
    """One run of the suite as pytest-benchmark sums its rounds up: 3 % from round to round."""
    rounds = np.exp(run[:, None] + 0.03 * rng.normal(size=(TESTS, ROUNDS)))
    low, middle, high = np.quantile(rounds, (0.25, 0.5, 0.75), axis=1)
    return [
        rounds_reading(float(median), iqr=float(upper - lower), rounds=ROUNDS)
        for lower, median, upper in zip(low, middle, high, strict=True)
    ]


def verdicts(
    rng: np.random.Generator, stored: int, *, slowdown: float = 1.0, tails: float = 4.0
) -> list[RunVerdict]:
    """Those of one suite, whose first test is slower by a factor."""
    runs = medians(rng, stored + 1, tails=tails)
    runs[-1, 0] += np.log(slowdown)
    *base, now = [readings(rng, run) for run in runs]
    histories = list(zip(*base, strict=True))
    noise = suite_noise(histories, TIME_NOISE)
    return [
        compare_with_stored(
            history, reading, noise=noise, level=PROMISE / TESTS, min_effect=0.10
        ).verdict
        for history, reading in zip(histories, now, strict=True)
    ]


def most_events(trials: int, rate: float) -> int:
    """Give the count that a true rate exceeds with chance SURPRISE."""
    return int(scipy_stats.binom.isf(SURPRISE, trials, rate))


def test_the_simulated_noise_is_that_of_a_shared_machine() -> None:
    """About one pair of runs in six differs by more than 5 % upwards, as was measured on one."""
    rng = np.random.default_rng(70)
    pairs = [np.diff(medians(rng, 2, tails=4.0), axis=0) for _ in range(500)]
    assert 0.12 < float(np.mean(np.array(pairs) > np.log(1.05))) < 0.25


@pytest.mark.parametrize("stored", [1, 3, 5, 10])
def test_identical_code_fails_a_suite_within_the_promise(stored: int) -> None:
    """At most one suite of a hundred has a slower test, and at most one a faster."""
    rng = np.random.default_rng(71 + stored)
    suites = [Counter(verdicts(rng, stored)) for _ in range(SUITES)]
    for verdict in (RunVerdict.SLOWER, RunVerdict.FASTER):
        wrong = sum(suite[verdict] > 0 for suite in suites)
        assert wrong <= most_events(SUITES, PROMISE), f"{wrong} of {SUITES} have one {verdict}"


@pytest.mark.parametrize(
    ("stored", "slowdown", "share"), [(3, 1.5, 0.7), (10, 1.5, 0.8), (3, 2.0, 0.95)]
)
def test_a_slowdown_is_found(stored: int, slowdown: float, share: float) -> None:
    """In that share of suites at least, with noise between 1.5 and 8 % from run to run."""
    rng = np.random.default_rng(81)
    found = sum(
        verdicts(rng, stored, slowdown=slowdown)[0] is RunVerdict.SLOWER for _ in range(300)
    )
    assert found >= share * 300, f"{found} of 300"
