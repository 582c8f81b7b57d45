import dataclasses
import random

import pytest

from groundspeed import model
from groundspeed.model import Comparison, Outcome, Row


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
    assert {name for name, value in known.items() if value} == {"row", "outcome", "unit", "direction"}
    assert (bare.unit, bare.direction) == ("s", "lower")
