"""From the rows to one word and one exit code: pure.

A slowdown that was shown outranks everything, for it is the one thing known for certain; then what
is broken, then what has nothing to be compared with, then what could not be decided. A row that a
rule ignores takes no part, however it ended; a slowdown that was accepted warns.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from groundspeed.model import Comparison, Failure, Outcome, Verdict

__all__ = ["Decision", "decide"]

EXIT_PASS, EXIT_SLOWER, EXIT_UNDECIDED, EXIT_NO_BASELINE, EXIT_BROKEN = 0, 1, 3, 4, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict with its exit code and reasons, most important first."""

    verdict: Verdict
    exit_code: int
    reasons: tuple[str, ...]


def decide(comparisons: Sequence[Comparison], file_failures: Sequence[Failure]) -> Decision:
    """The verdict of a whole check.

    Args:
        comparisons: Every row.
        file_failures: Benchmark files that could not be imported. Failures on base alone do not
            count: their rows have no baseline, which the comparisons say.

    Returns:
        pass (0), warn (0), block (1 slower, 5 broken) or inconclusive (3 undecided, 4 no baseline).
    """
    judged = [c for c in comparisons if c.ignored is None]
    accepted = sum(c.accepted is not None for c in judged)
    counts = Counter(c.outcome for c in judged if c.accepted is None)
    files = len({f.stage for f in file_failures if f.side == "candidate"})
    compared = len(judged) - counts[Outcome.NO_BASELINE] - counts[Outcome.SKIPPED]
    all_ignored = bool(comparisons) and not judged
    if counts[Outcome.SLOWER]:
        verdict, exit_code = Verdict.BLOCK, EXIT_SLOWER
    elif counts[Outcome.BROKEN] or files:
        verdict, exit_code = Verdict.BLOCK, EXIT_BROKEN
    elif not compared and not all_ignored:
        verdict, exit_code = Verdict.INCONCLUSIVE, EXIT_NO_BASELINE
    elif counts[Outcome.UNDECIDED]:
        verdict, exit_code = Verdict.INCONCLUSIVE, EXIT_UNDECIDED
    elif counts[Outcome.NO_BASELINE] or accepted or all_ignored:
        verdict, exit_code = Verdict.WARN, EXIT_PASS
    else:
        verdict, exit_code = Verdict.PASS, EXIT_PASS
    return Decision(verdict=verdict, exit_code=exit_code, reasons=_reasons(comparisons, files))


_WORDS = {
    Outcome.SLOWER: ("is slower", "are slower"),
    Outcome.BROKEN: ("is broken", "are broken"),
    Outcome.UNDECIDED: ("is undecided", "are undecided"),
    Outcome.NO_BASELINE: ("has no baseline", "have no baseline"),
    Outcome.SKIPPED: ("is skipped", "are skipped"),
}


def _reasons(comparisons: Sequence[Comparison], files: int) -> tuple[str, ...]:
    """What counts first, then what is excused, then how many rows are well."""
    total = len(comparisons)
    counted = Counter((c.outcome, _excuse(c)) for c in comparisons)
    reasons = [
        _counted(counted[outcome, ""], total, outcome) for outcome in _WORDS if counted[outcome, ""]
    ]
    if files:
        reasons.append(
            f"{files} benchmark {'files' if files > 1 else 'file'} could not be imported"
        )
    reasons += [
        f"{_counted(counted[outcome, excuse], total, outcome)} but {excuse}"
        for excuse in ("accepted", "ignored")
        for outcome in _WORDS
        if counted[outcome, excuse]
    ]
    same, faster = (
        sum(c.outcome is outcome for c in comparisons) for outcome in (Outcome.SAME, Outcome.FASTER)
    )
    if not counted[Outcome.SLOWER, ""] and same + faster:
        reasons.append(_steady(same, faster, total))
    return tuple(reasons)


def _excuse(comparison: Comparison) -> str:
    if comparison.ignored is not None:
        return "ignored"
    return "" if comparison.accepted is None else "accepted"


def _counted(count: int, total: int, outcome: Outcome) -> str:
    singular, plural = _WORDS[outcome]
    return f"{count} of {total} {singular if count == 1 else plural}"


def _steady(same: int, faster: int, total: int) -> str:
    steady = same + faster
    said = (
        f"none of {total} is slower"
        if steady == total
        else f"{steady} of {total} {'is' if steady == 1 else 'are'} not slower"
    )
    if not faster:
        return said
    return f"{said}, {faster} {'is' if faster == 1 else 'are'} faster"
