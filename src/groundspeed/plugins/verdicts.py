"""How pytest tells of tests held to service levels: warned and undecided beside the rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from groundspeed.plugins.measured_fixture import MEASURED

__all__ = ["Verdicts", "pytest_addoption"]

_SHOWN = {"warned": "w", "undecided": "u"}
_TOLD = ("failed", "undecided", "warned")


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
        if measured is not None and call.when == "call":
            error = call.excinfo
            if error is not None and not error.errisinstance(pytest.skip.Exception):
                from groundspeed.plugins.measured import Verdict

                measured.verdict = Verdict.FAILED
                measured.reason = measured.reason or error.exconly().partition("\n")[0]
                measured.conclude(measured.verdict, measured.reason)
            item.user_properties.append(("verdict", str(measured.verdict)))
            if measured.reason:
                item.user_properties.append(("reason", measured.reason))
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


def _property(report: Any, name: str) -> str:
    return str(dict(getattr(report, "user_properties", ())).get(name, ""))
