from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundspeed.check.notes import notes_on
from groundspeed.model import Comparison, Outcome, PairSummary, Row, ValuePair


def timed(
    base_s: Sequence[float],
    candidate_s: Sequence[float] | None = None,
    *,
    drifts: Sequence[float | None] = (None,),
    loops: int = 10,
) -> Comparison:
    """A row that is a time, with these launch values and drifts, the last drift for the rest."""
    pairs = [
        PairSummary(
            pair=number,
            base_s=base,
            candidate_s=candidate,
            base_wall_s=base,
            candidate_wall_s=candidate,
            base_cpu_s=base,
            candidate_cpu_s=candidate,
            samples=16,
            drift=drifts[min(number, len(drifts) - 1)],
        )
        for number, (base, candidate) in enumerate(zip(base_s, candidate_s or base_s, strict=True))
    ]
    return Comparison(
        row=Row(name="a"),
        outcome=Outcome.SAME,
        metric="clean",
        loops=loops,
        ratio=1.0,
        ratio_low=0.99,
        ratio_high=1.02,
        pairs=tuple(pairs),
    )


def valued(base: Sequence[float], candidate: Sequence[float]) -> Comparison:
    """A row that is no time."""
    pairs = enumerate(zip(base, candidate, strict=True))
    return Comparison(
        row=Row(name="a"),
        outcome=Outcome.SLOWER,
        metric="peak_memory",
        unit="bytes",
        values=tuple(ValuePair(pair=n, base=b, candidate=c) for n, (b, c) in pairs),
    )


def test_an_ordinary_row_has_no_notes() -> None:
    """A millisecond a sample, steady, of one group; nor has a row of which nothing is known."""
    steady = [1e-4 * (1 + n % 5 / 1000) for n in range(20)]
    assert notes_on(timed(steady, drifts=[1.01]), clocks_s=3e-6) == ()
    assert notes_on(Comparison(row=Row(name="a"), outcome=Outcome.UNDECIDED), clocks_s=1.0) == ()


# What the clocks take


def test_what_the_clocks_hide_of_an_unchanged_row_is_told() -> None:
    """Three of four microseconds: of `same` within 2 % the call may have changed by 8 %."""
    (note,) = notes_on(timed([4e-7] * 5), clocks_s=3e-6)
    assert note == (
        "reading the clocks is 75 % of a sample of 4.00 µs, on both sides alike, so the call "
        "itself changed about 4.0 times as much as is shown (by up to 8 %); let a sample make more "
        "calls, or a call do more"
    )


def test_a_slower_row_keeps_its_outcome_and_has_no_room() -> None:
    """What was shown is there; only its size is not what it seems."""
    slower = replace(timed([4e-7] * 5), outcome=Outcome.SLOWER)
    (note,) = notes_on(slower, clocks_s=3e-6)
    assert "4.0 times as much as is shown; let" in note


@given(st.floats(1e-7, 1e-3), st.integers(1, 1000), st.floats(0.0, 1.5))
def test_the_note_depends_on_the_share_of_the_clocks(
    call_s: float, loops: int, share: float
) -> None:
    """Nothing up to a twentieth; above nine tenths no number is made up."""
    notes = notes_on(timed([call_s] * 5, loops=loops), clocks_s=share * call_s * loops)
    if share < 0.0499:
        assert notes == ()
    elif 0.0501 < share < 0.899:
        assert "times as much as is shown" in notes[0]
    elif share > 0.901:
        assert "how much the call itself changed cannot be told" in notes[0]


# Drift


def test_what_clocks_do_is_not_blamed_on_the_benchmark() -> None:
    """Reading them grows quicker by itself, so samples of hardly anything else say nothing."""
    row = timed([4e-7] * 5, drifts=[0.7])
    assert len(notes_on(row)) == 1
    assert "reading the clocks" in "".join(notes_on(row, clocks_s=3e-6))
    assert len(notes_on(row, clocks_s=3e-6)) == 1


@pytest.mark.parametrize(
    ("drifts", "said"),
    [
        (
            [1.5, 1.6, 1.4, 1.5, 1.5],
            "its samples grow within a process, the last quarter taking 1.5",
        ),
        (
            [0.6, 0.5, 0.7, 0.6, 0.6],
            "its samples shrink within a process, the last quarter taking 0.6",
        ),
        ([1.15] * 5, None),
        ([1.3, 1.3, 1.3, 0.9, 0.9], None),
        ([1.3, 0.7, 1.3, 0.7, 1.0], None),
        ([None], None),
    ],
)
def test_drift_is_told_where_launches_agree(
    drifts: Sequence[float | None], said: str | None
) -> None:
    """By a fifth in the middle, and at least a tenth in three launch pairs of four."""
    notes = notes_on(timed([1e-4] * 5, drifts=drifts))
    assert bool(notes) == (said is not None)
    assert said is None or notes[0].startswith(said)


