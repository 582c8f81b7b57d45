# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Plain Python loops."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import loops


def test_arithmetic(benchmark: BenchmarkFixture) -> None:
    """Small integers summed and masked."""
    benchmark(loops.arithmetic)


def test_collatz(benchmark: BenchmarkFixture) -> None:
    """A loop that branches."""
    benchmark(loops.collatz)


def test_sieve(benchmark: BenchmarkFixture) -> None:
    """Multiples struck out."""
    benchmark(loops.sieve)


def test_grid(benchmark: BenchmarkFixture) -> None:
    """Neighbours of a grid's cells summed up."""
    benchmark(loops.grid)
