"""Records of shards in, the record of one check out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from groundspeed import __version__
from groundspeed.check.ledger import Ledger
from groundspeed.check.merge import Part, merge, replay
from groundspeed.check.shards import ShardRequest, rows_elsewhere, shard_notice
from groundspeed.check.verdict import decide
from groundspeed.errors import UsageError
from groundspeed.model import (
    CHECK_SCHEMA,
    Acceptance,
    AcceptanceState,
    AcceptedEntry,
    CheckRecord,
    Commit,
    Comparison,
    Failure,
    Ignored,
    Machine,
    Outcome,
    PairSummary,
    Row,
    Settings,
    Shard,
    ValuePair,
    Verdict,
    log_ratio,
)
from groundspeed.stats import Conclusion, GateRule

RULE = GateRule()
OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
# Log ratios around 0 that differ from row to row; what a row is slowed by comes on top.
SUITE = {
    Row(name=f"suite.time_{name}"): [
        shift + 0.004 * math.sin(7.0 * number + 3.0 * place) for number in range(RULE.pairs_max)
    ]
    for place, (name, shift) in enumerate(
        {"a": 0.0, "b": 0.0, "c": 0.2, "d": 0.0, "e": -0.2, "f": 0.0, "g": 0.0}.items()
    )
}
MACHINE = Machine(
    fingerprint="0123456789ab",
    cpu="Example CPU",
    cpus=2,
    measuring_cpus=(1,),
    memory_bytes=2**33,
    system="Linux 6.1",
    python="CPython 3.12.4",
    load_average_1m=0.5,
    schedstat=True,
)
SETTINGS = Settings(
    false_alarms=RULE.false_alarms,
    min_effect=RULE.min_effect,
    margin=RULE.margin_resolved,
    looks=RULE.looks,
    budget_s=None,
    selection=(),
    seed=4,
    environment="overlay",
    environment_reason="both are pure Python",
)
Differences = Mapping[Row, Sequence[float]]


def pair(number: int, difference: float) -> PairSummary:
    """A launch pair that differs by exp(difference)."""
    candidate_s = math.exp(difference)
    return PairSummary(
        pair=number,
        base_s=1.0,
        candidate_s=candidate_s,
        base_wall_s=1.0,
        candidate_wall_s=candidate_s,
        base_cpu_s=1.0,
        candidate_cpu_s=candidate_s,
        samples=16,
    )


def measured(
    differences: Differences, kept: Sequence[Row], *, pairs: int = RULE.pairs_max
) -> list[Comparison]:
    """The rows of one shard, judged as a check does that may take so many launch pairs."""
    others = rows_elsewhere(kept, len(differences) - len(kept))
    taken = {row: [pair(n, d) for n, d in enumerate(differences[row])] for row in kept}
    ledger = Ledger([*kept, *others], RULE)
    ledger.set_aside(others)
    while not ledger.finished and ledger.pairs_done < pairs:
        now = {row: taken[row][ledger.pairs_done] for row in ledger.open_rows}
        ledger.add_pair({row: log_ratio(p.base_s, p.candidate_s) for row, p in now.items()})
    ledger.close()
    return [_compared(row, ledger, taken[row]) for row in kept]


def _compared(row: Row, ledger: Ledger, taken: Sequence[PairSummary]) -> Comparison:
    compared = Comparison(
        row=row,
        outcome=OUTCOMES[ledger.conclusion(row)],
        metric="clean",
        pairs=tuple(taken[: len(ledger.differences(row))]),
    )
    estimate = ledger.estimate(row)
    if estimate is None:
        return compared
    return replace(compared, confidence=RULE.same_confidence, **asdict(estimate))


def recorded(comparisons: Sequence[Comparison], shard: Shard | None) -> CheckRecord:
    """The record of a check with these rows."""
    decision = decide(comparisons, ())
    return CheckRecord(
        schema=CHECK_SCHEMA,
        tool_version=__version__,
        started_at="2026-03-01T12:00:00+00:00",
        duration_s=9.0,
        measuring_s=8.0,
        verdict=decision.verdict,
        exit_code=decision.exit_code,
        reasons=decision.reasons,
        warnings=("same for all", *([shard_notice(shard)] if shard else [])),
        base=Commit(name="v1", sha="a" * 40, subject="One"),
        candidate=Commit(name="main", sha="b" * 40, subject="Two"),
        machine=MACHINE,
        settings=SETTINGS,
        comparisons=tuple(comparisons),
        shard=shard,
    )


def shards_of(
    differences: Differences, count: int, *, pairs: int = RULE.pairs_max
) -> list[CheckRecord]:
    """A check of these rows in so many shards."""
    labels = [row.label for row in differences]
    records = []
    for index in range(1, count + 1):
        request = ShardRequest(index=index, count=count)
        mine = set(request.keep(labels))
        rows = [row for row in differences if row.label in mine]
        shard = request.recorded(rows, len(labels) - len(rows))
        records.append(recorded(measured(differences, rows, pairs=pairs), shard))
    return records


def parts_of(records: Sequence[CheckRecord]) -> list[Part]:
    """The records as files a.json, b.json, ..."""
    return [
        Part(place=f"{letter}.json", record=record)
        for letter, record in zip("abcdefgh", records, strict=False)
    ]


def merged(records: Sequence[CheckRecord]) -> CheckRecord:
    """What merging makes of them."""
    return merge(parts_of(records))


def outcomes(record: CheckRecord) -> dict[str, Outcome]:
    """Every row's outcome."""
    return {c.row.label: c.outcome for c in record.comparisons}


