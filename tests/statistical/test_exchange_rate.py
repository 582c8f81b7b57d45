"""Whether exchanging labels gives the rate of false alarms that new checks would have.

The rule looks at five and eight pairs and is never content (its margin is next to nothing), so that
every row takes all pairs and the rate has room to be seen: one suite in five is allowed an alarm.
"""

import numpy as np
import pytest

from groundspeed.stats import Conclusion, FloatArray, GateRule, exchange_rate, run_to_conclusion

pytestmark = pytest.mark.statistical

RULE = GateRule(looks=(5, 8), shares=(0.4, 0.6), false_alarms=0.2, min_effect=1e-9)
ROWS, PAIRS = 10, 8
SUITES, EXCHANGES = 40, 24


def noise(rng: np.random.Generator, shared: float) -> FloatArray:
    """Draw heavy-tailed differences, with a part that all rows of a launch pair share."""
    own = rng.standard_t(4, (ROWS, PAIRS))
    return np.asarray(0.01 * (own + shared * rng.standard_t(4, PAIRS)))


def exchanged(seed: int, *, shared: float, slowed: int = 0) -> FloatArray:
    """Give the rate of each of many suites, some rows of which are truly 10 % slower."""
    rng = np.random.default_rng(seed)
    rates = []
    for _ in range(SUITES):
        suite = noise(rng, shared)
        suite[:slowed] += 0.1
        signs = rng.choice([-1.0, 1.0], (EXCHANGES, PAIRS))
        rates.append(exchange_rate(list(suite), RULE, signs=signs).rate)
    return np.array(rates)


@pytest.mark.parametrize("shared", [0.0, 1.0], ids=["rows apart", "rows tied"])
def test_the_rate_is_that_of_new_checks_of_the_same_noise(shared: float) -> None:
    """On average it is the share of new suites that alarm, and not above what is allowed."""
    rng = np.random.default_rng(32)
    fresh = np.array(
        [
            Conclusion.SLOWER in run_to_conclusion(noise(rng, shared), RULE).conclusions
            for _ in range(400)
        ]
    )
    rates = exchanged(31, shared=shared)
    error = np.hypot(rates.std() / np.sqrt(rates.size), fresh.std() / np.sqrt(fresh.size))
    assert abs(rates.mean() - fresh.mean()) <= 3.0 * error, f"{rates.mean()}, {fresh.mean()}"
    assert 0.5 * RULE.false_alarms <= rates.mean() <= 1.1 * RULE.false_alarms, f"{rates.mean()}"


def test_real_slowdowns_do_not_spoil_it() -> None:
    """With three rows of ten truly slower the rate is still near what it is without."""
    rates = exchanged(33, shared=0.0, slowed=3)
    assert 0.5 * RULE.false_alarms <= rates.mean() <= 1.25 * RULE.false_alarms, f"{rates.mean()}"
