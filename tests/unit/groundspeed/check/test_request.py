from pathlib import Path

import pytest

from groundspeed.check import CheckRequest
from groundspeed.stats import GateRule
from groundspeed.store.rules import NO_RULES, Rules

HERE = Path("toy")
PROJECT = Rules(place="here", min_effect=0.02, false_alarms=0.05, budget_s=300.0)
TYPED = CheckRequest(
    start=HERE, rule=GateRule(min_effect=0.1, false_alarms=0.2), budget_s=7.0, seed=3
)


def settled(request: CheckRequest) -> tuple[float, float, float | None]:
    """The three that have a default in the project."""
    return request.rule.min_effect, request.rule.false_alarms, request.budget_s


def test_the_projects_defaults_hold_for_what_was_not_typed() -> None:
    """All three, and nothing else changes."""
    request = CheckRequest(start=HERE, seed=3).with_defaults(PROJECT, typed=())
    assert settled(request) == (0.02, 0.05, 300.0)
    assert request.seed == 3
    assert request.rule.looks == GateRule().looks


@pytest.mark.parametrize("name", ["min_effect", "false_alarms", "budget_s"])
def test_what_was_typed_wins(name: str) -> None:
    """One option does not shield the others."""
    names = ("min_effect", "false_alarms", "budget_s")
    values = settled(TYPED.with_defaults(PROJECT, typed={name, "seed"}))
    for other, value, typed, project in zip(
        names, values, settled(TYPED), (0.02, 0.05, 300.0), strict=True
    ):
        assert value == (typed if other == name else project)


def test_a_project_without_defaults_changes_nothing() -> None:
    """Then the request is what it was."""
    assert TYPED.with_defaults(NO_RULES, typed=()) == TYPED
