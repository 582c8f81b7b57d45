"""What a comparison with stored runs says: the failure of a test, and the summary of a run."""

import re
from collections.abc import Iterator, Sequence

from groundspeed.plugins.compare_rows import TIME, Found, Standing
from groundspeed.plugins.stored_runs import Baseline
from groundspeed.stats.stored_runs import RunComparison
from groundspeed.units import format_percent, format_value

__all__ = ["failure", "header", "summary"]

_HEADINGS = ("verdict", "ratio", "interval", "allowed", "base", "now", "test")
_SHOWN_MOST = 10
_UNSTEADY = 0.10
_RUNS_ENOUGH = 3


def header(baseline: Baseline) -> str:
    """One line for the start of a run."""
    other = f"; another machine, nothing fails: {baseline.other_machine}"
    return f"groundspeed: comparing with {baseline.title}{other if baseline.other_machine else ''}"


def failure(slower: Sequence[Found], baseline: Baseline) -> str:
    """Why a test fails, and the next command."""
    told = "; ".join(_told(one.comparison, one) for one in slower if one.comparison is not None)
    nodeid = slower[0].row.nodeid
    command = _check(baseline, nodeid)
    return f"slower than {baseline.title}: {told}\nmeasure both side by side: {command}"


def _told(comparison: RunComparison, one: Found) -> str:
    kind = "base median" if one.row.metric == TIME else "base"
    return (
        f"{one.row.metric} {_ratio(comparison.ratio)} {_interval(comparison)}, "
        f"allowed {_ratio(comparison.allowed)}; {kind} "
        f"{format_value(comparison.base, one.row.unit)}, "
        f"now {format_value(comparison.now, one.row.unit)}"
    )


def summary(
    found: Sequence[Found],
    baseline: Baseline,
    *,
    without: Sequence[str],
    missed: Sequence[str],
    deviation: float,
) -> Iterator[str]:
    """The table of a run, worst first, and what is to say beside it.

    Args:
        found: What was compared.
        baseline: With what.
        without: Benchmarks that no stored run holds.
        missed: Tests that a stored run holds and this one did not time.
        deviation: How unsteady the machine was, as a share.
    """
    yield from _table(sorted(found, key=_order))
    yield _count(found)
    if baseline.other_machine:
        yield f"nothing was judged: stored on another machine: {baseline.other_machine}"
    if deviation > _UNSTEADY:
        yield (
            f"the machine is not steady: the same work differed by {format_percent(deviation)} "
            "from one moment to the next, and every interval allows for it"
        )
    if any(one.standing is Standing.UNDECIDED for one in found):
        yield from _undecided(baseline)
    yield from _names("no baseline", without)
    yield from _names("not compared, for they failed, were skipped or timed nothing", missed)


def _order(one: Found) -> tuple[int, float, str]:
    ratio = one.comparison.ratio if one.comparison is not None else 0.0
    return list(Standing).index(one.standing), -ratio, one.row.name


def _table(found: Sequence[Found]) -> Iterator[str]:
    if not found:
        return
    lines = [_HEADINGS, *(_cells(one) for one in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _cells(one: Found) -> tuple[str, ...]:
    why = f"{one.row.name}  ({one.reason})" if one.reason else one.row.name
    numbers = one.comparison
    if numbers is None:
        return (one.standing, "-", "-", "-", "-", "-", why)
    return (
        one.standing,
        _ratio(numbers.ratio),
        _interval(numbers),
        _ratio(numbers.allowed),
        format_value(numbers.base, one.row.unit),
        format_value(numbers.now, one.row.unit),
        why,
    )


def _count(found: Sequence[Found]) -> str:
    if not found:
        return "nothing was compared: no test that a stored run holds was timed in this run"
    numbers = {standing: sum(one.standing is standing for one in found) for standing in Standing}
    told = ", ".join(f"{number} {standing}" for standing, number in numbers.items() if number)
    visible = sorted(one.comparison.visible for one in found if one.comparison is not None)
    middle = (
        f"; half of them would show a slowdown of {_ratio(visible[len(visible) // 2])}"
        if visible
        else ""
    )
    return f"{len(found)} compared: {told}{middle}"


def _undecided(baseline: Baseline) -> Iterator[str]:
    yield "undecided: the difference is no more than runs of the same code may show"
    if len(baseline.runs) < _RUNS_ENOUGH:
        yield (
            f"  store more runs of the base, at other times; {_RUNS_ENOUGH} or more show what runs "
            "differ anyway: pytest --benchmark-autosave"
        )
    yield f"  or measure both side by side, which sees much less: {_check(baseline)}"


def _check(baseline: Baseline, nodeid: str = "") -> str:
    commit = baseline.commit
    base = f" {commit.id[:7]}" if commit.is_known and not commit.dirty else ""
    one = f" -b '{re.escape(nodeid)}'" if nodeid else ""
    return f"groundspeed check{base} --suite pytest{one}"


def _names(title: str, nodeids: Sequence[str]) -> Iterator[str]:
    if not nodeids:
        return
    yield f"{title}: {len(nodeids)}"
    yield from (f"  {nodeid}" for nodeid in nodeids[:_SHOWN_MOST])
    if len(nodeids) > _SHOWN_MOST:
        yield f"  and {len(nodeids) - _SHOWN_MOST} more"


def _ratio(ratio: float) -> str:
    return f"{ratio:.2f}x"


def _interval(comparison: RunComparison) -> str:
    return f"[{_ratio(comparison.low)}..{_ratio(comparison.high)}]"
