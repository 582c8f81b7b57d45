"""What a measured process does to itself: where it runs, with whom it ends, what it tells."""

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import traceback

__all__ = ["describe_error", "die_with_parent", "keep_orphans", "run_on", "silence"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TRACEBACK_CHARACTERS = 4000
_HERE = __file__.rpartition(os.sep)[0] + os.sep


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def keep_orphans() -> None:
    """Become the parent of every process a benchmark leaves behind, so that it can be ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_on(cpus: list[int]) -> None:
    """Restrict this process to `cpus`; an empty list leaves it where it is."""
    if cpus and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cpus)


def silence() -> None:
    """Point the three standard descriptors at nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def describe_error(error: BaseException) -> dict[str, str]:
    """An exception as the three texts that a reader needs, from the benchmark's own frame on."""
    message = str(error)
    if isinstance(error, SystemExit):
        message = f"it called exit({error.code!r})"
    frame = error.__traceback__
    while frame is not None and _is_ours(frame.tb_frame.f_code.co_filename):
        frame = frame.tb_next
    told = "".join(traceback.format_exception(error.with_traceback(frame)))
    return {
        "type": type(error).__name__,
        "message": _encodable(message),
        "traceback": _encodable(told[-_TRACEBACK_CHARACTERS:]),
    }


def _encodable(text: str) -> str:
    """The text with what UTF-8 cannot hold, such as an undecodable file name, escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _is_ours(file: str) -> bool:
    """Whether a frame is this package's or the import system's, which tell a reader nothing."""
    return file == importlib.__file__ or file.startswith((_HERE, "<frozen importlib"))
