# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""JSON."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import documents


def test_encode(benchmark: BenchmarkFixture) -> None:
    """A small document written."""
    benchmark(documents.encode)


def test_decode(benchmark: BenchmarkFixture) -> None:
    """A small document read."""
    benchmark(documents.decode)


def test_encode_deep(benchmark: BenchmarkFixture) -> None:
    """A nested document written."""
    benchmark(documents.encode_deep)


def test_round_trip(benchmark: BenchmarkFixture) -> None:
    """A document read, changed and written."""
    benchmark(documents.round_trip)
