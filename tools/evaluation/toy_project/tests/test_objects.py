# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Objects, with the garbage collector running."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import objects


def test_cycles(benchmark: BenchmarkFixture) -> None:
    """Rings that only the collector frees."""
    benchmark(objects.cycles)


def test_create(benchmark: BenchmarkFixture) -> None:
    """Objects made and dropped."""
    benchmark(objects.create)


def test_tree(benchmark: BenchmarkFixture) -> None:
    """Trees whose nodes point both ways."""
    benchmark(objects.tree)


def test_update(benchmark: BenchmarkFixture) -> None:
    """Attributes read and written."""
    benchmark(objects.update)


def test_copy(benchmark: BenchmarkFixture) -> None:
    """Objects copied with all they hold."""
    benchmark(objects.copy)
