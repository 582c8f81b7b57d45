"""Records of self-tests: what the gate made of identical sources and of known slowdowns."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from groundspeed.model import LabelExchange, Machine, Metric, Outcome

__all__ = [
    "SELFTEST_SCHEMA",
    "FalseAlarms",
    "RowTried",
    "Seen",
    "SelftestCheck",
    "SelftestConclusion",
    "SelftestRecord",
    "SelftestRow",
    "SizeFound",
    "encode_selftest",
]

SELFTEST_SCHEMA = "groundspeed.selftest/1"


class SelftestConclusion(StrEnum):
    """Whether the gate keeps its promise on a machine; undecided where too few rows tell."""

    KEPT = "kept"
    UNDECIDED = "undecided"
    BLIND = "blind"
    ALARMING = "alarming"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTried:
    """One row of one check.

    Attributes:
        row: Its label.
        size: How much slower its candidate was made, as ratio - 1; 0 for unchanged.
        outcome: What the check called it.
        ratio: Candidate / base as measured; None where nothing was.
        pairs: Launch pairs it took.
        detectable: The smallest slowdown these pairs would show 19 times in 20.
        metric: What its samples are.
    """

    row: str
    size: float
    outcome: Outcome
    ratio: float | None
    pairs: int
    detectable: float | None
    metric: Metric | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestCheck:
    """One check that was run to its end.

    Attributes:
        duration_s: How long it took.
        rows: Every row, in suite order.
        exchange: How often it alarms when its labels are exchanged; None for a check with changes.
    """

    duration_s: float
    rows: tuple[RowTried, ...]
    exchange: LabelExchange | None

    @property
    def changed(self) -> bool:
        """Whether any row was made slower."""
        return any(row.size for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """What checks of identical sources said.

    Attributes:
        checks: How many there were.
        slower_checks: Of these, how many called any row slower.
        faster_checks: How many called any row faster.
        rows: Rows of all of them.
        slower_rows: Of these, how many were called slower.
        faster_rows: How many were called faster.
        allowed: Share of checks that may call anything slower, and that may call anything faster.
        chance: Of at least so many alarming checks, either way, if the rate is the allowed one.
        beside_rows: Unchanged rows of the checks in which others were made slower.
        beside_slower_rows: Of these, how many were called slower.
        exchanges: Exchanges of labels tried on the recorded launch pairs.
        exchanges_alarmed: Of these, how many called any row slower.
        exchanges_low: Lower end of the 95 % interval (Wilson) of that share.
        exchanges_high: Upper end.
    """

    checks: int
    slower_checks: int
    faster_checks: int
    rows: int
    slower_rows: int
    faster_rows: int
    allowed: float
    chance: float
    beside_rows: int
    beside_slower_rows: int
    exchanges: int
    exchanges_alarmed: int
    exchanges_low: float
    exchanges_high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeFound:
    """How many of the rows that were made slower by one amount were called slower.

    Attributes:
        size: The amount, as ratio - 1.
        rows: How many there were, at least 1.
        found: Of these, how many were called slower.
        low: Lower end of the 95 % interval (Wilson) of found / rows.
        high: Upper end.
    """

    size: float
    rows: int
    found: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The smallest slowdowns found 19 times in 20, as ratio - 1, after so many launch pairs.

    Attributes:
        pairs: How many.
        best: Of the quietest row.
        median: Of the row in the middle.
        worst: Of the noisiest row.
    """

    pairs: int
    best: float
    median: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestRow:
    """What can be seen of one kind of work.

    Attributes:
        row: Its label.
        metric: What its samples are.
        first: The smallest slowdown found 19 times in 20 at the first look that may call it so,
            as ratio - 1.
        last: The same at the last look.
    """

    row: str
    metric: Metric | None
    first: float
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestRecord:
    """A whole self-test, as programs read it.

    Attributes:
        schema: Name and version of this shape.
        tool_version: The groundspeed that wrote it.
        started_at: ISO 8601, UTC.
        duration_s: From the first launch pair to the verdict.
        conclusion: The one word.
        exit_code: What the process exits with.
        smallest_seen: The smallest size whose rows were found surely more often than not and maybe
            19 times in 20, none greater having been missed; None if there is none.
        false_alarms: What identical sources gave.
        sizes: What the known slowdowns gave, smallest first.
        first: What can be seen at the first look that may call a row slower.
        last: What can be seen at the last look.
        rows: The same, row by row.
        warnings: What a reader should know beside it.
        min_effect: The smallest change worth reporting that the checks were run with.
        looks: Launch pairs after which they judged.
        seed: Of every random choice.
        machine: Where.
        checks: Every check that was run to its end, in order.
    """

    schema: str
    tool_version: str
    started_at: str
    duration_s: float
    conclusion: SelftestConclusion
    exit_code: int
    smallest_seen: float | None
    false_alarms: FalseAlarms
    sizes: tuple[SizeFound, ...]
    first: Seen
    last: Seen
    rows: tuple[SelftestRow, ...]
    warnings: tuple[str, ...]
    min_effect: float
    looks: tuple[int, ...]
    seed: int
    machine: Machine
    checks: tuple[SelftestCheck, ...]


def encode_selftest(record: SelftestRecord) -> bytes:
    """The record as indented JSON (UTF-8, one trailing newline)."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
