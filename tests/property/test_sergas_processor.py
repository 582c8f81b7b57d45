"""Laws of the parallel processor for any input, and of the pace at which it hands items out."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from sergas.optimizations.parallel_processor import ParallelProcessor
from sergas.optimizations.parallel_processor._pace import Pace

PACES = st.builds(Pace, target_s=st.floats(1e-6, 1.0), size=st.integers(1, 1024))
COUNTS = st.integers(1, 2000)
SECONDS = st.floats(0.0, 1e3)


@settings(deadline=None, max_examples=60)
@given(
    numbers=st.lists(st.integers(-3, 3), max_size=200),
    workers=st.integers(1, 4),
    is_sized=st.booleans(),
)
def test_outcomes_are_those_of_a_loop(numbers: list[int], workers: int, *, is_sized: bool) -> None:
    """One outcome per item, in order, with the value or the error a loop would have seen."""
    with ParallelProcessor(workers, backend="thread") as processor:
        outcomes = processor.map(
            lambda number: 6 // number, numbers if is_sized else iter(numbers), on_error="return"
        )
    assert [outcome.index for outcome in outcomes] == list(range(len(numbers)))
    for number, outcome in zip(numbers, outcomes, strict=True):
        if number == 0:
            assert isinstance(outcome.error, ZeroDivisionError)
        else:
            assert (outcome.value, outcome.error) == (6 // number, None)


@settings(deadline=None, max_examples=30)
@given(count=st.integers(0, 8000), workers=st.integers(1, 2))
def test_input_is_never_read_far_ahead(count: int, workers: int) -> None:
    """At every moment at most two chunks per worker, of 1024 items, are read and not given back."""
    read = 0
    taken = 0

    def items() -> Iterator[int]:
        nonlocal read
        for number in range(count):
            read += 1
            yield number

    with ParallelProcessor(workers, backend="thread") as processor:
        for outcome in processor.imap(lambda number: number, items(), on_error="return"):
            assert read - taken <= 2 * workers * 1024
            assert outcome.value == taken
            taken += 1
    assert taken == count


@given(pace=PACES, count=COUNTS, busy_s=SECONDS)
def test_size_grows_slowly_falls_at_once_and_stays_in_bounds(
    pace: Pace, count: int, busy_s: float
) -> None:
    """At most eightfold; and unless it is one, the chunk is expected to fit the target."""
    after = pace.after(count=count, busy_s=busy_s)
    assert 1 <= after.size <= min(1024, 8 * pace.size)
    assert after.size == 1 or after.size * (busy_s / count) <= pace.target_s * (1 + 1e-9)


@given(pace=PACES, count=COUNTS, busy_s=SECONDS, slower=st.floats(1.0, 100.0))
def test_slower_items_never_make_larger_chunks(
    pace: Pace, count: int, busy_s: float, slower: float
) -> None:
    """The size is monotone in what the items took."""
    fast = pace.after(count=count, busy_s=busy_s)
    slow = pace.after(count=count, busy_s=busy_s * slower)
    assert slow.size <= fast.size


@given(pace=PACES, total=st.integers(0, 5000), workers=st.integers(1, 64))
def test_chunks_of_a_known_length_end_small(pace: Pace, total: int, workers: int) -> None:
    """A chunk is at most a worker's share of half of what is left, or an eighth of its size."""
    remaining = total
    while remaining > 0:
        size = pace.next_size(remaining=remaining, workers=workers)
        assert 1 <= size <= pace.size
        assert size == 1 or size <= pace.size // 8 or size * 2 * workers <= remaining
        remaining -= size
    assert remaining == 0


@given(pace=PACES, workers=st.integers(1, 64))
def test_unknown_length_leaves_the_size_as_it_is(pace: Pace, workers: int) -> None:
    """Nothing can be said about the end of an input that does not tell its length."""
    assert pace.next_size(remaining=None, workers=workers) == pace.size
