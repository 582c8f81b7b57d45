import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.excuses import Excuses, entries_for, state_of
from groundspeed.measure.repository import Repository
from groundspeed.model import (
    Acceptance,
    AcceptanceState,
    AcceptedEntry,
    Comparison,
    Ignored,
    Outcome,
    Row,
)
from groundspeed.store.rules import NO_RULES, RowRule, Rules

IN_FORCE, SPENT = AcceptanceState.IN_FORCE, AcceptanceState.SPENT
ELSEWHERE = AcceptanceState.ELSEWHERE
TODAY = date(2026, 11, 22)

# main: r - s - t (squash of the branch); branch: r - x - c - y, and m, where s was merged into it.
PARENTS = {
    "r": [],
    "s": ["r"],
    "t": ["s"],
    "x": ["r"],
    "c": ["x"],
    "y": ["c"],
    "m": ["c", "s"],
    "n": ["m"],
}


def contains(whole: str, part: str) -> bool:
    """Ancestry in the history above."""
    if whole not in PARENTS or part not in PARENTS:
        return False
    return whole == part or any(contains(parent, part) for parent in PARENTS[whole])


def accepted(candidate: str | None = "c", base: str = "r", label: str = "a") -> Acceptance:
    """An acceptance from the check of base and candidate, of up to 1.5 times the time."""
    return Acceptance(
        label=label,
        ratio_high=1.5,
        base=base,
        candidate=candidate,
        date="2026-11-22",
        reason="right",
    )


@pytest.mark.parametrize(
    ("base", "candidate", "acceptance", "state"),
    [
        ("r", "c", accepted(), IN_FORCE),
        ("x", "c", accepted(), IN_FORCE),
        ("x", "y", accepted(), IN_FORCE),
        ("c", "y", accepted(), SPENT),
        ("m", "n", accepted(), SPENT),
        ("s", "m", accepted(), IN_FORCE),
        ("r", "t", accepted(), IN_FORCE),
        ("s", "t", accepted(), ELSEWHERE),
        ("t", "t", accepted(), ELSEWHERE),
        ("r", "t", accepted("gone"), IN_FORCE),
        ("s", "t", accepted("gone"), ELSEWHERE),
        ("r", "y", accepted("gone", base="gone"), ELSEWHERE),
        ("x", "x", accepted(None, base="x"), IN_FORCE),
        ("r", "c", accepted(None, base="x"), IN_FORCE),
        ("c", "y", accepted(None, base="x"), ELSEWHERE),
    ],
)
def test_history_decides_what_an_acceptance_means(
    base: str, candidate: str, acceptance: Acceptance, state: AcceptanceState
) -> None:
    """Merges, squashes, lost commits and working trees, as decision 9 has them."""
    assert state_of(acceptance, base=base, candidate=candidate, contains=contains) is state


@given(*[st.sampled_from(sorted(PARENTS))] * 4)
def test_an_acceptance_in_base_is_never_in_force(
    base: str, candidate: str, old_base: str, old_candidate: str
) -> None:
    """Once base has the accepted commit it has no effect, and only then is it spent."""
    acceptance = accepted(old_candidate, base=old_base)
    state = state_of(acceptance, base=base, candidate=candidate, contains=contains)
    assert (state is SPENT) == contains(base, old_candidate)


def test_a_real_history_is_asked(tmp_path: Path) -> None:
    """Commits of a git repository, and one that is not there."""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=Toy", "-c", "user.email=toy@example.invalid"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    git("init", "--quiet")
    shas = []
    for number in range(3):
        git("commit", "--quiet", "--allow-empty", "--message", str(number))
        shas.append(git("rev-parse", "HEAD"))
    first, second, third = shas
    acceptances = [accepted(second, base=first), accepted("f" * 40, base="e" * 40)]
    repository = Repository.discover(tmp_path)
    before = entries_for(acceptances, repository, base=first, candidate=third)
    after = entries_for(acceptances, repository, base=second, candidate=third)
    assert [entry.state for entry in before] == [IN_FORCE, ELSEWHERE]
    assert [entry.state for entry in after] == [SPENT, ELSEWHERE]
    assert [entry.acceptance for entry in before] == acceptances


def row(label: str, ratio_low: float | None, outcome: Outcome = Outcome.SLOWER) -> Comparison:
    """A row as the looks left it."""
    return Comparison(row=Row(name=label), outcome=outcome, ratio_low=ratio_low)


