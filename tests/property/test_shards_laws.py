"""What holds for any suite and any number of shards, and how often merging errs.

Simulated noise is that of tests/statistical: heavy tails, a standard deviation of its own for every
row. A rate is judged by a count that a gate within its promise exceeds once in a thousand seeds.
"""

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from groundspeed.check.ledger import Ledger
from groundspeed.check.merge import replay
from groundspeed.check.shards import ShardRequest, rows_elsewhere
from groundspeed.model import Comparison, Outcome, Row, ValuePair, log_ratio
from groundspeed.stats import Conclusion, FloatArray, GateRule

RULE = GateRule()
OUTCOMES = {
    Conclusion.SLOWER: Outcome.SLOWER,
    Conclusion.FASTER: Outcome.FASTER,
    Conclusion.SAME: Outcome.SAME,
    Conclusion.OPEN: Outcome.UNDECIDED,
}
SURPRISE = 0.001
Suite = Mapping[Row, Sequence[ValuePair]]
Outcomes = Mapping[Row, Outcome]

labels = st.lists(st.text(max_size=6), unique=True, max_size=30)
shard_counts = st.integers(min_value=1, max_value=12)


def shards(count: int) -> list[ShardRequest]:
    """All shards of a suite."""
    return [ShardRequest(index=index, count=count) for index in range(1, count + 1)]


@given(suite=labels, count=shard_counts)
def test_each_row_is_in_exactly_one_shard(suite: list[str], count: int) -> None:
    """Nothing is lost or measured twice; no shard has two rows more than another."""
    parts = [shard.keep(suite) for shard in shards(count)]
    assert Counter(label for part in parts for label in part) == Counter(suite)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(suite=labels, count=shard_counts, chance=st.randoms(use_true_random=False))
def test_the_order_of_the_suite_does_not_matter(
    suite: list[str], count: int, chance: random.Random
) -> None:
    """A machine that lists files in another order takes the same rows, in its own order."""
    shuffled = chance.sample(suite, len(suite))
    for shard in shards(count):
        kept = shard.keep(shuffled)
        assert set(kept) == set(shard.keep(suite))
        assert kept == [label for label in shuffled if label in set(kept)]


@given(index=st.integers(-5, 12_000), count=st.integers(-5, 12_000))
def test_what_parses_is_a_shard_and_nothing_else(index: int, count: int) -> None:
    """1 <= I <= N <= 9999, and the parts are those that were typed."""
    if 1 <= index <= count <= 9999:
        request = ShardRequest(index=index, count=count)
        assert ShardRequest.parse(f"{index}/{count}") == request
    else:
        with pytest.raises(ValueError, match="needed"):
            ShardRequest.parse(f"{index}/{count}")


# Whole checks


def suite_of(differences: FloatArray, chance: np.random.Generator) -> Suite:
    """Rows with these log ratios, whose labels say nothing of their order."""
    names = chance.permutation(len(differences))
    return {
        Row(name=f"time_{name:04d}"): tuple(
            ValuePair(pair=number, base=1.0, candidate=math.exp(difference))
            for number, difference in enumerate(row)
        )
        for name, row in zip(names, differences, strict=True)
    }


def measured(suite: Suite, kept: Sequence[Row]) -> list[Comparison]:
    """What a check makes of these rows of a suite."""
    others = rows_elsewhere(kept, len(suite) - len(kept))
    ledger = Ledger([*kept, *others], RULE)
    ledger.set_aside(others)
    while not ledger.finished:
        pairs = {row: suite[row][ledger.pairs_done] for row in ledger.open_rows}
        ledger.add_pair({row: log_ratio(p.base, p.candidate) for row, p in pairs.items()})
    return [
        Comparison(
            row=row,
            outcome=OUTCOMES[ledger.conclusion(row)],
            metric="clean",
            values=tuple(suite[row][: len(ledger.differences(row))]),
        )
        for row in kept
    ]


def by_row(comparisons: Sequence[Comparison]) -> Outcomes:
    """The outcome of each row."""
    return {c.row: c.outcome for c in comparisons}


def in_shards(suite: Suite, count: int) -> list[Comparison]:
    """What the shards of a check make of their rows."""
    parts = [set(shard.keep([row.label for row in suite])) for shard in shards(count)]
    return [
        comparison
        for part in parts
        for comparison in measured(suite, [row for row in suite if row.label in part])
    ]


