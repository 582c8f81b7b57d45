"""JSON: written and read."""

import json
from itertools import repeat
from typing import Any

from .work import DECODE_UNITS, DEEP_UNITS, ENCODE_UNITS, ROUND_TRIP_UNITS

_VOYAGE = {
    "ship": "Halcyon",
    "stops": [{"port": f"port-{n}", "day": n, "tons": n * 12.5} for n in range(6)],
    "open": True,
}
_TEXT = json.dumps(_VOYAGE)
_FLEET = {f"line-{n}": {"voyages": [_VOYAGE, {"notes": [str(n)] * 8}]} for n in range(5)}


def encode() -> None:
    """Write a small document as JSON."""
    for _ in repeat(None, ENCODE_UNITS):
        _encode_once()


def _encode_once() -> str:
    return json.dumps(_VOYAGE)


def decode() -> None:
    """Read a small document from JSON."""
    for _ in repeat(None, DECODE_UNITS):
        _decode_once()


def _decode_once() -> Any:
    return json.loads(_TEXT)


def encode_deep() -> None:
    """Write a nested document, its keys sorted."""
    for _ in repeat(None, DEEP_UNITS):
        _encode_deep_once()


def _encode_deep_once() -> str:
    return json.dumps(_FLEET, sort_keys=True)


def round_trip() -> None:
    """Read a document, change it and write it again."""
    for _ in repeat(None, ROUND_TRIP_UNITS):
        _round_trip_once()


def _round_trip_once() -> str:
    voyage = json.loads(_TEXT)
    voyage["stops"].reverse()
    return json.dumps(voyage)
