import io
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from groundspeed.cli.progress import TerminalProgress

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

import fcntl
import pty
import termios

CLEAR = "\r\x1b[2K"
END = "<end>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """A real terminal: what is written to `stream` appears on `screen`."""

    stream: TextIO
    screen: int

    def shown(self) -> str:
        """All that was written since the last time; the kernel passes it on bit by bit."""
        self.stream.write(END)
        self.stream.flush()
        seen = ""
        while not seen.endswith(END):
            seen += os.read(self.screen, 65536).decode("ascii")
        return seen.removesuffix(END)

    def resize(self, columns: int) -> None:
        """Give the terminal a width."""
        fcntl.ioctl(self.screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A pseudo-terminal, 40 columns wide."""
    screen, end = pty.openpty()
    with os.fdopen(end, "w", encoding="utf-8") as stream:
        terminal = Terminal(stream=stream, screen=screen)
        terminal.resize(40)
        yield terminal
    os.close(screen)


def test_nothing_is_written_to_what_is_no_terminal() -> None:
    """A log file gets the result and no progress."""
    stream = io.StringIO()
    progress = TerminalProgress(stream)
    progress.say("importing")
    progress.advance(pairs=1, rows_open=1, rows=2, left_s=3.0)
    progress.clear()
    assert stream.getvalue() == ""


def test_a_terminal_shows_one_line_rewritten(terminal: Terminal) -> None:
    """Each text replaces the one before, and the end leaves the line empty."""
    progress = TerminalProgress(terminal.stream)
    progress.say("importing")
    progress.say("calibrating")
    progress.clear()
    assert terminal.shown() == f"{CLEAR}importing{CLEAR}calibrating{CLEAR}"


@pytest.mark.parametrize(
    ("left_s", "text"),
    [
        (None, "3 launch pairs, 4 of 6 rows decided"),
        (75.0, "3 launch pairs, 4 of 6 rows decided, about 1 min 15 s left"),
    ],
)
def test_progress_says_how_far_it_is(left_s: float | None, text: str, terminal: Terminal) -> None:
    """Rows decided of all, and the time that is left where it is known."""
    terminal.resize(100)
    TerminalProgress(terminal.stream).advance(pairs=3, rows_open=2, rows=6, left_s=left_s)
    assert terminal.shown() == CLEAR + text


def test_the_line_fits_the_terminal_it_is_on(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A longer text is cut so that it never wraps, whatever COLUMNS or another stream says."""
    monkeypatch.setenv("COLUMNS", "200")
    TerminalProgress(terminal.stream).say("x" * 100)
    assert terminal.shown() == CLEAR + "x" * 39
    terminal.resize(0)
    TerminalProgress(terminal.stream).say("x" * 100)
    assert terminal.shown() == CLEAR + "x" * 79
