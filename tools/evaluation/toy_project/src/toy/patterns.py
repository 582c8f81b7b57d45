"""Regular expressions: matched, replaced and split."""

import re
from itertools import repeat

from .work import MATCH_UNITS, SPLIT_UNITS, SUBSTITUTE_UNITS, TOKENS_UNITS

_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)")
_SPACES = re.compile(r"\s*[,;]\s*")
_TOKEN = re.compile(r"(?P<number>\d+)|(?P<name>[a-z_]\w*)|(?P<mark>[-+*/()=])|(?P<space>\s+)")
_LOG = "GET /berths/17 200 2026-03-14T15:09 harbour, GET /berths/18 404 2026-03-14T15:10 harbour"
_FIELDS = "buoy , light;mole,  pier ;quay,lock ; sluice , dock"
_FORMULA = "tons = (draught * length - 12) / berth_count + reserve"


def match() -> None:
    """Find every time stamp in a line of a log."""
    for _ in repeat(None, MATCH_UNITS):
        _match_once()


def _match_once() -> list[tuple[str, ...]]:
    return [stamp.groups() for stamp in _STAMP.finditer(_LOG)]


def substitute() -> None:
    """Write time stamps in another order."""
    for _ in repeat(None, SUBSTITUTE_UNITS):
        _substitute_once()


def _substitute_once() -> str:
    return _STAMP.sub(lambda stamp: f"{stamp[3]}.{stamp[2]}.{stamp[1]}", _LOG)


def split() -> None:
    """Split a line at commas and semicolons."""
    for _ in repeat(None, SPLIT_UNITS):
        _split_once()


def _split_once() -> list[str]:
    return _SPACES.split(_FIELDS)


def tokens() -> None:
    """Take a formula apart into its tokens."""
    for _ in repeat(None, TOKENS_UNITS):
        _tokens_once()


def _tokens_once() -> list[tuple[str | None, str]]:
    return [(token.lastgroup, token[0]) for token in _TOKEN.finditer(_FORMULA)]