def refusal(records: Sequence[CheckRecord]) -> str:
    """Why they cannot be merged."""
    with pytest.raises(UsageError) as refused:
        merged(records)
    return str(refused.value)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_merge_into_the_check_of_the_whole(count: int) -> None:
    """Verdict, outcomes and reasons are those of one run on the same launch pairs."""
    whole = recorded(measured(SUITE, list(SUITE)), None)
    made = merged(shards_of(SUITE, count))
    assert outcomes(made) == outcomes(whole)
    assert {Outcome.SLOWER, Outcome.FASTER, Outcome.SAME} <= set(outcomes(made).values())
    assert (made.verdict, made.exit_code, made.reasons) == (Verdict.BLOCK, 1, whole.reasons)
    assert made.shard is None


def test_one_shard_of_one_is_the_check_itself() -> None:
    """Nothing changes but the shard and its notice, estimates included."""
    (record,) = shards_of(SUITE, 1)
    made = merged([record])
    assert made.exchange is not None
    assert replace(made, exchange=None) == replace(record, shard=None, warnings=("same for all",))


def test_the_order_of_the_records_does_not_matter() -> None:
    """The first shard comes first, whichever file it is in."""
    records = shards_of(SUITE, 3)
    assert merged(records[::-1]) == merged(records)


def test_rows_are_sorted_by_label() -> None:
    """The order of the suite is not known from its parts."""
    labels = [c.row.label for c in merged(shards_of(SUITE, 3)).comparisons]
    assert labels == sorted(labels)


def test_no_launch_pair_is_lost() -> None:
    """What was measured stays, also where the whole suite needs less of it."""
    records = shards_of(SUITE, 7)
    made = merged(records)
    taken = {c.row: c.pairs for r in records for c in r.comparisons}
    assert {c.row: c.pairs for c in made.comparisons} == taken


