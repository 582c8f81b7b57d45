import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest

from groundspeed.errors import BrokenError
from groundspeed.measure.scratch import FileLock
from groundspeed.measure.turn_lock import take_turn

Process = subprocess.Popen[str]

# Takes its turn, says so, and ends when its standard input does.
HOLD = """
import sys
from pathlib import Path
from groundspeed.measure.turn_lock import take_turn

with take_turn(Path(sys.argv[1]), say=lambda text: print(text, flush=True)):
    print("measuring", flush=True)
    sys.stdin.read()
print("done", flush=True)
"""


@contextmanager
def holder(cache: Path) -> Iterator[Process]:
    """Another process that asks for its turn."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, cache],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: Process) -> str:
    """The next line it says."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def end(process: Process) -> None:
    """Let it go on to its end."""
    assert process.stdin is not None
    process.stdin.close()


class Pauses:
    """Time that goes on only while it is waited for; may do something at the n-th pause."""

    def __init__(self, at: int = 0, action: Callable[[], object] | None = None) -> None:
        self.now_s = 0.0
        self.count = 0
        self._at, self._action = at, action

    def clock(self) -> float:
        """Seconds."""
        return self.now_s

    def pause(self, seconds: float) -> None:
        """Let them pass."""
        self.now_s += seconds
        self.count += 1
        if self._action is not None and self.count == self._at:
            self._action()


def test_the_second_waits_for_the_first_and_says_for_whom(tmp_path: Path) -> None:
    """It measures when the first has ended, not before; what waits says so once."""
    with holder(tmp_path) as first:
        assert line(first) == "measuring"
        with holder(tmp_path) as second:
            told = re.fullmatch(
                r"another check \(PID (\d+), since \d\d:\d\d\) is measuring; waiting", line(second)
            )
            assert told
            assert int(told[1]) == first.pid
            end(first)
            assert line(second) == "measuring"
            end(second)
            assert line(second) == "done"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_check_blocks_nobody(tmp_path: Path) -> None:
    """The kernel takes its lock away; the note it left is written over."""
    with holder(tmp_path) as process:
        assert line(process) == "measuring"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert (tmp_path / "measuring.json").exists()
        said: list[str] = []
        with take_turn(tmp_path, say=said.append):
            note = (tmp_path / "measuring.json").read_text("ascii")
            assert f'"pid": {os.getpid()}' in note
        assert said == []


def test_a_deadline_ends_the_waiting(tmp_path: Path) -> None:
    """Neither earlier nor later, with an error that says who and what to do."""
    with holder(tmp_path) as process:
        assert line(process) == "measuring"
        time = Pauses()
        with (
            pytest.raises(BrokenError) as ended,
            take_turn(
                tmp_path,
                say=lambda _: None,
                deadline_s=7.1,
                clock=time.clock,
                pause=time.pause,
            ),
        ):
            pytest.fail("it is the other's turn")
        assert time.now_s == pytest.approx(7.1)
        assert f"another check (PID {process.pid}, since" in str(ended.value)
        assert "nothing was measured here; check again" in str(ended.value)
        end(process)
        assert line(process) == "done"


def test_it_says_when_it_waits_for_another_one(tmp_path: Path) -> None:
    """Once for each that measures, however often it asks."""
    with holder(tmp_path) as process:
        assert line(process) == "measuring"
        note = tmp_path / "measuring.json"
        said: list[str] = []

        def replaced() -> None:
            note.write_text('{"pid": 7, "since": "2026-11-22T14:02:00"}', encoding="ascii")

        time = Pauses(3, replaced)
        with (
            pytest.raises(BrokenError),
            take_turn(tmp_path, say=said.append, deadline_s=2, clock=time.clock, pause=time.pause),
        ):
            pytest.fail("it is the other's turn")
        assert time.count >= 10
        assert len(said) == 2
        assert said[1] == "another check (PID 7, since 14:02) is measuring; waiting"


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"pid": "x", "since": "now"}', None])
def test_a_note_that_says_nothing_is_no_obstacle(tmp_path: Path, note: str | None) -> None:
    """The lock counts; who holds it is then not known."""
    with take_turn(tmp_path, say=lambda _: None):
        if note is None:
            (tmp_path / "measuring.json").unlink()
        else:
            (tmp_path / "measuring.json").write_text(note, encoding="ascii")
        time, said = Pauses(), list[str]()
        with (
            pytest.raises(BrokenError),
            take_turn(tmp_path, say=said.append, deadline_s=1, clock=time.clock, pause=time.pause),
        ):
            pytest.fail("it is the other's turn")
        assert said == ["another check is measuring; waiting"]


def test_one_at_a_time(tmp_path: Path) -> None:
    """Of many that want their turn, never two have it, and all get it."""
    inside, most, served = 0, 0, []
    guard, start = threading.Lock(), threading.Barrier(6)

    def measure(number: int) -> None:
        nonlocal inside, most
        start.wait()
        with take_turn(tmp_path, say=lambda _: None, pause=lambda _: None):
            with guard:
                inside += 1
                most = max(most, inside)
            served.append(number)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=measure, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(served) == list(range(6))


def test_a_failing_check_gives_its_turn_back(tmp_path: Path) -> None:
    """The error passes through, and the next one need not wait."""
    with pytest.raises(KeyError), take_turn(tmp_path / "new", say=lambda _: None):
        raise KeyError
    assert list((tmp_path / "new").iterdir()) == []


def test_without_locks_it_says_so_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that knows no locks keeps nobody from measuring."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    said: list[str] = []
    with take_turn(tmp_path, say=said.append):
        assert not (tmp_path / "measuring.json").exists()
    (told,) = said
    assert told == (
        f"{tmp_path} cannot be locked (Operation not supported), so other checks on this machine "
        "are not kept from measuring at the same time"
    )


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    """A file in its place: the message names the variable that chooses another folder."""
    (tmp_path / "cache").write_text("", encoding="ascii")
    with (
        pytest.raises(BrokenError, match="GROUNDSPEED_CACHE_DIR"),
        take_turn(tmp_path / "cache" / "in it", say=lambda _: None),
    ):
        pytest.fail("there is no folder")


def test_the_note_gives_the_time_of_day(tmp_path: Path) -> None:
    """As `now` says it."""
    with take_turn(tmp_path, say=lambda _: None, now=lambda: datetime(2026, 11, 22, 14, 2)):  # noqa: DTZ001 - local time is what a person reads
        assert '"since": "2026-11-22T14:02:00"' in (tmp_path / "measuring.json").read_text("ascii")