def verdict(outcomes: Outcomes) -> str:
    """The one word, as far as these outcomes decide it."""
    if Outcome.SLOWER in outcomes.values():
        return "block"
    return "inconclusive" if Outcome.UNDECIDED in outcomes.values() else "pass"


@given(
    effects=st.lists(st.sampled_from([0.0, 0.012, 0.05, -0.05]), min_size=1, max_size=8),
    count=shard_counts,
    seed=st.integers(0, 2**32 - 1),
)
def test_merging_keeps_every_pair_and_concludes_nothing_new(
    effects: list[float], count: int, seed: int
) -> None:
    """A merged outcome is the shard's own, or the replay's on pairs that the row has."""
    chance = np.random.default_rng(seed)
    noise = 0.02 * chance.standard_t(4, (len(effects), RULE.pairs_max))
    suite = suite_of(noise + np.array(effects)[:, None], chance)
    before = in_shards(suite, count)
    after = replay(before, RULE)
    assert [(c.row, c.values) for c in after] == [(c.row, c.values) for c in before]
    for old, new in zip(before, after, strict=True):
        settled_anew = new.ratio is not None and new.outcome is not Outcome.UNDECIDED
        assert new == old or settled_anew


@given(
    effects=st.lists(st.sampled_from([0.0, 0.012, 0.05, -0.05]), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_one_shard_of_one_is_the_whole(effects: list[float], seed: int) -> None:
    """Replaying the pairs of a check gives its outcomes again, every time."""
    chance = np.random.default_rng(seed)
    noise = 0.02 * chance.standard_t(4, (len(effects), RULE.pairs_max))
    whole = measured(suite := suite_of(noise + np.array(effects)[:, None], chance), list(suite))
    assert by_row(replay(whole, RULE)) == by_row(whole)


# Simulation


def simulated(
    seed: int, *, suites: int, rows: int, shards: int, slowed: int = 0, slowdown: float = 0.0
) -> Iterator[tuple[frozenset[Row], Outcomes, Outcomes]]:
    """The slowed rows of many suites, with the outcomes of one run and of merged shards."""
    chance = np.random.default_rng(seed)
    for _ in range(suites):
        spread = np.exp(chance.uniform(np.log(0.005), np.log(0.03), rows))
        # A t with 4 degrees of freedom has variance 2.
        noise = spread[:, None] * chance.standard_t(4, (rows, RULE.pairs_max)) / np.sqrt(2.0)
        noise[:slowed] += np.log1p(slowdown)
        suite = suite_of(noise, chance)
        one, merged = measured(suite, list(suite)), replay(in_shards(suite, shards), RULE)
        yield frozenset(list(suite)[:slowed]), by_row(one), by_row(merged)


def most_events(trials: int, rate: float) -> int:
    """Give the count that a true rate exceeds with chance SURPRISE."""
    return int(scipy_stats.binom.isf(SURPRISE, trials, rate))


@pytest.mark.statistical
@pytest.mark.parametrize(("rows", "shards", "suites"), [(24, 4, 60), (12, 12, 60)])
def test_unchanged_code_alarms_as_seldom_as_in_one_run(rows: int, shards: int, suites: int) -> None:
    """At most 1 % of suites, for slower and for faster, and the verdict is that of one run."""
    alarmed, different = Counter[Outcome](), 0
    for _, one, merged in simulated(31, suites=suites, rows=rows, shards=shards):
        alarmed.update(set(merged.values()))
        different += verdict(one) != verdict(merged)
    bound = most_events(suites, RULE.false_alarms)
    assert alarmed[Outcome.SLOWER] <= bound, alarmed
    assert alarmed[Outcome.FASTER] <= bound, alarmed
    assert different <= bound


@pytest.mark.statistical
def test_what_is_slower_is_found_as_in_one_run() -> None:
    """Five of fifty rows 3 % slower: the same verdict, and 999 rows in 1,000 end alike."""
    suites, rows, slowed = 40, 50, 5
    blocked = strange = alike = 0
    for slow, one, merged in simulated(
        32, suites=suites, rows=rows, shards=4, slowed=slowed, slowdown=0.03
    ):
        blocked += verdict(one) == verdict(merged) == "block"
        alike += sum(one[row] is outcome for row, outcome in merged.items())
        strange += sum(o is Outcome.SLOWER for row, o in merged.items() if row not in slow)
    assert blocked == suites
    assert suites * rows - alike <= most_events(suites * rows, 0.001)
    assert strange <= most_events(suites * slowed, RULE.false_alarms)
