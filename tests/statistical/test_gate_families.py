"""How often the gate is wrong where rows of several kinds are judged together, by simulation.

A rate is judged by a count that a gate within its promise exceeds once in a thousand seeds.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats

from groundspeed.stats import Conclusion, FloatArray, GateRule, IntArray, run_to_conclusion

pytestmark = pytest.mark.statistical

SLOWER, FASTER, SAME = Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME
RULE = GateRule()
SURPRISE = 0.001
TIMES, MEMORY, COUNTS = 0, 1, 2

Suite = tuple[FloatArray, IntArray]


def times(rng: np.random.Generator, rows: int) -> FloatArray:
    """Draw what clean times have: heavy tails, a spread of 0.5 to 3 % of a row's own."""
    spread = np.exp(rng.uniform(np.log(0.005), np.log(0.03), rows))
    return np.asarray(spread[:, None] * rng.standard_t(4, (rows, RULE.pairs_max)) / np.sqrt(2.0))


def pages(rng: np.random.Generator, rows: int) -> FloatArray:
    """Draw what peak memory has: a page of 4 KiB more or less now and then, of 40 MiB."""
    return np.asarray(
        1e-4 * rng.choice([-1.0, 0.0, 1.0], (rows, RULE.pairs_max), p=[0.1, 0.8, 0.1])
    )


def of_all_kinds(rng: np.random.Generator) -> Suite:
    """Twelve times, eight peaks of memory, five counts: three exact ones and two noisy ones."""
    counts = np.concatenate([np.zeros((3, RULE.pairs_max)), 4.0 * times(rng, 2)])
    suite = np.concatenate([times(rng, 12), pages(rng, 8), counts])
    return suite, np.repeat([TIMES, MEMORY, COUNTS], [12, 8, 5])


def times_beside_exact_rows(rng: np.random.Generator) -> Suite:
    """Five times in one family with twenty rows that never vary."""
    suite = np.concatenate([times(rng, 5), np.zeros((20, RULE.pairs_max))])
    return suite, np.zeros(25, dtype=np.int64)


def two_unequal_rows(rng: np.random.Generator) -> Suite:
    """A family of two, one of which is ten times as noisy as the other; normal noise."""
    noise = rng.normal(size=(2, RULE.pairs_max))
    return np.array([[0.02], [0.2]]) * noise, np.zeros(2, dtype=np.int64)


def scenarios(rng: np.random.Generator) -> Suite:
    """Seven whole scenarios, which pair run by run: spreads of 1 to 25 % in one family."""
    spread = np.exp(rng.uniform(np.log(0.01), np.log(0.25), 7))
    noise = rng.standard_t(4, (7, RULE.pairs_max)) / np.sqrt(2.0)
    return np.asarray(spread[:, None] * noise), np.zeros(7, dtype=np.int64)


def most_events(trials: int, rate: float) -> int:
    """Give the count that a true rate exceeds with chance SURPRISE."""
    return int(scipy_stats.binom.isf(SURPRISE, trials, rate))


@pytest.mark.parametrize(
    ("draw", "suites"),
    [
        (of_all_kinds, 1000),
        (times_beside_exact_rows, 1000),
        (two_unequal_rows, 1000),
        (scenarios, 400),  # most take all 96 launch pairs
    ],
)
def test_one_suite_in_a_hundred_at_most_is_alarmed_without_cause(
    draw: Callable[[np.random.Generator], Suite], suites: int
) -> None:
    """Identical code: the promised 1 % of suites, for slower and for faster."""
    rng, alarmed = np.random.default_rng(61), Counter[Conclusion]()
    for _ in range(suites):
        suite, families = draw(rng)
        alarmed.update(set(run_to_conclusion(suite, RULE, families=families).conclusions))
    bound = most_events(suites, RULE.false_alarms)
    for kind in (SLOWER, FASTER):
        assert alarmed[kind] <= bound, f"{alarmed[kind]} of {suites} suites with a false {kind}"


def test_real_changes_of_every_kind_are_found() -> None:
    """A time 5 %, a peak 2 % and an exact count 1 in 12 worse: each found, others left alone."""
    rng, suites = np.random.default_rng(62), 200
    found, others = Counter[int](), 0
    changed = {0: np.log1p(0.05), 12: np.log1p(0.02), 20: np.log(13 / 12)}
    for _ in range(suites):
        suite, families = of_all_kinds(rng)
        for row, shift in changed.items():
            suite[row] += shift
        conclusions = run_to_conclusion(suite, RULE, families=families).conclusions
        found.update(row for row in changed if conclusions[row] is SLOWER)
        others += sum(c is SLOWER for row, c in enumerate(conclusions) if row not in changed)
    assert found[12] == found[20] == suites, f"{found}"
    assert found[0] >= 0.97 * suites, f"{found}"
    assert others <= most_events(4 * suites, RULE.false_alarms), f"{others}"