def test_a_row_that_needed_more_pairs_alone_is_judged_by_those_the_whole_needs() -> None:
    """Beside others a row is settled at an earlier look, which its note says."""
    slow = {
        Row(name=f"s{i}"): [0.03 + 0.02 * math.sin(5.0 * n + i) for n in range(34)]
        for i in range(8)
    }
    records = shards_of(slow, 8)
    before = {c.row: c for r in records for c in r.comparisons}
    earlier = [c for c in merged(records).comparisons if c.notes]
    assert earlier
    for comparison in earlier:
        used, taken = RULE.pairs_min, len(comparison.pairs)
        note = f"judged with the whole suite by the first {used} of its {taken} launch pairs"
        assert comparison.notes == (note,)
        assert comparison.ratio != before[comparison.row].ratio


def test_a_row_whose_pairs_end_before_the_replay_settles_it_keeps_its_outcome() -> None:
    """A shard's conclusion that the suite as a whole would not draw yet stands as it is."""
    row, loud = Row(name="quiet"), Row(name="loud")
    kept = Comparison(
        row=row,
        outcome=Outcome.SLOWER,
        metric="clean",
        ratio=1.02,
        pairs=tuple(pair(n, 0.01 + 0.02 * (-1) ** n) for n in range(5)),
    )
    other = Comparison(
        row=loud,
        outcome=Outcome.UNDECIDED,
        metric="clean",
        pairs=tuple(pair(n, 0.3 * (-1) ** n) for n in range(34)),
    )
    assert replay([kept, other], RULE) == [kept, other]


@pytest.mark.parametrize("pairs", [0, 4, 7])
def test_a_budget_that_ended_leaves_what_the_shards_made_of_it(pairs: int) -> None:
    """Between two looks the shards judged what was there; the replay has no look there."""
    records = shards_of(SUITE, 1, pairs=pairs)
    assert outcomes(merged(records)) == outcomes(records[0])


def test_a_row_of_another_kind_is_judged_by_its_values() -> None:
    """Bytes and counts take part with their own noise; more may be better."""
    rates = {Row(name="a"): 0.5, Row(name="b"): 1.0}
    comparisons = [
        Comparison(
            row=row,
            outcome=Outcome.UNDECIDED,
            metric="track",
            direction="higher",
            values=tuple(
                ValuePair(pair=n, base=100.0, candidate=rate * (100.0 + n % 3)) for n in range(8)
            ),
        )
        for row, rate in rates.items()
    ]
    a, _ = replay(comparisons, RULE)
    assert a.outcome is Outcome.SLOWER
    assert a.ratio == pytest.approx(2.0, rel=0.02)


def valued(base: float, candidate: float, outcome: Outcome) -> Comparison:
    """A row whose eight launch pairs all gave these values."""
    return Comparison(
        row=Row(name="odd"),
        outcome=outcome,
        metric="track",
        values=tuple(ValuePair(pair=n, base=base, candidate=candidate) for n in range(8)),
    )


def test_something_that_was_nothing_counts_as_a_hundredfold() -> None:
    """A value against 0 has no finite ratio; it is judged as a check judges it."""
    (row,) = replay([valued(0.0, 3.0, Outcome.UNDECIDED)], RULE)
    assert row.outcome is Outcome.SLOWER
    assert row.ratio == pytest.approx(100.0)


def test_a_row_without_a_ratio_is_left_as_it_is() -> None:
    """Values of which one is negative have none, which no look could judge."""
    row = valued(-1.0, 1.0, Outcome.UNDECIDED)
    assert replay([row], RULE) == [row]


def test_a_count_that_one_pair_decided_takes_no_part() -> None:
    """What needs no chance spends nothing of the false alarms, in a check as here."""
    counted = valued(100.0, 200.0, Outcome.SLOWER)
    one_pair = [
        replace(counted, row=Row(name=name), metric="instructions", values=counted.values[:1])
        for name in ("exact", "as exact")
    ]
    timed = measured(SUITE, list(SUITE))
    assert replay([*one_pair, *timed], RULE) == [*one_pair, *timed]


