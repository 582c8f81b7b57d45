"""The report a person reads in a terminal: verdict first, then what changed, how sure, what next.

Returns text; what is coloured is said by kind to the caller's `Style`, so that a pipe gets none.
"""

import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

from groundspeed.model import (
    AcceptanceState,
    CheckRecord,
    Commit,
    Comparison,
    Failure,
    LabelExchange,
    Outcome,
    Verdict,
)
from groundspeed.report.rows import excuse, measured, outcome_word, typical
from groundspeed.units import format_duration, format_percent, format_ratio

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
_ACCEPTED_STYLE = {
    AcceptanceState.IN_FORCE: "doubt",
    AcceptanceState.SPENT: "quiet",
    AcceptanceState.ELSEWHERE: "quiet",
}
_MAX_LISTED = 40
_MAX_NAMED = 8
_WRAP = textwrap.TextWrapper(92, break_long_words=False, break_on_hyphens=False)
_WIDEST = 0.5
_SHA_SHOWN = 8
# In a regular expression they stand for something else than themselves.
_SPECIAL = re.compile(r"[\\^$*+?()|{}\[\]]")


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
        _accepted(record, style),
        _warnings(record, style),
        _certainty(record),
        _next_steps(record, verbose=verbose),
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
    rows: list[tuple[Comparison, str]] = []
    unlisted = []
    for outcome, kind in _LISTED:
        found = sorted(record.with_outcome(outcome), key=_effect, reverse=True)
        shown = found if verbose else found[:_MAX_LISTED]
        rows += [(row, "doubt" if excuse(row) else kind) for row in shown]
        if len(found) > len(shown):
            hidden = len(found) - len(shown)
            unlisted.append(f"  and {hidden} more {outcome}; --verbose lists all")
    same = sorted(record.with_outcome(Outcome.SAME), key=_effect, reverse=True)
    noted = [row for row in same if row.notes]
    rows += [(row, "quiet") for row in (same if verbose else noted[:_MAX_NAMED])]
    if len(noted) > _MAX_NAMED and not verbose:
        hidden = len(noted) - _MAX_NAMED
        unlisted.append(f"  and {hidden} more same with a note; --verbose lists all")
    cells = _aligned([(outcome_word(row), *measured(row), excuse(row)) for row, _ in rows])
    lines = []
    for (row, kind), (outcome_cell, *rest) in zip(rows, cells, strict=True):
        lines.append(f"  {style(outcome_cell, kind)}  {'  '.join(rest).rstrip()}")
        lines += [f"      {line}" for note in row.notes for line in _WRAP.wrap(note)]
    return "\n".join([*lines, *unlisted])


def _effect(comparison: Comparison) -> float:
    ratio = comparison.ratio or 1.0
    return max(ratio, 1 / ratio)


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The cells padded so that columns line up; all rows have the same number of cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        tuple(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    ]


def _failures(record: CheckRecord, style: Style, *, verbose: bool) -> str:
    lines = []
    listed = [(Outcome.BROKEN, "bad"), (Outcome.NO_BASELINE, "doubt")]
    for outcome, kind in [*listed, (Outcome.SKIPPED, "quiet")] if verbose else listed:
        for row in record.with_outcome(outcome):
            ignored = f"  {excuse(row)}" if row.ignored else ""
            lines.append(f"  {style(f'{outcome:<11}', kind)}  {row.row.label}{ignored}")
            lines += _explained(row.failures, verbose=verbose)
    if record.file_failures:
        lines.append(f"  {style('not imported', 'bad')}")
        lines += _explained(record.file_failures, verbose=verbose)
    return "\n".join(lines)


def _explained(failures: Sequence[Failure], *, verbose: bool) -> list[str]:
    sides: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        sides.setdefault((failure.stage, failure.message), []).append(failure)
    lines = []
    for (stage, message), alike in sides.items():
        failure = alike[-1]
        where = f"on {failure.side}" if len(alike) == 1 else "on both sides"
        lines.append(f"      {where}, {stage}: {message}")
        if verbose and failure.traceback:
            lines += [f"        {line}" for line in failure.traceback.rstrip().splitlines()]
        elif failure.traceback and (place := _last_place(failure.traceback)):
            lines.append(f"        {place}")
    return lines


