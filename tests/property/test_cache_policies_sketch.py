"""The sketch against exact counts."""

from hypothesis import given
from hypothesis import strategies as st

from sergas.optimizations.cache_manager.policies._sketch import COUNT_MAX, FrequencySketch

SPREADS = st.integers(0, 2**64 - 1)
# Few bits, so that keys collide.
CROWDED = st.integers(0, 7) | st.builds(
    lambda low, high: low | high << 32, *[st.integers(0, 3)] * 2
)


def _count_one(sketch: FrequencySketch, spread: int) -> None:
    sketch.raise_to(spread, min(sketch.count(spread) + 1, COUNT_MAX))


@given(st.lists(SPREADS | CROWDED, max_size=200), st.integers(0, 100))
def test_never_counts_too_low(wanted: list[int], keys: int) -> None:
    """Without halving every count is at least the true one, up to its limit."""
    sketch = FrequencySketch(keys)
    for spread in wanted:
        _count_one(sketch, spread)
    for spread in set(wanted):
        assert min(wanted.count(spread), COUNT_MAX) <= sketch.count(spread) <= COUNT_MAX


@given(st.lists(SPREADS | CROWDED, max_size=100), SPREADS | CROWDED)
def test_halving_halves_every_count(wanted: list[int], other: int) -> None:
    """After halving each count, also one that nobody asked for, is half of what it was."""
    sketch = FrequencySketch()
    for spread in wanted:
        _count_one(sketch, spread)
    before = {spread: sketch.count(spread) for spread in [*wanted, other]}
    sketch.halve()
    assert {spread: sketch.count(spread) for spread in before} == {
        spread: count // 2 for spread, count in before.items()
    }


@given(st.lists(SPREADS | CROWDED, max_size=100), st.integers(0, 5000), SPREADS | CROWDED)
def test_growing_keeps_every_count(wanted: list[int], keys: int, other: int) -> None:
    """A sketch that is made larger answers as before, and a smaller wish changes nothing."""
    sketch = FrequencySketch()
    for spread in wanted:
        _count_one(sketch, spread)
    before = {spread: sketch.count(spread) for spread in [*wanted, other]}
    sketch.fit(keys)
    size = sketch.size
    sketch.fit(1)
    assert sketch.size == size >= 4 * keys
    assert {spread: sketch.count(spread) for spread in before} == before


@given(st.lists(SPREADS, max_size=100), SPREADS | CROWDED, st.integers(0, COUNT_MAX))
def test_raising_reaches_the_count_and_lowers_nothing(
    wanted: list[int], spread: int, count: int
) -> None:
    """A count that is raised is at least what was asked, and no other one has become lower."""
    sketch = FrequencySketch()
    for other in wanted:
        _count_one(sketch, other)
    before = {other: sketch.count(other) for other in [*wanted, spread]}
    sketch.raise_to(spread, count)
    assert sketch.count(spread) == max(before[spread], count)
    assert all(sketch.count(other) >= known for other, known in before.items())


@given(st.lists(SPREADS, max_size=100))
def test_cleared_it_knows_nothing(wanted: list[int]) -> None:
    """Every count is nothing again."""
    sketch = FrequencySketch()
    for spread in wanted:
        _count_one(sketch, spread)
    sketch.clear()
    assert not any(map(sketch.count, wanted))