def test_a_row_that_stays_open_is_judged_at_the_last_look() -> None:
    """What a shard alone could not tell is told with as many pairs as it measured."""
    differences = [0.02 + 0.06 * math.sin(5.0 * n) for n in range(RULE.pairs_max)]
    row = Comparison(
        row=Row(name="late"),
        outcome=Outcome.UNDECIDED,
        metric="clean",
        pairs=tuple(pair(n, d) for n, d in enumerate(differences)),
    )
    shard = Shard(index=1, count=1, rows=1)
    record = recorded([row], shard)
    (judged,) = merged([record]).comparisons
    assert judged.outcome is Outcome.SLOWER


def test_rows_that_were_not_judged_stay_as_they_are() -> None:
    """Broken, skipped and unknown rows keep outcome and failures, and count as in a check."""
    failure = Failure(side="candidate", stage="setup", kind="ValueError", message="no")
    broken = Comparison(row=Row(name="x"), outcome=Outcome.BROKEN, failures=(failure,))
    skipped = Comparison(row=Row(name="y"), outcome=Outcome.SKIPPED)
    records = [
        recorded([c], Shard(index=i, count=2, rows=2)) for i, c in enumerate((broken, skipped), 1)
    ]
    made = merged(records)
    assert made.comparisons == (broken, skipped)
    assert made.exit_code == 5


def test_file_failures_and_warnings_are_told_once() -> None:
    """What every shard saw is one fact; a shard's own notice is none of the whole."""
    failure = Failure(side="candidate", stage="import of z", kind="ImportError", message="no")
    records = [replace(r, file_failures=(failure,)) for r in shards_of(SUITE, 3)]
    records[1] = replace(records[1], warnings=(*records[1].warnings, "only here"))
    made = merged(records)
    assert made.file_failures == (failure,)
    assert made.warnings == ("same for all", "only here")


def test_times_are_those_of_shards_side_by_side() -> None:
    """Measuring adds up; the check took as long as its longest shard, from the first start."""
    records = [
        replace(record, duration_s=d, measuring_s=m, started_at=f"2026-03-01T{s}:00:00+00:00")
        for record, d, m, s in zip(
            shards_of(SUITE, 3), (4.0, 9.0, 5.0), (3.0, 8.0, 4.0), ("12", "10", "11"), strict=True
        )
    ]
    made = merged(records)
    assert (made.duration_s, made.measuring_s) == (9.0, 15.0)
    assert made.started_at == "2026-03-01T10:00:00+00:00"


@pytest.mark.parametrize(("budgets", "merged_s"), [((60.0, 90.0), 90.0), ((60.0, None), None)])
def test_limits_that_differ_become_the_widest(
    budgets: tuple[float | None, ...], merged_s: float | None
) -> None:
    """How long and on how many CPUs a shard measured does not bear on the verdict."""
    records = [
        replace(r, settings=replace(r.settings, budget_s=budget, lanes=lanes, seed=lanes))
        for r, budget, lanes in zip(shards_of(SUITE, 2), budgets, (1, 4), strict=True)
    ]
    settings = merged(records).settings
    assert (settings.budget_s, settings.lanes, settings.seed) == (merged_s, 4, 1)


def test_an_ignored_row_stays_ignored_and_a_rule_of_its_own_holds() -> None:
    """Rules were read where it was measured; what they said is in the record."""
    ignored = Ignored(reason="rewritten soon", until="2027-01-31")
    records = shards_of(SUITE, 2)
    records = [
        replace(
            r, comparisons=tuple(replace(c, ignored=ignored, min_effect=0.5) for c in r.comparisons)
        )
        for r in records
    ]
    made = merged(records)
    assert all(c.ignored == ignored and c.min_effect == 0.5 for c in made.comparisons)
    assert Outcome.SLOWER not in outcomes(made).values()
    assert made.verdict is Verdict.WARN


