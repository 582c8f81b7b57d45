"""Launch pairs from the controller's side: start twins, hold a row of each, let them take turns.

A launch pair is one fresh interpreter forked into base and candidate (`inside`). Here it is
started and asked for its rows, and each row's two processes are forked and ended. Several rows of a
pair may be held at once, each by a thread of its own. Every process a benchmark leaves behind is
ended with it, whatever happens to the controller.
"""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from groundspeed.errors import BrokenError
from groundspeed.measure.inside import launch
from groundspeed.measure.inside.channel import Channel
from groundspeed.measure.machine import CpuPlan
from groundspeed.model import Failure, Row, Side

__all__ = [
    "LaunchPair",
    "Launcher",
    "RowFailedError",
    "RowProcess",
    "SideDescription",
    "SuiteRow",
]

SIDES: tuple[Side, Side] = ("base", "candidate")

_IMPORT_TIMEOUT_S = 600.0
_END_TIMEOUT_S = 5.0
_END_ATTEMPTS = 50
_END_ATTEMPT_S = 0.1
_PADDING_BLOCKS = 20
_PADDING_BLOCK_BYTES = 200_000
_ENVIRONMENT_PADDING_BYTES = 4096
# Python's own heap has blocks of these sizes, in pools of this many bytes.
_BLOCK_SIZES = range(16, 513, 16)
_POOL_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRow:
    """A row as one side describes it.

    Attributes:
        row: Its name and parameters.
        kind: asv's type: time, timeraw, memory, peakmemory, track.
        index: Position among the parameter combinations; None without parameters.
        timeout_s: The benchmark's own time limit; None for the suite's default.
        cache_key: Which setup_cache it shares; None without one.
        cache_timeout_s: Time limit of that setup_cache.
        unit: Of its values, as the benchmark states it; None where it states none.
        marker: What a pytest marker says of it.
    """

    row: Row
    kind: str
    index: int | None = None
    timeout_s: float | None = None
    cache_key: str | None = None
    cache_timeout_s: float | None = None
    unit: str | None = None
    marker: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SideDescription:
    """What one side found when it imported the benchmarks.

    Attributes:
        rows: Every row, by its name and parameters, in suite order.
        failures: Files and classes that could not be imported.
        threads: Python threads that run after the import; forking them is not safe.
        notes: What a reader should know of it, a sentence each.
        refusal: Why its tests cannot be run at all; None where they can.
        own_packages: Top-level packages imported from this side's own source.
        foreign_files: Modules imported from the other side or the user's checkout: always wrong.
    """

    rows: Mapping[Row, SuiteRow]
    failures: tuple[Failure, ...]
    threads: int
    notes: tuple[str, ...]
    refusal: str | None
    own_packages: tuple[str, ...]
    foreign_files: tuple[str, ...]


