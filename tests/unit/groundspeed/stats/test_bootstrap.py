import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.errors import TooFewSamplesError
from groundspeed.stats.bootstrap import BlockedSamples, block_interval, is_correlated


def stalls(rng: np.random.Generator, *, seconds: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Samples at 100/s of a server that is slow in one second of five, drawn by lot."""
    starts = np.arange(seconds * 100) / 100.0
    slow = np.repeat(rng.random(seconds) < 0.2, 100)
    return np.where(
        slow, rng.uniform(0.0, 1.0, starts.size), rng.uniform(0, 1e-3, starts.size)
    ), starts


def test_independent_samples_keep_the_interval_of_their_ranks() -> None:
    """Blocks of them differ no more than chance says, in nine runs of ten."""
    rng = np.random.default_rng(1)
    starts = np.arange(5000) / 100.0
    called = [
        is_correlated(BlockedSamples.of(rng.exponential(size=5000), starts, length=1.0), 0.95)
        for _ in range(400)
    ]
    assert 15 <= sum(called) <= 65
    samples = BlockedSamples.of(rng.exponential(size=5000), starts, length=1.0)
    assert samples.estimate(0.95, rng) == samples.ordered.estimate(0.95)


def test_samples_that_hang_together_get_a_wider_interval() -> None:
    """It holds that of the ranks, and is the same for the same generator."""
    values, starts = stalls(np.random.default_rng(2))
    samples = BlockedSamples.of(values, starts, length=1.0)
    assert is_correlated(samples, 0.9)
    ranks = samples.ordered.estimate(0.9)
    wide = samples.estimate(0.9, np.random.default_rng(3))
    assert wide.low <= ranks.low <= wide.value <= ranks.high <= wide.high
    assert wide.high - wide.low > 2 * (ranks.high - ranks.low)
    assert wide == samples.estimate(0.9, np.random.default_rng(3))


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.95), st.integers(0, 30))
def test_weighing_blocks_is_copying_them(seed: int, q: float, lost: int) -> None:
    """The interval is that of samples that were really copied, drawn by the same lots."""
    rng = np.random.default_rng(seed)
    values = rng.exponential(size=20 * 25)
    values[rng.permutation(values.size)[:lost]] = math.inf
    samples = BlockedSamples.of(values, np.arange(values.size), length=25.0)
    lots = np.random.default_rng(seed).multinomial(20, np.full(20, 1 / 20), size=50)
    from groundspeed.stats.bootstrap import _drawn_ranks

    ranks = _drawn_ranks(samples, q, lots)
    for rank, weights in zip(ranks, lots, strict=True):
        copied = np.sort(np.repeat(values.reshape(20, 25), weights, axis=0).ravel())
        expected = copied[math.ceil(copied.size * q * (1 - 1e-9)) - 1]
        assert samples.ordered.value_at_rank(int(rank)) == expected


def test_what_never_came_back_is_drawn_too() -> None:
    """A block in which all failed makes the upper end infinite, and no warning."""
    rng = np.random.default_rng(4)
    values = rng.uniform(size=30_000)
    values[np.arange(30_000) // 100 % 12 == 0] = math.inf
    samples = BlockedSamples.of(values, np.arange(30_000) / 100, length=1.0)
    estimate = samples.estimate(0.9, rng)
    assert estimate.high == math.inf
    lost = BlockedSamples.of(np.full(100, math.inf), np.arange(100), length=1.0)
    assert not is_correlated(lost, 0.5)


def test_the_starts_may_be_in_any_order_and_gaps_are_no_blocks() -> None:
    """A block is what began in the same stretch; stretches without samples do not count."""
    starts = np.array([9.5, 0.1, 0.2, 9.6])
    samples = BlockedSamples.of([4.0, 1.0, 2.0, 3.0], starts, length=1.0)
    assert [block.tolist() for block in samples.blocks] == [[1.0, 2.0], [3.0, 4.0]]


def test_too_few_blocks_are_refused() -> None:
    """It says how many there are and what to do."""
    rng = np.random.default_rng(5)
    values, starts = stalls(rng, seconds=60)
    samples = BlockedSamples.of(values, starts, length=6.0)
    with pytest.raises(
        TooFewSamplesError, match="p90: got 10 blocks of correlated samples, needed at least 20"
    ):
        block_interval(samples, 0.9, rng)


def test_bad_input_is_refused() -> None:
    """Each says what was seen."""
    with pytest.raises(ValueError, match="for 2 starts, needed a number each"):
        BlockedSamples.of([1.0], [0.0, 1.0], length=1.0)
    with pytest.raises(ValueError, match="needed a number each"):
        BlockedSamples.of([math.nan], [0.0], length=1.0)
    with pytest.raises(ValueError, match="length: got 0"):
        BlockedSamples.of([1.0], [0.0], length=0)
    assert not is_correlated(BlockedSamples.of([1.0, 2.0], [0.0, 0.5], length=1.0), 0.5)
    assert not is_correlated(BlockedSamples.of([1.0, 1.0], [0.0, 1.5], length=1.0), 0.5)


def test_samples_that_are_worth_too_few_are_refused() -> None:
    """Thousands that were slow together say as much of p95 as a handful."""
    values = np.where(np.arange(3000) // 100 % 15 == 0, 1.0, 0.001)
    samples = BlockedSamples.of(values, np.arange(3000) / 100, length=1.0)
    with pytest.raises(
        TooFewSamplesError, match=r"got 3000 samples that hang together and say as much as \d\d,"
    ):
        samples.estimate(0.95, np.random.default_rng(6))
