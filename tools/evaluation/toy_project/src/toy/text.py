"""Strings: taken apart, put together and encoded."""

from itertools import repeat

from .work import CLEAN_UNITS, FORMAT_UNITS, PARSE_UNITS, TRANSCODE_UNITS

_LINE = "id=1047; name=long range buoy; depth=318; state=open; since=2024"
_MESSY = "  The harbour\tmaster,  Berth 17 ;; left  AT noon --  "
_NAME = "Sørøya, Århus, Łódź, Besançon: vier Häfen und eine Brücke"


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


def format_lines() -> None:
    """Put lines together from numbers."""
    for _ in repeat(None, FORMAT_UNITS):
        _format_once()


def _format_once() -> str:
    return "\n".join(f"{number:04d} {number * 0.5:8.2f}" for number in range(12))


def clean() -> None:
    """Bring a line with too many spaces and marks into order."""
    for _ in repeat(None, CLEAN_UNITS):
        _clean_once()


def _clean_once() -> str:
    words = _MESSY.replace(";", " ").replace("--", " ").replace(",", "").lower().split()
    return " ".join(word.capitalize() if len(word) > 3 else word for word in words)  # noqa: PLR2004 - short words stay as they are


def transcode() -> None:
    """Encode a text and decode it again."""
    for _ in repeat(None, TRANSCODE_UNITS):
        _transcode_once()


def _transcode_once() -> str:
    return _NAME.encode("utf-8").decode("utf-8").encode("utf-16").decode("utf-16")
