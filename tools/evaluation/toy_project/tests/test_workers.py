# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Threads."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import workers


def test_handover(benchmark: BenchmarkFixture) -> None:
    """The turn handed to a thread and back."""
    benchmark(workers.handover)


def test_pool(benchmark: BenchmarkFixture) -> None:
    """Calls given to a pool."""
    benchmark(workers.pool)


def test_contended(benchmark: BenchmarkFixture) -> None:
    """A lock that two threads want."""
    benchmark(workers.contended)


def test_start(benchmark: BenchmarkFixture) -> None:
    """A thread started and joined."""
    benchmark(workers.start)
