"""What counts of instructions say of a row: pure functions of the counts.

The certainty is that of `stats.exact`: no p-values and no correction.
"""

from collections.abc import Sequence
from dataclasses import replace

from groundspeed.measure.instructions import Counts
from groundspeed.measure.rows import Calibration
from groundspeed.model import Comparison, Outcome, Row, ValuePair
from groundspeed.stats import Conclusion, ExactPair, spread_of_repeats

__all__ = [
    "CHANGED",
    "COUNTS_MIN_EFFECT",
    "compare_counts",
    "confirm",
    "percent_apart",
    "spread_of",
]

COUNTS_MIN_EFFECT = 0.002
"""The least effect of counts unless the user states one: above what counts of one version differ by
where one thread works (docs/how-to/count-instructions.md)."""

CHANGED = frozenset({Outcome.SLOWER, Outcome.FASTER})
"""What is only said if other layouts say it, too."""

_OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
_THREADS = (
    "it works in several threads: their instructions are counted, what they wait for each other is "
    "not, and valgrind lets only one run at a time"
)


def compare_counts(
    row: Row, counts: Counts, calibration: Calibration, *, min_effect: float
) -> Comparison:
    """What the counts say of a row.

    Args:
        row: Which.
        counts: Those of base, at least two, and at least one of the candidate.
        calibration: How it was sampled.
        min_effect: Its least effect, as ratio - 1.
    """
    spread = spread_of(counts)
    pair = ExactPair(base=counts.base[0], candidate=counts.candidate[0], spread=spread)
    conclusion = pair.conclude(min_effect=min_effect)
    low, high = pair.ratio_range
    notes = [_THREADS] if calibration.threads is not None else []
    if conclusion is Conclusion.OPEN:
        notes.append(
            f"counts of one side are {percent_apart(spread)} apart, which is a third of the "
            "minimum effect or more: it does not do the same in every run; compare its time"
        )
    return Comparison(
        row=row,
        outcome=_OUTCOMES[conclusion],
        metric="instructions",
        unit="instructions",
        loops=calibration.loops,
        ratio=pair.ratio,
        ratio_low=low,
        ratio_high=high,
        values=(ValuePair(pair=0, base=pair.base, candidate=pair.candidate),),
        notes=tuple(notes),
    )


def confirm(found: Comparison, elsewhere: Sequence[Counts], *, min_effect: float) -> Comparison:
    """A row that looks changed, if it does so wherever things lie in memory; else undecided.

    Tables that are searched by addresses, such as Python's cache of methods and sets of objects,
    take more or less by where things lie, and so by whatever was imported before.

    Args:
        found: What the first counts say: slower or faster.
        elsewhere: Counts of other layouts of memory, at least one of each side in each.
        min_effect: Its least effect, as ratio - 1.
    """
    pairs = [ExactPair(base=c.base[0], candidate=c.candidate[0], spread=0.0) for c in elsewhere]
    ratios = [pair.ratio for pair in pairs]
    least, most = min(ratios), max(ratios)
    if all(_OUTCOMES[pair.conclude(min_effect=min_effect)] is found.outcome for pair in pairs):
        low, high = found.ratio_low, found.ratio_high
        return replace(
            found,
            ratio_low=least if low is None else min(low, least),
            ratio_high=most if high is None else max(high, most),
        )
    note = (
        f"elsewhere in memory its counts are {least:.4f} to {most:.4f} times base's: what it "
        "executes depends on where things lie; compare its time"
    )
    return replace(found, outcome=Outcome.UNDECIDED, notes=(*found.notes, note))


def spread_of(counts: Counts) -> float:
    """How far apart the counts of one side are, of the side where that is more, as ratio - 1."""
    sides = (counts.base, counts.candidate)
    return max(spread_of_repeats(side) for side in sides if len(side) > 1)


def percent_apart(spread: float) -> str:
    """A spread as a reader sees it."""
    return f"{100.0 * spread:.2g} %"
