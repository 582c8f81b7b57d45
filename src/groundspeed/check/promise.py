"""Whether the gate kept its promise in the checks of a self-test: pure arithmetic."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from groundspeed.model import Outcome
from groundspeed.stats.proportions import binomial_tail, wilson_interval
from groundspeed.store.selftests import (
    FalseAlarms,
    RowTried,
    Seen,
    SelftestCheck,
    SelftestConclusion,
    SelftestRow,
    SizeFound,
)

__all__ = [
    "REQUIRED_SIZE",
    "conclude",
    "count_false_alarms",
    "exit_code",
    "is_seen",
    "rows_seen",
    "scaled",
    "seen_overall",
    "sizes_found",
    "smallest_seen",
]

REQUIRED_SIZE = 0.03
"""A machine on which this is not found cannot hold what the gate promises."""

_PROMISED_POWER = 0.95
_SURELY = 0.5
_BEYOND_CHANCE = 0.01
_EXIT_CODES = {
    SelftestConclusion.KEPT: 0,
    SelftestConclusion.ALARMING: 1,
    SelftestConclusion.BLIND: 3,
    SelftestConclusion.UNDECIDED: 3,
}


def count_false_alarms(checks: Sequence[SelftestCheck], allowed: float) -> FalseAlarms:
    """Count what was called slower or faster although nothing was changed.

    A check of identical sources can go wrong in two ways, each with a chance of `allowed` at most,
    so there are two trials a check.

    Args:
        checks: All checks, at least one of them without a change.
        allowed: Share of checks that may call anything slower.
    """
    unchanged = [check for check in checks if not check.changed]
    rows = [row for check in unchanged for row in check.rows]
    beside = [row for c in checks if c.changed for row in c.rows if not row.size]
    slower, faster = (_checks_with(unchanged, o) for o in (Outcome.SLOWER, Outcome.FASTER))
    exchanges = sum(c.exchange.exchanges for c in unchanged if c.exchange)
    alarmed = sum(c.exchange.alarmed for c in unchanged if c.exchange)
    low, high = wilson_interval(alarmed, exchanges) if exchanges else (0.0, 1.0)
    return FalseAlarms(
        checks=len(unchanged),
        slower_checks=slower,
        faster_checks=faster,
        rows=len(rows),
        slower_rows=_ended(rows, Outcome.SLOWER),
        faster_rows=_ended(rows, Outcome.FASTER),
        allowed=allowed,
        chance=binomial_tail(slower + faster, 2 * len(unchanged), allowed),
        beside_rows=len(beside),
        beside_slower_rows=_ended(beside, Outcome.SLOWER),
        exchanges=exchanges,
        exchanges_alarmed=alarmed,
        exchanges_low=low,
        exchanges_high=high,
    )


def _checks_with(checks: Iterable[SelftestCheck], outcome: Outcome) -> int:
    return sum(_ended(check.rows, outcome) > 0 for check in checks)


def _ended(rows: Iterable[RowTried], outcome: Outcome) -> int:
    return sum(row.outcome is outcome for row in rows)


def sizes_found(checks: Iterable[SelftestCheck]) -> tuple[SizeFound, ...]:
    """How many rows of each size were called slower, smallest size first."""
    tried = [row for check in checks for row in check.rows if row.size]
    return tuple(
        _size_found(size, [row for row in tried if row.size == size])
        for size in sorted({row.size for row in tried})
    )


def _size_found(size: float, rows: Sequence[RowTried]) -> SizeFound:
    found = _ended(rows, Outcome.SLOWER)
    low, high = wilson_interval(found, len(rows))
    return SizeFound(size=size, rows=len(rows), found=found, low=low, high=high)


def is_seen(low: float, high: float) -> bool:
    """Whether rows of this share are found: surely more often than not, and maybe as promised."""
    return low >= _SURELY and high >= _PROMISED_POWER


def smallest_seen(sizes: Iterable[SizeFound]) -> float | None:
    """The smallest size that is seen while no greater one is missed; None if none is."""
    smallest = None
    for size in sorted(sizes, key=lambda size: size.size, reverse=True):
        if size.high < _PROMISED_POWER:
            break
        if is_seen(size.low, size.high):
            smallest = size.size
    return smallest


def scaled(detectable: float, *, pairs: int, to_pairs: int) -> float:
    """What would be detectable after another number of launch pairs.

    The standard error of a mean shrinks with the root of their number, and what is detectable is,
    for the few percent that matter, a multiple of it. Trimming, and degrees of freedom that grow
    with the pairs, are left out: from few pairs to many the result is a little too large.

    Args:
        detectable: The smallest slowdown seen 19 times in 20, as ratio - 1.
        pairs: After how many launch pairs, at least 1.
        to_pairs: After how many it is wanted, at least 1.
    """
    return float(detectable * (pairs / to_pairs) ** 0.5)


def rows_seen(
    checks: Iterable[SelftestCheck], pairs_min: int, pairs_max: int
) -> tuple[SelftestRow, ...]:
    """What can be seen of each kind of work, in suite order: the median over unchanged checks.

    Args:
        checks: All of the self-test.
        pairs_min: Launch pairs at the first look that may call a row slower.
        pairs_max: Launch pairs at the last.
    """
    tried: dict[str, list[RowTried]] = {}
    for check in checks:
        for row in check.rows if not check.changed else ():
            if row.detectable is not None:
                tried.setdefault(row.row, []).append(row)
    return tuple(
        SelftestRow(
            row=label,
            metric=rows[0].metric,
            first=_median_at(rows, pairs_min),
            last=_median_at(rows, pairs_max),
        )
        for label, rows in tried.items()
    )


def _median_at(rows: Iterable[RowTried], pairs: int) -> float:
    return statistics.median(
        scaled(row.detectable, pairs=row.pairs, to_pairs=pairs)
        for row in rows
        if row.detectable is not None
    )


def seen_overall(effects: Mapping[str, float], pairs: int) -> Seen:
    """The best, the middle and the worst row after so many launch pairs.

    Args:
        effects: The smallest slowdown seen of each row, by label; at least one.
        pairs: After how many.
    """
    values = effects.values()
    return Seen(pairs=pairs, best=min(values), median=statistics.median(values), worst=max(values))


def conclude(alarms: FalseAlarms, sizes: Iterable[SizeFound]) -> SelftestConclusion:
    """Alarms beyond chance are the worst; then what is missed of slowdowns of 3 % and more."""
    if alarms.chance < _BEYOND_CHANCE:
        return SelftestConclusion.ALARMING
    required = [size for size in sizes if size.size >= REQUIRED_SIZE]
    rows = sum(size.rows for size in required)
    low, high = wilson_interval(sum(s.found for s in required), rows) if rows else (0.0, 1.0)
    if high < _PROMISED_POWER:
        return SelftestConclusion.BLIND
    return SelftestConclusion.KEPT if is_seen(low, high) else SelftestConclusion.UNDECIDED


def exit_code(conclusion: SelftestConclusion) -> int:
    """What the command ends with."""
    return _EXIT_CODES[conclusion]
