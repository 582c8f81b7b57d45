# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Sorted lists."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import ordering


def test_sort(benchmark: BenchmarkFixture) -> None:
    """Numbers sorted."""
    benchmark(ordering.sort)


def test_sort_by_key(benchmark: BenchmarkFixture) -> None:
    """Pairs sorted by a key."""
    benchmark(ordering.sort_by_key)


def test_insort(benchmark: BenchmarkFixture) -> None:
    """Numbers inserted in order."""
    benchmark(ordering.insort)


def test_smallest(benchmark: BenchmarkFixture) -> None:
    """The smallest numbers found."""
    benchmark(ordering.smallest)
