"""Values of a database in JSON and back, with their types."""

import base64
import datetime as dt
import decimal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sergas.errors import WorkloadError

__all__ = ["plain", "restored"]

_AS_TEXT: dict[type, str] = {
    decimal.Decimal: "decimal",
    uuid.UUID: "uuid",
    dt.datetime: "datetime",
    dt.date: "date",
    dt.time: "time",
}


def plain(value: Any) -> Any:
    """A value in JSON: what JSON does not have is an object that names its type.

    Raises:
        WorkloadError: If it is of a type that cannot be written down.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return {"type": "bytes", "value": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, Mapping):
        return {"type": "named", "value": {str(k): plain(v) for k, v in value.items()}}
    if isinstance(value, Sequence):
        return [plain(part) for part in value]
    if isinstance(value, dt.timedelta):
        return {"type": "timedelta", "value": value.total_seconds()}
    for kind, name in _AS_TEXT.items():
        if isinstance(value, kind):
            text = value.isoformat() if hasattr(value, "isoformat") else str(value)
            return {"type": name, "value": text}
    raise WorkloadError(
        f"got a value of type {type(value).__qualname__}, needed text, numbers, "
        "bytes, dates, times, UUIDs, or lists of these"
    )


_FROM_TEXT: dict[str, Any] = {
    "bytes": base64.b64decode,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda seconds: dt.timedelta(seconds=seconds),
}


def restored(value: Any) -> Any:
    """The value that `plain` was given; lists come back as tuples.

    Raises:
        WorkloadError: If it is of no type that is known.
    """
    if isinstance(value, list):
        return tuple(restored(part) for part in value)
    if not isinstance(value, dict):
        return value
    kind, inner = value.get("type"), value.get("value")
    if kind == "named" and isinstance(inner, dict):
        return {name: restored(part) for name, part in inner.items()}
    if kind in _FROM_TEXT:
        try:
            return _FROM_TEXT[kind](inner)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise WorkloadError(f"a value is no {kind}: {inner!r}") from error
    raise WorkloadError(f"a value is of unknown type {kind!r}")