def _last_place(traceback: str) -> str:
    """The innermost `File "...", line N` of a traceback."""
    places = [line.strip() for line in traceback.splitlines() if line.strip().startswith("File ")]
    return places[-1] if places else ""


def _accepted(record: CheckRecord, style: Style) -> str:
    """Every accepted slowdown, and whether it bears on this check."""
    if not record.accepted:
        return ""
    cells = [
        (
            str(entry.state),
            f"{entry.acceptance.label} up to {format_ratio(entry.acceptance.ratio_high)}",
            f"{entry.acceptance.date}: {entry.acceptance.reason}",
        )
        for entry in record.accepted
    ]
    lines = ["  ".join(row).rstrip() for row in _aligned(cells)]
    kinds = [_ACCEPTED_STYLE[entry.state] for entry in record.accepted]
    listed = [f"  {style(line, kind)}" for line, kind in zip(lines, kinds, strict=True)]
    return "\n".join(["Accepted slowdowns:", *listed])


def _warnings(record: CheckRecord, style: Style) -> str:
    return "\n".join(f"{style('note', 'doubt')}: {warning}" for warning in record.warnings)


def _certainty(record: CheckRecord) -> str:
    settings = record.settings
    judged = [c for c in record.comparisons if c.detectable is not None]
    if not judged:
        return ""
    return (
        f"How sure: with unchanged code at most {format_percent(settings.false_alarms)} of checks "
        f"call anything {'slower' if all(c.timed for c in judged) else 'slower or worse'}.\n"
        f"Changes below {format_percent(settings.min_effect)} are not reported; "
        f"`same` means surely within {format_percent(settings.margin)}.\n"
        f"{_own_effects(record)}"
        f"Brackets hold the ratio's {format_percent(judged[0].confidence or 0.0)} interval.\n"
        f"{_power(judged)}"
        f"{_exchanged(record.exchange)}"
    )


def _exchanged(exchange: LabelExchange | None) -> str:
    """How often these pairs would have alarmed on nothing; empty when that is not known."""
    if exchange is None:
        return ""
    low, high = format_percent(exchange.rate_low), format_percent(exchange.rate_high)
    bound = "; more if all rows had gone on to their end" if exchange.cut_short else ""
    return (
        "\nWith the labels of its launch pairs exchanged at random this check alarms "
        f"{exchange.alarmed} times in {exchange.exchanges}\n(95 % interval {low} to {high}{bound})."
    )


def _own_effects(record: CheckRecord) -> str:
    """The minimum effects that rules set for single rows, a line each; empty without any."""
    rows = Counter(c.min_effect for c in record.comparisons if c.min_effect is not None)
    return "".join(
        f"By rule that is {format_percent(effect)} for {count} {'row' if count == 1 else 'rows'}, "
        f"with `same` within {format_percent(3 * effect)}.\n"
        for effect, count in sorted(rows.items())
    )


def _power(judged: Sequence[Comparison]) -> str:
    """What slowdown these launch pairs would have shown."""
    known = [(c.detectable or 0.0, c.row.label) for c in judged]
    usual = format_percent(typical([detectable for detectable, _ in known]))
    change = "slowdown" if all(c.timed for c in judged) else "change for the worse"
    seen = f"A {change} of {usual} would be seen 19 times in 20"
    if len(known) == 1:
        return f"{seen}."
    worst, label = max(known)
    return f"{seen} on half of the rows;\none of {format_percent(worst)} on the noisiest, {label}."


def _all_counted(undecided: Sequence[Comparison]) -> bool:
    """Whether counts are what left these rows open, and not the end of the time."""
    return all(c.values for c in undecided)


def _next_steps(record: CheckRecord, *, verbose: bool) -> str:
    steps: list[str] = []
    slower = [c for c in record.comparisons if c.blocking]
    undecided = [c for c in record.with_outcome(Outcome.UNDECIDED) if c.ignored is None]
    if slower:
        worst = max(slower, key=_effect)
        steps.append(_check_again(record, [worst]))
        steps.append(" ".join(["git diff", *_sides(record)]))
        steps.append(f"groundspeed accept {shlex.quote(worst.row.label)} --reason WHY")
    elif undecided and _out_of_looks(record, undecided):
        steps += _wider(record, undecided)
    elif undecided and record.settings.metric == "instructions" and _all_counted(undecided):
        steps.append(_check_again(record, undecided, metric="time"))
    elif undecided:
        steps.append(_check_again(record, undecided))
        steps.append("with a longer --budget, or none")
    broken = [c for c in record.with_outcome(Outcome.BROKEN) if c.ignored is None]
    if broken or record.file_failures:
        whole = "" if verbose else "; --verbose shows whole tracebacks"
        steps.append(f"mend what is broken{whole}")
    return "\n".join(f"Next: {step}" if i == 0 else f"      {step}" for i, step in enumerate(steps))


