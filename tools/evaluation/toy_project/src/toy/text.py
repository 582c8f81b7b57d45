"""Strings: taken apart, matched and put together."""

import re
from itertools import repeat

from .work import FORMAT_UNITS, MATCH_UNITS, PARSE_UNITS

_LINE = "id=1047; name=long range buoy; depth=318; state=open; since=2024"
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)")
_LOG = "GET /berths/17 200 2026-03-14T15:09 harbour, GET /berths/18 404 2026-03-14T15:10 harbour"


def parse() -> None:
    """Take a line of fields apart in Python."""
    for _ in repeat(None, PARSE_UNITS):
        _parse_once()


def _parse_once() -> dict[str, int | str]:
    fields: dict[str, int | str] = {}
    for part in _LINE.split(";"):
        key, _, value = part.strip().partition("=")
        fields[key] = int(value) if value.isdigit() else value
    return fields


def match() -> None:
    """Find every time stamp in a line of a log."""
    for _ in repeat(None, MATCH_UNITS):
        _match_once()


def _match_once() -> list[tuple[str, ...]]:
    return _STAMP.findall(_LOG)


def format_lines() -> None:
    """Put lines together from numbers."""
    for _ in repeat(None, FORMAT_UNITS):
        _format_once()


def _format_once() -> str:
    return "\n".join(f"{number:04d} {number * 0.5:8.2f}" for number in range(12))
