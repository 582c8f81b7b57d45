"""From the rows to one word and one exit code: pure.

A slowdown that was shown outranks everything, for it is the one thing known for certain; then what
is broken, then what has nothing to be compared with, then what could not be decided. A row that a
rule ignores takes no part, however it ended; a slowdown that was accepted warns.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
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


_TOLD = (
    Outcome.SLOWER,
    Outcome.BROKEN,
    Outcome.UNDECIDED,
    Outcome.NO_BASELINE,
    Outcome.SKIPPED,
)


def _change(rows: Iterable[Comparison], of_time: str, of_value: str) -> str:
    """The word for a change of these rows: of times, of values, or of both."""
    kinds = {row.timed for row in rows}
    if kinds == {False}:
        return of_value
    return f"{of_time} or {of_value}" if len(kinds) > 1 else of_time


def _reasons(comparisons: Sequence[Comparison], files: int) -> tuple[str, ...]:
    """What counts first, then what is excused, then how many rows are well."""
    total = len(comparisons)
    sorted_out: dict[tuple[Outcome, str], list[Comparison]] = {}
    for comparison in comparisons:
        sorted_out.setdefault((comparison.outcome, _excuse(comparison)), []).append(comparison)

    def told(excuse: str) -> list[str]:
        return [
            _counted(sorted_out[outcome, excuse], total, outcome)
            for outcome in _TOLD
            if (outcome, excuse) in sorted_out
        ]

    reasons = told("")
    if files:
        reasons.append(
            f"{files} benchmark {'files' if files > 1 else 'file'} could not be imported"
        )
    reasons += [
        f"{said} but {excuse}" for excuse in ("accepted", "ignored") for said in told(excuse)
    ]
    steady = [c for c in comparisons if c.outcome in (Outcome.SAME, Outcome.FASTER)]
    if (Outcome.SLOWER, "") not in sorted_out and steady:
        reasons.append(_steady(steady, total))
    return tuple(reasons)


def _excuse(comparison: Comparison) -> str:
    if comparison.ignored is not None:
        return "ignored"
    return "" if comparison.accepted is None else "accepted"


def _counted(rows: Sequence[Comparison], total: int, outcome: Outcome) -> str:
    if outcome is Outcome.NO_BASELINE:
        return f"{len(rows)} of {total} {'has' if len(rows) == 1 else 'have'} no baseline"
    slower = outcome is Outcome.SLOWER
    word = _change(rows, "slower", "worse") if slower else str(outcome)
    return f"{len(rows)} of {total} {_are(len(rows))} {word}"


def _steady(steady: Sequence[Comparison], total: int) -> str:
    worse = _change(steady, "slower", "worse")
    said = (
        f"none of {total} is {worse}"
        if len(steady) == total
        else f"{len(steady)} of {total} {_are(len(steady))} not {worse}"
    )
    faster = [c for c in steady if c.outcome is Outcome.FASTER]
    if not faster:
        return said
    return f"{said}, {len(faster)} {_are(len(faster))} {_change(faster, 'faster', 'better')}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
