"""Base or candidate: imports its side once and forks a process for each row.

    launch            imports nothing of the project, pads the heap, forks
      twin base       puts its own source first, imports the benchmarks, forks a child per row
        row           setup, warm-up and samples, on request
      twin candidate  the same with the other source

Twins share hash seed, address-space layout and environment because they were one process.
"""

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from .channel import Channel
from .heap import take_blocks
from .processes import describe_error, die_with_parent, keep_orphans, run_on, silence

__all__ = ["Suite", "Twin", "launch"]


class Suite(Protocol):
    """The benchmarks of one side, imported."""

    def describe(self) -> dict[str, Any]:
        """What the controller needs to know of this side before anything is measured."""

    def run_row(self, channel: Channel, request: dict[str, Any]) -> None:
        """Serve one row, in a process of its own."""

    def make_cache(self, channel: Channel, request: dict[str, Any]) -> None:
        """Prepare what several rows share, in a process of its own."""


class Twin:
    """One side of a launch pair."""

    def __init__(
        self, channel: Channel, configuration: dict[str, Any], load: Callable[[], Suite]
    ) -> None:
        self._channel = channel
        self._configuration = configuration
        self._load = load

    def serve(self) -> None:
        """Describe this side, then fork rows and report how they ended until told to stop."""
        suite = None if self._configuration["import_in_row"] else self._load()
        description: dict[str, Any] = {}
        if suite is not None and self._configuration["describe"]:
            description = suite.describe()
        self._channel.send(description)
        gc.collect()
        if self._configuration.get("pytest") is not None:
            # pytest's many objects are not what is measured: no row's collections walk them.
            gc.freeze()
        while (request := self._channel.receive()) is not None:
            if request["op"] == "status":
                self._channel.send({"status": os.waitpid(request["pid"], 0)[1]})
                continue
            descriptor = self._channel.take_descriptor()
            process = os.fork()
            if process == 0:
                self._become_row(descriptor, suite, request)
            os.close(descriptor)
            self._channel.send({"pid": process})

    def _become_row(
        self, descriptor: int, suite: Suite | None, request: dict[str, Any]
    ) -> NoReturn:
        os.setpgid(0, 0)
        die_with_parent()
        self._channel.end.close()
        channel = Channel(socket.socket(fileno=descriptor))
        process = os.getpid()
        try:
            os.chdir(request["folder"])
            run_on(request["cpus"])
            suite = suite or self._load()
            serve = {"row": suite.run_row, "cache": suite.make_cache}[request["op"]]
            serve(channel, request)
        except BaseException as error:  # noqa: BLE001 - a benchmark may raise anything, exit too
            if os.getpid() == process:  # a child that the benchmark forked must not speak for it
                channel.send({"error": describe_error(error)})
        finally:
            os._exit(0)


def launch(configuration: dict[str, Any]) -> None:
    """Fork this fresh interpreter into base and candidate, and wait for both."""
    die_with_parent()
    keep_orphans()
    run_on(configuration["starting_cpus"])
    moved = [take_blocks(size, count) for size, count in configuration["blocks"]]
    load = _loader(configuration)
    padding = [bytearray(size) for size in configuration["padding"]]
    ends = {side: socket.socket(fileno=fd) for side, fd in configuration["descriptors"].items()}
    silence()
    gc.collect()
    gc.freeze()
    for side in ("base", "candidate"):
        process = os.fork()
        if process == 0:
            die_with_parent()
            for other in set(ends) - {side}:
                ends[other].close()
            try:
                Twin(Channel(ends[side]), configuration, load(side)).serve()
            finally:
                os._exit(0)
    for end in ends.values():
        end.close()
    # From here on whoever ends this pair ends its processes; this one stays to reap them all.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    del moved, padding


def _loader(configuration: dict[str, Any]) -> Callable[[str], Callable[[], Suite]]:
    """How a side's suite is imported; what both sides need is imported here, before the fork."""
    sides = configuration["sides"]
    if configuration["pytest"] is not None:
        from .pytest_preload import preload
        from .pytest_suite import PytestSuite

        preload(sides)
        return lambda side: lambda: PytestSuite(sides[side], configuration["pytest"])
    from .asv_suite import AsvSuite, load_asv_runner

    load_asv_runner(configuration["asv_runner"], time_only=configuration["time_only"])
    return lambda side: lambda: AsvSuite(sides[side], configuration["benchmark_dir"])