def entry(acceptance: Acceptance, state: AcceptanceState = IN_FORCE) -> AcceptedEntry:
    """An entry of the file."""
    return AcceptedEntry(acceptance=acceptance, state=state)


def acceptance_of(comparison: Comparison, *entries: AcceptedEntry) -> Acceptance | None:
    """What excuses this row."""
    excuses = Excuses(rules=NO_RULES, entries=entries, today=TODAY)
    (judged,) = excuses.applied([comparison])
    assert judged.accepted is None or excuses.possible(comparison.row.label)
    return judged.accepted


@pytest.mark.parametrize(
    ("comparison", "covered"),
    [
        (row("a", 1.1), True),
        (row("a", 1.5), True),
        (row("a", 1.5001), False),
        (row("b", 1.1), False),
        (row("a", None), False),
        (row("a", 0.9, Outcome.SAME), False),
        (row("a", 1.1, Outcome.UNDECIDED), False),
    ],
)
def test_a_slower_row_is_covered_unless_it_is_surely_slower_still(
    comparison: Comparison, covered: bool
) -> None:
    """Its interval begins at or below what was accepted; nothing but a slower row is accepted."""
    assert (acceptance_of(comparison, entry(accepted())) is not None) == covered
    assert comparison.blocking == (comparison.outcome is Outcome.SLOWER)


@pytest.mark.parametrize("state", [SPENT, ELSEWHERE])
def test_only_an_entry_in_force_covers(state: AcceptanceState) -> None:
    """A spent one has no effect, whatever it says."""
    assert acceptance_of(row("a", 1.1), entry(accepted(), state)) is None


def test_the_last_entry_that_covers_is_shown() -> None:
    """Of two for one row the later one, which knows more."""
    first, second = accepted(base="r"), accepted(base="x")
    assert acceptance_of(row("a", 1.1), entry(first), entry(second)) == second


def test_rules_are_written_into_the_rows() -> None:
    """Its own minimum effect and why it is ignored; nothing where no rule matches."""
    rules = Rules(
        place="here",
        rows=(
            RowRule(match="a", min_effect=0.03),
            RowRule(match="a", ignore=True, reason="noise", until=TODAY),
        ),
    )
    excuses = Excuses(rules=rules, entries=(), today=TODAY)
    a, b = excuses.applied([row("a", 1.1), row("b", 1.1)])
    assert (excuses.possible("a"), excuses.possible("b")) == (True, False)
    assert (a.min_effect, a.ignored) == (0.03, Ignored(reason="noise", until="2026-11-22"))
    assert not a.blocking
    assert (b.min_effect, b.ignored, b.accepted) == (None, None, None)
    assert b.blocking


def test_markers_excuse_as_rules_do() -> None:
    """They are known only when the tests were described, and are written into the rows alike."""
    why = {"ignore": True, "reason": "noise", "until": "2026-11-22", "min_effect": 0.03}
    bare = Excuses(rules=NO_RULES, entries=(), today=TODAY)
    marked = bare.with_markers({"a": why})
    assert (bare.possible("a"), marked.possible("a"), marked.possible("b")) == (False, True, False)
    (a,) = marked.applied([row("a", 1.1)])
    assert (a.min_effect, a.ignored) == (0.03, Ignored(reason="noise", until="2026-11-22"))


def test_a_quantity_is_accepted_by_its_own_label() -> None:
    """What a test records beside it has a label of its own and is not excused with it."""
    label = "tests/x.py::test_y rate"
    comparison = replace(
        row("", 1.1), row=Row(name="tests/x.py::test_y", quantity="rate"), direction="higher"
    )
    other = replace(comparison, row=replace(comparison.row, quantity="wait"))
    assert acceptance_of(comparison, entry(accepted(label=label))) is not None
    assert acceptance_of(other, entry(accepted(label=label))) is None


@pytest.mark.parametrize(
    ("state", "possible"), [(IN_FORCE, True), (SPENT, False), (ELSEWHERE, False)]
)
def test_a_row_may_be_accepted_only_by_an_entry_in_force(
    state: AcceptanceState, possible: bool
) -> None:
    """Known before anything is measured: the label is what counts, not yet the ratio."""
    excuses = Excuses(rules=NO_RULES, entries=(entry(accepted(), state),), today=TODAY)
    assert excuses.possible("a") is possible
    assert not excuses.possible("b")
