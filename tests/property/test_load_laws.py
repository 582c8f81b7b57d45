"""Laws of schedules, agendas, recording, merging and correction."""

import itertools
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundspeed.load import Closed, Open, PartlyOpen, Ramp, Samples, Spike, Steady
from groundspeed.load.agenda import NEVER, agenda_for
from groundspeed.load.arrivals import Leg, arrival_times, legs_of, user_windows
from groundspeed.load.correction import corrected_for_omission
from groundspeed.load.merge import littles_law_gap, merge_parts
from groundspeed.load.models import Stage
from groundspeed.load.part import PartResult, choices
from groundspeed.load.recorder import Outcomes, Recorder
from groundspeed.stats import Histogram, IntArray

_NS = 10**9

law = settings(deadline=None, max_examples=50)

_levels = st.floats(0, 200).map(lambda level: round(level, 1))
_durations = st.floats(0.2, 5).map(lambda seconds: round(seconds, 1))
_stages: st.SearchStrategy[Stage] = st.one_of(
    st.builds(Steady, duration=_durations, level=st.one_of(st.none(), _levels)),
    st.builds(Spike, duration=_durations, level=_levels),
    st.builds(
        Ramp, duration=_durations, start=_levels, end=_levels.filter(lambda level: level > 0)
    ),
)
_plans = st.lists(_stages, min_size=1, max_size=4).filter(
    lambda stages: any(getattr(s, "level", 1) != 0 for s in stages)
)


def _schedule(legs: tuple[Leg, ...], arrivals: str, seed: int, part: int, parts: int) -> IntArray:
    kind: Literal["poisson", "constant"] = "poisson" if arrivals == "poisson" else "constant"
    chunks = list(arrival_times(legs, arrivals=kind, seed=seed, part=part, parts=parts))
    return np.concatenate(chunks)


@law
@given(_plans, st.sampled_from(["poisson", "constant"]), st.integers(0, 99), st.integers(1, 5))
def test_shares_of_a_schedule_are_disjoint_and_together_the_schedule(
    stages: list[Stage], arrivals: str, seed: int, parts: int
) -> None:
    """Dealing a schedule out loses no arrival and makes none."""
    legs = legs_of(Open(rate=50), stages)
    whole = _schedule(legs, arrivals, seed, 0, 1)
    shares = [_schedule(legs, arrivals, seed, part, parts) for part in range(parts)]
    assert np.array_equal(np.sort(np.concatenate(shares)), whole)
    for number, share in enumerate(shares):
        assert np.array_equal(share, whole[number::parts])


@law
@given(_plans, st.sampled_from(["poisson", "constant"]), st.integers(0, 99))
def test_a_schedule_rises_and_stays_inside_the_run(
    stages: list[Stage], arrivals: str, seed: int
) -> None:
    """Arrivals are in order, from the start to the end of the stages."""
    legs = legs_of(Open(rate=50), stages)
    times = _schedule(legs, arrivals, seed, 0, 1)
    assert (np.diff(times) >= 0).all()
    if len(times):
        assert times[0] >= 0
        assert times[-1] <= legs[-1].end_s * _NS + 1


@law
@given(_plans)
def test_a_constant_schedule_has_as_many_arrivals_as_its_level_says_at_any_time(
    stages: list[Stage],
) -> None:
    """At each stage's end the count is the integral of the level, to one."""
    legs = legs_of(Open(rate=50), stages)
    times = _schedule(legs, "constant", 0, 0, 1)
    expected = 0.0
    for leg in legs:
        expected += leg.arrivals
        seen = np.searchsorted(times, leg.end_s * _NS)
        assert abs(seen - expected) <= 1.0 + 1e-6


def test_a_poisson_schedule_has_the_rate_and_the_spread_of_one() -> None:
    """Its gaps are exponential: their deviation is their mean."""
    times = _schedule(legs_of(Open(rate=1000), [Steady(duration=100)]), "poisson", 3, 0, 1)
    gaps = np.diff(times) / _NS
    assert abs(len(times) - 100_000) < 4 * 100_000**0.5
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.02)


