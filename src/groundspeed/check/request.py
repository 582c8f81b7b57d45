"""What a check is asked, and whom it tells how far it is."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from groundspeed.stats import GateRule

__all__ = ["CheckRequest", "Progress", "Silence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """One `groundspeed check`.

    Attributes:
        start: The folder the command was typed in.
        base: A commit; None for the last release, the merge base or the parent.
        candidate: A commit; None for the working tree.
        config: The asv.conf.json; None to look for it.
        selection: Regular expressions; a row is measured when any matches its label.
        budget_s: Seconds for the whole check; None without limit.
        rule: What decides.
        environment: Overlay the sources, build wheels, or choose.
        pin: Keep the samples on one CPU.
        seed: Of every random choice; None draws one.
    """

    start: Path
    base: str | None = None
    candidate: str | None = None
    config: Path | None = None
    selection: tuple[str, ...] = ()
    budget_s: float | None = None
    rule: GateRule = field(default_factory=GateRule)
    environment: Literal["auto", "overlay", "wheel"] = "auto"
    pin: bool = True
    seed: int | None = None


class Progress(Protocol):
    """Told how far a check is; shows it to a person or not."""

    def say(self, text: str) -> None:
        """What is being done now."""

    def advance(self, *, pairs: int, rows_open: int, rows: int, left_s: float | None) -> None:
        """Launch pairs done, rows still open of all, and the seconds expected until the end."""


class Silence:
    """Progress for nobody."""

    def say(self, text: str) -> None:
        """Nothing."""

    def advance(self, *, pairs: int, rows_open: int, rows: int, left_s: float | None) -> None:
        """Nothing."""
