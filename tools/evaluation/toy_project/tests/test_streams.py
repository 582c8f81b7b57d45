# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Generators."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import streams


def test_chain(benchmark: BenchmarkFixture) -> None:
    """Generators chained."""
    benchmark(streams.chain)


def test_delegate(benchmark: BenchmarkFixture) -> None:
    """Generators that delegate."""
    benchmark(streams.delegate)


def test_send(benchmark: BenchmarkFixture) -> None:
    """A generator fed."""
    benchmark(streams.send)
