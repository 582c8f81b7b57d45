"""What a check has measured, kept for one that goes on after it, and what it takes over itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from groundspeed.measure.rows import Calibration, Measured
from groundspeed.model import Failure, PairSummary, Row, ValuePair
from groundspeed.store.journal import Journal, JournalHeader, Recorded, find_journal, prune

__all__ = ["Kept"]

_WEEK_S = 7 * 24 * 3600.0


@dataclass(kw_only=True)
class Kept:
    """The journal of a check and that of the interrupted one it continues.

    Attributes:
        journal: Written from now on; None keeps nothing.
        recorded: What is taken over; None for a check that begins.
        notes: What was said about journals that could not be used.
    """

    journal: Journal | None = None
    recorded: Recorded | None = None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def open(
        cls, folder: Path, key: str, header: JournalHeader, *, clock: Callable[[], float]
    ) -> "Kept":
        """Go on with the journal of this key in `folder`, or begin one.

        Args:
            folder: Where journals are; those of more than a week ago are removed.
            key: What two checks share only if they measure the same; see `store.digests`.
            header: Of a journal that begins.
            clock: Seconds since the epoch.
        """
        prune(folder, older_than_s=_WEEK_S, clock=clock)
        kept = cls()
        kept.recorded = find_journal(folder, key, say=kept.notes.append)
        if kept.recorded is not None:
            kept.journal = Journal.resume(kept.recorded)
        else:
            kept.journal = Journal.begin(folder, key, header)
        return kept

    @property
    def seed(self) -> int | None:
        """The seed of the check that is continued; None for one that begins."""
        return None if self.recorded is None else self.recorded.header.seed

    @property
    def told(self) -> tuple[str, ...]:
        """Sentences for the reader of the report."""
        notes = list(self.notes)
        if self.recorded is not None and self.recorded.calibrations:
            notes.append(
                f"went on with the check that was interrupted after {self.recorded.pairs} launch "
                f"pairs (it began at {self.recorded.header.started_at})"
            )
        if self.journal is not None and self.journal.trouble:
            notes.append(self.journal.trouble)
        return tuple(notes)

    def calibration(self, row: Row) -> Calibration | None:
        """What was decided of a row before; None if that is not known or cannot be read."""
        values = self.recorded.calibrations.get(row.label) if self.recorded else None
        if values is None:
            return None
        try:
            return msgspec.convert(values, Calibration)
        except msgspec.ValidationError:
            return None

    def measured(self, row: Row, calibration: Calibration) -> dict[int, Measured]:
        """What was measured of a row before, by the number of the launch pair."""
        if self.recorded is None:
            return {}
        found: dict[int, dict[str, PairSummary | ValuePair]] = {}
        for name in calibration.quantities:
            of_row = self.recorded.measured.get(replace(row, quantity=name).label, {})
            for number, pair in of_row.items():
                found.setdefault(number, {})[name] = pair
        whole = calibration.quantities.keys()
        return {number: pairs for number, pairs in found.items() if pairs.keys() == whole}

    def broken(self, row: Row) -> Sequence[Failure]:
        """Why a row broke while it was measured before; empty if it did not."""
        return self.recorded.broken.get(row.label, ()) if self.recorded else ()

    def keep_calibration(self, row: Row, calibration: Calibration) -> None:
        """Keep what was decided of a row."""
        if self.journal is not None:
            self.journal.add_calibration(row.label, msgspec.to_builtins(calibration))

    def keep(self, row: Row, number: int, measured: Measured) -> None:
        """Keep what a launch pair gave of a row."""
        if self.journal is not None:
            pairs = {replace(row, quantity=name).label: pair for name, pair in measured.items()}
            self.journal.add_pair(number, pairs)

    def keep_broken(self, row: Row, failures: Sequence[Failure]) -> None:
        """Keep why a row broke."""
        if self.journal is not None:
            self.journal.add_broken(row.label, failures)

    def end(self) -> None:
        """The check has its verdict: nothing is left to go on with."""
        if self.journal is not None:
            self.journal.end()

    def close(self) -> None:
        """The check was interrupted: what was measured stays for the next."""
        if self.journal is not None:
            self.journal.close()
