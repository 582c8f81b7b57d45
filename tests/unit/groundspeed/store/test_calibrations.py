import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from groundspeed.store.calibrations import (
    CALIBRATION_SCHEMA,
    STATE_VARIABLE,
    Calibration,
    keep_calibration,
    read_calibration,
    state_folder,
)
from groundspeed.store.selftests import Seen

KNOWN = Calibration(
    schema=CALIBRATION_SCHEMA,
    fingerprint="0123456789ab",
    tool_version="0.1.0",
    measured_at="2026-11-22T10:00:00+00:00",
    first=Seen(pairs=5, best=0.01, median=0.02, worst=0.05),
    last=Seen(pairs=34, best=0.004, median=0.008, worst=0.02),
)


def read(folder: Path, said: list[str], fingerprint: str = KNOWN.fingerprint) -> Calibration | None:
    """What is known of the machine, to this version."""
    return read_calibration(folder, fingerprint, say=said.append, tool_version="0.1.0")


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    """The last one of the machine, and only of this machine and version."""
    said: list[str] = []
    assert read(tmp_path / "new", said) is None
    newer = replace(KNOWN, measured_at="2026-11-23T10:00:00+00:00")
    for calibration in (KNOWN, newer, replace(KNOWN, fingerprint="ba9876543210")):
        keep_calibration(tmp_path / "new", calibration)
    assert read(tmp_path / "new", said) == newer
    assert str(newer.day) == "2026-11-23"
    assert read(tmp_path / "new", said, "another") is None
    assert (
        read_calibration(tmp_path / "new", KNOWN.fingerprint, say=said.append, tool_version="2")
        is None
    )
    assert said == []


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema": "groundspeed.calibration/1"}',
        msgspec.json.encode(replace(KNOWN, schema="groundspeed.calibration/2")),
        msgspec.json.encode(replace(KNOWN, fingerprint="of another machine")),
        msgspec.json.encode(replace(KNOWN, measured_at="yesterday")),
        msgspec.json.encode(replace(KNOWN, last=replace(KNOWN.last, best=-1.0))),
        msgspec.json.encode(replace(KNOWN, last=replace(KNOWN.last, median=0.5))),
    ],
)
def test_a_damaged_file_is_ignored_with_a_reason(tmp_path: Path, damage: bytes) -> None:
    """As if there were none, and the reader is told which file and what to do."""
    path = keep_calibration(tmp_path, KNOWN)
    path.write_bytes(damage)
    said: list[str] = []
    assert read(tmp_path, said) is None
    (reason,) = said
    assert reason.startswith(f"{path} is ignored: ")
    assert reason.endswith("; run groundspeed selftest again")


def test_a_folder_in_its_place_is_ignored_too(tmp_path: Path) -> None:
    """What cannot be read is no reason to stop."""
    path = keep_calibration(tmp_path, KNOWN)
    path.unlink()
    path.mkdir()
    said: list[str] = []
    assert read(tmp_path, said) is None
    assert len(said) == 1
    assert "cannot be read" in said[0]


def test_the_folder_can_be_chosen(tmp_path: Path) -> None:
    """By a variable of its own; else it is the platform's, which is not the cache."""
    assert state_folder({STATE_VARIABLE: os.fspath(tmp_path)}) == tmp_path
    assert state_folder({STATE_VARIABLE: "here"}) == Path.cwd() / "here"
    assert state_folder({}) == state_folder({STATE_VARIABLE: ""})
    assert state_folder({}).name == "groundspeed"