class RowFailedError(Exception):
    """A row could not be measured; says which side, when and why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(kw_only=True)
class Launcher:
    """Starts launch pairs of one check.

    Attributes:
        interpreter: The measured Python.
        isolated: Start it without site-packages of its own.
        sides: Per side the folders put in front of `sys.path`, the site folders, and the path
            prefixes that must never be imported from.
        benchmark_dir: The benchmark files, the same for both sides.
        pytest: What pytest is told, where its tests are the suite; None for asv's.
        variables: Environment variables of the suite.
        cpus: Where to measure and where to start.
        folder: A private folder for the rows' working folders.
        chance: Source of hash seeds, padding and turns.
        trees: Where the two source trees lie; left out of what a reader is shown.
        import_in_row: Import the benchmarks in each row's process instead of once per twin, for
            suites that start threads when imported.
        time_only: Spare launch pairs what only other kinds of benchmarks need.
        wrapper: What the interpreter is run under: a program and its options; empty for nothing.
        moves_imports: Take blocks of Python's own heap before anything is imported, so that names,
            types and modules lie elsewhere in each launch; on both sides they are moved alike.
    """

    interpreter: Path
    isolated: bool
    sides: Mapping[Side, Mapping[str, Sequence[str] | str]]
    benchmark_dir: Path
    variables: Mapping[str, str]
    cpus: CpuPlan
    folder: Path
    chance: random.Random
    trees: Sequence[Path] = ()
    pytest: Mapping[str, Any] | None = None
    import_in_row: bool = False
    time_only: bool = False
    wrapper: Sequence[str] = ()
    moves_imports: bool = False
    _count: int = field(default=0, init=False)

    def start(self, *, describe: bool = True) -> "LaunchPair":
        """Start one launch pair; returns at once, while it starts and imports.

        Args:
            describe: Let both sides say what they found. The first launch pair of a check does;
                the others are spared the work.

        Raises:
            BrokenError: If this system cannot fork, or the interpreter cannot be started.
        """
        if not hasattr(os, "fork"):
            raise BrokenError(
                f"{sys.platform}: launch twins need fork, which this system does not have; run the "
                "check on Linux or macOS, or in WSL or a container"
            )
        self._count += 1
        folder = self.folder / f"pair{self._count:04d}"
        folder.mkdir(parents=True)
        pairs = {side: socket.socketpair() for side in SIDES}
        theirs = {side: pair[1].fileno() for side, pair in pairs.items()}
        try:
            process = self._spawn(theirs, folder, describe=describe)
        finally:
            for _, end in pairs.values():
                end.close()
        twins = {side: _Twin(side, Channel(pair[0]), self.trees) for side, pair in pairs.items()}
        described = describe and not self.import_in_row
        return LaunchPair(process, twins, folder, described=described)

    def _spawn(
        self, descriptors: Mapping[Side, int], folder: Path, *, describe: bool
    ) -> subprocess.Popen[bytes]:
        configuration = {
            "descriptors": descriptors,
            "sides": self.sides,
            "benchmark_dir": os.fspath(self.benchmark_dir),
            "pytest": self.pytest,
            "asv_runner": _asv_runner_folder(),
            "starting_cpus": self.cpus.starting,
            "import_in_row": self.import_in_row,
            "describe": describe,
            "time_only": self.time_only and not describe,
            "padding": [
                self.chance.randrange(16, _PADDING_BLOCK_BYTES) for _ in range(_PADDING_BLOCKS)
            ],
            "blocks": [
                (size, self.chance.randrange(_POOL_BYTES // size))
                for size in (_BLOCK_SIZES if self.moves_imports else ())
            ],
        }
        flags = ["-P", "-S"] if self.isolated else ["-P"]
        script = os.fspath(launch.__file__)
        try:
            with (folder / "launch.log").open("wb") as log:
                interpreter = [*self.wrapper, os.fspath(self.interpreter), *flags]
                return subprocess.Popen(
                    [*interpreter, script, json.dumps(configuration)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=self._environment(),
                    cwd=folder,
                    pass_fds=tuple(descriptors.values()),
                    start_new_session=True,
                )
        except OSError as error:
            raise BrokenError(f"{self.interpreter}: cannot be started: {error}") from error

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, **self.variables}
        if self.isolated:
            environment.pop("PYTHONPATH", None)
        environment["PYTHONHASHSEED"] = str(self.chance.randrange(1, 2**32))
        environment["GROUNDSPEED_PADDING"] = "x" * self.chance.randrange(_ENVIRONMENT_PADDING_BYTES)
        return environment


class LaunchPair:
    """One fresh interpreter, forked into base and candidate."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        twins: Mapping[Side, "_Twin"],
        folder: Path,
        *,
        described: bool,
    ) -> None:
        self._process = process
        self._twins = twins
        self._folder = folder
        self._described = described
        self._rows = itertools.count(1)
        self._answers: dict[Side, dict[str, Any]] = {}
        self._importing = threading.Lock()

    def descriptions(self) -> dict[Side, SideDescription]:
        """Wait until both sides have imported the benchmarks, and say what they found.

        Raises:
            BrokenError: If a side died or did not answer in ten minutes.
        """
        with self._importing:
            if not self._answers:
                self._answers = {side: self._hear(twin) for side, twin in self._twins.items()}
        if not self._described:
            return {}
        return {
            side: _side_description(self._twins[side], answer)
            for side, answer in self._answers.items()
        }

    def _hear(self, twin: "_Twin") -> dict[str, Any]:
        answer = twin.hear(_IMPORT_TIMEOUT_S)
        if answer is None:
            log = (self._folder / "launch.log").read_text("utf-8", "replace").strip()
            ended = log.splitlines()[-1] if log else "it gave no reason"
            raise BrokenError(
                f"{twin.side}: the interpreter ended or hung while it imported the benchmarks "
                f"({ended}); run `python -c 'import ...'` on that commit to see why"
            )
        return answer

    @contextlib.contextmanager
    def row(
        self,
        row: Mapping[Side, SuiteRow],
        *,
        timeout_s: float,
        caches: Mapping[Side, Path | None],
        method: str,
        cpus: Sequence[int],
    ) -> Iterator[dict[Side, "RowProcess"]]:
        """A process per side with the row forked but not yet known to be set up; ended at exit."""
        number = next(self._rows)
        processes: dict[Side, RowProcess] = {}
        try:
            for side, described in row.items():
                folder = caches[side] or self._folder / f"{number:05d}{side[0]}"
                folder.mkdir(exist_ok=True)
                processes[side] = RowProcess(
                    self._twins[side],
                    described,
                    {"op": "row", "method": method, "cpus": list(cpus)},
                    folder=folder,
                    timeout_s=timeout_s,
                )
            yield processes
        finally:
            for process in processes.values():
                process.end()

    def make_cache(self, side: Side, row: SuiteRow, folder: Path, *, timeout_s: float) -> None:
        """Run the row's setup_cache on one side, in `folder`.

        Raises:
            RowFailedError: If it fails or takes longer than `timeout_s`.
        """
        request = {"op": "cache", "cpus": []}
        process = RowProcess(self._twins[side], row, request, folder=folder, timeout_s=timeout_s)
        try:
            process.answer("setup_cache")
        finally:
            process.end()

    def close(self) -> None:
        """End everything this pair started, and wait for it."""
        # The interpreter goes last: below it is found what a benchmark left behind, and it reaps
        # that. One that has not forked yet ends at once.
        for _ in range(_END_ATTEMPTS):
            for process in _descendants(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_ATTEMPT_S)
                break
        self._process.kill()
        self._process.wait()
        for twin in self._twins.values():
            twin.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class RowProcess:
    """One row on one side: its process, and the conversation with it."""

    def __init__(
        self,
        twin: "_Twin",
        row: SuiteRow,
        request: Mapping[str, Any],
        *,
        folder: Path,
        timeout_s: float,
    ) -> None:
        self._twin = twin
        self._timeout_s = timeout_s
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        ours.settimeout(timeout_s)
        request = {
            **request,
            "name": row.row.name,
            "index": row.index,
            "folder": os.fspath(folder),
        }
        with theirs:
            try:
                self.pid = twin.fork(request, theirs.fileno())
            except RowFailedError:
                ours.close()
                raise
        self._alive = True

    def answer(self, stage: str) -> dict[str, Any]:
        """Wait for the next message.

        Raises:
            RowFailedError: If the benchmark raised, ended its process, or took too long.
        """
        try:
            message = self._channel.receive()
        except TimeoutError:
            raise self._failed(
                stage, "timeout", f"took longer than its time limit of {self._timeout_s:g} s"
            ) from None
        except ConnectionResetError:
            message = None
        if message is None:
            raise self._failed(stage, *self._how_it_ended())
        if "error" in message:
            error = message["error"]
            stage = error.get("stage", stage)
            text = f"{error['type']}: {error['message']}" if error["message"] else error["type"]
            raise self._failed(stage, error["type"], text, error["traceback"])
        return message

    def ask(self, stage: str, **message: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.request(**message)
        return self.answer(stage)

    def request(self, **message: Any) -> None:
        """Send a request without waiting."""
        self._channel.send(message)

    def quit(self) -> None:
        """Let the benchmark run its teardown and end.

        Raises:
            RowFailedError: If the teardown fails or hangs.
        """
        self.ask("teardown", op="quit")

    def end(self) -> None:
        """End the process and all of its group, whatever state it is in."""
        self._channel.end.close()
        if self._alive:
            self._kill()
            self._twin.status(self.pid)
            self._alive = False

    def _kill(self) -> None:
        # The group may be gone, or not made yet when the process was only just forked.
        for send in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(self.pid, signal.SIGKILL)

    def _how_it_ended(self) -> tuple[str, str]:
        status = self._twin.status(self.pid)
        self._alive = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if status is None:
            return "exit", "its interpreter ended"
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            return "signal", f"killed by {_signal_name(-code)}"
        return "exit", f"ended its process with exit code {code}"

    def _failed(self, stage: str, kind: str, message: str, trace: str = "") -> RowFailedError:
        return RowFailedError(self._twin.failure(stage, kind, message, trace))


class _Twin:
    """The control conversation with base or candidate."""

    def __init__(self, side: Side, channel: Channel, trees: Sequence[Path]) -> None:
        self.side: Side = side
        self._channel = channel
        self._hidden = [f"{tree}{os.sep}" for tree in trees]
        # One question at a time: rows of several lanes are forked by the same twin.
        self._asking = threading.Lock()

    def failure(self, stage: str, kind: str, message: str, trace: str = "") -> Failure:
        """A failure on this side, its paths as they are in the project."""
        for prefix in self._hidden:
            message, trace = message.replace(prefix, ""), trace.replace(prefix, "")
        return Failure(side=self.side, stage=stage, kind=kind, message=message, traceback=trace)

    def hear(self, timeout_s: float) -> dict[str, Any] | None:
        """The next message; None when the twin is gone or silent for `timeout_s`."""
        self._channel.end.settimeout(timeout_s)
        try:
            return self._channel.receive()
        except (TimeoutError, ConnectionResetError):
            return None

    def fork(self, request: dict[str, Any], descriptor: int) -> int:
        """Fork a row's process that talks over `descriptor`; returns its process id."""
        line = json.dumps(request).encode() + b"\n"
        with self._asking:
            try:
                socket.send_fds(self._channel.end, [line], [descriptor])
                answer = self.hear(_IMPORT_TIMEOUT_S)
            except (BrokenPipeError, ConnectionResetError):
                answer = None
        if answer is None:
            raise RowFailedError(
                Failure(side=self.side, stage="setup", kind="exit", message="its interpreter ended")
            )
        pid: int = answer["pid"]
        return pid

    def status(self, pid: int) -> int | None:
        """The wait status of an ended row; None when the twin itself is gone."""
        with self._asking:
            self._channel.send({"op": "status", "pid": pid})
            answer = self.hear(_END_TIMEOUT_S)
        return None if answer is None else answer["status"]

    def close(self) -> None:
        self._channel.end.close()


def _descendants(pid: int) -> list[int]:
    """Processes below `pid`, wherever they went; the kernel's own lists where it keeps them."""
    if not Path(f"/proc/{pid}/task/{pid}/children").exists():
        with contextlib.suppress(psutil.NoSuchProcess):
            return [child.pid for child in psutil.Process(pid).children(recursive=True)]
        return []
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            for child in map(int, children.read_text("ascii").split()):
                found += [child, *_descendants(child)]
    return found


def _side_description(twin: "_Twin", answer: dict[str, Any]) -> SideDescription:
    rows = [
        SuiteRow(
            row=Row(name=row["name"], parameters=tuple(row["parameters"])),
            kind=row["kind"],
            index=row["index"],
            timeout_s=row["timeout_s"],
            cache_key=row["cache_key"],
            cache_timeout_s=row["cache_timeout_s"],
            unit=row.get("unit"),
            marker=row.get("marker", {}),
        )
        for row in answer["rows"]
    ]
    failures = tuple(
        twin.failure(
            f"import of {error['module']}",
            error["type"],
            f"{error['type']}: {error['message']}",
            error["traceback"],
        )
        for error in answer["errors"]
    )
    return SideDescription(
        rows={row.row: row for row in rows},
        failures=failures,
        threads=answer["threads"],
        notes=tuple(answer.get("notes", ())),
        refusal=answer.get("refusal"),
        own_packages=tuple(answer["own_packages"]),
        foreign_files=tuple(answer["foreign_files"]),
    )


def _asv_runner_folder() -> str:
    spec = find_spec("asv_runner")
    if spec is None or spec.origin is None:
        raise BrokenError("asv_runner is not installed; run: pip install --upgrade groundspeed")
    return os.fspath(Path(spec.origin).parent)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