# Two groups

FAST, SLOW = [1e-4, 1.001e-4], [1.2e-4, 1.201e-4]
TWO = [*FAST * 4, *SLOW * 3]
ONE = [*FAST * 7]


def test_a_bimodal_side_is_named() -> None:
    """How many launches of how many, and what both groups are."""
    assert notes_on(timed(TWO, ONE)) == (
        "bimodal: on base in 6 of 14 launches it takes about 120 µs, in the others 100 µs",
    )
    assert notes_on(timed(ONE, TWO))[0].startswith("bimodal: on candidate in 6 of 14 launches")


def test_groups_that_both_sides_share_are_the_machines() -> None:
    """The twins of a launch pair draw the same; so the pairs agree on which is high."""
    (note,) = notes_on(timed(TWO, [x * 1.3 for x in TWO]))
    assert "on both sides in the same launch pairs, so it is what a launch draws" in note
    apart = notes_on(timed(TWO, TWO[::-1]))
    assert [note.split(" in ")[0] for note in apart] == [
        "bimodal: on base",
        "bimodal: on candidate",
    ]


def test_groups_nearer_than_a_percent_are_one() -> None:
    """However well they are told apart, nobody could act on it."""
    near = [1e-4 if n % 2 else 1.005e-4 for n in range(20)]
    assert notes_on(timed(near)) == ()


def test_values_have_groups_in_their_own_unit() -> None:
    """Peak memory that is one of two."""
    peaks = [48e6, 52e6] * 7
    notes = notes_on(valued([48e6] * 14, peaks))
    assert notes == (
        "bimodal: on candidate in 7 of 14 launches it is about 52.0 MB, in the others 48.0 MB",
    )


# Zeros


def test_a_value_against_none_is_told() -> None:
    """It has no ratio; two zeros are equal and nothing is to be said of them."""
    assert notes_on(valued([0.0] * 5, [5.0] * 5)) == (
        "base gives 0 in 5 of 5 launch pairs, which has no ratio; each counts as a hundredfold",
    )
    assert notes_on(valued([3.0, 3.0], [3.0, 0.0]))[0].startswith("candidate gives 0 in 1 of 2")
    assert notes_on(valued([0.0] * 14, [0.0] * 14)) == ()


def with_slower_half(*growths: float, outcome: Outcome = Outcome.SAME) -> Comparison:
    """A row whose slower half takes so much longer on the candidate, one number a launch pair."""
    row = timed([1e-4] * len(growths))
    pairs = tuple(
        replace(pair, base_slower_half_s=2e-4, candidate_slower_half_s=2e-4 * growth)
        for pair, growth in zip(row.pairs, growths, strict=True)
    )
    return replace(row, pairs=pairs, outcome=outcome)


def test_a_slower_half_that_is_slower_is_told() -> None:
    """What only some calls cost is not in the ratio, so a line says it."""
    (note,) = notes_on(with_slower_half(1.3, 1.31, 1.29, 1.3, 1.3))
    assert note.startswith("the slower half of its samples takes 30 % longer on the candidate")


@pytest.mark.parametrize(
    "growths",
    [
        pytest.param((1.03, 1.031, 1.029, 1.03, 1.03), id="little"),
        pytest.param((1.6, 0.8, 1.3, 0.9, 1.5), id="chance"),
        pytest.param((1.3, 1.31, 1.29, 1.3), id="too few"),
        pytest.param((0.7, 0.71, 0.69, 0.7, 0.7), id="faster"),
        pytest.param((1.0,) * 8, id="alike"),
    ],
)
def test_a_slower_half_without_a_plain_slowdown_is_not_told(growths: Sequence[float]) -> None:
    """It scatters more than what is judged, and most of what it shows is the machine."""
    assert notes_on(with_slower_half(*growths)) == ()


def test_a_row_that_is_slower_anyway_needs_no_such_note() -> None:
    """Its verdict says more."""
    row = with_slower_half(1.3, 1.31, 1.29, 1.3, 1.3, outcome=Outcome.SLOWER)
    assert notes_on(row) == ()
