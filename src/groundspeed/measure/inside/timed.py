"""A row that is a time: how many calls make a sample, and taking samples on request."""

import asyncio
import functools
import gc
import inspect
import itertools
import operator
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from .channel import Channel
from .clocks import Clocks, Reading
from .heap import fill_holes
from .marks import Marks

__all__ = ["NotAwaitedError", "TimedRow", "Work", "serve"]

# Calls this long are timed one by one and compared with the first call after a fresh setup.
FRESH_CALL_NS = 50_000
# Calls this long are not made once more just to fill caches.
LONG_CALL_NS = 1_000_000_000
# Below this share of the fresh call's time, later calls do other work: the state was used up.
USED_UP_SHARE = 0.5
# Work that is not on a CPU for this share of its least disturbed sample waits for something.
WAITING_SHARE = 0.1
# A process whose threads took this share of its CPU beside the main thread counts as threaded.
THREADED_SHARE = 0.05
# Samples without a call, to know what the clocks themselves take.
EMPTY_SAMPLES = 5


class NotAwaitedError(Exception):
    """A benchmark gives back a coroutine, so that only making it would be timed."""


class Work(Protocol):
    """What is timed."""

    @property
    def function(self) -> Callable[..., Any]:
        """Called once a loop; a coroutine function is awaited."""

    @property
    def arguments(self) -> Sequence[Any]:
        """Its positional arguments."""

    @property
    def keywords(self) -> Mapping[str, Any]:
        """Its keyword arguments."""

    @property
    def has_setup(self) -> bool:
        """Whether `renew` prepares state that a call could use up."""

    @property
    def stated_loops(self) -> int:
        """Calls per sample that the benchmark states; 0 for any."""

    @property
    def renews(self) -> bool:
        """Whether the benchmark wants `renew` before every sample."""

    @property
    def most_samples(self) -> int | None:
        """Samples that one process may take; None for any."""

    @property
    def setup_ns(self) -> int:
        """What setting it up took."""

    @property
    def timer(self) -> Callable[[], float] | None:
        """The benchmark's own clock; None for the system's."""

    def renew(self) -> None:
        """Set it up again, so that the next call finds what the first one found."""