def test_an_acceptance_covers_a_row_by_what_the_whole_makes_of_it() -> None:
    """In force it turns the block into a warning; its entry is told once."""
    acceptance = Acceptance(
        label="suite.time_c", ratio_high=1.5, base="a" * 40, date="2026-03-01", reason="safer"
    )
    entry = AcceptedEntry(acceptance=acceptance, state=AcceptanceState.IN_FORCE)
    made = merged([replace(r, accepted=(entry,)) for r in shards_of(SUITE, 3)])
    assert [c.row.label for c in made.comparisons if c.accepted == acceptance] == ["suite.time_c"]
    assert (made.accepted, made.verdict, made.exit_code) == ((entry,), Verdict.WARN, 0)


def test_several_machines_are_named() -> None:
    """They may differ; a reader learns which shard was measured where."""
    records = shards_of(SUITE, 3)
    other = replace(MACHINE, fingerprint="ffffffffffff", cpu="Other CPU")
    records[1] = replace(records[1], machine=other)
    first, *rest = merged(records).warnings
    assert rest == ["same for all"]
    assert "0123456789ab (Example CPU, Linux 6.1, CPython 3.12.4) shards 1, 3" in first
    assert "ffffffffffff (Other CPU, Linux 6.1, CPython 3.12.4) shard 2" in first


def test_one_machine_with_another_load_is_one() -> None:
    """Only what the fingerprint tells apart is worth a warning."""
    records = shards_of(SUITE, 2)
    busy = replace(MACHINE, load_average_1m=7.0, measuring_cpus=(0,))
    records[1] = replace(records[1], machine=busy)
    assert merged(records).warnings == ("same for all",)


def test_a_changed_working_tree_is_warned_of() -> None:
    """Its content is in no record, so that nobody can tell whether all shards had the same."""
    dirty = Commit(name="working tree", sha="b" * 40, subject="Two", dirty=True)
    made = merged([replace(r, candidate=dirty) for r in shards_of(SUITE, 2)])
    assert "working tree with changes" in made.warnings[0]


def test_a_merge_by_another_version_says_so() -> None:
    """The record names who merged, the warning who measured."""
    made = merged([replace(r, tool_version="0.0.9") for r in shards_of(SUITE, 2)])
    assert made.tool_version == __version__
    assert made.warnings[0] == f"measured by groundspeed 0.0.9 and merged by {__version__}"


# What is refused


def test_a_missing_shard_is_named_with_the_command_that_makes_it() -> None:
    """Two of four are not the whole."""
    records = shards_of(SUITE, 4)
    assert refusal([records[0], records[2]]) == (
        "shards 2/4, 4/4 of the check are missing; merge all 4 records, or measure what is "
        "missing: groundspeed check aaaaaaaa bbbbbbbb --shard 2/4 --output json:PATH"
    )
    assert refusal(records[:3]).startswith("shard 4/4 of the check is missing; ")


def test_a_shard_that_is_there_twice_is_named_with_both_files() -> None:
    """Which of the two would be meant is not for the tool to guess."""
    records = shards_of(SUITE, 2)
    assert refusal([*records, records[0]]) == (
        "shard 1/2 is there twice: a.json and c.json; leave one out"
    )


def test_the_record_of_a_whole_check_is_refused() -> None:
    """It needs no merging and cannot be a part."""
    records = shards_of(SUITE, 2)
    said = refusal([records[0], replace(records[1], shard=None)])
    assert said.startswith("b.json: is the record of a whole check; ")


def test_shards_of_different_counts_are_refused() -> None:
    """2/2 and 1/3 are parts of two different cuts."""
    said = refusal([shards_of(SUITE, 2)[1], shards_of(SUITE, 3)[0]])
    assert said == "b.json is shard 1/3 and a.json is 2/2; merge shards of one count"


