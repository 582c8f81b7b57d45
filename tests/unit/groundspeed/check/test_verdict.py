import itertools

import pytest

from groundspeed.check.verdict import decide
from groundspeed.model import Comparison, Failure, Outcome, Row, Side, Verdict

SLOWER, FASTER, SAME, UNDECIDED = Outcome.SLOWER, Outcome.FASTER, Outcome.SAME, Outcome.UNDECIDED
BROKEN, NO_BASELINE, SKIPPED = Outcome.BROKEN, Outcome.NO_BASELINE, Outcome.SKIPPED


def rows(*outcomes: Outcome) -> list[Comparison]:
    """Give a comparison an outcome."""
    return [Comparison(row=Row(name=f"r{i}"), outcome=o) for i, o in enumerate(outcomes)]


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
