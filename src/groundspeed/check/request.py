"""What a check is asked, and whom it tells how far it is."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from groundspeed.check.shards import ShardRequest
from groundspeed.stats import GateRule
from groundspeed.store.rules import Rules

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
        pin: Keep the samples of a row on one CPU.
        lanes: Rows to measure at once; None for what the machine has.
        metric: What to compare of timed rows: `time`, or `wall`, `cpu`, `allocations`.
        seed: Of every random choice; None draws one.
        suite: Whose benchmarks: `asv` or `pytest`.
        pytest_arguments: What pytest is given, where it is its suite.
        shard: Which part of the rows; None for all.
        typed_min_effect: The rule's least effect, if the user typed it.
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
    lanes: int | None = None
    metric: str = "time"
    seed: int | None = None
    suite: Literal["asv", "pytest"] = "asv"
    pytest_arguments: tuple[str, ...] = ()
    shard: ShardRequest | None = None
    typed_min_effect: float | None = None

    def with_defaults(self, rules: Rules, *, typed: Collection[str]) -> "CheckRequest":
        """The request with the project's defaults for what the user did not type.

        Args:
            rules: The project's.
            typed: Which of min_effect, false_alarms and budget_s were typed.
        """
        changes = {
            name: value
            for name in ("min_effect", "false_alarms")
            if name not in typed and (value := getattr(rules, name)) is not None
        }
        stated = "budget_s" in typed or rules.budget_s is None
        budget_s = self.budget_s if stated else rules.budget_s
        return replace(
            self,
            rule=replace(self.rule, **changes),
            budget_s=budget_s,
            typed_min_effect=self.rule.min_effect if "min_effect" in typed else None,
        )


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
