# mypy: disable-error-code="import-not-found,no-untyped-call"
# (The toy package exists in the repositories that are written from here; pedantic has no types.)
"""Rows with a small setup before every call."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import ordering

ROUNDS = 2000


def one_list() -> tuple[tuple[list[int]], dict[str, object]]:
    """Numbers in no order, as the one argument."""
    return ([number * 7919 % 10_007 for number in range(400)],), {}


def two_sorted() -> tuple[tuple[list[int], list[int]], dict[str, object]]:
    """The same numbers as two sorted sequences."""
    (numbers,), _ = one_list()
    return (sorted(numbers[:200]), sorted(numbers[200:])), {}


def test_sort(benchmark: BenchmarkFixture) -> None:
    """The numbers sorted."""
    benchmark.pedantic(ordering.sort_these, setup=one_list, rounds=ROUNDS)


def test_merge(benchmark: BenchmarkFixture) -> None:
    """The sorted sequences merged."""
    benchmark.pedantic(ordering.merge_these, setup=two_sorted, rounds=ROUNDS)


def test_heap(benchmark: BenchmarkFixture) -> None:
    """Half of the numbers taken out of a heap."""
    benchmark.pedantic(ordering.heap_of_these, setup=one_list, rounds=ROUNDS)


def test_unique(benchmark: BenchmarkFixture) -> None:
    """Repeated numbers dropped."""
    benchmark.pedantic(ordering.unique_of_these, setup=one_list, rounds=ROUNDS)
