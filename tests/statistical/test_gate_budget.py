"""What a longer budget buys, and that it costs no certainty, by simulation.

Seventeen rows of heavy-tailed noise. At a standard deviation of 1 %, what twin launches have, a
budget must not lose what the standard rule finds; at 3 % it must find what that leaves undecided.
"""

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats as scipy_stats

from groundspeed.stats import Conclusion, GateRule, run_to_conclusion

pytestmark = pytest.mark.statistical

STANDARD = GateRule()
LONGER = STANDARD.for_budget(600.0)
ROWS, SLOWED = 17, 2
SURPRISE = 0.001


def conclusions(
    rule: GateRule, *, seed: int, suites: int, spread: float, slowdown: float = 0.0
) -> npt.NDArray[np.str_]:
    """Follow suites whose first rows are slowed down; the conclusions, shape (suites, rows)."""
    rng = np.random.default_rng(seed)
    followed = []
    for _ in range(suites):
        suite = spread / np.sqrt(2.0) * rng.standard_t(4, (ROWS, LONGER.pairs_max))
        suite[:SLOWED] += np.log1p(slowdown)
        followed.append(run_to_conclusion(suite, rule).conclusions)
    return np.array(followed)


@pytest.mark.parametrize("spread", [0.01, 0.03])
def test_a_budget_keeps_the_promise_on_identical_code(spread: float) -> None:
    """At most 1 % of suites alarm, by a count exceeded once in a thousand seeds."""
    seen = conclusions(LONGER, seed=71, suites=600, spread=spread)
    bound = int(scipy_stats.binom.isf(SURPRISE, len(seen), LONGER.false_alarms))
    for kind in (Conclusion.SLOWER, Conclusion.FASTER):
        assert (seen == kind).any(axis=1).sum() <= bound


@pytest.mark.parametrize("slowdown", [0.01, 0.02, 0.03])
def test_a_budget_loses_next_to_nothing_where_noise_is_small(slowdown: float) -> None:
    """On the same launches it finds what the standard rule finds, less one row in fifty."""
    standard, longer = (
        (
            conclusions(rule, seed=72, suites=100, spread=0.01, slowdown=slowdown)[:, :SLOWED]
            == Conclusion.SLOWER
        ).mean()
        for rule in (STANDARD, LONGER)
    )
    assert longer >= standard - 0.02, f"{longer}, {standard}"


def test_a_budget_finds_what_noise_hides_from_the_standard_rule() -> None:
    """At 3 % of noise, 2 % slower is found more often and hardly a row stays undecided."""
    standard, longer = (
        conclusions(rule, seed=73, suites=100, spread=0.03, slowdown=0.02)
        for rule in (STANDARD, LONGER)
    )
    found = [(seen[:, :SLOWED] == Conclusion.SLOWER).mean() for seen in (standard, longer)]
    still_open = [(seen == Conclusion.OPEN).mean() for seen in (standard, longer)]
    assert found[1] >= found[0] + 0.1, f"{found}"
    assert still_open[1] <= 0.01 < still_open[0], f"{still_open}"
