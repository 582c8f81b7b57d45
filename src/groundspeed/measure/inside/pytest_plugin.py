"""The pytest plugin inside a twin: pytest as the project configures it, but nothing in the way.

Imported only where pytest is; what a user or a project asks of an ordinary run (stop at the first
failure, skip or save benchmarks, coverage, several workers, a random order) is no question here.
"""

import importlib.util
import os
import traceback
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from .marker import DECLARATION
from .processes import describe_error

__all__ = ["ALLOW_COROUTINES", "GatePlugin", "describe_failure"]

ALLOW_COROUTINES = "groundspeed_allow_coroutines"

# Options of pytest and of usual plugins, by destination, as if nobody had given them.
_NEUTRAL: Mapping[str, Any] = {
    "benchmark_autosave": None,
    "benchmark_compare": [],
    "benchmark_compare_fail": None,
    "benchmark_cprofile": None,
    "benchmark_disable": False,
    "benchmark_histogram": [],
    "benchmark_json": None,
    "benchmark_only": False,
    "benchmark_save": None,
    "benchmark_skip": False,
    "collectonly": False,
    "cov_source": [],
    "dist": "no",
    "failedfirst": False,
    "lf": False,
    "looponfail": False,
    "maxfail": 0,
    "newfirst": False,
    "numprocesses": None,
    "pdbcls": None,
    "randomly_reorganize": False,
    "reruns": None,
    "setuponly": False,
    "setupplan": False,
    "setupshow": False,
    "stepwise": False,
    "stepwise_reset": False,
    "stepwise_skip": False,
    "trace": False,
    "tx": [],
    "usepdb": False,
    "xmlpath": None,
}
_TRACEBACK_CHARACTERS = 4000


class GatePlugin:
    """Collects what can be benchmarked and hears how a test ended.

    Attributes:
        errors: Files and folders that could not be collected.
        failure: Why the running test failed; None while it has not.
        skip_reason: Why the running test was skipped; None while it was not.
    """

    def __init__(self) -> None:
        self.errors: list[dict[str, str]] = []
        self.failure: dict[str, str] | None = None
        self.skip_reason: str | None = None

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Know the settings of groundspeed's own plugin, which is not loaded here."""
        parser.addini(ALLOW_COROUTINES, "of ordinary runs; here coroutines are awaited", "bool")

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> Iterator[None]:
        """Before plugins act on what the command line says, such as starting to trace."""
        _neutralise(early_config.known_args_namespace)
        yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Take back what is in the way of measuring."""
        _neutralise(config.option)
        # Both twins share the hash seed, and each launch pair has another.
        if hasattr(config.option, "randomly_seed"):
            shared = os.environ.get("PYTHONHASHSEED", "")
            config.option.randomly_seed = zlib.crc32(shared.encode())
        config.addinivalue_line("markers", DECLARATION)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool:  # noqa: ARG002 - pluggy's names
        """Set none: the controller has a time limit of its own, and a timer disturbs samples."""
        return True

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        """Let a file that exits spare the others, as one that raises anything else does."""
        outcome: Any = yield
        if outcome.excinfo is not None and issubclass(outcome.excinfo[0], SystemExit):
            self.errors.append({"module": collector.nodeid, **describe_failure(outcome.excinfo[1])})
            report = pytest.CollectReport(collector.nodeid, "failed", "it called exit", [])
            outcome.force_result(report)

    def pytest_exception_interact(
        self,
        node: pytest.Item | pytest.Collector,
        call: pytest.CallInfo[Any],
        report: pytest.CollectReport | pytest.TestReport,
    ) -> None:
        """Keep why a file or folder could not be collected."""
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            told = describe_failure(call.excinfo.value)
            self.errors.append({"module": node.nodeid or "the tests", **told})

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Keep the first failure of the running test, or why it is skipped."""
        outcome: Any = yield
        report: pytest.TestReport = outcome.get_result()
        if report.skipped and self.skip_reason is None:
            self.skip_reason = _skip_reason(report)
        if report.failed and self.failure is None:
            self.failure = {**_told(report, call), "stage": report.when or "call"}


def _told(report: pytest.TestReport, call: pytest.CallInfo[None]) -> dict[str, str]:
    if call.excinfo is not None:
        return describe_failure(call.excinfo.value)
    # A test that was expected to fail and did not has no exception.
    text = report.longreprtext.strip()
    return {"type": "Failed", "message": text or "the test failed", "traceback": ""}


def _neutralise(options: Any) -> None:
    for name, value in _NEUTRAL.items():
        if hasattr(options, name):
            setattr(options, name, list(value) if isinstance(value, list) else value)


def _skip_reason(report: pytest.TestReport) -> str:
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        return f"expected to fail: {expected}" if expected else "expected to fail"
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return "skipped"


def describe_failure(error: BaseException) -> dict[str, str]:
    """An exception as three texts, without the frames of pytest, which tell a reader nothing."""
    if isinstance(error, pytest.Collector.CollectError) and error.__cause__ is not None:
        error = error.__cause__
    cause = getattr(error, "cause", None)
    if type(error).__name__ == "ConftestImportFailure" and isinstance(cause, BaseException):
        error = cause
    told = describe_error(error)
    shown = traceback.TracebackException.from_exception(error, capture_locals=False)
    kept = [frame for frame in shown.stack if not frame.filename.startswith(_OF_PYTEST)]
    shown.stack = traceback.StackSummary.from_list(kept)
    text = "".join(shown.format())[-_TRACEBACK_CHARACTERS:]
    return {**told, "traceback": text.encode("utf-8", "backslashreplace").decode("utf-8")}


def _pytest_internals() -> tuple[str, ...]:
    """Where frames lie that tell a reader nothing; pytest-benchmark is not imported yet."""
    specs = map(importlib.util.find_spec, ("_pytest", "pluggy", "pytest_benchmark"))
    origins = [spec.origin for spec in specs if spec is not None and spec.origin]
    folders = [os.path.dirname(origin) for origin in (*origins, os.path.abspath(__file__))]  # noqa: PTH100, PTH120 - pathlib costs start-up
    prefixes = [os.path.join(folder, "") for folder in folders]  # noqa: PTH118
    return (*prefixes, importlib.__file__ or "", "<frozen importlib")


_OF_PYTEST = _pytest_internals()
