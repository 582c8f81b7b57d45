import itertools

import pytest

from groundspeed.check.verdict import decide
from groundspeed.model import (
    Acceptance,
    Comparison,
    Failure,
    Ignored,
    Outcome,
    Row,
    Side,
    Verdict,
)

SLOWER, FASTER, SAME, UNDECIDED = Outcome.SLOWER, Outcome.FASTER, Outcome.SAME, Outcome.UNDECIDED
BROKEN, NO_BASELINE, SKIPPED = Outcome.BROKEN, Outcome.NO_BASELINE, Outcome.SKIPPED


def rows(*outcomes: Outcome) -> list[Comparison]:
    """Give a comparison an outcome."""
    return [Comparison(row=Row(name=f"r{i}"), outcome=o) for i, o in enumerate(outcomes)]


def ignored(outcome: Outcome, name: str = "ignored") -> Comparison:
    """A row that a rule ignores."""
    why = Ignored(reason="noise", until="2027-01-31")
    return Comparison(row=Row(name=name), outcome=outcome, ignored=why)


def accepted(name: str = "accepted") -> Comparison:
    """A slower row that was accepted."""
    why = Acceptance(label=name, ratio_high=1.5, base="a" * 40, date="2026-11-22", reason="right")
    return Comparison(row=Row(name=name), outcome=SLOWER, accepted=why)


def file_failure(side: Side, module: str = "benchmarks.bad") -> Failure:
    """A benchmark file that this side could not import."""
    return Failure(side=side, stage=f"import of {module}", kind="SyntaxError", message="bad")


def suites(most: int = 3) -> list[tuple[Outcome, ...]]:
    """Every suite of up to `most` rows."""
    counts = range(most + 1)
    return [s for n in counts for s in itertools.combinations_with_replacement(Outcome, n)]


@pytest.mark.parametrize(
    ("outcomes", "verdict", "exit_code"),
    [
        ((SAME, FASTER), Verdict.PASS, 0),
        ((SAME, SKIPPED), Verdict.PASS, 0),
        ((SAME, NO_BASELINE), Verdict.WARN, 0),
        ((SAME, SLOWER), Verdict.BLOCK, 1),
        ((SAME, UNDECIDED), Verdict.INCONCLUSIVE, 3),
        ((UNDECIDED, NO_BASELINE), Verdict.INCONCLUSIVE, 3),
        ((NO_BASELINE, NO_BASELINE), Verdict.INCONCLUSIVE, 4),
        ((), Verdict.INCONCLUSIVE, 4),
        ((SAME, BROKEN), Verdict.BLOCK, 5),
        ((BROKEN, UNDECIDED, NO_BASELINE), Verdict.BLOCK, 5),
        ((SLOWER, BROKEN, UNDECIDED, NO_BASELINE), Verdict.BLOCK, 1),
    ],
)
def test_verdicts_and_exit_codes(
    outcomes: tuple[Outcome, ...], verdict: Verdict, exit_code: int
) -> None:
    """The table users build on: 0 pass or warn, 1 slower, 3 undecided, 4 no baseline, 5 broken."""
    decision = decide(rows(*outcomes), [])
    assert (decision.verdict, decision.exit_code) == (verdict, exit_code)


@pytest.mark.parametrize("outcomes", suites())
def test_a_slower_row_always_wins(outcomes: tuple[Outcome, ...]) -> None:
    """Whatever else happened, a slowdown that was shown blocks with 1."""
    decision = decide(rows(*outcomes, SLOWER), [file_failure("candidate")])
    assert (decision.verdict, decision.exit_code) == (Verdict.BLOCK, 1)
    assert "slower" in decision.reasons[0]


@pytest.mark.parametrize("outcomes", suites())
def test_exit_1_means_slower_and_nothing_else(outcomes: tuple[Outcome, ...]) -> None:
    """Without a slower row no suite exits with 1, and none without an undecided row with 3."""
    exit_code = decide(rows(*outcomes), []).exit_code
    assert (exit_code == 1) == (SLOWER in outcomes)
    assert exit_code != 3 or UNDECIDED in outcomes
    assert (exit_code == 5) == (BROKEN in outcomes and SLOWER not in outcomes)


@pytest.mark.parametrize("outcomes", suites())
def test_the_order_of_rows_does_not_matter(outcomes: tuple[Outcome, ...]) -> None:
    """A verdict is of the suite and not of its order."""
    forward, backward = decide(rows(*outcomes), []), decide(rows(*outcomes[::-1]), [])
    assert forward == backward


@pytest.mark.parametrize("outcomes", suites())
def test_a_row_that_is_the_same_never_makes_it_worse(outcomes: tuple[Outcome, ...]) -> None:
    """Adding a row that is the same changes the verdict of nothing that was compared."""
    before, after = decide(rows(*outcomes), []), decide(rows(*outcomes, SAME), [])
    assert after.exit_code in {before.exit_code, 0}


def test_a_file_broken_on_the_candidate_breaks_the_check() -> None:
    """Rows that vanish with their file are a break and not a pass; one file is counted once."""
    decision = decide(rows(SAME), [file_failure("base"), file_failure("candidate")])
    assert (decision.verdict, decision.exit_code) == (Verdict.BLOCK, 5)
    assert decision.reasons[0] == "1 benchmark file could not be imported"


