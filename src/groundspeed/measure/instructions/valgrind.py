"""valgrind from outside: where it is, how Python is started under it, and what it writes."""

import random
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from groundspeed.errors import BrokenError, UsageError
from groundspeed.measure.lockstep import Launcher

__all__ = ["counting_launcher", "find_valgrind", "options", "read_dump"]

# As `inside.marks` calls them, by each name that a C library may give them.
_ZERO_BEFORE = ("sched_get_priority_min", "__sched_get_priority_min")
_DUMP_BEFORE = ("sched_get_priority_max", "__sched_get_priority_max")
_ELF = b"\x7fELF"
_SUMMARY = b"summary: "
_TOTALS = b"totals: "


def find_valgrind() -> Path:
    """The valgrind of PATH.

    Raises:
        UsageError: If there is none, or this is not Linux.
    """
    if sys.platform != "linux":
        raise UsageError(
            f"--metric instructions needs valgrind on Linux, and this is {sys.platform}; run the "
            "check on Linux or leave --metric away"
        )
    found = shutil.which("valgrind")
    if found is None:
        raise UsageError(
            "--metric instructions needs valgrind, which is not on PATH; install it (Debian: apt "
            "install valgrind) or leave --metric away"
        )
    return Path(found)


def counting_launcher(
    launcher: Launcher, valgrind: Path, folder: Path, *, layout: int = 0
) -> Launcher:
    """A launcher like this one, under valgrind, which writes its counts into `folder`.

    Hash seed and padding of a layout are the same in every check, so that counts of two checks can
    be laid side by side.

    Args:
        launcher: Starts launch pairs without valgrind.
        valgrind: The program.
        folder: Where it writes; one may serve several launchers.
        layout: 0 for things where they happen to lie; each other number moves what is imported.

    Raises:
        BrokenError: If the interpreter is a script: valgrind would count the shell.
    """
    with launcher.interpreter.open("rb") as file:
        if file.read(len(_ELF)) != _ELF:
            raise BrokenError(
                f"{launcher.interpreter}: is a script or no program for Linux, so valgrind would "
                "count what starts Python and not Python; install groundspeed into an environment "
                "made by `python -m venv` and run it from there"
            )
    return replace(
        launcher,
        wrapper=(str(valgrind), *options(folder)),
        folder=launcher.folder.with_name(f"{launcher.folder.name}-counting-{layout}"),
        chance=random.Random(layout),  # noqa: S311 - the same seeds in every check, no secret
        moves_imports=layout > 0,
    )


def options(folder: Path) -> Sequence[str]:
    """What makes callgrind write `PID.NUMBER` into `folder` at every second mark.

    No settings file or variable of the user's has a say, there is no debugger's pipe in the
    temporary folder, and the program's own lines are not looked up.
    """
    file = str(folder / "PID").replace("%", "%%").removesuffix("PID") + "%p"
    return [
        "--tool=callgrind",
        "--command-line-only=yes",
        "--quiet",
        "--vgdb=no",
        "--dump-line=no",
        f"--callgrind-out-file={file}",
        *(f"--zero-before={name}" for name in _ZERO_BEFORE),
        *(f"--dump-before={name}" for name in _DUMP_BEFORE),
    ]


def read_dump(file: Path) -> int:
    """The instructions that a dump of callgrind holds, of all threads.

    Raises:
        ValueError: If the file holds no count.
        OSError: If it cannot be read.
    """
    with file.open("rb") as lines:
        for line in lines:
            if line.startswith((_SUMMARY, _TOTALS)):
                return int(line.split()[1])
    raise ValueError(f"{file.name}: holds no count")
