"""The use case of `groundspeed merge`: the records of all shards become the record of one check.

All launch pairs are pooled and the rule is replayed over the whole suite, look by look. Where a
row's launch pairs end while the replay leaves it open, it keeps its shard's conclusion, which was
drawn with thresholds at least as strict. Decision 10 says what that promises.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from groundspeed import __version__
from groundspeed.check.exchange import exchange_labels
from groundspeed.check.excuses import Excuses
from groundspeed.check.ledger import Ledger, bounded, family_of
from groundspeed.check.shards import ShardRequest, shard_notice
from groundspeed.check.verdict import decide
from groundspeed.errors import UsageError
from groundspeed.model import CheckRecord, Comparison, Machine, Outcome, Row, Settings, Shard
from groundspeed.stats import Conclusion, GateRule
from groundspeed.store.rules import NO_RULES

__all__ = ["Part", "merge", "replay"]

_OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The record of one shard.

    Attributes:
        place: Where it was read from, for messages.
        record: The record.
    """

    place: str
    record: CheckRecord

    @property
    def shard(self) -> Shard:
        """Which part it is.

        Raises:
            UsageError: If it is the record of a whole check.
        """
        if self.record.shard is None:
            raise UsageError(
                f"{self.place}: is the record of a whole check; groundspeed merge needs those of "
                "its parts, as groundspeed check --shard 1/2 and --shard 2/2 write them"
            )
        return self.record.shard

    @property
    def name(self) -> str:
        """Its shard as it was typed, `2/4`."""
        return f"{self.shard.index}/{self.shard.count}"


def merge(parts: Sequence[Part]) -> CheckRecord:
    """Make one check of the shards of a suite.

    Args:
        parts: All of them, in any order, at least one.

    Returns:
        A record like that of a check of the whole suite, rows sorted by label. What differs between
        the shards without bearing on the verdict (seed, machine) is that of the first; where
        machines differ, a warning names them.

    Raises:
        UsageError: If a shard is missing, there twice, or of another check than the others.
    """
    parts = _in_order(parts)
    records = [part.record for part in parts]
    first = records[0]
    settings, rule = _settings(records), _rule(parts[0])
    judged = _judged(records, rule)
    failures = tuple(dict.fromkeys(f for r in records for f in r.file_failures))
    decision = decide(judged, failures)
    return replace(
        first,
        tool_version=__version__,
        started_at=min(records, key=lambda r: datetime.fromisoformat(r.started_at)).started_at,
        duration_s=max(r.duration_s for r in records),
        measuring_s=sum(r.measuring_s for r in records),
        verdict=decision.verdict,
        exit_code=decision.exit_code,
        reasons=decision.reasons,
        warnings=_warnings(parts),
        settings=settings,
        comparisons=judged,
        file_failures=failures,
        accepted=tuple(dict.fromkeys(entry for r in records for entry in r.accepted)),
        exchange=exchange_labels(
            judged, rule, min_effects=_min_effects(judged), seed=settings.seed
        ),
        shard=None,
    )


# Whether they belong together


def _in_order(parts: Sequence[Part]) -> list[Part]:
    """The parts by index, all there and all of one check."""
    by_index: dict[int, Part] = {}
    for part in parts:
        _check_alike(parts[0], part)
        twice = by_index.setdefault(part.shard.index, part)
        if twice is not part:
            raise UsageError(
                f"shard {part.name} is there twice: {twice.place} and {part.place}; leave one out"
            )
    count = parts[0].shard.count
    missing = [f"{i}/{count}" for i in range(1, count + 1) if i not in by_index]
    if missing:
        raise UsageError(
            f"{'shard' if len(missing) == 1 else 'shards'} {_listed(missing)} of the check "
            f"{'is' if len(missing) == 1 else 'are'} missing; merge all {count} records, or "
            f"measure what is missing: {_command(parts[0], missing[0])}"
        )
    ordered = [by_index[index] for index in sorted(by_index)]
    _check_rows(ordered)
    return ordered


_ALIKE: dict[str, Callable[[CheckRecord], Any]] = {
    "base": lambda r: r.base.sha,
    "candidate": lambda r: (r.candidate.sha, r.candidate.dirty),
    "version of groundspeed": lambda r: r.tool_version,
    "--false-alarms": lambda r: r.settings.false_alarms,
    "--min-effect": lambda r: r.settings.min_effect,
    "margin": lambda r: r.settings.margin,
    "plan of looks": lambda r: r.settings.looks,
    "--bench": lambda r: r.settings.selection,
    "suite": lambda r: r.settings.suite,
    "metric": lambda r: r.settings.metric,
    "--env": lambda r: r.settings.environment,
}


