"""Records of checks: one JSON file each, written whole or not at all."""

import contextlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path

import msgspec

from groundspeed.errors import UsageError
from groundspeed.model import CHECK_SCHEMA, CheckRecord

__all__ = ["encode_record", "keep_record", "read_record", "record_schema", "write_atomically"]


def encode_record(record: CheckRecord) -> bytes:
    """The record as indented JSON (UTF-8, one trailing newline)."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def record_schema() -> bytes:
    """The JSON Schema of a record, made from the types that write it."""
    return json.dumps(msgspec.json.schema(CheckRecord), indent=1, sort_keys=True).encode() + b"\n"


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


def read_record(path: Path) -> CheckRecord:
    """Read a record back.

    Raises:
        UsageError: If it is no record, or of a version this groundspeed does not know.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=CheckRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(
            f"{path}: not a check record ({error}); needed JSON of schema {CHECK_SCHEMA}, "
            "as groundspeed check --output json:PATH writes it"
        ) from error


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
