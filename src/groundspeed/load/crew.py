"""The generators of a run: processes of their own, or one in this process for what only it has."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec

from groundspeed import errors
from groundspeed.errors import BrokenError, GroundspeedError
from groundspeed.load.engines import connections_of, part_of
from groundspeed.load.generator import Order, Report, read_part, run_part
from groundspeed.load.part import Beat, Part, PartResult
from groundspeed.load.scenario import Call, Scenario
from groundspeed.load.thread_engine import first_threads

__all__ = ["Crew", "Found", "crew_for"]

Found = tuple[PartResult, Report]

_LEAD_S = 0.05
_THREAD_S = 0.001
_ENDING_S = 5.0
_GENERATE = "import sys; from groundspeed.load.generator import main; sys.exit(main())"


class Crew(Protocol):
    """All generators of a run.

    Attributes:
        beats: The latest sign of life of each.
        start_ns: When the run started, on the monotonic clock.
    """

    beats: dict[int, Beat]
    start_ns: int

    @property
    def pids(self) -> list[int]:
        """Processes that only generate."""

    def start(self) -> None:
        """Have all begin at the same moment, `start_ns`."""

    def wait(self, seconds: float) -> bool:
        """Wait for the end, at most so long; whether it has come."""

    def stop(self) -> None:
        """End early; `wait` for it."""

    def found(self) -> list[Found]:
        """What each has found."""

    def close(self) -> None:
        """Leave nothing behind."""


def crew_for(scenario: Scenario) -> Crew:
    """Processes, unless a function is called that only this process has."""
    local = any(
        isinstance(operation.target, Call) and not isinstance(operation.target.function, str)
        for operation in scenario.operations
    )
    return _Thread(scenario) if local else _Processes(scenario)


class _Thread:
    """One generator in a thread of this process."""

    def __init__(self, scenario: Scenario) -> None:
        self.beats: dict[int, Beat] = {}
        self.start_ns = 0
        self._scenario = scenario
        self._part: Part | None = None
        self._found: list[Found] = []
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="groundspeed-run", daemon=True)

    @property
    def pids(self) -> list[int]:
        return []

    def start(self) -> None:
        lead_s = _LEAD_S + _THREAD_S * first_threads(self._scenario, connections_of(self._scenario))
        self.start_ns = time.perf_counter_ns() + round(lead_s * 1e9)
        self._part = part_of(
            self._scenario,
            part=0,
            start_ns=self.start_ns,
            say=lambda beat: self.beats.update({0: beat}),
        )
        self._thread.start()

    def _run(self) -> None:
        try:
            if self._part is not None:
                self._found.append(run_part(self._part, self._scenario, 0))
        except BaseException as error:  # noqa: BLE001 - raised again where found() is called
            self._error = error
        self._done.set()

    def wait(self, seconds: float) -> bool:
        return self._done.wait(seconds)

    def stop(self) -> None:
        if self._part is not None:
            self._part.stopping = True

    def found(self) -> list[Found]:
        if self._error is not None:
            raise self._error
        return self._found

    def close(self) -> None:
        self.stop()
        self._thread.join(_ENDING_S)


class _Processes:
    """A generator in each of several processes."""

    def __init__(self, scenario: Scenario) -> None:
        self.beats: dict[int, Beat] = {}
        self.start_ns = 0
        self._folder = tempfile.TemporaryDirectory(prefix="groundspeed-load-")
        self._members = [
            _Member(scenario, number, Path(self._folder.name) / f"{number}.npz", self.beats)
            for number in range(scenario.processes)
        ]

    @property
    def pids(self) -> list[int]:
        return [member.process.pid for member in self._members]

    def start(self) -> None:
        for member in self._members:
            member.wait_until_ready()
        self.start_ns = time.perf_counter_ns() + round(_LEAD_S * 1e9)
        for member in self._members:
            member.tell(str(self.start_ns))

    def wait(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        for member in self._members:
            member.done.wait(max(0.0, until - time.monotonic()))
        return all(member.done.is_set() for member in self._members)

    def stop(self) -> None:
        for member in self._members:
            member.tell("stop")

    def found(self) -> list[Found]:
        return [member.found() for member in self._members]

    def close(self) -> None:
        for member in self._members:
            member.close()
        self._folder.cleanup()


class _Member:
    """One generator process, seen from outside."""

    def __init__(self, scenario: Scenario, number: int, file: Path, beats: dict[int, Beat]) -> None:
        self._number, self._file, self._beats = number, file, beats
        self._ready = threading.Event()
        # Not join(): a thread that is being joined when Ctrl-C comes is taken for ended (3.11).
        self.done = threading.Event()
        self._answer: dict[str, Any] = {}
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - closed in close()
        # A session of its own: Ctrl-C is for the run, which tells its generators.
        self.process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-c", _GENERATE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._noise,
            text=True,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        order = Order(scenario=scenario, part=number, file=str(file))
        self.tell(msgspec.json.encode(order).decode())

    def tell(self, line: str) -> None:
        """Say something, if it still listens."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.write(line + "\n")
                self.process.stdin.flush()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            message = msgspec.json.decode(line)
            if "beat" in message:
                self._beats[self._number] = msgspec.convert(message["beat"], Beat)
            elif "ready" in message:
                self._ready.set()
            else:
                self._answer = message
        self.done.set()
        self._ready.set()

    def wait_until_ready(self) -> None:
        """Wait until it can start.

        Raises:
            GroundspeedError: If it ended instead.
        """
        self._ready.wait()
        if self.done.is_set():
            self.found()

    def found(self) -> Found:
        """What it has left.

        Raises:
            GroundspeedError: If it could not do its work.
        """
        if "report" in self._answer:
            report = msgspec.convert(self._answer["report"], Report)
            return read_part(self._file, report), report
        if "error" in self._answer:
            kind = getattr(errors, self._answer["error"], BrokenError)
            known = kind if issubclass(kind, GroundspeedError) else BrokenError
            raise known(self._answer["message"])
        self._noise.seek(0)
        last = self._noise.read().decode(errors="replace").strip().rpartition("\n")[2]
        raise BrokenError(
            f"generator process {self._number} ended with {self.process.wait()}: "
            f"{last or 'no word'}"
        )

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.close()
        try:
            self.process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._noise.close()
