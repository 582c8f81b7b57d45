"""How far a check is: one line on a terminal, rewritten in place; silent everywhere else."""

import shutil
import sys
from typing import TextIO

from groundspeed.units import format_duration

__all__ = ["TerminalProgress"]

_CLEAR = "\r\x1b[2K"


class TerminalProgress:
    """Shows progress on `stream` if that is a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()

    def say(self, text: str) -> None:
        """What is being done now."""
        self._show(text)

    def advance(self, *, pairs: int, rows_open: int, rows: int, left_s: float | None) -> None:
        """Launch pairs done, rows still open of all, and the seconds expected until the end."""
        left = "" if left_s is None else f", about {format_duration(left_s)} left"
        self._show(f"{pairs} launch pairs, {rows - rows_open} of {rows} rows decided{left}")

    def clear(self) -> None:
        """Leave the line empty for what comes next."""
        self._write(_CLEAR)

    def _show(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._write(_CLEAR + text[:width])

    def _write(self, text: str) -> None:
        if self._shown:
            self._stream.write(text)
            self._stream.flush()
