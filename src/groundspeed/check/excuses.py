"""What keeps a slower row from blocking: a rule that ignores it, or an acceptance of the slowdown.

Which acceptances hold is asked of the history and not of the calendar; decision 9 says why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from groundspeed.measure.repository import Repository
from groundspeed.model import Acceptance, AcceptanceState, AcceptedEntry, Comparison, Outcome
from groundspeed.store.rules import Rules

__all__ = ["Excuses", "entries_for", "state_of"]

Contains = Callable[[str, str], bool]
"""Whether the history of the first commit contains the second; false where one is unknown."""


def entries_for(
    acceptances: Sequence[Acceptance], repository: Repository, *, base: str, candidate: str
) -> tuple[AcceptedEntry, ...]:
    """Each acceptance with what it means for the comparison of these two commits."""

    def contains(whole: str, part: str) -> bool:
        return repository.git.ask("merge-base", "--is-ancestor", part, whole) is not None

    return tuple(
        AcceptedEntry(
            acceptance=acceptance,
            state=state_of(acceptance, base=base, candidate=candidate, contains=contains),
        )
        for acceptance in acceptances
    )


def state_of(
    acceptance: Acceptance, *, base: str, candidate: str, contains: Contains
) -> AcceptanceState:
    """What an acceptance means for a check of these two commits.

    Args:
        acceptance: The entry.
        base: The base of the check, a full commit.
        candidate: Its candidate; of a working tree, the commit that it stands on.
        contains: Asks the history.

    Returns:
        SPENT: base contains the accepted commit, so that the slowdown is part of what is compared
        with. IN_FORCE: base does not contain it, and either comes before the accepted change or
        the candidate contains it. ELSEWHERE: neither can be shown.
    """
    accepted = acceptance.candidate
    if accepted and contains(base, accepted):
        return AcceptanceState.SPENT
    before = contains(acceptance.base, base) or (accepted and contains(accepted, base))
    if before or (accepted and contains(candidate, accepted)):
        return AcceptanceState.IN_FORCE
    return AcceptanceState.ELSEWHERE


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuses:
    """All that may keep a row of one check from blocking.

    Attributes:
        rules: The project's.
        entries: Its acceptances, with what each means for this check.
        today: The day of the check, UTC.
    """

    rules: Rules
    entries: tuple[AcceptedEntry, ...]
    today: date

    def with_markers(self, markers: Mapping[str, Mapping[str, Any]]) -> "Excuses":
        """The same, and what the markers of tests say; see `Rules.with_markers`."""
        return replace(self, rules=self.rules.with_markers(markers))

    def possible(self, label: str) -> bool:
        """Whether a row of this label is ignored or may turn out to be accepted."""
        accepted = any(acceptance.label == label for acceptance in self._in_force())
        return accepted or self.rules.ignored(label, self.today) is not None

    def applied(self, comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
        """The rows with what the rules and acceptances say of each."""
        effects = self.rules.min_effects([c.row.label for c in comparisons])
        in_force = self._in_force()
        return tuple(
            replace(
                comparison,
                min_effect=effects.get(comparison.row.label),
                ignored=self.rules.ignored(comparison.row.label, self.today),
                accepted=_acceptance(comparison, in_force),
            )
            for comparison in comparisons
        )

    def _in_force(self) -> list[Acceptance]:
        return [e.acceptance for e in self.entries if e.state is AcceptanceState.IN_FORCE]


def _acceptance(comparison: Comparison, in_force: Sequence[Acceptance]) -> Acceptance | None:
    """The last acceptance that covers a slower row.

    It covers a slowdown that is not surely larger: the interval begins at or below what was
    accepted. So a change that was accepted is not refused for the noise of another measurement.
    """
    if comparison.outcome is not Outcome.SLOWER or comparison.ratio_low is None:
        return None
    covering = [
        acceptance
        for acceptance in in_force
        if acceptance.label == comparison.row.label
        and comparison.ratio_low <= acceptance.ratio_high
    ]
    return covering[-1] if covering else None
