from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from groundspeed.check.accept import acceptances
from groundspeed.errors import UsageError
from groundspeed.model import Acceptance, CheckRecord, Comparison, Outcome, Row
from groundspeed.store.checks import read_record

GOLDEN = Path(__file__).parents[3] / "golden" / "check_1.json"
TODAY = date(2026, 11, 22)
LABELS = ("core.time_get(10)", "core.time_get(2)", "core.time_put")


@pytest.fixture
def record() -> CheckRecord:
    """Three slower rows and one that is the same, of two commits."""
    kept = read_record(GOLDEN)
    slower = [
        Comparison(row=row_of(label), outcome=Outcome.SLOWER, ratio=1.2, ratio_high=1.25001)
        for label in LABELS
    ]
    same = Comparison(row=Row(name="core.time_same"), outcome=Outcome.SAME)
    committed = replace(kept.candidate, dirty=False)
    return replace(kept, comparisons=(*slower, same), candidate=committed)


def row_of(label: str) -> Row:
    """The row of a label."""
    name, _, parameters = label.removesuffix(")").partition("(")
    return Row(name=name, parameters=(parameters,) if parameters else ())


def accept(
    record: CheckRecord, name: str, *, matching: bool = False, reason: str = "right"
) -> list[str]:
    """The labels that are accepted."""
    made = acceptances(record, name, matching=matching, reason=reason, today=TODAY)
    return [acceptance.label for acceptance in made]


def test_an_acceptance_holds_what_the_record_says(record: CheckRecord) -> None:
    """Row, upper end rounded up, both commits, the day, the reason as one line."""
    made = acceptances(record, LABELS[0], matching=False, reason=" so\n it is ", today=TODAY)
    assert made == (
        Acceptance(
            label=LABELS[0],
            ratio_high=1.2501,
            base=record.base.sha,
            candidate=record.candidate.sha,
            date="2026-11-22",
            reason="so it is",
        ),
    )


def test_a_working_tree_with_changes_has_no_commit(record: CheckRecord) -> None:
    """The commit that it stands on is not the change that is accepted."""
    dirty = replace(record, candidate=replace(record.candidate, dirty=True))
    (made,) = acceptances(dirty, LABELS[0], matching=False, reason="right", today=TODAY)
    assert made.candidate is None


def test_a_name_is_one_row_and_an_expression_any_number(record: CheckRecord) -> None:
    """Exactly, or wherever it matches; never a row that is not slower."""
    assert accept(record, "core.time_put") == ["core.time_put"]
    assert accept(record, r"time_get\(", matching=True) == list(LABELS[:2])
    assert accept(record, "core", matching=True) == list(LABELS)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("core.time_pot", "'core.time_pot' names no row that is slower in this check; did you "),
        ("core.time_get", "did you mean core.time_get(2) or core.time_get(10) or core.time_put"),
        ("core.time_same", "core.time_same is same in this check, not slower"),
        ("zzz", "slower are core.time_get(10), core.time_get(2), core.time_put"),
    ],
)
def test_a_name_that_is_not_slower_is_helped(
    record: CheckRecord, name: str, complaint: str
) -> None:
    """What it is in this check, and what is near."""
    with pytest.raises(UsageError) as caught:
        accept(record, name)
    assert complaint in str(caught.value)


def test_many_slower_rows_are_not_all_listed(record: CheckRecord) -> None:
    """Eight, and how many more."""
    many = tuple(
        Comparison(row=Row(name=f"t{n}"), outcome=Outcome.SLOWER, ratio_high=2.0) for n in range(10)
    )
    with pytest.raises(UsageError, match=r"t7 and 2 more$"):
        accept(replace(record, comparisons=many), "zzz")


def test_without_a_slower_row_there_is_nothing_to_accept(record: CheckRecord) -> None:
    """The message says so, and what to run."""
    nothing = replace(record, comparisons=record.comparisons[3:])
    with pytest.raises(UsageError, match="nothing to accept: groundspeed check"):
        accept(nothing, "core.time_same")


@pytest.mark.parametrize("reason", ["", "  ", "\n\t"])
def test_an_empty_reason_is_refused(record: CheckRecord, reason: str) -> None:
    """An acceptance without a reason is what the command is there to prevent."""
    with pytest.raises(UsageError, match="--reason is empty; say why"):
        accept(record, LABELS[0], reason=reason)


def test_a_wrong_expression_is_said(record: CheckRecord) -> None:
    """As with -b."""
    with pytest.raises(UsageError, match=r"'\(' is not a regular expression"):
        accept(record, "(", matching=True)


def test_a_slower_row_without_a_ratio_is_refused(record: CheckRecord) -> None:
    """A record that somebody wrote by hand."""
    (row, *_) = record.comparisons
    with pytest.raises(UsageError, match="has no ratio in this record; check again"):
        accept(replace(record, comparisons=(replace(row, ratio_high=None),)), LABELS[0])
