"""Records of checks: one JSON file each, written whole or not at all."""

import contextlib
import dataclasses
import inspect
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from groundspeed.errors import UsageError
from groundspeed.model import CHECK_SCHEMA, CheckRecord, Outcome

__all__ = [
    "encode_record",
    "keep_record",
    "newest_record",
    "read_record",
    "record_schema",
    "write_atomically",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CheckDocument(CheckRecord):
    """A check as it is written: the record, and for readers the rows' labels by outcome."""

    slower: tuple[str, ...]
    faster: tuple[str, ...]
    same: tuple[str, ...]
    undecided: tuple[str, ...]
    broken: tuple[str, ...]
    no_baseline: tuple[str, ...]
    skipped: tuple[str, ...]


def encode_record(record: CheckRecord) -> bytes:
    """The record as indented JSON (UTF-8, one trailing newline), with the labels by outcome."""
    values: dict[str, Any] = {
        field.name: getattr(record, field.name) for field in dataclasses.fields(CheckRecord)
    }
    for outcome in Outcome:
        rows = record.with_outcome(outcome)
        values[outcome.name.lower()] = tuple(row.row.label for row in rows)
    document = CheckDocument(**values)
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def record_schema() -> bytes:
    """The JSON Schema of a record, made from the types that write it."""
    schema = _with_clean_texts(msgspec.json.schema(CheckDocument))
    return json.dumps(schema, indent=1, sort_keys=True).encode() + b"\n"


def _with_clean_texts(part: Any) -> Any:
    """The schema with docstrings as Python 3.13 keeps them, without their indentation."""
    if isinstance(part, list):
        return [_with_clean_texts(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: inspect.cleandoc(value).rstrip()
        if key == "description" and isinstance(value, str)
        else _with_clean_texts(value)
        for key, value in part.items()
    }


def keep_record(record: CheckRecord, folder: Path) -> Path:
    """Write the record into `folder` under a name that sorts by time; returns where.

    Raises:
        OSError: If it cannot be written; nothing half-written stays.
    """
    started = datetime.fromisoformat(record.started_at).strftime("%Y%m%dT%H%M%SZ")
    suffix = "-dirty" if record.candidate.dirty else ""
    name = f"{started}-{record.base.sha[:8]}-{record.candidate.sha[:8]}{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.json"
    write_atomically(path, encode_record(record))
    return path


def newest_record(folder: Path) -> Path | None:
    """The record that was kept last in `folder`; None where there is none."""
    return max(folder.glob("*.json"), key=_kept_at, default=None)


def _kept_at(path: Path) -> tuple[str, int]:
    """The second in the name, then the file's own time: several may end within one second."""
    return path.name.partition("-")[0], path.stat().st_mtime_ns


def read_record(path: Path) -> CheckRecord:
    """Read a record back.

    Raises:
        UsageError: If it is no record, or of a version this groundspeed does not know.
    """
    try:
        content = path.read_bytes()
        schema = msgspec.json.decode(content, type=_Versioned).schema
        if schema == CHECK_SCHEMA:
            return msgspec.json.decode(content, type=CheckRecord)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_a_record(path, str(error)) from error
    raise _not_a_record(path, f"its schema is {schema!r}")


class _Versioned(msgspec.Struct):
    """The part that every version of a record shares."""

    schema: str


def _not_a_record(path: Path, got: str) -> UsageError:
    return UsageError(
        f"{path}: not a check record ({got}); needed JSON of schema {CHECK_SCHEMA}, "
        "as groundspeed check --output json:PATH writes it"
    )


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, durably; a reader sees the old file or the new one.

    A device or pipe (`/dev/stdout`) is written to as it is, for it must not be replaced.

    Raises:
        OSError: If it cannot be written; the old file is untouched and no other stays.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            device.write(content)
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
