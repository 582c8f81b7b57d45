"""The use case of `groundspeed accept`: which slower rows of a check become accepted ones."""

import difflib
import math
import re
from collections.abc import Sequence
from datetime import date

from groundspeed.errors import UsageError
from groundspeed.model import Acceptance, CheckRecord, Comparison, Outcome

__all__ = ["acceptances"]

_NAMES_SHOWN = 8
# A ratio is written with so many digits, rounded up so that the check itself is covered.
_PER_UNIT = 10_000


def acceptances(
    record: CheckRecord, name: str, *, matching: bool, reason: str, today: date
) -> tuple[Acceptance, ...]:
    """An acceptance of each row that the check called slower and that is meant.

    Args:
        record: The check.
        name: The label of one row, or a regular expression.
        matching: Whether it is a regular expression, to match somewhere in the label.
        reason: Why; one line of text.
        today: When.

    Raises:
        UsageError: If there is no reason, no expression, or no such row is slower.
    """
    words = " ".join(reason.split())
    if not words:
        raise UsageError(
            "--reason is empty; say why the slowdown is worth its price, "
            'for example --reason "every answer is verified now"'
        )
    slower = record.with_outcome(Outcome.SLOWER)
    chosen = [c for c in slower if _meant(c.row.label, name, matching=matching)]
    if not chosen:
        raise UsageError(_none_slower(record, slower, name))
    return tuple(_acceptance(record, comparison, words, today) for comparison in chosen)


def _meant(label: str, name: str, *, matching: bool) -> bool:
    if not matching:
        return label == name
    try:
        return re.search(name, label) is not None
    except re.error as error:
        raise UsageError(f"{name!r} is not a regular expression: {error}; mend it") from error


def _acceptance(
    record: CheckRecord, comparison: Comparison, reason: str, today: date
) -> Acceptance:
    if comparison.ratio_high is None:
        raise UsageError(f"{comparison.row.label} has no ratio in this record; check again")
    candidate = record.candidate
    return Acceptance(
        label=comparison.row.label,
        ratio_high=math.ceil(comparison.ratio_high * _PER_UNIT) / _PER_UNIT,
        base=record.base.sha,
        candidate=None if candidate.dirty else candidate.sha,
        date=today.isoformat(),
        reason=reason,
    )


def _none_slower(record: CheckRecord, slower: Sequence[Comparison], name: str) -> str:
    seen = {c.row.label: c.outcome for c in record.comparisons}
    if name in seen:
        found = f"{name} is {seen[name]} in this check, not slower"
    else:
        found = f"{name!r} names no row that is slower in this check"
    labels = [c.row.label for c in slower]
    if not labels:
        return f"{found}, and no other row is; there is nothing to accept: groundspeed check"
    near = difflib.get_close_matches(name, labels, n=3)
    if near:
        return f"{found}; did you mean {' or '.join(near)}?"
    more = f" and {len(labels) - _NAMES_SHOWN} more" if len(labels) > _NAMES_SHOWN else ""
    return f"{found}; slower are {', '.join(labels[:_NAMES_SHOWN])}{more}"
