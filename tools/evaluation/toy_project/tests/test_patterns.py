# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Regular expressions."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import patterns


def test_match(benchmark: BenchmarkFixture) -> None:
    """Time stamps found."""
    benchmark(patterns.match)


def test_substitute(benchmark: BenchmarkFixture) -> None:
    """Time stamps rewritten."""
    benchmark(patterns.substitute)


def test_split(benchmark: BenchmarkFixture) -> None:
    """A line split."""
    benchmark(patterns.split)


def test_tokens(benchmark: BenchmarkFixture) -> None:
    """A formula taken apart."""
    benchmark(patterns.tokens)
