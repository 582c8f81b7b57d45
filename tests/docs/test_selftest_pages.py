"""The pages on the self-test say what the code does: no more and no less."""

import dataclasses
import re

import pytest

from groundspeed.check.selftest import KINDS, UNITS
from groundspeed.cli.selftest import selftest_command
from groundspeed.store.selftests import (
    SELFTEST_SCHEMA,
    FalseAlarms,
    RowTried,
    Seen,
    SelftestCheck,
    SelftestConclusion,
    SelftestRecord,
    SelftestRow,
    SizeFound,
)

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
        ("## The whole object", SelftestRecord),
        ("## False alarms", FalseAlarms),
        ("## Sizes", SizeFound),
        ("## What can be seen", Seen),
        ("## Rows", SelftestRow),
        ("## Checks", SelftestCheck),
        ("### Rows of a check", RowTried),
    ],
)
def test_every_field_is_documented_and_exists(
    heading: str, kind: type, pages: dict[str, str]
) -> None:
    """selftest-json.md has the fields of each record, in order."""
    told = _first_cells(pages["docs/reference/selftest-json.md"], heading)
    assert told == [f"`{field.name}`" for field in dataclasses.fields(kind)]


def test_the_schema_and_every_conclusion_are_named(pages: dict[str, str]) -> None:
    """The page is about the version in force and knows all of its answers."""
    page = pages["docs/reference/selftest-json.md"]
    assert f"`{SELFTEST_SCHEMA}`" in page
    assert all(f"`{conclusion}`" in page for conclusion in SelftestConclusion)


def test_every_option_is_documented_and_exists(pages: dict[str, str]) -> None:
    """cli.md lists the options of `groundspeed selftest`, long and short."""
    cells = _first_cells(pages["docs/reference/cli.md"], "## groundspeed selftest")
    listed = {option for cell in cells for option in re.findall(r"(?<!\w)--?[a-z][a-z-]*", cell)}
    exist = {name for parameter in selftest_command.params for name in parameter.opts}
    assert listed == exist | {"-h", "--help"}


def test_the_guide_says_how_much_is_done(pages: dict[str, str]) -> None:
    """So many rows of so many units."""
    page = " ".join(pages["docs/how-to/selftest.md"].split())
    assert len(KINDS) == 12
    assert f"each of twelve rows does {UNITS} units" in page
