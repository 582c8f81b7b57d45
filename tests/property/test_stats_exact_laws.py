"""Laws of deciding from one pair: what runs as close as the repeats can never make it say."""

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from groundspeed.stats import Conclusion, ExactPair, spread_of_repeats

OPEN, SLOWER, FASTER, SAME = Conclusion.OPEN, Conclusion.SLOWER, Conclusion.FASTER, Conclusion.SAME
MIRROR = {OPEN: OPEN, SLOWER: FASTER, FASTER: SLOWER, SAME: SAME}

counts = st.one_of(st.integers(0, 10**12), st.floats(0.0, 1e12, allow_subnormal=False))
effects = st.floats(1e-4, 1.0)
spreads = st.one_of(st.just(0.0), st.floats(0.0, 0.5))
# Where in the spread a run came out, and how much of the allowed spread there is.
parts = st.floats(0.0, 1.0)


@given(counts, counts, spreads, effects)
def test_exchanging_the_sides_exchanges_slower_and_faster(
    base: float, candidate: float, spread: float, effect: float
) -> None:
    """What is slower one way round is faster the other."""
    there = ExactPair(base=base, candidate=candidate, spread=spread)
    back = ExactPair(base=candidate, candidate=base, spread=spread)
    assert back.conclude(min_effect=effect) is MIRROR[there.conclude(min_effect=effect)]


@given(counts, parts, parts, parts, effects)
def test_an_unchanged_side_is_the_same_wherever_in_the_spread_it_falls(
    count: float, one: float, other: float, share: float, effect: float
) -> None:
    """Two runs of identical code, as far apart as repeats may be, raise no alarm."""
    spread = 0.999 * share * effect / 3.0
    base, candidate = count * (1.0 + spread * one), count * (1.0 + spread * other)
    pair = ExactPair(base=base, candidate=candidate, spread=spread)
    assert pair.conclude(min_effect=effect) is SAME


@given(st.floats(1e-3, 1e12), parts, parts, parts, effects)
def test_a_change_well_beyond_the_least_effect_is_always_found(
    count: float, one: float, other: float, share: float, effect: float
) -> None:
    """Slower by (1 + effect)^2 is found wherever in the spread the two runs fall."""
    spread = 0.999 * share * effect / 3.0
    base = count * (1.0 + spread * one)
    candidate = count * (1.0 + effect) ** 2 * (1.0 + spread * other)
    assert ExactPair(base=base, candidate=candidate, spread=spread).conclude(min_effect=effect) is (
        SLOWER
    )


@given(counts, counts, effects, st.floats(0.0, 10.0))
def test_repeats_too_far_apart_decide_nothing(
    base: float, candidate: float, effect: float, more: float
) -> None:
    """From a third of the least effect on the pair is not believed, whatever it shows."""
    spread = effect / 3.0 * 1.0001 + more
    assert ExactPair(base=base, candidate=candidate, spread=spread).conclude(min_effect=effect) is (
        OPEN
    )


@given(counts, counts, effects)
def test_without_spread_the_ratio_alone_decides(
    base: float, candidate: float, effect: float
) -> None:
    """A count that never varies is slower from 1 + effect on and faster from its inverse on."""
    pair = ExactPair(base=base, candidate=candidate, spread=0.0)
    assume(
        not any(math.isclose(x, 1.0 + effect, rel_tol=1e-12) for x in (pair.ratio, _inverse(pair)))
    )
    expected = SAME
    if pair.ratio > 1.0 + effect:
        expected = SLOWER
    elif _inverse(pair) > 1.0 + effect:
        expected = FASTER
    assert pair.conclude(min_effect=effect) is expected
    assert pair.ratio_range == (pair.ratio, pair.ratio)


def _inverse(pair: ExactPair) -> float:
    return ExactPair(base=pair.candidate, candidate=pair.base, spread=0.0).ratio


@given(st.lists(st.floats(1.0, 1e9), min_size=2, max_size=6), st.data())
def test_the_range_covers_every_pair_of_repeats(values: list[float], data: st.DataObject) -> None:
    """The ratio of any two repeats is inside the range around any other two."""
    spread = spread_of_repeats(values)
    one, two, three, four = (data.draw(st.sampled_from(values)) for _ in range(4))
    low, high = ExactPair(base=one, candidate=two, spread=spread).ratio_range
    assert low * (1 - 1e-12) <= four / three <= high * (1 + 1e-12)


@given(st.lists(counts, min_size=2, max_size=6), st.data())
def test_the_spread_knows_no_order_and_only_grows(values: list[float], data: st.DataObject) -> None:
    """It is the same in any order, and one more repeat never brings the others together."""
    spread = spread_of_repeats(values)
    assert spread_of_repeats(data.draw(st.permutations(values))) == spread
    assert spread_of_repeats([*values, data.draw(counts)]) >= spread >= 0.0