def test_a_schedule_longer_than_a_chunk_goes_on_without_a_seam() -> None:
    """Where a chunk ends the next begins as if there were none."""
    times = _schedule(legs_of(Open(rate=100_000), [Steady(duration=2)]), "constant", 0, 0, 1)
    assert len(times) == 200_000
    assert set(np.diff(times).tolist()) == {10_000}


@law
@given(_plans, st.integers(0, 5))
def test_a_user_is_there_while_the_level_is_above_its_number(
    stages: list[Stage], user: int
) -> None:
    """The number of users at any time is the level, rounded up."""
    legs = legs_of(Closed(users=3), stages)
    windows = user_windows(legs, user)
    for (_, end), (start, _) in itertools.pairwise(windows):
        assert end <= start
    for leg in legs:
        for share in (0.11, 0.47, 0.89):
            at_s = leg.start_s + share * (leg.end_s - leg.start_s)
            level = leg.level_start + share * (leg.level_end - leg.level_start)
            inside = any(start <= at_s * _NS < end for start, end in windows)
            if abs(level - user) > 1e-3:
                assert inside == (level > user)


@law
@given(st.integers(1, 20), st.floats(0, 0.5), st.floats(0.001, 0.5), st.integers(1, 4))
def test_closed_users_never_ask_twice_at_once(
    users: int, think: float, service: float, parts: int
) -> None:
    """Each waits for its answer, thinks, and belongs to one process."""
    model = Closed(users=users, think=think)
    legs = legs_of(model, [Steady(duration=2)])
    for part in range(parts):
        agenda = agenda_for(model, legs, seed=1, part=part, parts=parts)
        free_at: dict[int, int] = {}
        while agenda.next_ns != NEVER:
            intended_ns, user = agenda.take()
            assert user % parts == part
            assert intended_ns >= free_at.get(user, 0)
            assert intended_ns < 2 * _NS
            end_ns = intended_ns + round(service * _NS)
            free_at[user] = end_ns + round(think * _NS)
            agenda.finished(user, end_ns)
        assert len(free_at) == len(range(part, users, parts))


@law
@given(st.floats(1, 100), st.integers(1, 5), st.floats(0, 0.1), st.integers(0, 9))
def test_every_session_makes_all_its_steps_one_after_the_other(
    sessions: float, steps: int, think: float, seed: int
) -> None:
    """No session is cut short, and time never goes back."""
    model = PartlyOpen(sessions=sessions, steps=steps, think=think)
    agenda = agenda_for(model, legs_of(model, [Steady(duration=1)]), seed=seed)
    made: dict[int, int] = {}
    before_ns = 0
    while agenda.next_ns != NEVER:
        assert agenda.next_ns >= before_ns
        before_ns, token = agenda.take()
        made[token] = made.get(token, 0) + 1
        agenda.finished(token, before_ns + 1000)
    assert set(made.values()) <= {steps}


_rows = st.lists(
    st.tuples(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 3), st.integers(0, 2)),
    max_size=60,
)


