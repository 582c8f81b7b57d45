# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""Strings."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import text


def test_parse(benchmark: BenchmarkFixture) -> None:
    """Fields taken apart."""
    benchmark(text.parse)


def test_format(benchmark: BenchmarkFixture) -> None:
    """Numbers formatted."""
    benchmark(text.format_lines)


def test_clean(benchmark: BenchmarkFixture) -> None:
    """A messy line brought into order."""
    benchmark(text.clean)


def test_transcode(benchmark: BenchmarkFixture) -> None:
    """A text encoded and decoded."""
    benchmark(text.transcode)
