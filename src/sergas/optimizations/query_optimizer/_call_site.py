"""Where in the program a statement came from."""

import os
import sys
import sysconfig
from functools import lru_cache
from types import FrameType
from typing import NamedTuple

import sergas

__all__ = ["CallSite", "Frame", "call_site"]

_DEPTH = 8
_LIBRARIES = tuple(
    os.path.join(path, "")  # noqa: PTH118 - a prefix, compared as text
    for path in {
        *sysconfig.get_paths().values(),
        os.path.dirname(sergas.__file__),  # noqa: PTH120 - a prefix, compared as text
    }
)


class Frame(NamedTuple):
    """A line of the program.

    Attributes:
        file: Its file.
        line: Its number, from 1.
        function: The function it is in.
    """

    file: str
    line: int
    function: str

    # typing.override came with Python 3.12.
    def __str__(self) -> str:  # type: ignore[explicit-override]
        return f"{self.file}:{self.line} in {self.function}"


CallSite = tuple[Frame, ...]
"""Lines of the program, the innermost first; recursion counts once. Empty if it is not known."""


def call_site() -> CallSite:
    """The lines outside of libraries that the current call comes from, eight at most."""
    frames: dict[Frame, None] = {}
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the way to the caller
    while frame is not None and len(frames) < _DEPTH:
        file = frame.f_code.co_filename
        if not _is_library(file):
            frames[Frame(file, frame.f_lineno, frame.f_code.co_name)] = None
        frame = frame.f_back
    return tuple(frames)


@lru_cache(maxsize=4096)
def _is_library(file: str) -> bool:
    return file.startswith(("<", *_LIBRARIES)) or "site-packages" in file