def _check_alike(first: Part, part: Part) -> None:
    """Both are shards of one check.

    Raises:
        UsageError: If they are not.
    """
    if part.shard.count != first.shard.count:
        raise UsageError(
            f"{part.place} is shard {part.name} and {first.place} is {first.name}; "
            "merge shards of one count"
        )
    for what, value_of in _ALIKE.items():
        here, there = value_of(part.record), value_of(first.record)
        if here != there:
            raise UsageError(
                f"{part.place}: its {what} is {_shown(here)}, but that of {first.place} is "
                f"{_shown(there)}; measure it alike: {_command(first, part.name)}"
            )


def _check_rows(parts: Sequence[Part]) -> None:
    """Every row is where it belongs, so that all shards saw the same suite.

    Raises:
        UsageError: If they did not.
    """
    suite = dict.fromkeys(label for part in parts for label in _benchmarks(part))
    for part in parts:
        shard, here = part.shard, _benchmarks(part)
        belongs = ShardRequest(index=shard.index, count=shard.count).keep(suite)
        strange = sorted(here.symmetric_difference(belongs))
        if strange or not shard.rows == parts[0].shard.rows == len(suite):
            where = f"; {_listed(strange)} would not be in this shard" if strange else ""
            raise UsageError(
                f"{part.place}: shard {part.name} of a suite of {shard.rows} rows, "
                f"{parts[0].place}: {parts[0].name} of {parts[0].shard.rows}, and all records hold "
                f"{len(suite)}{where}; measure every shard with the same benchmark files: "
                f"{_command(parts[0], part.name)}"
            )


def _benchmarks(part: Part) -> set[str]:
    """Labels of the benchmarks in a record, which may have several rows each."""
    rows = [c.row for c in part.record.comparisons]
    return {Row(name=row.name, parameters=row.parameters).label for row in rows}


def _command(part: Part, shard: str) -> str:
    candidate = part.record.candidate
    sides = part.record.base.sha[:8] + ("" if candidate.dirty else f" {candidate.sha[:8]}")
    return f"groundspeed check {sides} --shard {shard} --output json:PATH"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    if isinstance(value, bool):
        return "with changes" if value else "without changes"
    return str(value)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


# What is decided of the rows


def _rule(part: Part) -> GateRule:
    """The rule that the record was made by.

    Raises:
        UsageError: If it is not one of those known here.
    """
    settings = part.record.settings
    rule = GateRule(false_alarms=settings.false_alarms, min_effect=settings.min_effect)
    if settings.looks != rule.looks:
        raise UsageError(
            f"{part.place}: was measured by groundspeed {part.record.tool_version} with looks "
            f"{_shown(settings.looks)}, which {__version__} does not know; "
            "merge with the version that measured"
        )
    stated = settings.margin != rule.margin_resolved
    return replace(rule, margin=settings.margin) if stated else rule


def _judged(records: Sequence[CheckRecord], rule: GateRule) -> tuple[Comparison, ...]:
    """Every row, judged with all others, sorted by label."""
    excuses = {
        c.row: Excuses(
            rules=NO_RULES,
            entries=record.accepted,
            today=datetime.fromisoformat(record.started_at).date(),
        )
        for record in records
        for c in record.comparisons
    }
    pooled = sorted((c for r in records for c in r.comparisons), key=lambda c: (c.row.label, c.row))
    excused = {c.row for c in pooled if c.ignored or excuses[c.row].possible(c.row.label)}
    return tuple(
        # The rules have spoken when the shard was measured; an acceptance is of the outcome now.
        replace(c, accepted=excuses[c.row].applied([c])[0].accepted)
        for c in replay(pooled, rule, excused=excused)
    )


