"""What self-tests found out about machines: one small JSON file a machine and tool version.

It lies in the user's state folder, not in the cache: nothing makes it again by itself.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import msgspec
import platformdirs

from groundspeed import __version__
from groundspeed.store.checks import write_atomically
from groundspeed.store.selftests import Seen, SelftestRecord

__all__ = [
    "CALIBRATION_SCHEMA",
    "STATE_VARIABLE",
    "Calibration",
    "calibration_of",
    "keep_calibration",
    "read_calibration",
    "state_folder",
]

CALIBRATION_SCHEMA = "groundspeed.calibration/1"
STATE_VARIABLE = "GROUNDSPEED_STATE_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a check can see on a machine.

    Attributes:
        schema: Name and version of this shape.
        fingerprint: The machine, see `model.Machine`.
        tool_version: The groundspeed that measured it.
        measured_at: ISO 8601, UTC.
        first: The smallest slowdowns seen at the first look that may call a row slower.
        last: The same at its last look.
    """

    schema: str
    fingerprint: str
    tool_version: str
    measured_at: str
    first: Seen
    last: Seen

    @property
    def day(self) -> date:
        """The day it was measured, in UTC."""
        return datetime.fromisoformat(self.measured_at).date()


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for what must outlive the cache; not created here.

    `GROUNDSPEED_STATE_DIR` goes before the platform's own place for state.
    """
    chosen = environ.get(STATE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    return platformdirs.user_state_path("groundspeed", appauthor=False)


def calibration_of(record: SelftestRecord) -> Calibration:
    """What of a self-test is kept."""
    return Calibration(
        schema=CALIBRATION_SCHEMA,
        fingerprint=record.machine.fingerprint,
        tool_version=record.tool_version,
        measured_at=record.started_at,
        first=record.first,
        last=record.last,
    )


def keep_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write it below `folder` in place of the machine's last one; returns where.

    Raises:
        OSError: If it cannot be written; the last one stays whole.
    """
    path = _path(folder, calibration.fingerprint, calibration.tool_version)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n"
    write_atomically(path, content)
    return path


def read_calibration(
    folder: Path,
    fingerprint: str,
    *,
    say: Callable[[str], None],
    tool_version: str = __version__,
) -> Calibration | None:
    """What is known of the machine; None where no self-test was run on it with this version.

    Args:
        folder: The state folder.
        fingerprint: Of the machine.
        say: Told why a file was ignored.
        tool_version: Whose self-test.
    """
    path = _path(folder, fingerprint, tool_version)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        say(f"{path} cannot be read: {error.strerror}; run groundspeed selftest again")
        return None
    try:
        return _parsed(content, fingerprint, tool_version)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        say(f"{path} is ignored: {error}; run groundspeed selftest again")
        return None


def _parsed(content: bytes, fingerprint: str, tool_version: str) -> Calibration:
    calibration = msgspec.json.decode(content, type=Calibration)
    got = (calibration.schema, calibration.fingerprint, calibration.tool_version)
    needed = (CALIBRATION_SCHEMA, fingerprint, tool_version)
    if got != needed:
        raise ValueError(f"got {' '.join(got)}, needed {' '.join(needed)}")
    datetime.fromisoformat(calibration.measured_at)
    if not all(map(_is_possible, (calibration.first, calibration.last))):
        raise ValueError("its effects do not rise from the best row to the worst")
    return calibration


def _is_possible(seen: Seen) -> bool:
    return seen.pairs > 0 and 0.0 <= seen.best <= seen.median <= seen.worst


def _path(folder: Path, fingerprint: str, tool_version: str) -> Path:
    return folder / "calibrations" / f"{fingerprint}-{tool_version}.json"
