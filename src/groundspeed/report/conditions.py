"""The report on a machine: whether it is fit to measure, what disturbs it, and what to do."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from groundspeed.measure.conditions import Conclusion, Conditions, Finding, Severity
from groundspeed.model import Machine
from groundspeed.report.text import Style, plain
from groundspeed.units import format_duration

__all__ = ["DOCTOR_SCHEMA", "DoctorRecord", "conditions_report", "encode_conditions"]

DOCTOR_SCHEMA = "groundspeed.doctor/1"

_WIDTH = 100
_INDENT = " " * 11
_CONCLUSION_STYLE = {
    Conclusion.FIT: "good",
    Conclusion.USABLE: "doubt",
    Conclusion.UNFIT: "bad",
}
_SEVERITY_STYLE = {
    Severity.OK: "good",
    Severity.NOTE: "strong",
    Severity.WARNING: "doubt",
    Severity.BAD: "bad",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorRecord:
    """What the doctor found, as programs read it.

    Attributes:
        schema: Name and version of this shape.
        tool_version: The groundspeed that wrote it.
        examined_at: ISO 8601, UTC.
        conclusion: The one word.
        exit_code: What the process exits with.
        findings: All of them, in the order in which they are best explained.
        machine: Which machine; its fingerprint is that of the checks made on it.
        conditions: The facts the findings were made of.
    """

    schema: str
    tool_version: str
    examined_at: str
    conclusion: Conclusion
    exit_code: int
    findings: tuple[Finding, ...]
    machine: Machine
    conditions: Conditions


def encode_conditions(record: DoctorRecord) -> bytes:
    """The record as indented JSON (UTF-8, one trailing newline)."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def conditions_report(record: DoctorRecord, *, style: Style = plain, verbose: bool = False) -> str:
    """The whole report, ending in a newline: conclusion, worst findings first, what is fine.

    Args:
        record: What was found.
        style: How to colour; plain by default.
        verbose: Say of every finding, of those that are fine too, why it matters.
    """
    ordered = sorted(record.findings, key=_order)
    width = max((len(finding.name) for finding in ordered), default=0)
    told = [_finding(finding, width, style, verbose=verbose) for finding in ordered]
    heavy = [text for text, finding in zip(told, ordered, strict=True) if _matters(finding)]
    light = [text for text, finding in zip(told, ordered, strict=True) if not _matters(finding)]
    sections = [
        _headline(record, style),
        "\n".join(heavy),
        "\n".join(light),
        style(_circumstances(record), "quiet"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _matters(finding: Finding) -> bool:
    return finding.known and finding.severity is not Severity.OK


def _order(finding: Finding) -> tuple[int, bool]:
    """Worst first; what is unknown after what is known to be as bad."""
    return -finding.severity.rank, not finding.known


def _headline(record: DoctorRecord, style: Style) -> str:
    kind = _CONCLUSION_STYLE[record.conclusion]
    match record.conclusion:
        case Conclusion.FIT:
            return f"{style('This machine is fit to measure', kind)}."
        case Conclusion.USABLE:
            names = ", ".join(f.name for f in _having(record.findings, Severity.WARNING))
            said = style("This machine is usable, expect undecided rows", kind)
            return f"{said}: {names}."
        case Conclusion.UNFIT:
            causes = "; ".join(f.seen for f in _having(record.findings, Severity.BAD))
            return f"{style('This machine is not fit to measure', kind)}: {causes}."


def _having(findings: Sequence[Finding], severity: Severity) -> list[Finding]:
    return [finding for finding in findings if finding.severity is severity]


def _finding(finding: Finding, width: int, style: Style, *, verbose: bool) -> str:
    word = str(finding.severity) if finding.known else "unknown"
    kind = _SEVERITY_STYLE[finding.severity] if finding.known else "quiet"
    lines = [f"  {style(word.ljust(7), kind)}  {finding.name.ljust(width)}  {finding.seen}"]
    if _matters(finding) or verbose:
        lines.append(_wrapped(f"{finding.effect}."))
    if finding.fix:
        lines.append(_wrapped(f"-> {finding.fix}"))
    return "\n".join(lines)


def _wrapped(text: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _circumstances(record: DoctorRecord) -> str:
    machine, activity = record.machine, record.conditions.activity
    watched = f"Watched for {format_duration(activity.window_s)}. " if activity else ""
    return f"{watched}{machine.cpu}; {machine.system}; machine {machine.fingerprint}."
