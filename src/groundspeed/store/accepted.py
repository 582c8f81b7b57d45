"""`results/accepted.toml`: the slowdowns that were accepted, kept by hand and by one command.

Entries are only ever added, as text at the end, so that what a person wrote there stays as it is.
"""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from groundspeed.errors import UsageError
from groundspeed.model import Acceptance
from groundspeed.store.checks import write_atomically
from groundspeed.store.tables import Table, read_toml

__all__ = ["ACCEPTED_FILE", "add_accepted", "parse_accepted", "read_accepted"]

ACCEPTED_FILE = Path("results", "accepted.toml")
"""Seen from the folder of the asv.conf.json."""

_TABLE = "accepted"
_KEYS = ("label", "ratio-high", "base", "candidate", "date", "reason")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HEADER = """\
# Slowdowns that were accepted. groundspeed accept adds entries; edit or remove them as you like.
"""


def read_accepted(path: Path) -> tuple[Acceptance, ...]:
    """Every entry, in the order of the file; none where there is no file.

    Raises:
        UsageError: If it cannot be read, or an entry is not what it must be.
    """
    return parse_accepted(_load(path), place=path)


def add_accepted(path: Path, entries: Sequence[Acceptance]) -> None:
    """Add entries at the end; what is there stays as it is, comments included.

    Raises:
        UsageError: If the file holds something else, holds one of the entries already, or cannot
            be written; it is unchanged then.
    """
    content = _load(path)
    known = parse_accepted(content, place=path)
    for entry in entries:
        if _comparison(entry) in map(_comparison, known):
            raise UsageError(
                f"{path}: {entry.label} is accepted there already, for this very comparison; "
                "edit its entry to change the reason"
            )
    text = content.decode() or _HEADER
    begun = text if text.endswith("\n") else f"{text}\n"
    whole = "".join([begun, *(f"\n{_written(entry)}" for entry in entries)]).encode()
    parse_accepted(whole, place=path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, whole)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}, so nothing is accepted; "
            "make its folder writable and accept again"
        ) from error


def parse_accepted(content: bytes, *, place: Path) -> tuple[Acceptance, ...]:
    """The entries that a file of this content holds; `place` is its path, for messages.

    Raises:
        UsageError: If it is not TOML, a key is unknown or a value is not what it must be.
    """
    table = Table(f"{place}", read_toml(place, content))
    table.check_keys([_TABLE])
    return tuple(map(_entry, table.tables(_TABLE)))


def _load(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; mend that") from error


def _comparison(entry: Acceptance) -> tuple[str, str, str | None, float]:
    return entry.label, entry.base, entry.candidate, entry.ratio_high


def _entry(table: Table) -> Acceptance:
    table.check_keys(_KEYS)
    need = "a ratio above 1, such as 1.05 for five percent slower"
    ratio_high = table.number("ratio-high", need)
    if not 1 < ratio_high < math.inf:
        raise table.wrong("ratio-high", need)
    return Acceptance(
        label=table.text("label"),
        ratio_high=ratio_high,
        base=_commit(table, "base"),
        candidate=_commit(table, "candidate") if "candidate" in table.values else None,
        date=table.day("date").isoformat(),
        reason=table.text("reason"),
    )


def _commit(table: Table, key: str) -> str:
    text = table.text(key)
    if not _COMMIT.fullmatch(text):
        raise table.wrong(key, "the full name of a commit, as git rev-parse gives it")
    return text


def _written(entry: Acceptance) -> str:
    values = {
        "label": _quoted(entry.label),
        "ratio-high": repr(entry.ratio_high),
        "base": _quoted(entry.base),
        "candidate": None if entry.candidate is None else _quoted(entry.candidate),
        "date": entry.date,
        "reason": _quoted(entry.reason),
    }
    lines = [f"{key} = {value}" for key, value in values.items() if value is not None]
    return "\n".join([f"[[{_TABLE}]]", *lines, ""])


def _quoted(text: str) -> str:
    """A basic string of TOML: what JSON writes, but for one character that only TOML escapes."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
