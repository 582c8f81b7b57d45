"""Where accounts live when there are several stores, and how many move when one is added."""

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sergas.accounts.partitions import PartitionedStore, moved_share, partition_of
from sergas.errors import AccountValueError

KEYS = [f"acc_{number:06d}" for number in range(4000)]


@given(key=st.text(max_size=60).filter(str.isprintable), count=st.integers(1, 12))
def test_a_key_moves_only_to_a_store_that_was_added(key: str, count: int) -> None:
    """Between the others nothing moves: that is what rendezvous hashing is for."""
    before, after = partition_of(key, count), partition_of(key, count + 1)
    assert 0 <= before < count
    assert after in {before, count}


@pytest.mark.parametrize(("before", "after"), list(pairwise([1, 2, 3, 4, 8])))
def test_the_share_that_moves_is_the_share_of_the_new_ones(before: int, after: int) -> None:
    """Within four standard errors."""
    due = (after - before) / after
    spread = (due * (1 - due) / len(KEYS)) ** 0.5
    assert moved_share(KEYS, before=before, after=after) == pytest.approx(due, abs=4 * spread)


def test_keys_are_spread_evenly() -> None:
    """Within four standard errors of a fair share."""
    counts = [0] * 4
    for key in KEYS:
        counts[partition_of(key, 4)] += 1
    spread = (len(KEYS) * 0.25 * 0.75) ** 0.5
    assert all(abs(count - len(KEYS) / 4) < 4 * spread for count in counts)


def test_every_process_agrees() -> None:
    """Whatever its hash seed is."""
    code = (
        "from sergas.accounts.partitions import partition_of;"
        "print([partition_of(f'acc_{n}', 5) for n in range(20)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert done.strip() == str([partition_of(f"acc_{number}", 5) for number in range(20)])


def test_numbers_that_mean_nothing_are_told() -> None:
    """No partition, no key, no store."""
    with pytest.raises(AccountValueError, match="0 partitions"):
        partition_of("a", 0)
    with pytest.raises(AccountValueError, match="no keys"):
        moved_share([], before=1, after=2)
    with pytest.raises(AccountValueError, match="no stores"):
        PartitionedStore([])
