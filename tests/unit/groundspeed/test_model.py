import dataclasses
import math
import random
from dataclasses import replace

import pytest

from groundspeed import model
from groundspeed.model import Comparison, Outcome, PairSummary, Row, ValuePair, log_ratio


def test_a_label_is_what_a_call_looks_like() -> None:
    """Without parameters the bare name, with them the call."""
    assert Row(name="a.time_b").label == "a.time_b"
    assert Row(name="a.time_b", parameters=("10", "'x'")).label == "a.time_b(10, 'x')"


def test_rows_sort_by_name_and_then_parameters() -> None:
    """Order is that of the names, whatever the order they come in."""
    ordered = [
        Row(name="a"),
        Row(name="a", parameters=("1",)),
        Row(name="a", parameters=("1", "2")),
        Row(name="b"),
    ]
    shuffled = random.Random(1).sample(ordered, len(ordered))
    assert sorted(shuffled) == ordered


@pytest.mark.parametrize(
    "record", [v for v in vars(model).values() if dataclasses.is_dataclass(v)], ids=str
)
def test_records_are_frozen_slotted_and_by_keyword(record: type) -> None:
    """No record can be changed, grow a field or be filled by position."""
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__dict__" not in dir(record)
    assert all(field.kw_only for field in dataclasses.fields(record))


def test_nothing_is_known_of_a_row_that_was_not_measured() -> None:
    """A comparison claims nothing that was not given to it, beyond being a time as most are."""
    bare = Comparison(row=Row(name="a"), outcome=Outcome.BROKEN)
    known = dataclasses.asdict(bare)
    assert {name for name, value in known.items() if value} == {
        "row",
        "outcome",
        "unit",
        "direction",
    }
    assert (bare.unit, bare.direction) == ("s", "lower")


@pytest.mark.parametrize(
    ("base", "candidate", "expected"),
    [
        (2.0, 4.0, math.log(2.0)),
        (0.0, 0.0, 0.0),
        (0.0, 3.0, math.inf),
        (3.0, 0.0, -math.inf),
        (-2.0, -2.0, 0.0),
    ],
)
def test_a_log_ratio_is_above_zero_where_the_candidate_is_worse(
    base: float, candidate: float, expected: float
) -> None:
    """More is worse, or less where more is better; exchanging the sides changes the sign only."""
    assert log_ratio(base, candidate) == pytest.approx(expected)
    assert log_ratio(candidate, base, "higher") == log_ratio(base, candidate)
    assert log_ratio(candidate, base) == -log_ratio(base, candidate)


def test_a_change_of_sign_has_no_ratio() -> None:
    """From -1 to 2 is neither so many times slower nor faster."""
    assert math.isnan(log_ratio(-1.0, 2.0))


def test_a_comparison_gives_the_log_ratios_of_its_times_or_its_values() -> None:
    """In the order of the launch pairs; of throughput, with less being worse."""
    values = tuple(ValuePair(pair=i, base=8.0, candidate=c) for i, c in enumerate((4.0, 16.0)))
    timed = PairSummary(
        pair=0,
        base_s=1.0,
        candidate_s=2.0,
        base_wall_s=1.0,
        candidate_wall_s=1.0,
        base_cpu_s=1.0,
        candidate_cpu_s=1.0,
        samples=16,
    )
    bare = Comparison(row=Row(name="a"), outcome=Outcome.SAME)
    assert bare.log_ratios == ()
    assert replace(bare, pairs=(timed,)).log_ratios == pytest.approx((math.log(2.0),))
    higher = replace(bare, values=values, direction="higher")
    assert higher.log_ratios == pytest.approx((math.log(2.0), -math.log(2.0)))
