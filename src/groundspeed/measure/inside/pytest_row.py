"""One test in a process of its own: its `benchmark` fixture serves the controller.

What pytest-benchmark itself does around the measuring stays its own: that the fixture is used once,
what pedantic accepts, `weave`. Only what it would time is timed here instead.
"""

import asyncio
import contextlib
import gc
import os
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import pytest_benchmark.fixture
import pytest_benchmark.timers

from .channel import Channel
from .clocks import Reading
from .scenario import flat_numbers, peak_memory_bytes, reset_peak_memory
from .timed import TimedRow, Work, is_coroutine_function, serve
from .valued import allocation_peak, serve_value

__all__ = ["FixtureWork", "RowOfTest"]

# What pytest-benchmark warns with of a fixture that is not used, where warnings are errors.
_UNUSED = "PytestBenchmarkWarning"


class FixtureWork:
    """What a test gave its `benchmark` fixture; see `timed.Work`.

    Args:
        function: What is timed.
        arguments: Its positional arguments.
        keywords: Its keyword arguments.
        timer: The clock that the test or the command line names; None for the usual one.
        loops: Calls of a round of pedantic; 0 where they are free.
        rounds: Rounds of pedantic; None where they are free.
        setup: Makes new arguments before a round and gives them; None without.
        teardown: Called with the arguments after a round; None without.
        setup_ns: What the setup that made the arguments took.
    """

    def __init__(  # noqa: PLR0913 - what pedantic takes
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        *,
        timer: Callable[[], float] | None = None,
        loops: int = 0,
        rounds: int | None = None,
        setup: Callable[[], Any] | None = None,
        teardown: Callable[..., Any] | None = None,
        setup_ns: int = 0,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.timer = timer
        self.stated_loops = loops
        self.most_samples = rounds
        self.setup_ns = setup_ns
        self.has_setup = setup is not None or teardown is not None
        self.renews = self.has_setup
        self._setup = setup
        self._teardown = teardown
        self._fresh = True

    def renew(self) -> None:
        """End a round and begin the next; the first is begun already."""
        if self._fresh:
            self._fresh = False
            return
        self.finish()
        made = self._setup() if self._setup is not None else None
        if made:
            self.arguments, self.keywords = made

    def finish(self) -> None:
        """End a round."""
        if self._teardown is not None:
            self._teardown(*self.arguments, **self.keywords)


class _NotedRow(TimedRow):
    """Keeps what the test may ask of its statistics afterwards.

    Attributes:
        calls_s: Seconds a call took, a sample each.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self.loops = 1
        self.calls_s: list[float] = []

    # typing.override came with Python 3.12.
    def _takes(  # type: ignore[explicit-override]
        self, loops: int, count: int
    ) -> list[Reading]:
        taken = super()._takes(loops, count)
        self.loops = loops
        self.calls_s += [max(reading["clean_ns"], 1) / (1e9 * loops) for reading in taken]
        return taken


class RowOfTest:
    """The conversation of one test with the controller."""

    def __init__(self, channel: Channel, item: pytest.Item, *, method: str) -> None:
        self._channel = _Attended(channel.end)
        self._item = item
        self._method = method
        self._fixture: Any = None
        self._serving = False
        self._run: dict[str, float] = {}

    def take_over_fixture(self) -> None:
        """From here on `benchmark(...)` and `benchmark.pedantic(...)` serve the controller."""
        row, fixture_class = self, _fixture_class()
        call, pedantic = fixture_class._raw, fixture_class._raw_pedantic  # noqa: SLF001 - the one seam

        def serve_call(
            fixture: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any
        ) -> Any:
            def measured(*arguments: Any, **keywords: Any) -> Any:
                work = FixtureWork(function, arguments, keywords, timer=_timer(fixture))
                return row.measure(fixture, work)

            with _as_if_disabled(fixture):
                return call(fixture, measured, *args, **kwargs)

        def serve_pedantic(
            fixture: Any, target: Callable[..., Any], *, setup: Any, teardown: Any, **stated: Any
        ) -> Any:
            first = _TimedCall(setup)

            def measured(*arguments: Any, **keywords: Any) -> Any:
                work = FixtureWork(
                    target,
                    arguments,
                    keywords,
                    timer=_timer(fixture),
                    loops=stated["iterations"],
                    rounds=stated["rounds"],
                    setup=setup,
                    teardown=teardown,
                    setup_ns=first.took_ns,
                )
                return row.measure(fixture, work, warm_up=stated["warmup_rounds"])

            with _as_if_disabled(fixture):
                return pedantic(fixture, measured, setup=first if setup else None, **stated)

        fixture_class._raw = serve_call  # noqa: SLF001
        fixture_class._raw_pedantic = serve_pedantic  # noqa: SLF001

    def measure(self, fixture: Any, work: FixtureWork, *, warm_up: int = 0) -> Any:
        """Serve the controller until it has what it wants.

        Args:
            fixture: The test's own, which is told the statistics.
            work: What is timed.
            warm_up: Rounds that the test wants before any is measured.

        Returns:
            What the last call gave.
        """
        if self._fixture is not None:
            raise RuntimeError("the test was run again in the same process; turn reruns off")
        if _is_expected_to_fail(self._item):
            pytest.skip("expected to fail")
        fixture.disabled = False
        self._fixture, timed = fixture, _NotedRow(work)
        if self._method != "scenario":
            _warm_up(timed, work, warm_up)
        self._channel.send({"skipped": False})
        self._serving = True
        with _undisturbed(fixture):
            self._serve(timed, work)
        self._serving = False
        work.finish()
        _fill_statistics(fixture, timed)
        return timed.last_result

    def _serve(self, timed: _NotedRow, work: FixtureWork) -> None:
        if self._method == "scenario":
            self._serve_once(timed)
            return
        if self._method == "allocations":
            self._serve_allocations(work)
            work.renew()
        else:
            serve(self._channel, timed)
        if not timed.calls_s:
            timed.samples(max(work.stated_loops, 1), 1)

    def _serve_allocations(self, work: FixtureWork) -> None:
        work.renew()
        function = work.function
        with asyncio.Runner() as runner:
            if is_coroutine_function(function):
                work.function = lambda *args, **kwargs: runner.run(function(*args, **kwargs))
            serve_value(self._channel, lambda: allocation_peak(work))
        work.function = function

    def _serve_once(self, timed: _NotedRow) -> None:
        request = self._channel.receive()
        if request is None or request["op"] not in {"run", "quit"}:
            raise ValueError(f"a scenario is run and quit; got {request!r}")
        gc.collect()
        reset_peak_memory()
        ((wall_ns, _, delay_ns),) = timed.samples(1, 1)
        self._run = {
            "time_s": max(wall_ns - delay_ns, 1) / 1e9,
            "peak_memory_bytes": float(peak_memory_bytes()),
        }
        if request["op"] == "run":
            self._channel.send({})
            self._channel.receive()
        timed.close()

    def conclude(self, failure: dict[str, str] | None, skip_reason: str | None) -> None:
        """Give the last answer: how the test ended, and what it recorded."""
        unused = self._fixture is None and (failure or {}).get("type") == _UNUSED
        if failure is not None and not unused:
            stage = failure.pop("stage")
            if not self._serving:  # else the controller knows better what was being done
                failure["stage"] = "test" if stage == "call" else stage
            self._channel.send({"error": failure})
        elif self._fixture is None:
            reason = skip_reason or "it does not call its benchmark fixture"
            self._channel.send({"skipped": True, "reason": reason})
        else:
            recorded = flat_numbers(self._fixture.extra_info)
            self._channel.send({"recorded": {**self._run, **recorded}})


class _Attended(Channel):
    """Ends the process when nobody listens any more: a test must not go on alone."""

    # typing.override came with Python 3.12.
    def receive(self) -> dict[str, Any] | None:  # type: ignore[explicit-override]
        message = super().receive()
        if message is None:
            os._exit(0)
        return message


class _TimedCall:
    """A function that knows how long its last call took; None does nothing."""

    def __init__(self, function: Callable[[], Any] | None) -> None:
        self._function = function
        self.took_ns = 0

    def __call__(self) -> Any:
        start_ns = time.perf_counter_ns()
        made = self._function() if self._function is not None else None
        self.took_ns = time.perf_counter_ns() - start_ns
        return made


def _fixture_class() -> Any:
    return pytest_benchmark.fixture.BenchmarkFixture


def _warm_up(timed: _NotedRow, work: FixtureWork, rounds: int) -> None:
    for _ in range(rounds):
        work.renew()
        timed.samples(max(work.stated_loops, 1), 1)
    timed.calls_s.clear()


@contextlib.contextmanager
def _as_if_disabled(fixture: Any) -> Iterator[None]:
    """Disabled, pytest-benchmark checks its arguments, runs setup and calls the function once."""
    fixture.disabled = True
    try:
        yield
    finally:
        fixture.disabled = False


@contextlib.contextmanager
def _undisturbed(fixture: Any) -> Iterator[None]:
    """Without tracers and profilers, and without the collector where the test wants that."""
    tracer, profiler, collects = sys.gettrace(), sys.getprofile(), gc.isenabled()
    sys.settrace(None)
    sys.setprofile(None)
    if fixture._disable_gc:  # noqa: SLF001 - the option has no public name
        gc.disable()
    try:
        yield
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)
        if collects:
            gc.enable()


def _timer(fixture: Any) -> Callable[[], float] | None:
    timer: Callable[[], float] = fixture._timer  # noqa: SLF001 - the option has no public name
    usual = getattr(pytest_benchmark.timers, "default_timer", timeit.default_timer)
    return None if timer in {usual, timeit.default_timer} else timer


def _is_expected_to_fail(item: pytest.Item) -> bool:
    """Whether an xfail mark is in force; what fails in the end is no measure of anything."""
    try:
        from _pytest.skipping import xfailed_key
    except ImportError:
        return False
    return item.stash.get(xfailed_key, None) is not None and not item.config.getoption("runxfail")


def _fill_statistics(fixture: Any, timed: _NotedRow) -> None:
    """Let the rest of the test ask for its statistics, as after an ordinary run."""
    statistics = fixture._make_stats(timed.loops)  # noqa: SLF001 - it keeps them where they are asked
    for call_s in timed.calls_s:
        statistics.update(call_s * timed.loops)
