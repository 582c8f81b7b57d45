import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.stats import two_groups
from groundspeed.stats.groups import LEAST_VALUES

NOISE = st.lists(st.floats(-1.0, 1.0), min_size=LEAST_VALUES, max_size=40)


@given(NOISE, st.data())
def test_groups_far_apart_are_found(noise: list[float], data: st.DataObject) -> None:
    """Twenty times as far apart as either is wide: every value is of the group it was put in."""
    count = data.draw(st.integers(max(3, -(-len(noise) // 6)), len(noise) // 2))
    upper = data.draw(st.permutations([True] * count + [False] * (len(noise) - count)))
    groups = two_groups([x + 40.0 * high for x, high in zip(noise, upper, strict=True)])
    assert groups is not None
    assert groups.upper == tuple(upper)
    assert -1.0 <= groups.low <= 1.0
    assert 39.0 <= groups.high <= 41.0


@given(NOISE, st.floats(1e-9, 1e9), st.floats(-10.0, 10.0))
def test_units_do_not_matter(noise: list[float], scale: float, shift: float) -> None:
    """Seconds or nanoseconds, and from whatever they are counted."""
    values = np.round(noise, 3)
    values[: len(values) // 3] += 10.0
    plain, other = two_groups(values), two_groups((values + round(shift, 3)) * scale)
    assert plain is not None
    assert other is not None
    assert other.upper == plain.upper


@pytest.mark.parametrize("outliers", [1, 2])
def test_a_handful_of_outliers_is_no_group(outliers: int) -> None:
    """However far away they are."""
    values = [*np.linspace(1.0, 1.1, LEAST_VALUES), *[100.0] * outliers]
    assert two_groups(values) is None
    assert two_groups(values + [100.0] * 3) is not None


def test_few_values_and_equal_values_are_one_group() -> None:
    """Of eleven nothing can be told, and of those that do not differ there is nothing to tell."""
    assert two_groups([1.0] * 5 + [2.0] * 6) is None
    assert two_groups([1.0] * 6 + [2.0] * 6) is not None
    assert two_groups([1.0] * 20) is None
    assert two_groups([]) is None


@pytest.mark.parametrize("count", [12, 17, 34])
def test_normal_noise_is_rarely_two_groups(count: int) -> None:
    """Less than once in 200 times, where chance alone is at work."""
    rng = np.random.default_rng(20261122)
    found = sum(two_groups(rng.standard_normal(count)) is not None for _ in range(2000))
    assert found < 10


def test_evenly_spread_values_are_one_group() -> None:
    """A slow drift of the machine has no gap to part it at."""
    assert two_groups(np.linspace(1.0, 2.0, 34)) is None
