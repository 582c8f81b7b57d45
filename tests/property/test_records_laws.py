import dataclasses
import math
import tempfile
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundspeed.model import CHECK_SCHEMA, CheckRecord, Comparison, Outcome, Row
from groundspeed.store.checks import encode_record, read_record

# JSON has neither NaN nor infinity, UTF-8 no lone surrogates, and 64 bits hold every count.
PLAIN: dict[type, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    int: st.integers(-(2**63), 2**63 - 1),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    types.NoneType: st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Every value that a field of this type can hold and JSON can carry."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return st.sampled_from(inner)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, inner))
    if origin is tuple:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if dataclasses.is_dataclass(kind):
        fields = typing.get_type_hints(kind)
        return st.builds(kind, **{name: values(field) for name, field in fields.items()})  # type: ignore[arg-type]
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return PLAIN[kind]


RECORDS = values(CheckRecord).map(lambda record: dataclasses.replace(record, schema=CHECK_SCHEMA))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS)
def test_every_record_comes_back_as_it_was(record: CheckRecord) -> None:
    """Written and read, to the last bit of every number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "record.json")
        path.write_bytes(encode_record(record))
        assert read_record(path) == record


@given(st.floats())
def test_a_number_that_json_lacks_becomes_unknown(detectable: float) -> None:
    """NaN and infinity are written as null and read back as None."""
    row = Comparison(row=Row(name="a"), outcome=Outcome.SAME, detectable=detectable)
    read = msgspec.json.decode(msgspec.json.encode(row), type=Comparison)
    assert read.detectable == (detectable if math.isfinite(detectable) else None)
