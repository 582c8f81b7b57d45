"""How far a check is: one line on a terminal, rewritten in place; silent everywhere else."""

import contextlib
import os
import sys
from typing import TextIO

from groundspeed.units import format_duration

__all__ = ["TerminalProgress"]

_CLEAR = "\r\x1b[2K"
_COLUMNS = 80


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
        if self._shown:
            self._write(_CLEAR + text[: self._columns() - 1])

    def _columns(self) -> int:
        # Of this very stream: standard output may be a file, and COLUMNS of another terminal.
        with contextlib.suppress(OSError):
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        return _COLUMNS

    def _write(self, text: str) -> None:
        if self._shown:
            self._stream.write(text)
            self._stream.flush()