class TimedRow:
    """One row in a process of its own."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._renew = False
        self._clocks = Clocks(work.timer)
        self._process = os.getpid()
        self._awaits = is_coroutine_function(work.function)
        self._runner: asyncio.Runner | None = None
        self._last: Any = None
        self._least_waiting = 1.0

    @property
    def last_result(self) -> Any:
        """What the last call of the last sample gave back."""
        return self._last

    def calibrate(self, target_ns: int) -> dict[str, Any]:
        """How many calls make a sample of at least `target_ns`, and what a sample looks like."""
        gc.collect()
        work = self._work
        # A stated number may be all that one setup serves, and asv sets up before each sample.
        self._renew = work.renews
        loops = work.stated_loops or self._calls(target_ns)
        self._renew = self._renew or (work.has_setup and loops == 1)
        (last,) = self._takes(loops, 1)
        clocks = self._clocks_alone()
        threaded = last["cpu_ns"] - last["main_ns"] > THREADED_SHARE * max(last["cpu_ns"], 1)
        return {
            "loops": loops,
            "sample_ns": max(last["clean_ns"], 1),
            "clocks_ns": clocks["clean_ns"],
            "clocks_cpu_ns": clocks["cpu_ns"],
            "renew": self._renew,
            "setup_ns": work.setup_ns,
            "threads": None if not threaded else {"waits": self._least_waiting > WAITING_SHARE},
            "schedstat": self._clocks.counts_delay,
            "own_timer": work.timer is not None,
            "most_samples": work.most_samples,
        }

    def _clocks_alone(self) -> Reading:
        """A sample without a call, the middle one of some."""
        readings = []
        for _ in range(EMPTY_SAMPLES):
            self._clocks.start()
            readings.append(self._clocks.stop())
        return sorted(readings, key=operator.itemgetter("clean_ns"))[EMPTY_SAMPLES // 2]

    def _calls(self, target_ns: int) -> int:
        """The number of calls for a benchmark that states none; 1 if a call uses up its state."""
        fresh = self._fresh_call()
        loops = self._loops_for(target_ns, fresh)
        if loops == 1 or not self._work.has_setup:
            return loops
        later_ns = self._lasting_sample(loops)["clean_ns"] / loops
        return 1 if self._uses_up_its_state(fresh["clean_ns"], later_ns) else loops

    def _fresh_call(self) -> Reading:
        """A call after setup, but not the first of all, which builds what is built only once."""
        first = self._sample(1)
        if first["clean_ns"] >= LONG_CALL_NS:
            return first
        if self._work.has_setup:
            self._work.renew()
        return self._sample(1)

    def _loops_for(self, target_ns: int, first: Reading) -> int:
        loops, took_ns = 1, first["clean_ns"]
        while took_ns < target_ns:
            wanted = int(loops * target_ns / max(took_ns, 1) * 1.1)
            more = max(loops + 1, min(loops * 10, wanted))
            try:
                # The quicker of two: a disturbed one would make all samples too short.
                took_ns = min(self._sample(more)["clean_ns"] for _ in range(2))
            except NotAwaitedError:
                raise
            except Exception:
                if self._work.has_setup:  # it works once after each setup, and only once
                    self._work.renew()
                    return 1
                raise
            loops = more
        return loops

    def _uses_up_its_state(self, fresh_ns: int, later_ns: float) -> bool:
        """Whether calls after the first do other work, for example sort what is sorted already."""
        if fresh_ns < FRESH_CALL_NS or later_ns >= USED_UP_SHARE * fresh_ns:
            return False
        fresh = []
        for _ in range(3):
            self._work.renew()
            fresh.append(self._sample(1)["clean_ns"])
        return later_ns < USED_UP_SHARE * min(fresh)

    def impose(self, *, renew: bool, threads: dict[str, bool] | None) -> None:
        """Take over base's calibration: what precedes a sample, and whose delays count."""
        self._renew = renew
        if threads is not None:
            self._clocks.follow_threads(waits=threads["waits"])
        gc.collect()

    def samples(self, loops: int, count: int) -> list[tuple[int, int, int]]:
        """Take `count` samples of `loops` calls: wall, CPU and run-queue delay in nanoseconds."""
        taken = self._takes(loops, count)
        return [(sample["wall_ns"], sample["cpu_ns"], sample["delay_ns"]) for sample in taken]

    def count(self, loops: int, *, warm_up: int) -> dict[str, int]:
        """Have valgrind count one sample, and one without a call, which is what marking costs.

        The collector is off meanwhile: when it runs depends on what was allocated before, and
        whether a sample meets it would be chance. Holes are filled last, when all that is built
        only once stands: what warming up drops would leave new ones.

        Args:
            loops: Calls of the sample.
            warm_up: Samples before it, so that everything is built and specialised.

        Returns:
            The numbers of the two dumps, `sample` and `empty`.
        """
        clocks, collects = self._clocks, gc.isenabled()
        self._takes(loops, warm_up)
        gc.collect()
        gc.disable()
        self._clocks = marks = Marks()
        try:
            self._sample(0)  # marking is specialised, too
            kept = fill_holes()
            self._takes(loops, 1)
            sample = marks.dumps
            self._sample(0)
        finally:
            self._clocks = clocks
            if collects:
                gc.enable()
        del kept
        return {"sample": sample, "empty": marks.dumps}

    def close(self) -> None:
        """End the event loop, if there is one."""
        if self._runner is not None:
            self._runner.close()

    def _takes(self, loops: int, count: int) -> list[Reading]:
        taken = []
        for _ in range(count):
            if self._renew:
                self._work.renew()
            taken.append(self._lasting_sample(loops))
        return taken

    def _lasting_sample(self, loops: int) -> Reading:
        """One sample; what setup made lasts for some samples and may be used up in this one."""
        try:
            return self._sample(loops)
        except NotAwaitedError:
            raise
        except Exception:
            if self._renew or not self._work.has_setup:
                raise
        self._work.renew()
        return self._sample(loops)

    def _sample(self, loops: int) -> Reading:
        reading = self._await_sample(loops) if self._awaits else self._call_sample(loops)
        if os.getpid() != self._process:
            os._exit(0)  # the benchmark forked, and this is its child: it must not speak for it
        idle_ns = reading["wall_ns"] - reading["cpu_ns"]
        self._least_waiting = min(self._least_waiting, idle_ns / max(reading["wall_ns"], 1))
        return reading

    def _call_sample(self, loops: int) -> Reading:
        function, arguments, keywords = (
            self._work.function,
            self._work.arguments,
            self._work.keywords,
        )
        turns, last = itertools.repeat(None, loops), None
        clocks = self._clocks
        clocks.start()
        if keywords:
            for _ in turns:
                last = function(*arguments, **keywords)
        elif arguments:
            for _ in turns:
                last = function(*arguments)
        else:
            for _ in turns:
                last = function()
        reading = clocks.stop()
        if inspect.iscoroutine(last):
            last.close()
            raise NotAwaitedError(
                "it gives back a coroutine that nobody awaits, so only making it would be timed; "
                "give the coroutine function itself, which is awaited, or run it to its end"
            )
        self._last = last
        return reading

    def _await_sample(self, loops: int) -> Reading:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._awaited(loops))

    async def _awaited(self, loops: int) -> Reading:
        function: Callable[..., Coroutine[Any, Any, Any]] = self._work.function
        arguments, keywords = self._work.arguments, self._work.keywords
        turns, last = itertools.repeat(None, loops), None
        self._clocks.start()
        for _ in turns:
            last = await function(*arguments, **keywords)
        reading = self._clocks.stop()
        self._last = last
        return reading


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether a call makes a coroutine, also through `functools.partial` or a callable object."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    call = getattr(type(function), "__call__", None)  # noqa: B004 - which kind of call, not whether
    return inspect.iscoroutinefunction(call)


def serve(channel: Channel, row: TimedRow) -> None:
    """Answer the controller's requests for one row until it says quit or goes away."""
    while (request := channel.receive()) is not None:
        match request["op"]:
            case "calibrate":
                channel.send(row.calibrate(request["target_ns"]))
            case "impose":
                row.impose(renew=request["renew"], threads=request["threads"])
                channel.send({})
            case "sample":
                channel.send({"samples": row.samples(request["loops"], request["count"])})
            case "count":
                channel.send(row.count(request["loops"], warm_up=request["warm_up"]))
            case "quit":
                row.close()
                return
            case unknown:
                raise ValueError(f"unknown request {unknown!r}")
