"""The report on the load generator's self-check."""

from groundspeed.load.selfchecking import Check, Selfcheck
from groundspeed.report.text import Style, plain
from groundspeed.units import format_percent, format_seconds

__all__ = ["selfcheck_report"]


def selfcheck_report(found: Selfcheck, *, style: Style = plain) -> str:
    """One line a check, and the answer; ends in a newline."""
    width = max(len(check.name) for check in found.checks)
    lines = [_line(check, width, style) for check in found.checks]
    said = (
        style("Load measured here can be believed", "good")
        if found.holds
        else style("Load measured here cannot be believed as it is", "bad")
        + ": quiet the machine, see `groundspeed doctor`, and check again with --fresh"
    )
    capacity = f"One generator process sends {found.requests_per_s:,.0f} requests a second here."
    return "\n".join([f"{said}.", "", *lines, "", capacity]) + "\n"


def _line(check: Check, width: int, style: Style) -> str:
    value, limit = (
        format_seconds(number) if check.unit == "s" else format_percent(number)
        for number in (check.value, check.limit)
    )
    mark = style("holds", "good") if check.holds else style("does not hold", "bad")
    return f"  {check.name:<{width}}  {value:>10}  at most {limit:>8}  {mark}"
