import pytest

from groundspeed.check.ledger import Ledger
from groundspeed.check.shards import ShardRequest, decide_shard, rows_elsewhere, shard_notice
from groundspeed.model import Comparison, Failure, Outcome, Row, Shard, Verdict
from groundspeed.stats import Conclusion, GateRule

SUITE = ["sort.time_all", "sort.time_some(10)", "sort.time_some(100)", "walk.time_up"]
EMPTY = Shard(index=3, count=3, rows=2)


@pytest.mark.parametrize(
    ("text", "index", "count"), [("1/1", 1, 1), ("2/4", 2, 4), (" 4/4 ", 4, 4)]
)
def test_a_shard_is_typed_as_which_of_how_many(text: str, index: int, count: int) -> None:
    """I/N, counted from 1."""
    assert ShardRequest.parse(text) == ShardRequest(index=index, count=count)


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        ("0/3", "a part from 1/3 to 3/3"),
        ("4/3", "a part from 1/3 to 3/3"),
        ("0/0", "at least one part"),
        ("1/0", "at least one part"),
        ("a", "I/N, which part of how many, such as 2/4"),
        ("", "I/N"),
        ("1/", "I/N"),
        ("-1/3", "I/N"),
        ("1/3/5", "I/N"),
        ("1.0/3", "I/N"),
        ("١/٣", "I/N"),  # noqa: RUF001 - digits that only int() takes
        ("1/" + "9" * 5000, "I/N"),
    ],
)
def test_what_is_no_shard_is_refused_with_what_was_needed(text: str, needed: str) -> None:
    """The message shows what was typed and what would have been right."""
    with pytest.raises(ValueError, match="got ") as refused:
        ShardRequest.parse(text)
    assert repr(text) in str(refused.value)
    assert needed in str(refused.value)


def test_the_sorted_suite_is_dealt_out_in_turn() -> None:
    """Neighbours go to different shards, and each shard keeps the order it was given."""
    assert ShardRequest.parse("1/2").keep(SUITE[::-1]) == [SUITE[2], SUITE[0]]
    assert ShardRequest.parse("2/2").keep(SUITE) == [SUITE[1], SUITE[3]]


def test_a_shard_beyond_the_suite_is_empty() -> None:
    """Five shards of four rows: the fifth has nothing to do."""
    assert ShardRequest.parse("5/5").keep(SUITE) == []


def test_the_record_says_how_large_the_whole_is() -> None:
    """Of all benchmarks, not of this shard's; one that gives several rows counts once."""
    rows = [Row(name="load.a", quantity="p50"), Row(name="load.a", quantity="p99"), Row(name="b")]
    assert ShardRequest.parse("2/4").recorded(rows, 3) == Shard(index=2, count=4, rows=5)
    assert ShardRequest.parse("5/5").recorded([], 4) == Shard(index=5, count=5, rows=4)


def test_rows_elsewhere_make_a_shard_as_strict_as_the_whole() -> None:
    """A row that is just slow enough for a suite of one is not for one of twenty."""
    row = Row(name="a.time_x")
    differences = (0.013, 0.027, 0.0165, 0.0235, 0.0284, 0.0116, 0.0214, 0.0186)
    seen = []
    for others in (0, 19):
        elsewhere = rows_elsewhere([row], others)
        assert len(elsewhere) == others
        ledger = Ledger([row, *elsewhere], GateRule())
        ledger.set_aside(elsewhere)
        for difference in differences:
            assert ledger.open_rows == [row]
            ledger.add_pair({row: difference})
        seen.append(ledger.conclusion(row))
    assert seen == [Conclusion.SLOWER, Conclusion.OPEN]


def test_benchmarks_elsewhere_count_as_many_rows_as_those_here() -> None:
    """Two benchmarks that give five rows let three others be taken for eight, rounded up."""
    rows = [
        *(Row(name="load.a", quantity=f"q{i}") for i in range(4)),
        Row(name="load.b", parameters=("1",)),
    ]
    elsewhere = rows_elsewhere(rows, 3)
    assert len(elsewhere) == len(set(elsewhere)) == 8
    assert len(rows_elsewhere([], 3)) == 3


def test_an_empty_shard_passes() -> None:
    """There is nothing in it that could be slower, and the whole verdict comes from merging."""
    decision = decide_shard([], [], EMPTY)
    assert (decision.verdict, decision.exit_code) == (Verdict.PASS, 0)
    assert decision.reasons == ("the suite has 2 rows, none of them for shard 3",)


def test_an_empty_shard_of_broken_files_is_broken() -> None:
    """A file that cannot be imported is so for every shard."""
    failure = Failure(side="candidate", stage="import of a", kind="ImportError", message="no b")
    assert decide_shard([], [failure], EMPTY).exit_code == 5


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.SLOWER, 1), (Outcome.NO_BASELINE, 4)])
def test_a_shard_with_rows_is_judged_as_any_check(outcome: Outcome, code: int) -> None:
    """Its own rows decide, with the codes of a check."""
    comparison = Comparison(row=Row(name="a.time_x"), outcome=outcome)
    assert decide_shard([comparison], [], EMPTY).exit_code == code


def test_a_reader_of_one_shard_is_told_what_to_do() -> None:
    """The notice names the shard and the command."""
    assert "shard 3 of 3" in shard_notice(EMPTY)
    assert "groundspeed merge" in shard_notice(EMPTY)