def test_a_file_broken_on_base_alone_has_no_baseline() -> None:
    """What the candidate mends does not break the check."""
    assert decide(rows(SAME), [file_failure("base")]).exit_code == 0


@pytest.mark.parametrize(
    ("outcomes", "reasons"),
    [
        ((SAME, SAME), ("none of 2 is slower",)),
        ((SAME, FASTER), ("none of 2 is slower, 1 is faster",)),
        (
            (FASTER, FASTER, UNDECIDED),
            ("1 of 3 is undecided", "2 of 3 are not slower, 2 are faster"),
        ),
        ((SAME, SKIPPED), ("1 of 2 is skipped", "1 of 2 is not slower")),
        ((SLOWER, SLOWER, SAME), ("2 of 3 are slower",)),
        ((NO_BASELINE, BROKEN, BROKEN), ("2 of 3 are broken", "1 of 3 has no baseline")),
    ],
)
def test_reasons_count_in_plain_words(
    outcomes: tuple[Outcome, ...], reasons: tuple[str, ...]
) -> None:
    """Most important first, singular and plural right."""
    assert decide(rows(*outcomes), []).reasons == reasons


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("outcomes", [s for s in suites(2) if s])
def test_an_ignored_row_changes_no_verdict(outcomes: tuple[Outcome, ...], outcome: Outcome) -> None:
    """However it ended, the verdict is that of the other rows."""
    without, beside = decide(rows(*outcomes), []), decide([*rows(*outcomes), ignored(outcome)], [])
    assert (beside.verdict, beside.exit_code) == (without.verdict, without.exit_code)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_suite_of_ignored_rows_warns(outcome: Outcome) -> None:
    """Nothing can block, and nothing was judged either."""
    decision = decide([ignored(outcome), ignored(outcome, "other")], [])
    assert (decision.verdict, decision.exit_code) == (Verdict.WARN, 0)


@pytest.mark.parametrize("outcomes", suites(2))
def test_an_accepted_row_warns_where_nothing_weighs_more(outcomes: tuple[Outcome, ...]) -> None:
    """It is a row that was compared, like one that is the same, and never lets a check pass."""
    as_same = decide(rows(*outcomes, SAME), [])
    decision = decide([*rows(*outcomes), accepted()], [])
    expected = Verdict.WARN if as_same.verdict is Verdict.PASS else as_same.verdict
    assert (decision.verdict, decision.exit_code) == (expected, as_same.exit_code)


@pytest.mark.parametrize(
    ("comparisons", "reasons"),
    [
        ([accepted()], ("1 of 1 is slower but accepted",)),
        (
            [*rows(SAME, FASTER), accepted(), accepted("b")],
            ("2 of 4 are slower but accepted", "2 of 4 are not slower, 1 is faster"),
        ),
        (
            [*rows(SLOWER, SAME), accepted(), ignored(SLOWER), ignored(SAME, "b")],
            ("1 of 5 is slower", "1 of 5 is slower but accepted", "1 of 5 is slower but ignored"),
        ),
        (
            [*rows(SAME), ignored(UNDECIDED)],
            ("1 of 2 is undecided but ignored", "1 of 2 is not slower"),
        ),
        ([*rows(SAME), ignored(SAME)], ("none of 2 is slower",)),
    ],
)
def test_excused_rows_are_named_after_those_that_count(
    comparisons: list[Comparison], reasons: tuple[str, ...]
) -> None:
    """A slower row is always told, and told apart."""
    assert decide(comparisons, []).reasons == reasons


def of_values(*outcomes: Outcome) -> list[Comparison]:
    """Rows that are no times."""
    return [
        Comparison(row=Row(name=f"v{i}"), outcome=o, metric="track") for i, o in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("comparisons", "reasons"),
    [
        ([*rows(SLOWER, SAME), *of_values(SAME)], ("1 of 3 is slower",)),
        ([*rows(SAME), *of_values(SLOWER, SLOWER)], ("2 of 3 are worse",)),
        ([*rows(SLOWER), *of_values(SLOWER)], ("2 of 2 are slower or worse",)),
        (of_values(SAME, FASTER), ("none of 2 is worse, 1 is better",)),
        (
            [*rows(SAME, FASTER), *of_values(SAME, FASTER, UNDECIDED)],
            ("1 of 5 is undecided", "4 of 5 are not slower or worse, 2 are faster or better"),
        ),
    ],
)
def test_what_is_no_time_is_worse_and_not_slower(
    comparisons: list[Comparison], reasons: tuple[str, ...]
) -> None:
    """The words are those of the rows that are meant; of times alone they stay plain."""
    assert decide(comparisons, []).reasons == reasons


@pytest.mark.parametrize("outcomes", suites())
def test_what_is_measured_changes_words_and_no_verdict(outcomes: tuple[Outcome, ...]) -> None:
    """Times and values weigh the same."""
    times, values = decide(rows(*outcomes), []), decide(of_values(*outcomes), [])
    assert (times.verdict, times.exit_code) == (values.verdict, values.exit_code)
    assert len(times.reasons) == len(values.reasons)
