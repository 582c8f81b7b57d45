import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundspeed.measure.conditions import Conclusion, Conditions, Severity, conclude, judge
from groundspeed.model import Machine
from groundspeed.report.conditions import (
    DOCTOR_SCHEMA,
    DoctorRecord,
    conditions_report,
    encode_conditions,
)

GOLDEN = Path(__file__).parents[3] / "golden"

Examine = Callable[..., Conditions]

MACHINE = Machine(
    fingerprint="0123456789ab",
    cpu="Example CPU",
    cpus=4,
    measuring_cpus=(),
    memory_bytes=2**34,
    system="Linux 6.1",
    python="CPython 3.12.4",
    load_average_1m=0.5,
    schedstat=True,
)


def recorded(conditions: Conditions) -> DoctorRecord:
    """What the command would tell of these conditions, on one version of Python."""
    conditions = replace(
        conditions, python=replace(conditions.python, version="CPython 3.12.4", debug=False)
    )
    findings = judge(conditions)
    conclusion = conclude(findings)
    return DoctorRecord(
        schema=DOCTOR_SCHEMA,
        tool_version="0.1.0",
        examined_at="2026-03-01T12:00:00+00:00",
        conclusion=conclusion,
        exit_code=5 if conclusion is Conclusion.UNFIT else 0,
        findings=findings,
        machine=MACHINE,
        conditions=conditions,
    )


def assert_golden(name: str, text: str) -> None:
    """Compare with the kept text; on a difference leave what there was beside it."""
    expected, got = GOLDEN / f"{name}.txt", GOLDEN / f"{name}.got"
    if not expected.exists() or expected.read_text("utf-8") != text:
        got.write_text(text, "utf-8")
        pytest.fail(f"{got} differs from {expected}; if it reads better, rename it")
    got.unlink(missing_ok=True)


def test_a_quiet_machine(quiet: Any, examine: Examine) -> None:
    """One sentence, and a line for each thing that is fine."""
    assert_golden("doctor_fit", conditions_report(recorded(examine(quiet))))


def test_a_busy_machine(busy: Any, examine: Examine) -> None:
    """What disturbs comes first, each with its effect and what to do."""
    assert_golden("doctor_usable", conditions_report(recorded(examine(busy))))


def test_an_unfit_machine_says_why_at_once(quiet: Any, examine: Examine) -> None:
    """The first line has every reason."""
    conditions = examine(quiet, fork=False, git_version=lambda: None)
    first, *_ = conditions_report(recorded(conditions)).splitlines()
    assert first == "This machine is not fit to measure: linux has no fork; no git on PATH."


@pytest.mark.parametrize("verbose", [False, True])
def test_worst_first_and_nothing_left_out(busy: Any, examine: Examine, verbose: bool) -> None:
    """Every finding has its line, in order of weight; verbose gives every effect."""
    record = recorded(examine(busy, fork=False))
    report = conditions_report(record, verbose=verbose)
    named = re.findall(r"^  (?:ok|note|warning|bad|unknown) +(.*?)  ", report, re.MULTILINE)
    by_name = {finding.name: finding for finding in record.findings}
    assert sorted(named) == sorted(by_name)
    ranks = [by_name[name].severity.rank for name in named]
    assert ranks == sorted(ranks, reverse=True)
    text = " ".join(report.split())
    for finding in record.findings:
        matters = finding.known and finding.severity is not Severity.OK
        assert (finding.effect in text) is (matters or verbose)
        assert finding.fix in text


def test_lines_fit_a_terminal(busy: Any, examine: Examine) -> None:
    """No line that is wrapped by us is longer than 100."""
    text = conditions_report(recorded(examine(busy)), verbose=True)
    assert max(map(len, text.splitlines())) <= 100


def test_style_colours_and_changes_nothing_else(busy: Any, examine: Examine) -> None:
    """Without the marks of the style, the text is the plain one."""
    record = recorded(examine(busy))
    styled = conditions_report(record, style=lambda text, kind: f"<{kind}>{text}</>")
    for kind in ("good", "bad", "doubt", "quiet", "strong"):
        styled = styled.replace(f"<{kind}>", "")
    assert styled.replace("</>", "") == conditions_report(record)


@pytest.mark.parametrize("name", ["quiet", "busy"])
def test_the_json_holds_the_record(
    name: str, examine: Examine, request: pytest.FixtureRequest
) -> None:
    """Written and read back, nothing is lost."""
    record = recorded(examine(request.getfixturevalue(name)))
    content = encode_conditions(record)
    assert content.startswith(b'{\n "schema": "groundspeed.doctor/1",\n')
    assert msgspec.json.decode(content, type=DoctorRecord) == record
