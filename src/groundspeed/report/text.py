"""The report a person reads in a terminal: verdict first, then what changed, how sure, what next.

Returns text; what is coloured is said by kind to the caller's `Style`, so that a pipe gets none.
"""

import shlex
from collections.abc import Callable, Sequence

from groundspeed.model import CheckRecord, Commit, Comparison, Failure, Outcome, Verdict
from groundspeed.units import format_duration, format_percent, format_ratio, format_seconds

__all__ = ["Style", "plain", "text_report"]

Style = Callable[[str, str], str]
"""Takes a text and what it is (`good`, `bad`, `doubt`, `quiet`, `strong`); returns it styled."""

_VERDICT_STYLE = {
    Verdict.PASS: "good",
    Verdict.WARN: "doubt",
    Verdict.BLOCK: "bad",
    Verdict.INCONCLUSIVE: "doubt",
}
_LISTED = (
    (Outcome.SLOWER, "bad"),
    (Outcome.FASTER, "good"),
    (Outcome.UNDECIDED, "doubt"),
)
_MAX_LISTED = 40
_SHA_SHOWN = 8


def plain(text: str, kind: str) -> str:  # noqa: ARG001 - the signature of Style
    """No style at all."""
    return text


def text_report(
    record: CheckRecord, *, style: Style = plain, kept_as: str | None = None, verbose: bool = False
) -> str:
    """The whole report, ending in a newline.

    Args:
        record: The check.
        style: How to colour; plain by default.
        kept_as: Where the record was kept, if it was.
        verbose: List unchanged rows and whole tracebacks too.
    """
    sections = [
        _headline(record, style),
        _changes(record, style, verbose=verbose),
        _failures(record, style, verbose=verbose),
        _warnings(record, style),
        _certainty(record),
        _next_steps(record),
        _circumstances(record, style, kept_as),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _headline(record: CheckRecord, style: Style) -> str:
    verdict = style(record.verdict.upper(), _VERDICT_STYLE[record.verdict])
    reasons = "; ".join(record.reasons) or "no rows were measured"
    return (
        f"{verdict}  {style(reasons, 'strong')}\n"
        f"{_commit(record.base)}  ->  {_commit(record.candidate)}"
    )


def _commit(commit: Commit) -> str:
    sha = commit.sha[:_SHA_SHOWN]
    if commit.dirty:
        return f"{commit.name} (on {sha}, with changes)"
    name = "" if commit.sha.startswith(commit.name) else f"{commit.name} "
    subject = f" {commit.subject}" if commit.subject else ""
    return f"{name}({sha}{subject})"


def _changes(record: CheckRecord, style: Style, *, verbose: bool) -> str:
    listed = [*_LISTED, (Outcome.SAME, "quiet")] if verbose else _LISTED
    kinds, cells, lines = [], [], []
    for outcome, kind in listed:
        rows = sorted(record.with_outcome(outcome), key=_effect, reverse=True)
        shown = rows if verbose else rows[:_MAX_LISTED]
        cells += [(str(outcome), *_measured(row)) for row in shown]
        kinds += [kind] * len(shown)
        if len(rows) > len(shown):
            lines.append(f"  ... and {len(rows) - len(shown)} more {outcome}; --verbose lists all")
    for kind, (outcome_cell, *rest) in zip(kinds, _aligned(cells), strict=True):
        lines.append(f"  {style(outcome_cell, kind)}  {'  '.join(rest)}".rstrip())
    return "\n".join(lines)


def _effect(comparison: Comparison) -> float:
    ratio = comparison.ratio or 1.0
    return max(ratio, 1 / ratio)


def _measured(comparison: Comparison) -> tuple[str, ...]:
    label, count = comparison.row.label, len(comparison.pairs)
    if comparison.ratio is None or comparison.ratio_low is None or comparison.ratio_high is None:
        return label, "?", "", f"{count} launch pairs are too few to say anything"
    base_s = _typical([pair.base_s for pair in comparison.pairs])
    interval = f"[{comparison.ratio_low:.3f} .. {comparison.ratio_high:.3f}]"
    times = f"{format_seconds(base_s)} -> {format_seconds(base_s * comparison.ratio)}"
    note = "" if comparison.metric == "clean" else f", {comparison.metric} time"
    return label, f"{format_ratio(comparison.ratio)} {interval}", times, f"{count} pairs{note}"


def _typical(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The cells padded so that columns line up; all rows have the same number of cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        tuple(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]


def _failures(record: CheckRecord, style: Style, *, verbose: bool) -> str:
    lines = []
    for outcome, kind in (
        (Outcome.BROKEN, "bad"),
        (Outcome.NO_BASELINE, "doubt"),
        (Outcome.SKIPPED, "quiet"),
    ):
        for row in record.with_outcome(outcome):
            lines.append(f"  {style(f'{outcome:<11}', kind)} {row.row.label}")
            lines += _explained(row.failures, verbose=verbose)
    if record.file_failures:
        lines.append(f"  {style('not imported', 'bad')}")
        lines += _explained(record.file_failures, verbose=verbose)
    return "\n".join(lines)


def _explained(failures: Sequence[Failure], *, verbose: bool) -> list[str]:
    lines = []
    for failure in failures:
        lines.append(f"      on {failure.side}, {failure.stage}: {failure.message}")
        if verbose and failure.traceback:
            lines += [f"        {line}" for line in failure.traceback.rstrip().splitlines()]
        elif failure.traceback and (place := _last_place(failure.traceback)):
            lines.append(f"        {place}")
    return lines


def _last_place(traceback: str) -> str:
    """The innermost `File "...", line N` of a traceback."""
    places = [line.strip() for line in traceback.splitlines() if line.strip().startswith("File ")]
    return places[-1] if places else ""


def _warnings(record: CheckRecord, style: Style) -> str:
    return "\n".join(f"{style('note', 'doubt')}: {warning}" for warning in record.warnings)


def _certainty(record: CheckRecord) -> str:
    settings = record.settings
    judged = [c for c in record.comparisons if c.detectable is not None]
    if not judged:
        return ""
    pairs = [len(c.pairs) for c in judged]
    spread = f"{min(pairs)}" if min(pairs) == max(pairs) else f"{min(pairs)} to {max(pairs)}"
    worst = max(judged, key=lambda c: c.detectable or 0.0)
    typical = _typical([c.detectable or 0.0 for c in judged])
    return (
        f"How sure: with unchanged code at most {format_percent(settings.false_alarms)} of checks "
        f"call anything slower. `same` means surely within {format_percent(settings.margin)}; "
        f"changes below {format_percent(settings.min_effect)} are not reported.\n"
        f"{spread} launch pairs a row; a slowdown of {format_percent(typical)} would have been "
        f"seen 19 times in 20 on half of the rows, of {format_percent(worst.detectable or 0.0)} "
        f"on the noisiest ({worst.row.label})."
    )


def _next_steps(record: CheckRecord) -> str:
    steps: list[str] = []
    slower = record.with_outcome(Outcome.SLOWER)
    undecided = record.with_outcome(Outcome.UNDECIDED)
    sides = " ".join(shlex.quote(n) for n in _sides(record))
    if slower:
        worst = max(slower, key=_effect)
        names = shlex.quote(worst.row.name)
        steps.append(f"groundspeed check {sides} -b {names}".replace("check  ", "check "))
        steps.append(f"git diff {record.base.sha[:_SHA_SHOWN]}{_diff_end(record)}")
    if undecided and not slower:
        names = " ".join(f"-b {shlex.quote(name)}" for name in _names(undecided))
        steps.append(f"groundspeed check {sides} {names}".replace("check  ", "check "))
    if record.with_outcome(Outcome.BROKEN) or record.file_failures:
        steps.append("mend what is broken; --verbose shows whole tracebacks")
    return "\n".join(f"Next: {step}" if i == 0 else f"      {step}" for i, step in enumerate(steps))


def _sides(record: CheckRecord) -> list[str]:
    names = [record.base.sha[:_SHA_SHOWN]]
    if record.candidate.name != "working tree":
        names.append(record.candidate.sha[:_SHA_SHOWN])
    return names


def _diff_end(record: CheckRecord) -> str:
    return "" if len(_sides(record)) == 1 else f" {record.candidate.sha[:_SHA_SHOWN]}"


def _names(rows: Sequence[Comparison]) -> list[str]:
    return list(dict.fromkeys(row.row.name for row in rows))[:3]


def _circumstances(record: CheckRecord, style: Style, kept_as: str | None) -> str:
    machine, settings = record.machine, record.settings
    cpu = f"CPU {', '.join(map(str, machine.measuring_cpus))} of " if machine.measuring_cpus else ""
    counts = {o: len(record.with_outcome(o)) for o in Outcome}
    rows = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    total = f"{format_duration(record.duration_s)} in all"
    measuring = f"{format_duration(record.measuring_s)} of it in launch pairs"
    where = f"{settings.environment} ({settings.environment_reason}); {machine.python}"
    lines = [
        f"{len(record.comparisons)} rows: {rows or 'none'}. {total}, {measuring}.",
        f"{where}; {cpu}{machine.cpus} CPUs; seed {settings.seed}.",
    ]
    if not machine.schedstat:
        lines.append("No run-queue delay to be read here: CPU time was judged; waits do not show.")
    if kept_as:
        lines.append(f"Record: {kept_as}")
    return style("\n".join(lines), "quiet")