def changed(**settings: Any) -> Callable[[CheckRecord], CheckRecord]:
    """Another setting."""
    return lambda record: replace(record, settings=replace(record.settings, **settings))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: replace(r, base=replace(r.base, sha="c" * 40)), f"its base is {'c' * 40}"),
        (
            lambda r: replace(r, candidate=replace(r.candidate, dirty=True)),
            f"its candidate is {'b' * 40}, with changes, but that of a.json is {'b' * 40}, without",
        ),
        (lambda r: replace(r, tool_version="9"), "its version of groundspeed is 9"),
        (changed(false_alarms=0.05), "its --false-alarms is 0.05, but that of a.json is 0.01"),
        (changed(min_effect=0.02), "its --min-effect is 0.02"),
        (changed(margin=0.2), "its margin is 0.2"),
        (changed(looks=(5, 8)), "its plan of looks is 5, 8, but"),
        (changed(selection=("x",)), "its --bench is x, but that of a.json is none"),
        (changed(suite="pytest"), "its suite is pytest"),
        (changed(metric="instructions"), "its metric is instructions"),
        (changed(environment="wheel"), "its --env is wheel"),
    ],
)
def test_shards_of_different_checks_are_refused(
    change: Callable[[CheckRecord], CheckRecord], told: str
) -> None:
    """What bears on the verdict must be the same; the message says what is not and what to do."""
    records = shards_of(SUITE, 2)
    said = refusal([records[0], change(records[1])])
    assert said.startswith(f"b.json: {told}")
    assert said.endswith("--shard 2/2 --output json:PATH")


def test_a_rule_that_is_not_known_here_is_refused() -> None:
    """Another version looked at other times; this one cannot replay that."""
    said = refusal([changed(looks=(3, 6))(r) for r in shards_of(SUITE, 2)])
    assert f"with looks 3, 6, which {__version__} does not know" in said
    assert said.endswith("merge with the version that measured")


def test_a_margin_that_was_stated_holds() -> None:
    """A wider margin than twice the minimum effect is part of the rule."""
    loud = {Row(name=f"r{i}"): [0.1 * math.sin(3.0 * n + i) for n in range(96)] for i in range(4)}
    records = [
        replace(r, comparisons=tuple(replace(c, outcome=Outcome.UNDECIDED) for c in r.comparisons))
        for r in shards_of(loud, 2)
    ]
    assert set(outcomes(merged(records)).values()) != {Outcome.SAME}
    wide = [changed(margin=0.9)(r) for r in records]
    assert set(outcomes(merged(wide)).values()) == {Outcome.SAME}


def test_a_row_in_the_wrong_shard_shows_another_suite() -> None:
    """Shards of different benchmark files do not make a whole."""
    records = shards_of(SUITE, 2)
    stranger = Comparison(row=Row(name="aa.time_new"), outcome=Outcome.SAME)
    records[1] = replace(records[1], comparisons=(*records[1].comparisons, stranger))
    said = refusal(records)
    assert "aa.time_new" in said
    assert "would not be in this shard" in said
    assert "the same benchmark files: groundspeed check" in said


def test_a_suite_of_another_size_is_refused() -> None:
    """A shard of seven rows and one of six are not of one suite."""
    records = shards_of(SUITE, 2)
    assert records[1].shard is not None
    records[1] = replace(records[1], shard=replace(records[1].shard, rows=6))
    assert "b.json: shard 2/2 of a suite of 6 rows, a.json: 1/2 of 7" in refusal(records)


def test_a_row_that_is_lost_shows() -> None:
    """Records that hold fewer rows than their suite has are not the whole."""
    first, second = shards_of(SUITE, 2)
    assert "all records hold 4" in refusal([first, replace(second, comparisons=())])


def test_several_quantities_of_one_benchmark_stay_together() -> None:
    """They were measured in one run, which is in one shard."""
    quantities = [
        Comparison(row=Row(name="load.browse", quantity=q), outcome=Outcome.SAME)
        for q in ("latency_s_p50", "latency_s_p99")
    ]
    records = [
        recorded(quantities, Shard(index=1, count=2, rows=1)),
        recorded([], Shard(index=2, count=2, rows=1)),
    ]
    assert len(merged(records).comparisons) == 2
