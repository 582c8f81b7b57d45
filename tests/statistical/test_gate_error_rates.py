"""How often the whole gate is wrong, on simulated suites with a fixed seed.

Noise is what benchmarks have: heavy tails (Student's t with 4 degrees of freedom, which has
no third moment to rely on), a standard deviation of its own for every row, 0.5 to 3 %.

A rate is judged by a count that a gate within its promise exceeds once in a thousand seeds.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats as scipy_stats

from groundspeed.stats import Conclusion, Course, FloatArray, GateRule, estimate, run_to_conclusion

pytestmark = pytest.mark.statistical

OPEN, SLOWER, FASTER, SAME = Conclusion.OPEN, Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME
RULE = GateRule()
SURPRISE = 0.001


def noise(rng: np.random.Generator, rows: int) -> FloatArray:
    """Draw differences around zero for every look, standard deviation 0.005 to 0.03."""
    spread = np.exp(rng.uniform(np.log(0.005), np.log(0.03), rows))
    # A t with 4 degrees of freedom has variance 2.
    return np.asarray(spread[:, None] * rng.standard_t(4, (rows, RULE.pairs_max)) / np.sqrt(2.0))


def courses(
    seed: int, *, suites: int, rows: int = 50, slowed: int = 0, slowdown: float = 0.0
) -> Iterator[Course]:
    """Follow suites of which the first rows are slowed down."""
    rng = np.random.default_rng(seed)
    for _ in range(suites):
        differences = noise(rng, rows)
        differences[:slowed] += np.log1p(slowdown)
        yield run_to_conclusion(differences, RULE)


def most_events(trials: int, rate: float) -> int:
    """Give the count that a true rate exceeds with chance SURPRISE."""
    return int(scipy_stats.binom.isf(SURPRISE, trials, rate))


def fewest_events(trials: int, rate: float) -> int:
    """Give the count that a true rate falls short of with chance SURPRISE."""
    return int(scipy_stats.binom.ppf(SURPRISE, trials, rate))


@pytest.mark.parametrize(("rows", "suites", "seed"), [(50, 600, 11), (3, 1000, 12), (1, 1000, 13)])
def test_one_suite_in_a_hundred_at_most_is_alarmed_without_cause(
    rows: int, suites: int, seed: int
) -> None:
    """Identical code: the promised 1 % of suites, for slower and for faster, large and small."""
    alarmed = Counter[Conclusion]()
    for course in courses(seed, suites=suites, rows=rows):
        alarmed.update(set(course.conclusions))
    bound = most_events(suites, RULE.false_alarms)
    for kind in (SLOWER, FASTER):
        assert alarmed[kind] <= bound, f"{alarmed[kind]} of {suites} suites with a false {kind}"


def test_three_percent_are_found_and_nothing_else() -> None:
    """Five of fifty rows 3 % slower, 200 suites: found in 95 % or more, others left alone."""
    found, others, pairs = Counter[Conclusion](), Counter[Conclusion](), 0
    for course in courses(21, suites=200, slowed=5, slowdown=0.03):
        found.update(course.conclusions[:5])
        others.update(course.conclusions[5:])
        pairs += int(course.pairs[:5].sum())
    figures = f"slowed {found}, others {others}, {pairs / 1000:.1f} pairs a slowed row"
    assert found[SLOWER] >= fewest_events(1000, 0.95), figures
    assert others[SLOWER] <= most_events(found[SLOWER] + others[SLOWER], RULE.false_alarms), figures
    assert found[FASTER] == 0, figures


def test_five_percent_are_practically_always_found() -> None:
    """Five of fifty rows 5 % slower, 100 suites: found in 99 % or more."""
    found = Counter[Conclusion]()
    for course in courses(22, suites=100, slowed=5, slowdown=0.05):
        found.update(course.conclusions[:5])
    assert found[SLOWER] >= fewest_events(500, 0.99), f"slowed {found}"


def test_a_slowdown_beyond_the_margin_is_hardly_ever_called_same() -> None:
    """At the margin itself, 2 %, `same` is wrong at most as often as the intervals allow."""
    found = Counter[Conclusion]()
    for course in courses(23, suites=100, slowed=10, slowdown=RULE.margin_resolved):
        found.update(course.conclusions[:10])
    allowed = sum((1.0 - RULE.at_look(i).same_confidence) / 2.0 for i, _ in enumerate(RULE.looks))
    assert found[SAME] <= most_events(1000, allowed), f"slowed {found}"


def test_unchanged_rows_are_settled_soon() -> None:
    """Identical code is called the same in nearly every row, within ten pairs on average."""
    settled, pairs = Counter[Conclusion](), 0
    for course in courses(24, suites=100):
        settled.update(course.conclusions)
        pairs += int(course.pairs.sum())
    figures = f"{settled}, {pairs / 5000:.2f} pairs a row"
    assert settled[SAME] >= fewest_events(5000, 0.97), figures
    assert pairs <= 10 * 5000, figures


@pytest.mark.parametrize("pairs", [5, 12])
@pytest.mark.parametrize("level", [0.05, 0.001])
def test_p_values_mean_what_they_say(pairs: int, level: float) -> None:
    """Under the model, normal noise and variances from the prior, p < a has chance a, +-10 %."""
    rng = np.random.default_rng(pairs)
    below = 0
    for _ in range(40):
        spread = np.sqrt(1e-4 * 8.0 / rng.chisquare(8.0, 2000))
        differences = spread[:, None] * rng.normal(size=(2000, pairs))
        below += int((estimate(differences).p_slower < level).sum())
    low, high = fewest_events(80_000, 0.9 * level), most_events(80_000, 1.1 * level)
    assert low <= below <= high, f"{below} of 80,000 p-values below {level}"
