"""In every run of pytest: the marker is known and checked, and coroutines are not timed by mistake.

With --groundspeed-compare each test is compared with stored runs (`groundspeed.plugins.compare`).

It is imported by every pytest of every user, so nothing is imported here that costs anything.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from groundspeed.measure.inside.marker import DECLARATION, MarkerError, read_marker
from groundspeed.plugins import verdicts
from groundspeed.plugins.load_fixture import load_test_harness
from groundspeed.plugins.measured_fixture import measured, service_levels

__all__ = [
    "CoroutineNotAwaitedError",
    "load_test_harness",
    "measured",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_fixture_setup",
    "service_levels",
]

_MARKER = "groundspeed"
_ALLOWED = "groundspeed_allow_coroutines"
_STORING = ("benchmark_save", "benchmark_autosave", "benchmark_json")
_SEAMS = ("_raw", "_raw_pedantic")  # what benchmark(...) and benchmark.pedantic(...) go through


class CoroutineNotAwaitedError(TypeError):
    """pytest-benchmark would time how long it takes to make a coroutine, and never run it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, and the setting that turns the check of coroutines off."""
    verdicts.pytest_addoption(parser)
    group = parser.getgroup("groundspeed")
    group.addoption(
        "--groundspeed-compare",
        metavar="REF",
        nargs="?",
        const="",
        help="Compare each test with runs that pytest-benchmark stored, and fail those that are "
        "slower. REF is a run's number, a JSON file or a commit; without one the newest run of "
        "another state.",
    )
    group.addoption(
        "--groundspeed-min-effect",
        metavar="SHARE",
        help="The smallest change that --groundspeed-compare reports, such as 5%% or 0.05. "
        "Default: 10%% of a time, 20%% of a percentile or throughput.",
    )
    parser.addini(
        _ALLOWED,
        "Let pytest-benchmark time the making of coroutines, which are not awaited.",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, also for projects that know none but declared ones."""
    config.addinivalue_line("markers", DECLARATION)
    config.pluginmanager.register(verdicts.Verdicts(), "groundspeed-verdicts")
    reference = config.getoption("groundspeed_compare")
    if reference is not None:
        from groundspeed.plugins.compare import start_comparing

        start_comparing(config, reference)
    if reference is not None or any(config.getoption(name, None) for name in _STORING):
        from groundspeed.plugins.reference import start_reference

        start_reference(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Check the markers where there are any.

    Raises:
        pytest.UsageError: If one is not written as it must be.
    """
    for item in items:
        marks = [(mark.args, mark.kwargs) for mark in item.iter_markers(_MARKER)]
        try:
            read_marker(item.nodeid, marks)
        except MarkerError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(hookwrapper=True)  # the newer kind of wrapper is not known to older pytests
def pytest_fixture_setup(
    fixturedef: "pytest.FixtureDef[Any]", request: pytest.FixtureRequest
) -> Iterator[None]:
    """Guard each `benchmark` fixture of pytest-benchmark."""
    outcome: Any = yield
    if fixturedef.argname != "benchmark" or outcome.excinfo is not None:
        return
    fixture = outcome.get_result()
    if _is_guarded(fixture, request.config):
        for seam in _SEAMS:
            setattr(fixture, seam, _refusing_coroutines(getattr(fixture, seam)))


def _is_guarded(fixture: Any, config: pytest.Config) -> bool:
    ours = type(fixture).__module__ == "pytest_benchmark.fixture"
    return ours and not config.getini(_ALLOWED)


def _refusing_coroutines(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def refusing(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if _makes_coroutines(function):
            raise CoroutineNotAwaitedError(_message(function))
        result = call(function, *args, **kwargs)
        if inspect.iscoroutine(result):
            result.close()
            raise CoroutineNotAwaitedError(_message(function))
        return result

    return refusing


def _makes_coroutines(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    called = getattr(type(function), "__call__", None)  # noqa: B004 - which kind of call, not whether
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _message(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", repr(function))
    return (
        f"benchmark({name}): a call only makes a coroutine, which nothing awaits, so its work "
        f"would not be timed; time a function that runs it, such as lambda: asyncio.run({name}()), "
        "or let `groundspeed check --suite pytest` await it; to time the making itself, set "
        f"{_ALLOWED} = true"
    )
