# mypy: disable-error-code="import-not-found"
# (The toy package exists in the repositories that are written from here, not in this one.)
"""An event loop and its tasks."""

from pytest_benchmark.fixture import BenchmarkFixture
from toy import tasks


def test_relay(benchmark: BenchmarkFixture) -> None:
    """The turn passed to a new task."""
    benchmark(tasks.relay)


def test_gather(benchmark: BenchmarkFixture) -> None:
    """Tasks gathered."""
    benchmark(tasks.gather)


def test_queue(benchmark: BenchmarkFixture) -> None:
    """Numbers sent to a task and back."""
    benchmark(tasks.queue)


def test_fresh_loop(benchmark: BenchmarkFixture) -> None:
    """A loop started and closed."""
    benchmark(tasks.fresh_loop)
