"""Exchanging labels: rows of unequal length, real changes, and what is refused."""

import numpy as np
import pytest

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats import ExchangeRate, FloatArray, GateRule, exchange_rate

# No row is ever the same at such a margin, so that rows stay open until they are slower or faster.
KEEN = GateRule(looks=(5, 8), shares=(0.5, 0.5), false_alarms=0.2, min_effect=1e-9)


def coins(exchanges: int, pairs: int) -> FloatArray:
    """Draw signs."""
    return np.random.default_rng(5).choice([-1.0, 1.0], (exchanges, pairs))


def noise(rows: int, pairs: int, spread: float = 0.01) -> FloatArray:
    """Draw differences around zero."""
    return np.random.default_rng(6).normal(0.0, spread, (rows, pairs))


def test_rows_that_end_while_open_are_counted() -> None:
    """Of two rows that settle never, the one recorded for one look is cut short in every case."""
    short, full = noise(2, 8)[:, :5][:1], noise(2, 8)[1:]
    silent = GateRule(looks=(5, 8), shares=(0.5, 0.5), false_alarms=1e-6, min_effect=1e-9)

    rate = exchange_rate([*short, *full], silent, signs=coins(20, 8))

    assert rate == ExchangeRate(exchanges=20, alarmed=0, centred=0, cut_short=0.5)


def test_signs_beyond_the_recorded_pairs_have_no_part() -> None:
    """What a row's missing pairs would have held is not made up."""
    tail = np.concatenate([np.ones((200, 5)), -np.ones((200, 3))], axis=1)
    short, signs = list(noise(3, 5)), coins(200, 8)

    rate = exchange_rate(short, KEEN, signs=signs)

    assert rate.alarmed > 0
    assert exchange_rate(short, KEEN, signs=signs * tail) == rate


def test_a_row_too_short_for_the_first_look_never_alarms_and_counts_in_the_suite() -> None:
    """It is not judged, and the correction is for all rows of the check."""
    judged = noise(3, 8)
    alone = exchange_rate(list(judged), KEEN, signs=coins(200, 8))
    beside = exchange_rate([*judged, *noise(40, 2, spread=1.0)], KEEN, signs=coins(200, 8))

    assert beside.alarmed < alone.alarmed
    assert beside.cut_short > 40 / 43 - 1e-9


def test_a_real_slowdown_is_centred_and_does_not_alarm_again() -> None:
    """The exchange of no label at all would find it, and says nothing of false alarms."""
    rows = noise(6, 8)
    rows[2] += 0.1
    rows[4] -= 0.1

    rate = exchange_rate(
        list(rows), GateRule(looks=(5, 8), shares=(0.5, 0.5)), signs=np.ones((3, 8))
    )

    assert (rate.centred, rate.alarmed) == (2, 0)


def test_a_row_is_judged_by_its_own_least_effect() -> None:
    """Rows in which only 50 % count cannot alarm over noise of 1 %."""
    rows, signs = list(noise(3, 8)), coins(200, 8)
    rule = GateRule(looks=(5, 8), shares=(0.5, 0.5), false_alarms=0.2, min_effect=1e-9)

    assert exchange_rate(rows, rule, signs=signs).alarmed > 0
    assert exchange_rate(rows, rule, signs=signs, min_effects=[0.5] * 3).alarmed == 0


@pytest.mark.parametrize(
    ("alarmed", "exchanges", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(alarmed: int, exchanges: int, low: float, high: float) -> None:
    """The published figures of four cases."""
    rate = ExchangeRate(exchanges=exchanges, alarmed=alarmed, centred=0, cut_short=0.0)

    assert rate.interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("alarmed", [0, 7])
def test_the_interval_holds_the_rate_at_its_ends(alarmed: int) -> None:
    """A rate of 0 or 1 is inside its interval, which is inside [0, 1]."""
    rate = ExchangeRate(exchanges=7, alarmed=alarmed, centred=0, cut_short=0.0)
    low, high = rate.interval

    assert 0.0 <= low <= rate.rate <= high <= 1.0


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        (np.ones((2, 7)), "got 7 pairs, but a row has 8"),
        (np.zeros((2, 8)), "needed [+]1 and -1 only"),
        (np.full((2, 8), np.nan), "finite"),
        (np.ones(8), "shape"),
        (np.ones((0, 8)), "0 rows"),
    ],
)
def test_signs_are_checked(signs: FloatArray, said: str) -> None:
    """Anything but rows of enough plus and minus ones is refused."""
    with pytest.raises(ValueError, match=said):
        exchange_rate(list(noise(2, 8)), KEEN, signs=signs)


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "got no row"), ([[0.1] * 5, []], "row 1"), ([[0.1] * 4], "the first look needs 5")],
    ids=["no row", "an empty row", "no look"],
)
def test_too_little_is_refused(rows: list[list[float]], said: str) -> None:
    """Without a look there is no rate."""
    with pytest.raises(TooFewSamplesError, match=said):
        exchange_rate(rows, KEEN, signs=coins(2, 8))


def test_a_missing_difference_is_refused() -> None:
    """NaN is no difference."""
    with pytest.raises(ValueError, match="row 0"):
        exchange_rate([[0.1, float("nan"), 0.1, 0.1, 0.1]], KEEN, signs=coins(2, 8))


def test_least_effects_are_one_a_row() -> None:
    """Fewer or more of them than rows are refused."""
    with pytest.raises(ValueError, match="needed one a row"):
        exchange_rate(list(noise(2, 8)), KEEN, signs=coins(2, 8), min_effects=[0.01])


def test_families_are_one_a_row() -> None:
    """Fewer or more of them than rows are refused."""
    with pytest.raises(ValueError, match="families: got"):
        exchange_rate(list(noise(2, 8)), KEEN, signs=coins(2, 8), families=[1])
