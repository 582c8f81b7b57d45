"""JSON: written and read."""

import json
from itertools import repeat
from typing import Any

from .work import DECODE_UNITS, ENCODE_UNITS

_VOYAGE = {
    "ship": "Halcyon",
    "stops": [{"port": f"port-{n}", "day": n, "tons": n * 12.5} for n in range(6)],
    "open": True,
}
_TEXT = json.dumps(_VOYAGE)


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
