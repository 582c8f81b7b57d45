"""The false-alarm rate of a check's own launch pairs."""

import math
import random

import pytest

from groundspeed.check.exchange import EXCHANGES, exchange_labels
from groundspeed.model import Comparison, Direction, Metric, Outcome, PairSummary, Row, ValuePair
from groundspeed.stats import GateRule


def measured(name: str, differences: list[float]) -> Comparison:
    """A row whose launch pairs differ by so much (log of candidate / base)."""
    pairs = tuple(
        PairSummary(
            pair=number,
            base_s=1.0,
            candidate_s=math.exp(difference),
            base_wall_s=1.0,
            candidate_wall_s=1.0,
            base_cpu_s=1.0,
            candidate_cpu_s=1.0,
            samples=16,
        )
        for number, difference in enumerate(differences)
    )
    return Comparison(row=Row(name=name), outcome=Outcome.SAME, pairs=pairs)


def suite(shift: float) -> list[Comparison]:
    """Twelve rows of eight pairs with one per cent of scatter, the first one shifted."""
    chance = random.Random(4)
    rows = [[chance.gauss(0.0, 0.01) for _ in range(8)] for _ in range(12)]
    rows[0] = [value + shift for value in rows[0]]
    return [measured(f"row{i}", row) for i, row in enumerate(rows)]


def test_a_real_slowdown_is_not_taken_for_noise() -> None:
    """A row that is plainly slower leaves the rate where it is without it."""
    rates = [
        exchange_labels(suite(shift), GateRule(), min_effects={}, seed=1) for shift in (0.0, 0.3)
    ]
    for rate in rates:
        assert rate is not None
        assert rate.exchanges == EXCHANGES
        assert rate.rate_low <= rate.alarmed / rate.exchanges <= rate.rate_high
        assert rate.alarmed <= 0.1 * EXCHANGES


def test_scatter_alarms_when_the_coins_line_it_up() -> None:
    """Differences that cancel in the record agree in one exchange of 128, which is an alarm."""
    rows = [measured(f"row{i}", [0.05 * (-1) ** n for n in range(8)]) for i in range(3)]
    rate = exchange_labels(rows, GateRule(), min_effects={}, seed=1)
    assert rate is not None
    assert 0 < rate.alarmed < EXCHANGES / 8


@pytest.mark.parametrize("pairs", [0, 1, 4])
def test_too_few_pairs_give_no_rate(pairs: int) -> None:
    """Before the first look there is nothing to say."""
    rows = [measured("row", [0.0] * pairs)]
    assert exchange_labels(rows, GateRule(), min_effects={}, seed=1) is None


def test_the_draws_are_those_of_the_seed() -> None:
    """The same record and seed give the same rate."""
    first, second = (
        exchange_labels(suite(0.0), GateRule(), min_effects={}, seed=7) for _ in range(2)
    )
    assert first == second


def counted(
    name: str, pairs: list[tuple[float, float]], metric: Metric, direction: Direction = "lower"
) -> Comparison:
    """A row of values that are no times."""
    values = tuple(
        ValuePair(pair=number, base=base, candidate=candidate)
        for number, (base, candidate) in enumerate(pairs)
    )
    return Comparison(
        row=Row(name=name), outcome=Outcome.SAME, metric=metric, values=values, direction=direction
    )


def test_values_are_exchanged_as_times_are() -> None:
    """The same differences give the same rate, whichever way is better."""
    shapes = [[math.exp(0.02 * (-1) ** (i + j)) for j in range(8)] for i in range(3)]
    as_times = [measured(f"row{i}", [math.log(r) for r in row]) for i, row in enumerate(shapes)]
    lower = [
        counted(c.row.name, [(1.0, r) for r in row], "track")
        for c, row in zip(as_times, shapes, strict=True)
    ]
    higher = [
        counted(c.row.name, [(r, 1.0) for r in row], "track", "higher")
        for c, row in zip(as_times, shapes, strict=True)
    ]
    rates = [
        exchange_labels(rows, GateRule(), min_effects={}, seed=3)
        for rows in (as_times, lower, higher)
    ]
    assert rates[0] is not None
    assert rates[0].alarmed > 0
    assert rates == [rates[0]] * 3


def test_values_do_not_make_times_look_quiet() -> None:
    """A loud row alarms more often beside quieter rows of its kind than beside other metrics."""
    loud = measured("loud", [0.03, -0.02, 0.05, -0.04, 0.01, -0.03, 0.02, 0.04])
    chance = random.Random(2)
    quiet = [[math.exp(chance.gauss(0.0, 0.01)) for _ in range(8)] for _ in range(5)]
    as_values = [
        counted(f"row{i}", [(1.0, r) for r in row], "peak_memory") for i, row in enumerate(quiet)
    ]
    as_times = [measured(f"row{i}", [math.log(r) for r in row]) for i, row in enumerate(quiet)]
    apart, together = (
        exchange_labels([loud, *others], GateRule(), min_effects={}, seed=1)
        for others in (as_values, as_times)
    )
    assert apart is not None
    assert together is not None
    assert apart.alarmed < together.alarmed


def test_a_row_without_a_finite_ratio_is_left_out() -> None:
    """Something that was nothing before has no logarithm; the other rows keep their rate."""
    rows = suite(0.0)
    from_nothing = counted("errors", [(0.0, 3.0)] * 8, "recorded")
    with_it, without = (
        exchange_labels(given, GateRule(), min_effects={}, seed=1)
        for given in ([from_nothing, *rows], rows)
    )
    assert with_it == without
    assert exchange_labels([from_nothing], GateRule(), min_effects={}, seed=1) is None
