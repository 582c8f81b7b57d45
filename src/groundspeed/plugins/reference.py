"""How fast the machine itself is around each test: a small piece of work, timed before and after.

A second program on the same core makes everything 1.7 times as long, for seconds or for hours, and
no round of a test can tell that from slower code. The same piece of work can. So where runs are
stored or compared it is timed around each benchmark, and stored beside it.
"""

import math
import statistics
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

__all__ = ["KEY", "NAME", "Reference", "around", "spread", "start_reference"]

KEY = "groundspeed"
"""Of what is stored beside each benchmark: `{"reference_s": [before, after]}`."""

NAME = "groundspeed-reference"
"""Of the plugin."""

_TIMING = frozenset({"benchmark", "load_test_harness"})  # the latter asks for it while it runs
_WORK = 20_000  # additions, under a millisecond
_REPEATS = 5  # the middle one counts: what one of them suffers is none of a run's affair
_FEW = 10
# The middle 80 % of a normal distribution in standard deviations: a rare hiccup is left out.
_WIDTH = 2.563


def start_reference(config: pytest.Config) -> None:
    """Time the reference work around each benchmark of this run, if pytest-benchmark is there."""
    if config.getoption("benchmark_storage", None) is not None:
        config.pluginmanager.register(Reference(), NAME)


class Reference:
    """The plugin of one run.

    Attributes:
        around: Seconds of the work before and after each test, by node id. Empty where the clock
            of the benchmarks is not moved by it.
    """

    def __init__(self) -> None:
        self.around: dict[str, tuple[float, float]] = {}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Time the work around a test that uses the fixture."""
        session = getattr(item.config, "_benchmarksession", None)
        asked = not _TIMING.isdisjoint(getattr(item, "fixturenames", ()))
        if session is None or session.disabled or not asked:
            return (yield)
        # The clock of this very test, which may have one of its own.
        usual = session.options["timer"].target
        timer = getattr(getattr(item, "funcargs", {}).get("benchmark"), "_timer", usual)
        before = _time_s(timer)
        try:
            return (yield)
        finally:
            after = _time_s(timer)
            if before > 0.0 and after > 0.0:
                self.around[item.nodeid] = (before, after)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Store it beside each benchmark."""
        for bench in output_json["benchmarks"]:
            if bench["fullname"] in self.around:
                bench[KEY] = {"reference_s": list(self.around[bench["fullname"]])}

    @property
    def deviation(self) -> float:
        """Robust standard deviation of the logarithm of the work's time in this run; 0.1 is 10 %.

        0 while there are fewer than ten times.
        """
        return spread([time for pair in self.around.values() for time in pair])


def spread(times_s: list[float]) -> float:
    """Robust standard deviation of the logarithm of some times above 0; 0 of fewer than ten."""
    if len(times_s) < _FEW:
        return 0.0
    tenths = statistics.quantiles([math.log(time) for time in times_s], n=10)
    return (tenths[-1] - tenths[0]) / _WIDTH


def around(stored: Mapping[str, Any]) -> tuple[float, float] | None:
    """What was stored beside a benchmark: before and after; None where nothing was."""
    times = stored.get("reference_s")
    if not isinstance(times, list) or len(times) != 2:  # noqa: PLR2004 - before and after
        return None
    right = all(isinstance(time, int | float) and 0.0 < time < math.inf for time in times)
    return (float(times[0]), float(times[1])) if right else None


def _time_s(timer: Callable[[], float]) -> float:
    return sorted(_once_s(timer) for _ in range(_REPEATS))[_REPEATS // 2]


def _once_s(timer: Callable[[], float]) -> float:
    start = timer()
    sum(range(_WORK))
    return float(timer()) - float(start)
