# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Dictionaries."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import mappings


def test_lookup(benchmark: BenchmarkFixture) -> None:
    """Keys looked up."""
    benchmark(mappings.lookup)


def test_count(benchmark: BenchmarkFixture) -> None:
    """Words counted."""
    benchmark(mappings.count)


def test_merge(benchmark: BenchmarkFixture) -> None:
    """Two dictionaries merged."""
    benchmark(mappings.merge)


def test_invert(benchmark: BenchmarkFixture) -> None:
    """Keys grouped by value."""
    benchmark(mappings.invert)
