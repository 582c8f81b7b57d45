import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.measure.directions import direction_of, unit_of
from groundspeed.measure.inside.scenario import flat_numbers

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
RECORDED = st.dictionaries(
    st.text(),
    st.recursive(LEAVES, lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)),
)


def test_nested_numbers_get_dotted_names() -> None:
    """Numbers of any kind are kept; anything else is not."""
    recorded = {
        "a": 1,
        "b": {"c": 2.5, "d": {"e": Decimal("0.5")}},
        "f": Fraction(1, 4),
        "g": np.float32(2),
        "h": np.int64(3),
        "text": "1",
        "flag": True,
        "list": [1],
        "nan": float("nan"),
        "far": 10**400,
        7: 7,
    }
    flat = {"a": 1, "b.c": 2.5, "b.d.e": 0.5, "f": 0.25, "g": 2, "h": 3, "7": 7}
    assert flat_numbers(recorded) == flat


@given(RECORDED)
def test_whatever_is_recorded_can_be_sent(recorded: dict[str, Any]) -> None:
    """The result is finite numbers by name, which JSON can carry and give back."""
    flat = flat_numbers(recorded)
    assert json.loads(json.dumps(flat, allow_nan=False)) == flat


def test_a_dict_in_itself_ends() -> None:
    """There is a limit to how deep is looked."""
    loop: dict[str, Any] = {"n": 1}
    loop["deeper"] = loop
    assert flat_numbers(loop)["deeper.deeper.n"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_peak_memory_is_that_since_the_reset() -> None:
    """What was held before does not count; what is held meanwhile does, also when it is freed."""
    program = """
from groundspeed.measure.inside.scenario import peak_memory_bytes, reset_peak_memory
held = bytearray(b"x") * 80_000_000
del held
reset_peak_memory()
before = peak_memory_bytes()
held = bytearray(b"x") * 40_000_000
del held
print(peak_memory_bytes() - before)
"""
    # a new process: in one that has freed much, what is held next may lie in what it kept
    command = [sys.executable, "-c", program]
    gained = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert 35_000_000 < int(gained) < 60_000_000


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("time_s", "lower"),
        ("peak_memory_bytes", "lower"),
        ("latency_s.p99", "lower"),
        ("p50", "lower"),
        ("p999", "lower"),
        ("queueWait", "lower"),
        ("setup_ms", "lower"),
        ("cache.misses", "lower"),
        ("errors", "lower"),
        ("errors_per_s", "lower"),
        ("error_rate", "lower"),
        ("time_per_request", "lower"),
        ("bytes_per_op", "lower"),
        ("throughput_per_s", "higher"),
        ("requests_per_s", "higher"),
        ("requests per second", "higher"),
        ("bytes_per_s", "higher"),
        ("ops", "higher"),
        ("hit_rate", "higher"),
        ("success.rate", "higher"),
        ("throughput.p50", "higher"),
        ("rps", "higher"),
        ("users", None),
        ("requests", None),
        ("p", None),
        ("per_s", "higher"),
        ("per_s.errors", "lower"),
        ("items_per_batch", None),
        ("", None),
    ],
)
def test_a_name_tells_which_way_is_better_or_nothing(name: str, direction: str | None) -> None:
    """A name that says neither is not guessed at."""
    assert direction_of(name) == direction


def test_what_a_test_states_wins_over_the_name() -> None:
    """By the whole name only."""
    assert direction_of("time_s", {"time_s": "higher"}) == "higher"
    assert direction_of("users", {"users": "higher"}) == "higher"
    assert direction_of("time_s", {"time": "higher"}) == "lower"


@given(st.text())
def test_any_name_has_a_direction_or_none_and_a_unit(name: str) -> None:
    """No name is an error."""
    assert direction_of(name) in {"lower", "higher", None}
    assert unit_of(name)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("time_s", "s"),
        ("latency_ms.p99", "ms"),
        ("peak_memory_bytes", "bytes"),
        ("requests_per_s", "per s"),
        ("seconds", "s"),
        ("errors", "unit"),
    ],
)
def test_a_name_tells_its_unit(name: str, unit: str) -> None:
    """`unit` is the one that every number has."""
    assert unit_of(name) == unit
