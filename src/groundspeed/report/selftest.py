"""The report on a self-test: whether the promise held here, what was found, what can be seen."""

from collections.abc import Iterator

from groundspeed.report.text import Style, plain
from groundspeed.store.selftests import (
    FalseAlarms,
    Seen,
    SelftestConclusion,
    SelftestRecord,
    SizeFound,
)
from groundspeed.units import format_duration, format_percent

__all__ = ["selftest_report"]

_STYLES = {
    SelftestConclusion.KEPT: "good",
    SelftestConclusion.UNDECIDED: "doubt",
    SelftestConclusion.BLIND: "doubt",
    SelftestConclusion.ALARMING: "bad",
}


def selftest_report(record: SelftestRecord, *, style: Style = plain, verbose: bool = False) -> str:
    """The whole report, ending in a newline: the answer, alarms, what was found and can be seen.

    Args:
        record: The self-test.
        style: How to colour; plain by default.
        verbose: Say of every kind of work what can be seen of it.
    """
    sections = [
        _headline(record, style),
        "\n".join(_alarms(record.false_alarms)),
        "\n".join(_sizes(record)),
        "\n".join(_seen(record, verbose=verbose)),
        "\n".join(f"{style('note:', 'doubt')} {warning}" for warning in record.warnings),
        _advice(record),
        style(_circumstances(record), "quiet"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _headline(record: SelftestRecord, style: Style) -> str:
    alarms = record.false_alarms
    alarmed = alarms.slower_checks + alarms.faster_checks
    said = (
        f"On this machine a check {_sight(record)}; "
        f"{alarmed} of {alarms.checks} unchanged checks alarmed"
    )
    return f"{style(said, _STYLES[record.conclusion])}.\n{_meaning(record)}"


def _sight(record: SelftestRecord) -> str:
    if record.smallest_seen is not None:
        return f"sees {format_percent(record.smallest_seen)}"
    if record.conclusion is SelftestConclusion.BLIND:
        return "misses 3 % and more too often"
    return "may see what it should, but too few rows were tried to say"


def _meaning(record: SelftestRecord) -> str:
    match record.conclusion:
        case SelftestConclusion.KEPT:
            return "The gate keeps its promise here."
        case SelftestConclusion.UNDECIDED:
            return "Whether the gate keeps its promise here is not decided."
        case SelftestConclusion.BLIND:
            return "The gate does not find slowdowns of 3 % and more 19 times in 20 here."
        case SelftestConclusion.ALARMING:
            return (
                "The gate raises more false alarms here than it promises: so many in so few checks "
                f"have a chance of {format_percent(record.false_alarms.chance)}."
            )


def _alarms(alarms: FalseAlarms) -> Iterator[str]:
    allowed = format_percent(alarms.allowed)
    yield "False alarms"
    yield (
        f"  unchanged checks   slower in {alarms.slower_checks} of {alarms.checks}, faster in "
        f"{alarms.faster_checks}; {allowed} of each are allowed"
    )
    yield (
        f"  their rows         slower {alarms.slower_rows} of {alarms.rows}, "
        f"faster {alarms.faster_rows}"
    )
    if alarms.exchanges:
        share = alarms.exchanges_alarmed / alarms.exchanges
        yield (
            f"  labels exchanged   {alarms.exchanges_alarmed} of {alarms.exchanges}: "
            f"{format_percent(share)} {_interval(alarms.exchanges_low, alarms.exchanges_high)}"
        )
    yield (
        f"  beside changes     slower {alarms.beside_slower_rows} of {alarms.beside_rows} "
        "unchanged rows"
    )


def _sizes(record: SelftestRecord) -> Iterator[str]:
    yield "Known slowdowns found"
    for size in record.sizes:
        share = format_percent(size.found / size.rows)
        yield (
            f"  +{format_percent(size.size)}{f'{size.found} of {size.rows} rows':>16}{share:>8} "
            f"{_interval(size.low, size.high)}{_remark(size, record.min_effect)}"
        )


def _remark(size: SizeFound, min_effect: float) -> str:
    if size.size > min_effect:
        return ""
    return "  the minimum effect: half at best"


def _interval(low: float, high: float) -> str:
    return f"[{format_percent(low)} .. {format_percent(high)}]"


def _seen(record: SelftestRecord, *, verbose: bool) -> Iterator[str]:
    yield "The smallest slowdown that shows 19 times in 20, in a row that is measured so long"
    noisiest = max(record.rows, key=lambda row: row.last).row
    for seen in (record.first, record.last):
        yield f"  after {seen.pairs:2} launch pairs   {_of_rows(seen)} ({noisiest})"
    if verbose:
        width = max(len(row.row) for row in record.rows)
        for row in record.rows:
            metric = f"  {row.metric} time" if row.metric not in {"clean", None} else ""
            yield (
                f"    {row.row.ljust(width)}  {format_percent(row.first):>6}  "
                f"{format_percent(row.last):>6}{metric}"
            )


def _of_rows(seen: Seen) -> str:
    return (
        f"best row {format_percent(seen.best)}, median {format_percent(seen.median)}, "
        f"worst {format_percent(seen.worst)}"
    )


def _advice(record: SelftestRecord) -> str:
    match record.conclusion:
        case SelftestConclusion.KEPT:
            return ""
        case SelftestConclusion.UNDECIDED:
            return "Next: run it longer, for example groundspeed selftest --seconds 300."
        case _:
            return (
                "Next: groundspeed doctor names what disturbs this machine; mend that,\n"
                "then run groundspeed selftest --seconds 600."
            )


def _circumstances(record: SelftestRecord) -> str:
    machine = record.machine
    changed = sum(check.changed for check in record.checks)
    return (
        f"{len(record.checks)} checks of {len(record.rows)} rows in "
        f"{format_duration(record.duration_s)}, {changed} of them with known slowdowns. Seed "
        f"{record.seed}.\n{machine.cpu}; {machine.system}; {machine.python}; machine "
        f"{machine.fingerprint}."
    )
