"""What was found in a statement."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity"]


class Severity(StrEnum):
    """How bad it is."""

    WRONG = "wrong"
    """The result may not be what was meant."""
    SLOW = "slow"
    """An index cannot be used, or work grows with what is not asked for."""
    STYLE = "style"
    """It will break or slow down when the schema changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        rule: Its name, such as "select-star".
        severity: How bad it is.
        place: The part of the statement.
        why: What it does.
        advice: What to do instead.
        rewritten: The statement with that done, ready to run; None where it cannot be done for
            sure from the statement alone.
        is_equivalent: Whether `rewritten` gives the same rows for all data; if not, `advice` says
            in what it differs.
    """

    rule: str
    severity: Severity
    place: str
    why: str
    advice: str
    rewritten: str | None = None
    is_equivalent: bool = False

    # typing.override came with Python 3.12.
    def __str__(self) -> str:  # type: ignore[explicit-override]
        rewritten = f"\n    {self.rewritten}" if self.rewritten else ""
        return f"{self.rule} ({self.severity}): {self.place}: {self.why}; {self.advice}{rewritten}"
