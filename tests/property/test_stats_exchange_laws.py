"""Laws of exchanging labels, for rows of any number and length."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.stats import Conclusion, FloatArray, GateRule, exchange_rate, run_to_conclusion

LOOKS = (5, 8, 12)
PAIRS = LOOKS[-1]

law = settings(deadline=None, max_examples=50)


def rule(*, min_effect: float = 0.002, margin: float = 0.01) -> GateRule:
    """Make a rule that alarms often enough for a handful of exchanges to show it."""
    return GateRule(
        looks=LOOKS,
        shares=(0.3, 0.3, 0.4),
        false_alarms=0.4,
        min_effect=min_effect,
        margin=margin,
    )


RULE = rule()


@st.composite
def records(draw: st.DrawFn) -> list[FloatArray]:
    """Draw a few rows that ended anywhere, the first not before the first look."""
    lengths = [draw(st.integers(5, PAIRS)), *draw(st.lists(st.integers(1, PAIRS), max_size=5))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return [
        rng.choice([0.0, 0.0, 0.02]) + rng.choice([0.001, 0.01]) * rng.standard_t(4, length)
        for length in lengths
    ]


signs = st.builds(
    lambda seed, exchanges: np.random.default_rng(seed).choice([-1.0, 1.0], (exchanges, PAIRS)),
    st.integers(0, 2**32),
    st.integers(1, 12),
)


@law
@given(st.lists(st.integers(5, PAIRS), min_size=1, max_size=8), signs)
def test_no_differences_raise_no_alarm(lengths: list[int], signs: FloatArray) -> None:
    """Where both sides always took equally long, the rate is 0 and every row is settled."""
    rate = exchange_rate([np.zeros(length) for length in lengths], RULE, signs=signs)
    assert (rate.rate, rate.centred, rate.cut_short) == (0.0, 0, 0.0)


@law
@given(records(), signs, st.data())
def test_the_order_of_the_rows_does_not_matter(
    record: list[FloatArray], signs: FloatArray, data: st.DataObject
) -> None:
    """Rows in another order have the same rate."""
    order = data.draw(st.permutations(range(len(record))))
    before = exchange_rate(record, RULE, signs=signs)
    assert exchange_rate([record[i] for i in order], RULE, signs=signs) == before


@law
@given(records(), signs, st.integers(-3, 3))
def test_a_scale_of_noise_and_rule_alike_does_not_matter(
    record: list[FloatArray], signs: FloatArray, exponent: int
) -> None:
    """Twice the noise under a rule with twice the effects, as logarithms, is the same suite."""
    scale = 2.0**exponent
    scaled = rule(
        min_effect=math.expm1(scale * math.log1p(RULE.min_effect)),
        margin=math.expm1(scale * math.log1p(RULE.margin_resolved)),
    )
    before = exchange_rate(record, RULE, signs=signs)
    assert exchange_rate([row * scale for row in record], scaled, signs=signs) == before


@law
@given(records(), signs)
def test_every_exchange_counts_once_and_by_itself(
    record: list[FloatArray], signs: FloatArray
) -> None:
    """The alarms of many exchanges are the sum of the alarms of each."""
    one_by_one = [exchange_rate(record, RULE, signs=row[None, :]).alarmed for row in signs]
    twice = np.concatenate([signs, signs])
    assert exchange_rate(record, RULE, signs=signs).alarmed == sum(one_by_one)
    assert exchange_rate(record, RULE, signs=twice).alarmed == 2 * sum(one_by_one)


@law
@given(st.integers(0, 2**32), st.integers(1, 6), signs)
def test_an_exchange_is_a_check_with_the_signs_turned(
    seed: int, rows: int, signs: FloatArray
) -> None:
    """With all pairs recorded and nothing found, it is what `run_to_conclusion` makes of it."""
    record = 0.01 * np.random.default_rng(seed).standard_t(4, (rows, PAIRS))
    rate = exchange_rate(list(record), RULE, signs=signs)
    courses = [run_to_conclusion(record * row, RULE).conclusions for row in signs]
    if not rate.centred:
        assert rate.alarmed == sum(Conclusion.SLOWER in course for course in courses)
        assert rate.cut_short == 0.0


@law
@given(records(), signs)
def test_looking_from_the_other_side_does_not_matter(
    record: list[FloatArray], signs: FloatArray
) -> None:
    """Base and candidate exchanged in record and exchanges alike leave the rate as it is."""
    before = exchange_rate(record, RULE, signs=signs)
    assert exchange_rate([-row for row in record], RULE, signs=-signs) == before


@law
@given(records(), signs, st.sampled_from([-1.0, 1.0]))
def test_how_large_a_real_change_is_does_not_matter(
    record: list[FloatArray], signs: FloatArray, direction: float
) -> None:
    """A change that is plainly found leaves no trace of its size in the rate."""
    noise = record[0] - record[0].mean()
    few, many = (
        exchange_rate([noise + direction * shift, *record[1:]], RULE, signs=signs)
        for shift in (1.0, 3.0)
    )
    assert few == many
    assert few.centred >= 1
