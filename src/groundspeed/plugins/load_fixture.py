"""The fixture `load_test_harness`, also for a conftest that asks for it by name.

In ordinary runs the plugin has it; in those of `groundspeed check` no plugin of groundspeed is
loaded, and `pytest_plugins = ["groundspeed.plugins.load_fixture"]` brings it where groundspeed is
installed beside the tests. Nothing is imported until a test asks for it.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from groundspeed.load import LoadResult
    from groundspeed.plugins.load_harness import LoadTestHarness
    from groundspeed.report.load_record import LoadRecord

__all__ = ["load_test_harness"]


@pytest.fixture
def load_test_harness(request: pytest.FixtureRequest) -> "LoadTestHarness":
    """Run load, judge it, print the metrics block; kept in pytest-benchmark's JSON where it is."""
    from groundspeed.plugins.load_harness import LoadTestHarness
    from groundspeed.report.load_record import compared_figures, encode_load

    if not request.config.pluginmanager.hasplugin("benchmark"):
        return LoadTestHarness()

    def extra_info() -> dict[str, Any]:
        # Asked for when there is a run: the fixture warns where it has nothing to time.
        found: dict[str, Any] = request.getfixturevalue("benchmark").extra_info
        return found

    def keep(record: "LoadRecord") -> None:
        extra_info().setdefault("load", []).append(json.loads(encode_load(record)))
        if "measured" not in request.fixturenames:  # which keeps them itself
            extra_info()[record.name] = compared_figures(record)

    def make(measure: "Callable[[], LoadResult]") -> "LoadResult":
        from pytest_benchmark.fixture import FixtureAlreadyUsed

        # The fixture times one thing a test; the runs after the first are in `extra_info` only.
        benchmark: Any = request.getfixturevalue("benchmark")
        if "load" in benchmark.extra_info or getattr(benchmark, "stats", None) is not None:
            return measure()
        try:
            result: LoadResult = benchmark.pedantic(measure, rounds=1, iterations=1)
        except FixtureAlreadyUsed:  # by the test itself, where timing is turned off
            return measure()
        return result

    return LoadTestHarness(make, record=keep)