def replay(
    comparisons: Sequence[Comparison], rule: GateRule, *, excused: Iterable[Row] = ()
) -> list[Comparison]:
    """Judge the recorded launch pairs of a whole suite as one check would have.

    Args:
        comparisons: Every row of the suite; those that were not judged stay as they are.
        rule: When to look and what to conclude.
        excused: Rows that alarm nobody.

    Returns:
        The same rows in the same order. Of a row that the replay settles, outcome and estimate are
        those of that look; of the others, those of the shard.
    """
    judged = {c.row: c for c in comparisons if _is_judged_by(rule, c)}
    differences = {row: _differences(c) for row, c in judged.items()}
    ledger = Ledger(
        judged,
        rule,
        families={row: family_of(c.metric) for row, c in judged.items()},
        min_effects={row: c.min_effect for row, c in judged.items() if c.min_effect is not None},
        excused=frozenset(excused),
    )
    _set_aside_ended(ledger, differences)
    while not ledger.finished:
        number = ledger.pairs_done
        ledger.add_pair({row: differences[row][number] for row in ledger.open_rows})
        _set_aside_ended(ledger, differences)
    return [_rejudged(c, ledger, rule) if c.row in judged else c for c in comparisons]


def _set_aside_ended(ledger: Ledger, differences: Mapping[Row, Sequence[float]]) -> None:
    ledger.set_aside(r for r in ledger.open_rows if len(differences[r]) == ledger.pairs_done)


def _is_judged_by(rule: GateRule, comparison: Comparison) -> bool:
    """Whether looks decide this row: not if it failed, nor if it was decided before the first."""
    if comparison.outcome is Outcome.UNDECIDED:
        return True
    return comparison.outcome in _OUTCOMES.values() and len(comparison.log_ratios) >= rule.looks[0]


def _differences(comparison: Comparison) -> tuple[float, ...]:
    """What a check gives its ledger; nothing for a row that has no ratio."""
    ratios = comparison.log_ratios
    if any(map(math.isnan, ratios)):
        return ()
    return tuple(map(bounded, ratios))


def _rejudged(comparison: Comparison, ledger: Ledger, rule: GateRule) -> Comparison:
    conclusion = ledger.conclusion(comparison.row)
    estimate = ledger.estimate(comparison.row)
    if conclusion is Conclusion.OPEN or estimate is None:
        return comparison
    used, taken = len(ledger.differences(comparison.row)), len(comparison.log_ratios)
    note = f"judged with the whole suite by the first {used} of its {taken} launch pairs"
    return replace(
        comparison,
        outcome=_OUTCOMES[conclusion],
        ratio=estimate.ratio,
        ratio_low=estimate.ratio_low,
        ratio_high=estimate.ratio_high,
        confidence=rule.same_confidence,
        p_slower=estimate.p_slower,
        p_faster=estimate.p_faster,
        detectable=estimate.detectable,
        notes=(*comparison.notes, note) if used < taken else comparison.notes,
    )


def _min_effects(comparisons: Iterable[Comparison]) -> Mapping[str, float]:
    return {c.row.label: c.min_effect for c in comparisons if c.min_effect is not None}


# What the record says beside it


def _settings(records: Sequence[CheckRecord]) -> Settings:
    settings = [record.settings for record in records]
    limits = [s.budget_s for s in settings if s.budget_s is not None]
    return replace(
        settings[0],
        budget_s=max(limits) if len(limits) == len(settings) else None,
        lanes=max(s.lanes for s in settings),
    )


def _warnings(parts: Sequence[Part]) -> tuple[str, ...]:
    """Those of every shard, after what is true of the whole only."""
    records = [part.record for part in parts]
    own = {shard_notice(part.shard) for part in parts}
    told = [w for record in records for w in record.warnings if w not in own]
    warnings = [*_machines(parts), *told]
    if records[0].candidate.dirty:
        warnings.insert(
            0,
            "the candidate is a working tree with changes: that they were the same in every shard "
            "cannot be seen from the records",
        )
    if records[0].tool_version != __version__:
        warnings.insert(
            0, f"measured by groundspeed {records[0].tool_version} and merged by {__version__}"
        )
    return tuple(dict.fromkeys(warnings))


def _machines(parts: Sequence[Part]) -> list[str]:
    """A sentence that names the machines where they are several."""
    machines: dict[Machine, list[str]] = {}
    for part in parts:
        machine = replace(part.record.machine, measuring_cpus=(), load_average_1m=None)
        machines.setdefault(machine, []).append(str(part.shard.index))
    if len({machine.fingerprint for machine in machines}) == 1:
        return []
    named = "; ".join(
        f"{machine.fingerprint} ({machine.cpu}, {machine.system}, {machine.python}) "
        f"{'shard' if len(shards) == 1 else 'shards'} {', '.join(shards)}"
        for machine, shards in machines.items()
    )
    sentence = (
        "measured on several machines, each launch pair on one of them, "
        f"but a change may depend on the machine: {named}"
    )
    return [sentence]
