"""How pytest tells of tests held to service levels: warned and undecided beside the rest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from groundspeed.plugins.measured_fixture import MEASURED

if TYPE_CHECKING:
    from groundspeed.plugins.measured import Measured

__all__ = ["Verdicts", "pytest_addoption"]

_SHOWN = {"warned": "w", "undecided": "u"}
_TOLD = ("failed", "error", "undecided", "warned")
_PROPERTIES = ("verdict", "reason")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what fails a test that is held to service levels."""
    parser.getgroup("groundspeed").addoption(
        "--sla",
        choices=["report", "target", "critical"],
        default="critical",
        help="What fails a test: nothing, a missed target too, or a critical value that is not kept"
        " (default: critical; a missed target warns).",
    )


class Verdicts:
    """The hooks."""

    @pytest.hookimpl(hookwrapper=True)  # the newer kind of wrapper is not known to older pytests
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[Any]"
    ) -> Iterator[None]:
        """Give the reports, and so JUnit's file, the verdict."""
        measured = item.stash.get(MEASURED, None)
        if measured is not None and call.when != "setup":
            _conclude(measured, call)
            others = [each for each in item.user_properties if each[0] not in _PROPERTIES]
            found = (str(measured.verdict or ""), measured.reason)
            told = [each for each in zip(_PROPERTIES, found, strict=True) if each[1]]
            item.user_properties[:] = [*others, *told]
        yield

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Say `WARNED` or `UNDECIDED` in place of passed or skipped."""
        verdict = _property(report, "verdict")
        if getattr(report, "when", "") != "call" or report.failed or verdict not in _SHOWN:
            return None
        return verdict, _SHOWN[verdict], verdict.upper()

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say of each test that did not pass why; the last thing that a person reads."""
        told = [
            (verdict, report.nodeid, reason)
            for verdict in _TOLD
            for report in terminalreporter.getreports(verdict)
            if (reason := _property(report, "reason"))
        ]
        if not told:
            return
        terminalreporter.section("service levels")
        for verdict, node_id, reason in told:
            terminalreporter.write_line(f"{verdict.upper()} {node_id}: {reason}")


def _conclude(measured: "Measured", call: "pytest.CallInfo[Any]") -> None:
    """Say what came of a test that ended otherwise than by being judged."""
    from groundspeed.plugins.measured import Verdict

    error = call.excinfo
    if error is not None:
        is_known = measured.verdict is Verdict.FAILED or error.errisinstance(pytest.skip.Exception)
        if not is_known:
            measured.conclude(Verdict.FAILED, error.exconly().partition("\n")[0])
    elif measured.verdict is None and call.when == "call":
        if measured.levels:
            measured.conclude(Verdict.UNDECIDED, "it was not judged; end it by measured.judge()")
        else:
            measured.conclude(Verdict.PASSED, "")


def _property(report: Any, name: str) -> str:
    return str(dict(getattr(report, "user_properties", ())).get(name, ""))