def _wider(record: CheckRecord, undecided: Sequence[Comparison]) -> list[str]:
    """What to do about rows that more launch pairs would not decide."""
    if any(row.min_effect is not None for row in undecided):
        return [
            "raise min-effect in the rules for these rows, [tool.groundspeed] in pyproject.toml"
        ]
    wider = min(2 * record.settings.min_effect, _WIDEST)
    return [
        f"{_check_again(record, undecided)} --min-effect {wider * 100:.3g}%",
        "or the same without --min-effect when the machine has less to do",
    ]


def _out_of_looks(record: CheckRecord, undecided: Sequence[Comparison]) -> bool:
    """Whether the rows had every launch pair the rule allows, so that more time gives no more."""
    return all(len(row.log_ratios) >= record.settings.looks[-1] for row in undecided)


def _check_again(
    record: CheckRecord, rows: Sequence[Comparison], *, metric: str | None = None
) -> str:
    """The command that measures these rows again, by the same metric unless another is named.

    The whole suite if they are too many to name.
    """
    metric = metric or record.settings.metric
    names = dict.fromkeys(_expression(row.row.name) for row in rows)
    named = names if len(names) <= _MAX_NAMED else record.settings.selection
    options = [f"-b {shlex.quote(name)}" for name in named]
    if record.settings.suite != "asv":
        options.append(f"--suite {record.settings.suite}")
    if metric != "time":
        options.append(f"--metric {metric}")
    return " ".join(["groundspeed check", *_sides(record), *options])


def _expression(name: str) -> str:
    """A regular expression that matches the name: itself where it does, as dotted names do."""
    return re.escape(name) if _SPECIAL.search(name) else name


def _sides(record: CheckRecord) -> list[str]:
    names = [record.base.sha[:_SHA_SHOWN]]
    if record.candidate.name != "working tree":
        names.append(record.candidate.sha[:_SHA_SHOWN])
    return names


def _circumstances(record: CheckRecord, style: Style, kept_as: str | None) -> str:
    machine, settings = record.machine, record.settings
    rows_word = "row" if len(record.comparisons) == 1 else "rows"
    counts = Counter(outcome_word(c) for outcome in Outcome for c in record.with_outcome(outcome))
    rows = ", ".join(f"{count} {word}" for word, count in counts.items())
    total = f"{format_duration(record.duration_s)} in all"
    measuring = f"{format_duration(record.measuring_s)} of it in launch pairs"
    where = f"{settings.environment} ({settings.environment_reason}); {machine.python}"
    lines = [
        f"{len(record.comparisons)} {rows_word}: {rows or 'none'}. {total}, {measuring}.",
        f"{where}; {_places(record)} ({machine.cpus} CPUs); seed {settings.seed}.",
    ]
    if record.shard:
        part, whole = f"{record.shard.index} of {record.shard.count}", record.shard.rows
        lines.append(f"Shard {part}: {len(record.comparisons)} of the suite's {whole} rows.")
    if not machine.schedstat:
        lines.append("No run-queue delay to be read here: CPU time was judged; waits do not show.")
    if kept_as:
        lines.append(f"Record: {kept_as}")
    return style("\n".join(lines), "quiet")


def _places(record: CheckRecord) -> str:
    """On which CPUs rows were measured, and how many at once."""
    chosen, lanes = [str(cpu) for cpu in record.machine.measuring_cpus], record.settings.lanes
    if lanes == 1:
        return f"pinned to CPU {', '.join(chosen)}" if chosen else "not pinned"
    if not chosen:
        return f"{lanes} lanes, not pinned"
    return f"{lanes} lanes on CPUs {' and '.join([', '.join(chosen[:-1]), chosen[-1]])}"
