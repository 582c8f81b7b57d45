"""The pages on the doctor say what the code does: no more and no less."""

import dataclasses
import re

import pytest

from groundspeed.cli.doctor import doctor_command
from groundspeed.measure.conditions import (
    Activity,
    Clock,
    Conditions,
    Finding,
    Memory,
    PythonBuild,
    judge,
    start_reading,
)
from groundspeed.report.conditions import DOCTOR_SCHEMA, DoctorRecord

_SECTION = r"^{heading}\n(.*?)(?=^#|\Z)"
_FIRST_CELL = re.compile(r"^\| (`[^|]*) \|", re.MULTILINE)


def _first_cells(page: str, heading: str) -> list[str]:
    """The first column, in backquotes, of the tables right below a heading."""
    pattern = _SECTION.format(heading=re.escape(heading))
    section = re.search(pattern, page, re.MULTILINE | re.DOTALL)
    assert section
    return _FIRST_CELL.findall(section[1])


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("## The whole object", DoctorRecord),
        ("## Findings", Finding),
        ("## Conditions", Conditions),
        ("### Activity", Activity),
        ("### Clock", Clock),
        ("### Memory", Memory),
        ("### Python", PythonBuild),
    ],
)
def test_every_field_is_documented_and_exists(
    heading: str, kind: type, pages: dict[str, str]
) -> None:
    """doctor-json.md has the fields of each record, in order."""
    told = _first_cells(pages["docs/reference/doctor-json.md"], heading)
    assert told == [f"`{field.name}`" for field in dataclasses.fields(kind)]


def test_the_schema_is_named(pages: dict[str, str]) -> None:
    """The page is about the version in force."""
    assert f"`{DOCTOR_SCHEMA}`" in pages["docs/reference/doctor-json.md"]


def test_every_option_is_documented_and_exists(pages: dict[str, str]) -> None:
    """cli.md lists the options of `groundspeed doctor`, long and short."""
    cells = _first_cells(pages["docs/reference/cli.md"], "## groundspeed doctor")
    listed = {option for cell in cells for option in re.findall(r"(?<!\w)--?[a-z][a-z-]*", cell)}
    exist = {name for parameter in doctor_command.params for name in parameter.opts}
    assert listed == exist | {"-h", "--help"}


def test_every_finding_is_explained(pages: dict[str, str]) -> None:
    """The guide has a heading for each thing that is looked at, in the report's order."""
    page = pages["docs/how-to/quiet-the-machine.md"]
    told = re.findall(r"^### (.*)$", page, re.MULTILINE)
    looked_at = [finding.name for finding in judge(start_reading().finish())]
    assert sorted(told) == sorted(looked_at)