def _recorded(rows: list[tuple[int, int, int, int]], room: int, settle_every: int) -> Recorder:
    recorder = Recorder(room)
    for number, (intended, span, operation, outcome) in enumerate(rows):
        recorder.begun.append((intended, intended + span // 4, intended + span // 2, 7, operation))
        recorder.end.append(intended + span)
        recorder.outcome.append(outcome)
        if number % settle_every == 0:
            recorder.settle()
    return recorder


@law
@given(_rows, st.integers(1, 80), st.integers(1, 9))
def test_no_sample_is_lost_beyond_the_cap(
    rows: list[tuple[int, int, int, int]], room: int, settle_every: int
) -> None:
    """What is not kept raw is counted, by outcome and by bucket."""
    recorder = _recorded(rows, room, settle_every)
    assert recorder.count == len(rows)
    samples, overflow = recorder.result()
    assert len(samples) == min(room, len(rows))
    assert len(samples) + (overflow.count if overflow else 0) == len(rows)
    assert (np.diff(samples.intended_ns) >= 0).all()
    if overflow is not None:
        beyond = rows[room:]
        good = [span for _, span, _, outcome in beyond if outcome == 0]
        assert np.array_equal(overflow.response_counts, Histogram.of(np.array(good, int)).counts)
        for number in range(3):
            assert overflow.outcomes[number] == sum(row[3] == number for row in beyond)


@law
@given(st.lists(st.tuples(_rows, st.permutations(["refused", "timeout"])), min_size=1, max_size=4))
def test_merging_keeps_every_sample_and_the_name_of_its_outcome(
    shares: list[tuple[list[tuple[int, int, int, int]], list[str]]],
) -> None:
    """Processes number their failures as they meet them; names survive."""
    parts, expected = [], []
    for rows, names in shares:
        outcomes = Outcomes()
        numbers = [0, *(outcomes.number(name) for name in names)]
        samples, overflow = _recorded(rows, 25, 7).result()
        parts.append(
            PartResult(
                samples=samples,
                overflow=overflow,
                outcomes=outcomes.names,
                offered=len(rows),
                busy_share=0.0,
                in_flight_ns=int(np.sum(samples.end_ns - samples.sent_ns)),
            )
        )
        expected += [outcomes.names[numbers[row[3]]] for row in rows]
    samples, overflow, merged = merge_parts(parts)
    seen = [merged[number] for number in samples.outcome.tolist()]
    for number, name in enumerate(merged):
        beyond = overflow.outcomes[number] if overflow is not None else 0
        assert seen.count(name) + beyond == expected.count(name)
    assert (np.diff(samples.intended_ns) >= 0).all()
    assert littles_law_gap(parts) == 0.0


def test_a_lost_sample_is_a_gap_in_littles_law() -> None:
    """Half the time in flight is unaccounted for when one of two is lost."""
    samples, _ = _recorded([(0, 1000, 0, 0), (10, 1000, 0, 0)], 9, 9).result()
    whole = PartResult(
        samples=samples, overflow=None, outcomes=("ok",), offered=2, busy_share=0, in_flight_ns=1000
    )
    assert littles_law_gap([whole]) == 0.0
    lost = Samples.where(samples, np.array([True, False]))
    broken = PartResult(
        samples=lost, overflow=None, outcomes=("ok",), offered=2, busy_share=0, in_flight_ns=1000
    )
    assert littles_law_gap([broken]) == 0.5


@law
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30), st.integers(1, 500), st.booleans())
def test_the_correction_adds_what_a_histogram_with_an_expected_interval_would(
    values: list[int], interval: int, has_failure: bool
) -> None:
    """The loop of the reference, sample by sample."""
    expected = []
    for value in values:
        expected.append(value)
        missing = value - interval
        while missing >= interval:
            expected.append(missing)
            missing -= interval
    given_s = np.array(values + [np.inf] * has_failure, dtype=np.float64)
    corrected = corrected_for_omission(given_s, float(interval))
    assert sorted(corrected.tolist()) == sorted(expected + [np.inf] * has_failure)


@law
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 9))
def test_choices_follow_the_weights_and_use_every_variant(sizes: list[int], seed: int) -> None:
    """Shares of operations are their weights'; every number is drawn."""
    weights = [float(number + 1) for number in range(len(sizes))]
    drawn = list(itertools.islice(choices([range(s) for s in sizes], weights, (seed,)), 20_000))
    for operation, size in enumerate(sizes):
        own = [variant for chosen, variant in drawn if chosen == operation]
        share = weights[operation] / sum(weights)
        assert abs(len(own) / 20_000 - share) < 0.03
        assert set(own) == set(range(size))
