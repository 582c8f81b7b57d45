"""The false-alarm rate of a check's own launch pairs."""

import math
import random

import pytest

from groundspeed.check.exchange import EXCHANGES, exchange_labels
from groundspeed.model import Comparison, Outcome, PairSummary, Row
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
    """Differences that cancel in the record agree in one exchange of 32, which is an alarm."""
    rows = [measured(f"row{i}", [0.05, -0.05, 0.05, -0.05, 0.05]) for i in range(3)]
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
